//! What the store asks and tells about the database itself.

pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// What an acknowledgement rests on, as it is in this connection.
pub(crate) const SETTINGS: &str = "
    SELECT current_setting('server_version_num')::bigint AS version,
           current_setting('server_encoding') AS encoding,
           current_setting('fsync') AS fsync,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('synchronous_commit') AS synchronous_commit,
           pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
           current_schema()::text AS schema";

/// One server at a time brings a schema up to date; the lock ends with the transaction. $1 is this program's number, $2 the
/// schema's name, or NULL for the one that is first on the search path.
pub(crate) const LOCK_SCHEMA: &str = "SELECT pg_advisory_xact_lock($1::int, hashtext(coalesce($2::text, current_schema()::text, '')))";

/// Whether there is a schema of this name.
pub(crate) const SCHEMA_EXISTS: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text) AS found";

/// Whether a schema version was ever written.
pub(crate) const VERSION_EXISTS: &str = "SELECT to_regclass('schema_version') IS NOT NULL AS found";

pub(crate) const CREATE_VERSION: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)";
pub(crate) const READ_VERSION: &str =
    "SELECT coalesce(max(version), 0) AS version FROM schema_version";
pub(crate) const CLEAR_VERSION: &str = "DELETE FROM schema_version";
pub(crate) const WRITE_VERSION: &str = "INSERT INTO schema_version (version) VALUES ($1)";

pub(crate) const INSERT_META: &str = "
    INSERT INTO meta (epoch, generation) VALUES ($1, 1) ON CONFLICT (only_row) DO NOTHING";
pub(crate) const READ_EPOCH: &str = "SELECT epoch FROM meta";
pub(crate) const NEW_EPOCH: &str = "UPDATE meta SET epoch = $1, generation = generation + 1";
