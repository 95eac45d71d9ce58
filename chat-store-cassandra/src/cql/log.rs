//! Statements over the logs. Each one stays in one partition, and a range in it follows the clustering order.

/// First statement of the conditional batch. A null condition: the bucket is empty.
pub(super) const MOVE_HEAD: &str = "
    UPDATE log SET head = ?, head_n = ?, head_message = ?
    WHERE channel = ? AND bucket = ? IF head = ?";

/// Under the condition of the batch; what is absent is left unset, so that it leaves no tombstone.
pub(super) const INSERT_ENTRY: &str = "
    INSERT INTO log (channel, bucket, part, seq, key, n, message, at, sender, device, kind, client_id, key_id, content,
                     detail, changes, form, body)
    VALUES (?, ?, 0, ?, 0x, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A key is written once a bucket.
pub(super) const INSERT_KEY: &str = "
    INSERT INTO log (channel, bucket, part, seq, key, entry, n, message, at, content)
    VALUES (?, ?, 1, 0, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";

/// Conditional like everything that is written here: a plain write would race with the batches.
pub(super) const ERASE_BODY: &str = "
    UPDATE log SET form = null, body = null
    WHERE channel = ? AND bucket = ? AND part = 0 AND seq = ? AND key = 0x IF EXISTS";

/// The statics of a bucket, whatever rows it has.
pub(super) const HEAD: &str = "
    SELECT DISTINCT channel, bucket, head, head_n FROM log WHERE channel = ? AND bucket = ?";

macro_rules! entries {
    ($body:literal, $order:literal) => {
        concat!(
            "SELECT seq, n, message, at, sender, device, kind, client_id, key_id, content, detail, changes, form, ",
            $body,
            " FROM log WHERE channel = ? AND bucket = ? AND part = 0 AND seq > ? AND seq <= ? ORDER BY part ",
            $order,
            ", seq ",
            $order,
            " LIMIT ?"
        )
    };
}

pub(super) const ENTRIES: &str = entries!("body", "ASC");

pub(super) const NEWEST_ENTRIES: &str = entries!("body", "DESC");

/// Entries for those who look at no body; `form` tells whether there is one.
pub(super) const SKELETONS: &str = entries!("(blob) 0x AS body", "ASC");

pub(super) const KEY: &str = "
    SELECT entry, n, message, at, content FROM log
    WHERE channel = ? AND bucket = ? AND part = 1 AND seq = 0 AND key = ?";
