//! The bound on what all connections together have begun to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of messages that have not arrived in full, of all connections. Without this bound each connection might make
/// the server hold nearly one message of the largest size, for as long as it likes.
#[derive(Debug)]
pub(crate) struct PartialBytes {
    held: AtomicUsize,
    max: usize,
}

/// What one connection holds of it.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<PartialBytes>,
    held: usize,
}

impl PartialBytes {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            max,
        }
    }
}

impl Share {
    /// Below this a connection's bytes are not counted: what everybody holds all the time.
    const FREE_BYTES: usize = 16 * 1024;

    pub(crate) fn new(all: Arc<PartialBytes>) -> Self {
        Self { all, held: 0 }
    }

    /// Holds so many bytes from now on; `false` when that is more than there is.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let bytes = bytes.saturating_sub(Self::FREE_BYTES);
        if bytes <= self.held {
            self.all
                .held
                .fetch_sub(self.held - bytes, Ordering::Relaxed);
            self.held = bytes;
            return true;
        }
        let more = bytes - self.held;
        let before = self.all.held.fetch_add(more, Ordering::Relaxed);
        self.held = bytes;
        before.saturating_add(more) <= self.all.max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_share_a_bound_and_small_ones_are_free() {
        let all = Arc::new(PartialBytes::new(100_000));
        let (mut one, mut other) = (Share::new(Arc::clone(&all)), Share::new(Arc::clone(&all)));
        assert!(one.hold(90_000));
        assert!(other.hold(Share::FREE_BYTES));
        assert!(!other.hold(60_000));
        drop(other);
        assert!(one.hold(100_000));
        drop(one);
        assert_eq!(all.held.load(Ordering::Relaxed), 0);
    }
}
