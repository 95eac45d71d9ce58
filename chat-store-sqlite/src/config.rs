//! What can be set, and every bound of the store.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connections that read, where nothing else is set.
pub const READERS_DEFAULT: u32 = 4;
/// Page cache of the writing connection.
pub const WRITER_CACHE_KIB: u32 = 64 * 1024;
/// Page cache of each reading connection.
pub const READER_CACHE_KIB: u32 = 8 * 1024;
/// Prepared statements that a connection keeps: more than there are.
pub const STATEMENTS_MAX: usize = 256;
/// How long a read waits for a free connection.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(5);
/// Rows that a reading connection produces ahead of whoever takes them.
pub const ROWS_AHEAD_MAX: usize = 16;

/// Writes that wait for the writer; one more is refused.
pub const WRITE_QUEUE_MAX: usize = 16 * 1024;
/// Bytes of writes that wait for the writer or are being written; what would exceed them is refused.
pub const WRITE_QUEUE_KIB_MAX: usize = 64 * 1024;
/// How long a write waits for its turn before it is withdrawn.
pub const WRITE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Writes in one transaction.
pub const BATCH_WRITES_MAX: usize = 1_024;
/// Bytes in one transaction, reached by its last write.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Channels whose key and head the writer remembers, in each of two generations.
pub const KNOWN_CHANNELS_MAX: usize = 32 * 1024;

/// Pages in the write-ahead log from which it is copied into the database.
pub const CHECKPOINT_PAGES: i64 = 16_000;
/// Pages in the write-ahead log from which the writer waits for readers so that the log starts over.
pub const CHECKPOINT_PAGES_MAX: i64 = 128_000;
/// Commits after which the length of the log is looked at.
pub const CHECKPOINT_LOOK_COMMITS: u32 = 64;
/// Bytes of writes after which it is looked at.
pub const CHECKPOINT_LOOK_BYTES: usize = 4 * 1024 * 1024;
/// How long a body that was erased, or replaced, stays in the write-ahead log at the most.
pub const ERASURE_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a checkpoint waits for a reader.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

/// After a write failed for want of space: how long until the next one is tried.
pub const FULL_RETRY: Duration = Duration::from_secs(1);

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) path: PathBuf,
    pub(crate) readers: u32,
    pub(crate) synchronous: Synchronous,
}

impl Config {
    /// The store in this file, which is made if it does not exist.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            readers: READERS_DEFAULT,
            synchronous: Synchronous::Full,
        }
    }

    /// How many connections read; at least one.
    #[must_use]
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Acknowledges writes that a power loss undoes. Only for the test that proves that one would notice.
    #[must_use]
    pub fn unsafe_for_production_loses_acknowledged_writes(mut self) -> Self {
        self.synchronous = Synchronous::Normal;
        self
    }
}

/// When SQLite waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synchronous {
    /// At every commit.
    Full,
    /// At checkpoints only.
    Normal,
}

impl Synchronous {
    /// As `PRAGMA synchronous` reads it back.
    pub(crate) fn level(self) -> i64 {
        match self {
            Self::Full => 2,
            Self::Normal => 1,
        }
    }
}
