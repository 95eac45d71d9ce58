//! Statements over the keyspace itself and over the nodes. They run at start only and are not prepared.

/// Asked before anything else: a keyspace may have no table yet.
pub(crate) const KEYSPACE: &str = "
    SELECT durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name = ?";

pub(crate) const META_TABLE: &str = "
    SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'meta'";

pub(crate) const META: &str =
    "SELECT schema_version, bucket_entries, epoch, generation FROM meta WHERE id = 0";

/// The first of several appliers gives the epoch.
pub(crate) const INSERT_META: &str = "
    INSERT INTO meta (id, schema_version, bucket_entries, epoch, generation) VALUES (0, ?, ?, ?, 1) IF NOT EXISTS";

pub(crate) const DRAW_EPOCH: &str = "
    UPDATE meta SET epoch = ?, generation = ? WHERE id = 0 IF generation = ?";

/// What a node runs with.
pub(crate) const SETTINGS: &str = "SELECT name, value FROM system_views.settings";

pub(crate) const LOCAL: &str = "SELECT release_version, data_center FROM system.local";

/// What follows from the log alone and is written again from it.
pub(crate) const TRUNCATE_VIEWS: [&str; 4] = [
    "TRUNCATE members",
    "TRUNCATE naming",
    "TRUNCATE channel_views",
    "TRUNCATE snapshots",
];
