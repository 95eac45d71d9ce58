//! Whether the store takes writes.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::FULL_RETRY;

/// Whether the store takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Writable,
    /// It does not: a write to its disk failed. Reads go on.
    Refusing {
        /// What happened and what to do.
        why: String,
    },
}

/// The store's health, set by the writer and read by everybody.
#[derive(Debug, Default)]
pub(crate) struct HealthCell(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Writable,
    /// The disk was full; one write may try again from `retry_at` on.
    Full { why: String, retry_at: Instant },
    /// What the disk holds is uncertain until the file is opened again.
    Failed { why: String },
}

impl HealthCell {
    pub(crate) fn read(&self) -> Health {
        match &*self.lock() {
            State::Writable => Health::Writable,
            State::Full { why, .. } | State::Failed { why } => {
                Health::Refusing { why: why.clone() }
            }
        }
    }

    /// Why a write must be refused now, if it must.
    pub(crate) fn refusal(&self, now: Instant) -> Option<String> {
        match &*self.lock() {
            State::Writable => None,
            State::Full { retry_at, .. } if *retry_at <= now => None,
            State::Full { why, .. } | State::Failed { why } => Some(why.clone()),
        }
    }

    pub(crate) fn full(&self, source: &str, now: Instant) {
        let why = format!(
            "the disk of the chat store is full ({source}); free some space, and writes go on by themselves"
        );
        let mut state = self.lock();
        match &mut *state {
            State::Writable => {
                tracing::error!(%why, "the store takes no writes");
                *state = State::Full {
                    why,
                    retry_at: now + FULL_RETRY,
                };
            }
            State::Full { retry_at, .. } => *retry_at = now + FULL_RETRY,
            State::Failed { .. } => {}
        }
    }

    pub(crate) fn fail(&self, source: &str) {
        let why = format!(
            "a write to the disk of the chat store failed ({source}); check the disk, then restart"
        );
        let mut state = self.lock();
        if !matches!(*state, State::Failed { .. }) {
            tracing::error!(%why, "the store takes no writes");
            *state = State::Failed { why };
        }
    }

    /// A write succeeded.
    pub(crate) fn recover(&self) {
        let mut state = self.lock();
        match &*state {
            State::Writable | State::Failed { .. } => {}
            State::Full { .. } => {
                tracing::info!("the store takes writes again");
                *state = State::Writable;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and a state is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_and_a_failed_one_is_not() {
        let (cell, now) = (HealthCell::default(), Instant::now());
        cell.full("no space", now);
        assert!(cell.refusal(now).is_some());
        assert!(cell.refusal(now + FULL_RETRY).is_none());
        cell.recover();
        assert_eq!(cell.read(), Health::Writable);
        cell.fail("fsync");
        cell.recover();
        assert!(cell.refusal(now + FULL_RETRY).is_some());
        assert!(matches!(cell.read(), Health::Refusing { why } if why.contains("fsync")));
    }
}
