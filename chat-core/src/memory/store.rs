//! All stores over one state in memory.

use std::sync::{Arc, Mutex, MutexGuard};

use chat_proto::Epoch;
use uuid::Uuid;

use super::state::State;
use crate::lock::lock;
use crate::ports::{InboxCapabilities, StoreCapabilities};

/// A log's snapshot is renewed whenever the log has so many more entries, so that a load nearly always has something to
/// fold, as with a store that writes snapshots off the send path.
pub const SNAPSHOT_EVERY_ENTRIES: u64 = 200;

/// A `MessageStore`, `InboxStore`, `UserStore` and `Accounts` over one state. All clones are one store: several engines
/// may share it, as nodes of a fleet share a database, and it outlives each of them; nothing outlives the process.
#[derive(Clone)]
pub struct MemoryStore {
    pub(super) epoch: Epoch,
    pub(super) capabilities: StoreCapabilities,
    pub(super) inbox_capabilities: InboxCapabilities,
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// A store as a relational database makes one: its appends refuse a key that the log holds and set bodies.
    pub fn new() -> Self {
        let capabilities = StoreCapabilities {
            append_searches_keys: true,
            append_sets_bodies: true,
        };
        let inboxes = InboxCapabilities {
            derives_rows: true,
            is_shared: true,
        };
        Self::with(capabilities, inboxes)
    }

    /// A store as a key-value database makes one: its appends look at no key, set no body and leave the inboxes as they are;
    /// whoever appends must have searched, and must see to the rest.
    pub fn key_value() -> Self {
        let capabilities = StoreCapabilities {
            append_searches_keys: false,
            append_sets_bodies: false,
        };
        let inboxes = InboxCapabilities {
            derives_rows: false,
            is_shared: true,
        };
        Self::with(capabilities, inboxes)
    }

    fn with(capabilities: StoreCapabilities, inbox_capabilities: InboxCapabilities) -> Self {
        let epoch = Epoch::from_uuid(Uuid::new_v4());
        Self {
            epoch,
            capabilities,
            inbox_capabilities,
            state: Arc::default(),
        }
    }

    /// Holding the guard is this store's transaction.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}
