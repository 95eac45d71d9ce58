//! Names for messages.

use chat_proto::MessageId;

use super::PortError;

/// Makes message ids: unique over the fleet, rising with `seq` inside a channel.
///
/// # Contract
/// - `next_after(previous)` MUST return an id above `previous` (`rises_above_previous`).
/// - It MUST never return the same id twice, also when called from many threads and across generators with other
///   worker numbers (`never_repeats`).
/// - When the wall clock steps back it MUST go on rising (`survives_a_clock_step_back`), and when a millisecond's
///   numbers are used up it MUST go on without repeating (`survives_an_exhausted_millisecond`).
/// - A generator with a lease MUST refuse to make ids beyond it (`refuses_beyond_its_lease`): a paused node must not
///   repeat what its successor made.
pub trait IdGenerator: Send + Sync + 'static {
    /// An id above `previous`.
    ///
    /// # Errors
    /// `Unavailable` with `Safe` when the lease is over or `previous` lies too far ahead of the clock.
    fn next_after(&self, previous: MessageId) -> Result<MessageId, PortError>;
}
