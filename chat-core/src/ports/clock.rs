//! What time it is.

use chat_proto::Timestamp;

/// Wall-clock time. Timers use the runtime's clock; this one only stamps and compares.
///
/// # Contract
/// `now` MUST return at once and never panic; it MAY step back, as wall clocks do.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn now(&self) -> Timestamp;
}
