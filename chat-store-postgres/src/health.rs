//! Whether the store takes writes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chat_core::ports::{PortErrorKind, Retry};

use crate::config::FULL_RETRY;
use crate::error::{OpenError, WriteFailure};

/// Whether the store takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Writable,
    /// It does not, or only for some channels: the database is away, or its disk is full.
    Refusing {
        /// What happened and what to do.
        why: String,
    },
}

/// The store's health, set by the writers, each for itself, and read by everybody.
#[derive(Debug)]
pub(crate) struct HealthCell(Mutex<Vec<State>>);

#[derive(Clone, Debug)]
enum State {
    Writable,
    /// The database does not answer; its writer tries again by itself.
    Away {
        why: String,
    },
    /// The disk was full; one write may try again from `retry_at` on.
    Full {
        why: String,
        retry_at: Instant,
    },
}

impl HealthCell {
    pub(crate) fn new(writers: usize) -> Self {
        Self(Mutex::new(vec![State::Writable; writers]))
    }

    pub(crate) fn read(&self) -> Health {
        let states = self.lock();
        let why = states.iter().find_map(|state| match state {
            State::Writable => None,
            State::Away { why } | State::Full { why, .. } => Some(why.clone()),
        });
        why.map_or(Health::Writable, |why| Health::Refusing { why })
    }

    /// Why this writer must refuse a write now, if it must.
    pub(crate) fn refusal(&self, writer: usize, now: Instant) -> Option<WriteFailure> {
        match self.lock().get(writer)? {
            State::Writable => None,
            State::Away { why } => Some(WriteFailure::away(why.clone())),
            State::Full { retry_at, .. } if *retry_at <= now => None,
            State::Full { why, .. } => Some(WriteFailure {
                kind: PortErrorKind::Storage,
                retry: Retry::Safe,
                why: why.clone(),
            }),
        }
    }

    pub(crate) fn away(&self, writer: usize, error: &OpenError) {
        let why = format!("{error}; as soon as that is mended, writes go on by themselves");
        self.set(writer, State::Away { why });
    }

    pub(crate) fn full(&self, writer: usize, source: &str, now: Instant) {
        let why = format!(
            "the disk of the database is full ({source}); free some space, and writes go on by themselves"
        );
        let retry_at = now + FULL_RETRY;
        self.set(writer, State::Full { why, retry_at });
    }

    /// The writer reaches the database, and a write succeeded where the disk was full.
    pub(crate) fn recover(&self, writer: usize) {
        self.set(writer, State::Writable);
    }

    fn set(&self, writer: usize, next: State) {
        let mut states = self.lock();
        let Some(state) = states.get_mut(writer) else {
            return;
        };
        match (&*state, &next) {
            (State::Writable, State::Away { why } | State::Full { why, .. }) => {
                tracing::error!(writer, %why, "the store takes no writes");
            }
            (State::Away { .. } | State::Full { .. }, State::Writable) => {
                tracing::info!(writer, "the store takes writes again");
            }
            (State::Writable, State::Writable)
            | (State::Away { .. } | State::Full { .. }, State::Away { .. } | State::Full { .. }) => {
            }
        }
        *state = next;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        // Nothing panics while the lock is held, and a state is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_and_one_writer_away_is_not_all() {
        let (cell, now) = (HealthCell::new(2), Instant::now());
        cell.full(0, "no space", now);
        assert!(cell.refusal(0, now).is_some());
        assert!(cell.refusal(0, now + FULL_RETRY).is_none());
        assert!(cell.refusal(1, now).is_none());
        cell.recover(0);
        assert_eq!(cell.read(), Health::Writable);
        cell.away(1, &OpenError::ReadOnly);
        assert!(cell.refusal(1, now + FULL_RETRY).is_some());
        assert!(cell.refusal(0, now).is_none());
        assert!(matches!(cell.read(), Health::Refusing { why } if why.contains("primary")));
    }
}
