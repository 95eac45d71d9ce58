//! All stores over one state in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_proto::Epoch;
use uuid::Uuid;

use super::state::State;

/// A log's snapshot is renewed whenever the log has so many more entries, so that a load nearly always has something to
/// fold, as with a store that writes snapshots off the send path.
pub const SNAPSHOT_EVERY_ENTRIES: u64 = 200;

/// A `MessageStore`, `InboxStore`, `UserStore` and `Accounts` over one state. All clones are one store: several engines
/// may share it, as nodes of a fleet share a database, and it outlives each of them; nothing outlives the process.
#[derive(Clone)]
pub struct MemoryStore {
    pub(super) epoch: Epoch,
    pub(super) append_searches_keys: bool,
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// A store whose appends refuse a key that the log holds, as a unique index does.
    pub fn new() -> Self {
        Self::with_key_search(true)
    }

    /// A store whose appends look at no key: whoever appends must have searched.
    pub fn without_key_search() -> Self {
        Self::with_key_search(false)
    }

    fn with_key_search(append_searches_keys: bool) -> Self {
        let epoch = Epoch::from_uuid(Uuid::new_v4());
        Self {
            epoch,
            append_searches_keys,
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

/// The guard, also after a panic elsewhere: every change here is complete or was refused before it began.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
