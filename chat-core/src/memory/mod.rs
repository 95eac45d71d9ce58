//! Adapters that keep everything in memory: the contracts of the ports as a program, clear before fast. For tests, for
//! trying things out, and for embedding programs that need nothing durable.

mod accounts;
mod clock;
mod copied;
mod directory;
#[cfg(test)]
pub(crate) mod fixture;
mod inbox_store;
mod log;
mod message_store;
mod page;
mod person;
mod presence_bus;
mod router;
mod state;
mod store;
mod user_store;

pub use clock::{ManualClock, SystemClock};
pub use directory::OpenDirectory;
pub use presence_bus::MemoryPresenceBus;
pub use router::{FEED_ENVELOPES_MAX, MemoryRouter};
pub use store::{MemoryStore, SNAPSHOT_EVERY_ENTRIES};
