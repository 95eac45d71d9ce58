//! Locks whose holders leave nothing half changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guard, also after a panic elsewhere: whoever holds such a lock changes all that belongs together or nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
