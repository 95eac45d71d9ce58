//! What can be set, and every bound of the store.

use std::fmt;
use std::time::Duration;

use crate::error::OpenError;

/// Connections that read, where nothing else is set.
pub const READERS_DEFAULT: u32 = 8;
/// Connections that write, where nothing else is set.
pub const WRITERS_DEFAULT: u32 = 4;
/// Connections that write, at the most: beyond, group commit has too little to group.
pub const WRITERS_MAX: u32 = 16;
/// Prepared statements that a connection keeps: more than there are.
pub const STATEMENTS_MAX: usize = 256;

/// How long a connection may take to be made and checked.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a read waits for a free connection.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(3);
/// How long a read takes, with its wait and its repetitions.
pub const READ_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a read begins anew on another connection after it lost its own.
pub const READ_TRIES_MAX: u32 = 3;

/// Writes that wait for one of the writers; one more is refused.
pub const WRITE_QUEUE_MAX: usize = 8 * 1024;
/// Bytes of writes that wait for the writers or are being written; what would exceed them is refused.
pub const WRITE_QUEUE_KIB_MAX: usize = 64 * 1024;
/// How long a write waits for its turn before it is withdrawn.
pub const WRITE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Writes in one transaction.
pub const BATCH_WRITES_MAX: usize = 512;
/// Bytes in one transaction, reached by its last write.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a transaction takes up to its COMMIT.
pub const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(8);
/// How long a COMMIT takes before its outcome is given up as unknown.
pub const COMMIT_TIME_MAX: Duration = Duration::from_secs(8);
/// How often a transaction begins anew that was surely rolled back.
pub const TRANSACTION_TRIES_MAX: u32 = 4;
/// How long a transaction waits for one row that another one has locked.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(4);
/// After this time the server ends a transaction whose program says nothing more, and so frees what it locked.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How long a writer that lost the database waits before it tries again, at first and at the most.
pub const AWAY_RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
/// After a write failed for want of space: how long until the next one is tried.
pub const FULL_RETRY: Duration = Duration::from_secs(1);

/// How to open a store.
#[derive(Clone)]
pub struct Config {
    pub(crate) url: String,
    pub(crate) readers: u32,
    pub(crate) writers: u32,
    pub(crate) schema: Option<SchemaName>,
}

impl Config {
    /// The store in this database, as `postgres://user:password@host:5432/chat`. The database must exist; the tables are made
    /// where they are missing.
    ///
    /// TLS is as the URL says: `sslmode=verify-full` with `sslrootcert=/path/to/ca.pem` is what a network asks for that is not
    /// your own; without a word TLS is used where the server offers it, and nobody's certificate is checked. `options` and
    /// `application_name` work as for `psql`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            readers: READERS_DEFAULT,
            writers: WRITERS_DEFAULT,
            schema: None,
        }
    }

    /// How many connections read; at least one.
    #[must_use]
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How many connections write; at least one, [`WRITERS_MAX`] at the most.
    #[must_use]
    pub fn writers(mut self, writers: u32) -> Self {
        self.writers = writers.clamp(1, WRITERS_MAX);
        self
    }

    /// Keeps the tables in this schema, which is made if it is missing; else in the first one of the role's search path.
    ///
    /// # Errors
    /// When the name is not lower-case letters, digits and underscores, 63 at the most, not beginning with a digit or `pg_`.
    pub fn schema(mut self, name: &str) -> Result<Self, OpenError> {
        self.schema = Some(SchemaName::parse(name)?);
        Ok(self)
    }
}

impl fmt::Debug for Config {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("readers", &self.readers)
            .field("writers", &self.writers)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// A name that needs no quotes in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaName(String);

impl SchemaName {
    /// The longest name that PostgreSQL keeps.
    const BYTES_MAX: usize = 63;

    fn parse(name: &str) -> Result<Self, OpenError> {
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let good = begins
            && name.len() <= Self::BYTES_MAX
            && !name.starts_with("pg_")
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !good {
            return Err(OpenError::SchemaName { name: name.into() });
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_name_needs_no_quotes() {
        for (name, good) in [
            ("chat", true),
            ("_chat_2", true),
            ("", false),
            ("2chat", false),
            ("Chat", false),
            ("pg_chat", false),
            ("chat\"; DROP TABLE messages; --", false),
            ("chät", false),
        ] {
            assert_eq!(SchemaName::parse(name).is_ok(), good, "{name:?}");
        }
        assert!(SchemaName::parse(&"c".repeat(64)).is_err());
    }

    #[test]
    fn a_password_is_not_printed() {
        let config = Config::new("postgres://ann:secret@localhost/chat");
        assert!(!format!("{config:?}").contains("secret"));
    }
}
