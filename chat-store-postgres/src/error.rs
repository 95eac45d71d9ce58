//! What can go wrong, and what it means for whoever asked.

use chat_core::ports::{PortError, PortErrorKind, Retry};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is none.
    #[error(
        "the database's URL cannot be read ({source}); write it as postgres://user:password@host:5432/database"
    )]
    Url {
        /// What is wrong with it.
        source: sqlx::Error,
    },
    /// The schema's name would need quotes.
    #[error(
        "{name:?} cannot be the name of a schema here; use lower-case letters, digits and underscores, 63 at the most, and \
         begin with neither a digit nor `pg_`"
    )]
    SchemaName {
        /// The name.
        name: String,
    },
    /// Nobody answers, or the log-in is refused.
    #[error(
        "the database cannot be reached ({source}); check that PostgreSQL runs, and the host, the user and the password in \
         the URL"
    )]
    Connect {
        /// What the other side said.
        source: sqlx::Error,
    },
    /// No answer came in time.
    #[error(
        "the database did not answer within {seconds} s; check that PostgreSQL runs and that the network lets through"
    )]
    Silent {
        /// How long was waited.
        seconds: u64,
    },
    /// The server is too old.
    #[error("PostgreSQL {found} is too old, a server of version 13 or newer is needed; upgrade it")]
    OldServer {
        /// The server's version, as 120009.
        found: i64,
    },
    /// The database cannot hold every text.
    #[error(
        "the database's encoding is {found}, which cannot hold every user id; make one with `CREATE DATABASE chat ENCODING \
         'UTF8' TEMPLATE template0`"
    )]
    Encoding {
        /// The encoding.
        found: String,
    },
    /// A crash would undo what was acknowledged.
    #[error(
        "the server has `{setting} = {found}`, so that a crash would undo what was acknowledged; {remedy}"
    )]
    NotDurable {
        /// The setting's name.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The server takes no writes.
    #[error(
        "the server takes no writes: it is a standby, or read-only is the default of the role or the database; name the \
         primary in the URL, or set `default_transaction_read_only = off`"
    )]
    ReadOnly,
    /// There is nowhere to make tables.
    #[error(
        "the role's search path names no schema that exists; set one in the configuration, or make the `public` schema"
    )]
    NoSchema,
    /// Written by a newer version.
    #[error(
        "the database has schema version {found}, and this program knows {known} at the most; run the newer program"
    )]
    NewerSchema {
        /// The database's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// PostgreSQL refused.
    #[error(
        "the database cannot be used as a chat store ({source}); check that the role may create tables in the schema, and that \
         nothing else is in it"
    )]
    Database {
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
}

/// Codes of PostgreSQL, <https://www.postgresql.org/docs/current/errcodes-appendix.html>; two letters are a class.
mod code {
    pub(super) const CONNECTION: &str = "08";
    pub(super) const INTEGRITY: &str = "23";
    pub(super) const ROLLED_BACK: &str = "40";
    pub(super) const RESOURCES: &str = "53";
    pub(super) const OPERATOR: &str = "57";
    pub(super) const SYSTEM: &str = "58";

    pub(super) const READ_ONLY: &str = "25006";
    pub(super) const SILENT_TRANSACTION: &str = "25P03";
    pub(super) const DISK_FULL: &str = "53100";
    pub(super) const LOCK_WAIT: &str = "55P03";
    pub(super) const CANCELED: &str = "57014";
}

/// What lay beneath a failure, as far as it matters for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No space.
    Full,
    /// The server's disk.
    Disk,
    /// The connection is gone, or leads to a server that takes no writes.
    Lost,
    /// Two transactions were in each other's way, and this one was rolled back.
    Conflict,
    /// Busy, no memory, no free connection, a lock that took too long.
    Temporary,
    /// What was read is not what was written, or what was to be written is not possible.
    Damage,
}

pub(crate) fn cause(error: &sqlx::Error) -> Cause {
    match error {
        sqlx::Error::Database(database) => cause_of_answer(database.as_ref()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => Cause::Lost,
        // sqlx's enum is open; all others are about values and columns that are not as expected.
        _ => Cause::Damage,
    }
}

fn cause_of_answer(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Cause {
    let code = error.code().unwrap_or_default();
    let ends_the_connection = error
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic));
    match code.as_ref() {
        code::DISK_FULL => Cause::Full,
        code::READ_ONLY | code::SILENT_TRANSACTION => Cause::Lost,
        _ if ends_the_connection => Cause::Lost,
        code::LOCK_WAIT | code::CANCELED => Cause::Temporary,
        code => match code.get(..2).unwrap_or_default() {
            code::ROLLED_BACK => Cause::Conflict,
            code::RESOURCES => Cause::Temporary,
            code::SYSTEM => Cause::Disk,
            code::CONNECTION | code::OPERATOR => Cause::Lost,
            _ => Cause::Damage,
        },
    }
}

/// Whether an error that answers COMMIT says that the transaction was rolled back. A connection that ends leaves it open.
pub(crate) fn is_surely_rolled_back(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else {
        return false;
    };
    let code = database.code().unwrap_or_default();
    let class = code.get(..2).unwrap_or_default();
    cause(error) != Cause::Lost && matches!(class, code::ROLLED_BACK | code::INTEGRITY)
}

/// A failure of a read.
pub(crate) fn read_error(op: &'static str, error: sqlx::Error) -> PortError {
    PortError::new(kind_of(cause(&error)), retry_of_undone(&error), op).with_source(error)
}

/// What a failure is to whoever asked.
pub(crate) fn kind_of(cause: Cause) -> PortErrorKind {
    match cause {
        Cause::Full | Cause::Disk => PortErrorKind::Storage,
        Cause::Lost | Cause::Conflict | Cause::Temporary => PortErrorKind::Unavailable,
        Cause::Damage => PortErrorKind::Corrupt,
    }
}

/// What a retry may assume of an operation that was surely not applied.
pub(crate) fn retry_of_undone(error: &sqlx::Error) -> Retry {
    match cause(error) {
        Cause::Full | Cause::Disk | Cause::Lost | Cause::Conflict | Cause::Temporary => Retry::Safe,
        Cause::Damage => Retry::Never,
    }
}

/// Why the answer to one write is a failure, given to each write of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct WriteFailure {
    pub(crate) kind: PortErrorKind,
    pub(crate) retry: Retry,
    pub(crate) why: String,
}

impl WriteFailure {
    /// The database does not answer; nothing was done.
    pub(crate) fn away(why: impl Into<String>) -> Self {
        Self {
            kind: PortErrorKind::Unavailable,
            retry: Retry::Safe,
            why: why.into(),
        }
    }

    pub(crate) fn into_error(self, op: &'static str) -> PortError {
        PortError::new(self.kind, self.retry, op).with_source(self.why)
    }
}
