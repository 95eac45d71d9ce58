//! Statements over inboxes, fan-out marks and leases. All writes of a row are idempotent and carry timestamps that make
//! their order indifferent; those of one user go to one partition each of `inbox` and `mentions`, which have the same key, so
//! that a batch of them is one mutation.

/// The columns that are not bound are left alone: peer of a group, and all but the membership of who left.
pub(super) const SET_STANDING: &str = "
    UPDATE inbox USING TIMESTAMP ?
    SET role = ?, joined = ?, visible_from = ?, left_at = ?, large = ?, head_seq = ?, head_n = ?, member_count = ?, peer = ?,
        meta = ?
    WHERE user_id = ? AND channel = ?";

pub(super) const SET_ACTIVE: &str = "
    UPDATE inbox USING TIMESTAMP ? SET active_at = ? WHERE user_id = ? AND channel = ?";

/// Takes away every copy with a lower timestamp.
pub(super) const REPLACE_COPIES: &str = "
    UPDATE inbox USING TIMESTAMP ? SET copies = ? WHERE user_id = ? AND channel = ?";

pub(super) const SET_COPY: &str = "
    UPDATE inbox USING TIMESTAMP ? SET copies[?] = ? WHERE user_id = ? AND channel = ?";

pub(super) const CLEAR_COPIES: &str = "
    UPDATE inbox USING TIMESTAMP ? SET copies = {}, cleared = ? WHERE user_id = ? AND channel = ?";

pub(super) const SET_READ: &str = "
    UPDATE inbox USING TIMESTAMP ? SET read_seq = ?, read_n = ? WHERE user_id = ? AND channel = ?";

pub(super) const SET_SHOWN: &str = "
    UPDATE inbox USING TIMESTAMP ? SET shown_seq = ?, shown_n = ? WHERE user_id = ? AND channel = ?";

pub(super) const SET_DELIVERED: &str = "
    UPDATE inbox USING TIMESTAMP ? SET delivered_seq = ?, delivered_n = ?, delivered_in = ?
    WHERE user_id = ? AND channel = ?";

pub(super) const SET_RAISED: &str = "
    UPDATE inbox USING TIMESTAMP ? SET raised_at = ?, raised_in = ? WHERE user_id = ? AND channel = ?";

/// Takes away every own message with a lower timestamp.
pub(super) const REPLACE_OWN: &str = "
    UPDATE inbox USING TIMESTAMP ? SET own = ? WHERE user_id = ? AND channel = ?";

pub(super) const SET_OWN: &str = "
    UPDATE inbox USING TIMESTAMP ? SET own[?] = ? WHERE user_id = ? AND channel = ?";

pub(super) const SET_MENTIONED: &str = "
    UPDATE inbox USING TIMESTAMP ? SET mentioned = ? WHERE user_id = ? AND channel = ?";

/// What orders an inbox: read in pages, all of a user's rows.
pub(super) const PLACES: &str = "
    SELECT channel, role, joined, left_at, large, active_at, raised_at, raised_in FROM inbox WHERE user_id = ?";

pub(super) const ROW: &str = "
    SELECT role, joined, visible_from, large, head_seq, head_n, member_count, peer, meta, active_at, copies, cleared, mentioned,
        read_seq, read_n, shown_seq, shown_n, delivered_seq, delivered_n, delivered_in, own, raised_at, raised_in
    FROM inbox WHERE user_id = ? AND channel = ?";

pub(super) const MARKS: &str = "
    SELECT role, joined, visible_from, read_seq, read_n, shown_seq, shown_n, delivered_seq, delivered_n, delivered_in, own,
        raised_at, raised_in
    FROM inbox WHERE user_id = ? AND channel = ?";

pub(super) const INSERT_MENTION: &str = "
    INSERT INTO mentions (user_id, channel, seq) VALUES (?, ?, ?) USING TIMESTAMP ?";

pub(super) const DELETE_MENTION: &str = "
    DELETE FROM mentions USING TIMESTAMP ? WHERE user_id = ? AND channel = ? AND seq = ?";

pub(super) const MENTIONS: &str = "
    SELECT seq FROM mentions WHERE user_id = ? AND channel = ? AND seq > ? LIMIT ?";

pub(super) const KEEP_MARK: &str = "
    INSERT INTO fan_out_marks (owner, shard, channel, after, stamp) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";

pub(super) const MARKS_OF_CHANNEL: &str = "
    SELECT after, stamp FROM fan_out_marks WHERE owner = ? AND shard = ? AND channel = ?";

pub(super) const DROP_MARK: &str = "
    DELETE FROM fan_out_marks USING TIMESTAMP ? WHERE owner = ? AND shard = ? AND channel = ? AND after = ?";

pub(super) const MARKS_OF_OWNER: &str = "
    SELECT channel, after FROM fan_out_marks WHERE owner = ? AND shard = ? LIMIT ?";

/// Makes the owner known, with whatever lease there is.
pub(super) const KNOW_OWNER: &str =
    "INSERT INTO leases (shard, owner) VALUES (0, ?) USING TIMESTAMP ?";

/// Merges by maximum: the timestamp rises with the value.
pub(super) const RENEW_LEASE: &str =
    "INSERT INTO leases (shard, owner, until) VALUES (0, ?, ?) USING TIMESTAMP ?";

pub(super) const LEASES: &str = "SELECT owner, until FROM leases WHERE shard = 0";

pub(super) const FORGET_OWNER: &str =
    "DELETE FROM leases USING TIMESTAMP ? WHERE shard = 0 AND owner = ?";
