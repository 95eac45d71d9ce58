//! Statements over bodies outside of the log, and over notes of bodies.

/// Every write of one body is the same, so it may be repeated.
pub(super) const INSERT_LONG: &str = "
    INSERT INTO bodies (channel, seq, message, body) VALUES (?, ?, ?, ?) USING TIMESTAMP 1";

pub(super) const LONG: &str =
    "SELECT body FROM bodies WHERE channel = ? AND seq = ? AND message = ?";

/// Wins over every write, also over one that comes later.
pub(super) const DELETE_LONG: &str = "
    DELETE FROM bodies USING TIMESTAMP 2 WHERE channel = ? AND seq = ? AND message = ?";

/// All columns of a body together: the highest timestamp has all of them.
pub(super) const SET_OVERLAY: &str = "
    UPDATE overlays USING TIMESTAMP ? SET rev = ?, form = ?, body = ?, message = ?
    WHERE channel = ? AND bucket = ? AND target = ?";

/// At the highest timestamp there is: no body comes after it.
pub(super) const ERASE_OVERLAY: &str = "
    UPDATE overlays USING TIMESTAMP ? SET erased = ?, form = null, body = null, message = null
    WHERE channel = ? AND bucket = ? AND target = ?";

pub(super) const SET_CLEAN: &str = "
    UPDATE overlays USING TIMESTAMP ? SET clean = ? WHERE channel = ? AND bucket = ? AND target = ?";

pub(super) const OVERLAYS: &str = "
    SELECT target, rev, form, body, message, erased, clean FROM overlays
    WHERE channel = ? AND bucket = ? AND target >= ? AND target <= ?";

/// Joins with a note that is there.
pub(super) const KEEP_NOTE: &str = "
    UPDATE body_notes SET targets = targets + ? WHERE shard = ? AND channel = ? AND after = ?";

pub(super) const DROP_NOTE: &str =
    "DELETE FROM body_notes WHERE shard = ? AND channel = ? AND after = ?";

pub(super) const NOTES: &str =
    "SELECT channel, after, targets FROM body_notes WHERE shard = ? LIMIT ?";
