//! What can go wrong, and what it means for whoever asked.

use std::path::PathBuf;

use chat_core::ports::{PortError, PortErrorKind, Retry};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Somebody else has the file.
    #[error(
        "{path} is in use by another process, or was opened before and not yet closed; a store has one owner: stop the \
         other one, or choose another file"
    )]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// SQLite would not wait for the disk.
    #[error(
        "{path} does not keep `{setting}` at {wanted} (it reads back as {found}), so that a power loss would undo what was \
         acknowledged; put the file on a local disk"
    )]
    NotDurable {
        /// The store's file.
        path: PathBuf,
        /// The setting's name.
        setting: &'static str,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// Written by a newer version.
    #[error(
        "{path} has schema version {found}, and this program knows {known} at the most; run the newer program"
    )]
    NewerSchema {
        /// The store's file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file or its folder cannot be used.
    #[error("{path} cannot be opened ({source}); check that the folder exists and is writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error(
        "{path} cannot be opened as a database ({source}); check that it is a chat store and not damaged"
    )]
    Database {
        /// The store's file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

/// SQLite's primary result codes, <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
}

/// What lay beneath a failure, as far as it matters for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No space.
    Full,
    /// The disk.
    Disk,
    /// Busy, no memory, no connection.
    Temporary,
    /// What was read is not what was written.
    Damage,
}

pub(crate) fn cause(error: &sqlx::Error) -> Cause {
    match error {
        sqlx::Error::Database(database) => match primary_code(database.as_ref()) {
            Some(code::FULL) => Cause::Full,
            Some(code::IOERR | code::READONLY | code::CANTOPEN) => Cause::Disk,
            Some(code::BUSY | code::LOCKED | code::NOMEM | code::INTERRUPT | code::PROTOCOL) => {
                Cause::Temporary
            }
            // Corrupt files, and constraints that only a bug of this crate breaks.
            _ => Cause::Damage,
        },
        sqlx::Error::Io(_) => Cause::Disk,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Cause::Temporary
        }
        // sqlx's enum is open; all others are about values and columns that are not as expected.
        _ => Cause::Damage,
    }
}

fn primary_code(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Option<i32> {
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// A failure of a read.
pub(crate) fn read_error(op: &'static str, error: sqlx::Error) -> PortError {
    match cause(&error) {
        Cause::Temporary => PortError::unavailable(op, Retry::Safe),
        Cause::Full | Cause::Disk => PortError::new(PortErrorKind::Storage, Retry::Safe, op),
        Cause::Damage => PortError::corrupt(op),
    }
    .with_source(error)
}

/// Why the answer to one write is a failure, given to each write of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct WriteFailure {
    pub(crate) kind: PortErrorKind,
    pub(crate) retry: Retry,
    pub(crate) why: String,
}

impl WriteFailure {
    pub(crate) fn into_error(self, op: &'static str) -> PortError {
        PortError::new(self.kind, self.retry, op).with_source(self.why)
    }
}
