//! A limit on how long a call may take.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{Decorated, Layer};
use crate::ports::{PortError, PortErrorKind, Retry};

/// A port whose calls end within a limit, with `Timeout` if need be: `Safe` for a read, `Unknown` for a write.
///
/// # Cancellation
/// The inner call's future is dropped when the limit is reached. As the contract of `MessageStore` allows, an append whose
/// future was dropped may go on and take effect later; it is settled by an append at the same expected head.
pub type Timeout<P> = Decorated<P, TimeoutLayer>;

/// The layer of [`Timeout`].
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limit: Duration,
}

impl<P: ?Sized> Timeout<P> {
    /// Limits every call of `inner`.
    pub fn new(inner: Arc<P>, limit: Duration) -> Self {
        Self::with_layer(inner, TimeoutLayer { limit })
    }
}

impl TimeoutLayer {
    async fn limited<T>(
        &self,
        op: &'static str,
        retry: Retry,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let elapsed = |error| PortError::new(PortErrorKind::Timeout, retry, op).with_source(error);
        tokio::time::timeout(self.limit, call)
            .await
            .map_err(elapsed)?
    }
}

impl Layer for TimeoutLayer {
    async fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.limited(op, Retry::Safe, call).await
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.limited(op, Retry::Unknown, call).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LAYER: TimeoutLayer = TimeoutLayer {
        limit: Duration::from_secs(5),
    };

    #[tokio::test(start_paused = true)]
    async fn a_write_that_took_too_long_is_unknown_and_a_read_is_safe() {
        let read = LAYER
            .read::<()>("messages.load", pending())
            .await
            .expect_err("never answers");
        assert_eq!(
            (read.kind(), read.retry()),
            (PortErrorKind::Timeout, Retry::Safe)
        );
        let write = LAYER
            .write::<()>("messages.append", pending())
            .await
            .expect_err("never answers");
        assert_eq!(
            (write.kind(), write.retry(), write.op()),
            (PortErrorKind::Timeout, Retry::Unknown, "messages.append")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_in_time_passes() {
        assert_eq!(
            LAYER
                .write("messages.append", ready(Ok(7)))
                .await
                .expect("answered"),
            7
        );
        let late = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Err::<(), _>(PortError::corrupt("messages.load"))
        };
        let error = LAYER
            .read("messages.load", late)
            .await
            .expect_err("the inner error");
        assert_eq!(error.kind(), PortErrorKind::Corrupt);
    }
}
