//! What happens around a call of a port.

use std::future::Future;
use std::sync::Arc;

use crate::ports::{Append, AppendOutcome, MessageStore, PortError, RouterFeed};

/// Something that happens around every call of a port.
///
/// A layer must keep the contract of whatever port it is put around: an error after which the call may still be applied is
/// `Retry::Unknown`, and envelopes of a feed keep their order.
pub trait Layer: Send + Sync + 'static {
    /// Around a call that changes nothing. `op` names it, as `messages.load`.
    fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> impl Future<Output = Result<T, PortError>> + Send;

    /// Around a call that changes something.
    fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> impl Future<Output = Result<T, PortError>> + Send;

    /// Around an append, which a layer may also put off; else as around any write.
    fn append(
        &self,
        op: &'static str,
        store: &Arc<dyn MessageStore>,
        append: Append,
    ) -> impl Future<Output = Result<AppendOutcome, PortError>> + Send {
        self.write(op, store.append(append))
    }

    /// Around the envelopes that reach a node; else nothing.
    fn feed(&self, feed: RouterFeed) -> RouterFeed {
        feed
    }
}
