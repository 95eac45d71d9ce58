//! What the store asks and tells about the file itself.

pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";

pub(crate) const JOURNAL_MODE: &str = "PRAGMA journal_mode";
pub(crate) const SYNCHRONOUS: &str = "PRAGMA synchronous";
pub(crate) const SCHEMA_VERSION: &str = "PRAGMA user_version";

/// Tells the pages in the write-ahead log and does nothing.
pub(crate) const CHECKPOINT_LOOK: &str = "PRAGMA wal_checkpoint(NOOP)";
/// Copies what is in the log to the database without waiting for readers. Answers whether it was kept from it, the
/// pages in the log, and how many of them are copied.
pub(crate) const CHECKPOINT_PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// The same, waiting until no reader needs the log, so that the next write begins at its start.
pub(crate) const CHECKPOINT_RESTART: &str = "PRAGMA wal_checkpoint(RESTART)";
/// The same, and leaves an empty log.
pub(crate) const CHECKPOINT_TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

pub(crate) const INSERT_META: &str =
    "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
pub(crate) const SELECT_META: &str = "SELECT value FROM meta WHERE name = ?1";
pub(crate) const UPDATE_META: &str = "UPDATE meta SET value = ?2 WHERE name = ?1";
pub(crate) const DELETE_META: &str = "DELETE FROM meta WHERE name = ?1";
/// Writes the whole file anew.
pub(crate) const VACUUM: &str = "VACUUM";
pub(crate) const LAST_BODY: &str = "SELECT coalesce(max(id), 0) FROM bodies";
pub(crate) const LAST_CHANNEL: &str = "SELECT coalesce(max(id), 0) FROM channels";

/// The name of the epoch's row in `meta`: 16 bytes.
pub(crate) const EPOCH: &str = "epoch";
/// The name of the generation's row in `meta`: 8 bytes, big-endian.
pub(crate) const GENERATION: &str = "generation";
/// The name of the row in `meta` that a file has which may hold copies of what was moved in it.
pub(crate) const UNSCRUBBED: &str = "unscrubbed";
