//! Statements over what is kept beside the log. Every write carries a timestamp from (generation, seq), so that any order
//! and any repetition ends in the same rows.

pub(super) const THROUGH: &str = "SELECT through, generation FROM channel_views WHERE channel = ?";

/// Merges by maximum: the timestamp rises with the value.
pub(super) const RAISE_THROUGH: &str = "
    INSERT INTO channel_views (channel, through, generation) VALUES (?, ?, ?) USING TIMESTAMP ?";

pub(super) const INSERT_MEMBER: &str = "
    INSERT INTO members (channel, user_id, role, joined, visible_from) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";

pub(super) const DELETE_MEMBER: &str =
    "DELETE FROM members USING TIMESTAMP ? WHERE channel = ? AND user_id = ?";

pub(super) const SET_ROLE: &str =
    "UPDATE members USING TIMESTAMP ? SET role = ? WHERE channel = ? AND user_id = ?";

/// In the order of the bytes of the ids, which is the clustering order.
pub(super) const MEMBERS: &str = "
    SELECT user_id, role, joined, visible_from FROM members WHERE channel = ? AND user_id > ? LIMIT ?";

pub(super) const MEMBERSHIP: &str = "
    SELECT user_id, role, joined, visible_from FROM members WHERE channel = ? AND user_id = ?";

pub(super) const INSERT_NAMING: &str = "
    INSERT INTO naming (channel, bucket, target, seq, sender, kind, client_id, detail)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";

pub(super) const NAMING: &str = "
    SELECT target, seq, sender, kind, client_id, detail FROM naming
    WHERE channel = ? AND bucket = ? AND target >= ? AND target <= ?";

pub(super) const SNAPSHOT: &str = "SELECT snapshot FROM snapshots WHERE channel = ?";

pub(super) const INSERT_SNAPSHOT: &str = "
    INSERT INTO snapshots (channel, snapshot) VALUES (?, ?) USING TIMESTAMP ?";
