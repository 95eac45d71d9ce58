//! Statements over what is done to messages: bodies, reactions, pins, threads.

use super::rows::Pattern;

/// The bodies that these messages have. Index: the primary key of `messages`.
pub(crate) static FORMER: Pattern = Pattern::new(
    "SELECT channel, seq, rev, body FROM messages WHERE (channel, seq) IN (VALUES",
    "(?, ?)",
    ")",
);

/// Overwrites bodies in their places. Index: the primary key.
pub(crate) static ERASE: Pattern = Pattern::new(
    "UPDATE bodies SET form = NULL, body = NULL WHERE id IN (",
    "?",
    ")",
);

/// Another revision of messages, with the body of this number or none. Index: the primary key of `messages`.
pub(crate) static SET: Pattern = Pattern::new(
    "WITH changed (channel, seq, rev, body) AS (VALUES",
    "(?, ?, ?, ?)",
    ")
         UPDATE messages SET rev = changed.rev, body = changed.body FROM changed
         WHERE messages.channel = changed.channel AND messages.seq = changed.seq",
);

/// Erased messages mention nobody: whom they mentioned is in their detail. Indexes: the primary keys.
pub(crate) static DELETE_MENTIONS: Pattern = Pattern::new(
    "DELETE FROM mentions WHERE (channel, user, seq) IN (
             SELECT m.channel, json_each.value, m.seq
             FROM messages m, json_each(CAST(m.detail AS TEXT), '$.mentions')
             WHERE (m.channel, m.seq) IN (VALUES",
    "(?, ?)",
    "))",
);

/// All of these messages. Index: the primary key.
pub(crate) static DELETE_REACTIONS_OF: Pattern = Pattern::new(
    "DELETE FROM reactions WHERE (channel, target) IN (VALUES",
    "(?, ?)",
    ")",
);

/// All of these messages. Index: the primary key.
pub(crate) static DELETE_PINS_OF: Pattern = Pattern::new(
    "DELETE FROM pins WHERE (channel, target) IN (VALUES",
    "(?, ?)",
    ")",
);

/// Signs that were taken back. Index: the primary key.
pub(crate) static DELETE_REACTIONS: Pattern = Pattern::new(
    "DELETE FROM reactions WHERE (channel, target, emoji, user) IN (VALUES",
    "(?, ?, ?, ?)",
    ")",
);

/// Signs; one that is there stays from when it was set first.
pub(crate) static INSERT_REACTIONS: Pattern = Pattern::new(
    "INSERT OR IGNORE INTO reactions (channel, target, emoji, user, seq, withheld) VALUES",
    "(?, ?, ?, ?, ?, ?)",
    "",
);

pub(crate) static UPSERT_PINS: Pattern = Pattern::new(
    "INSERT OR REPLACE INTO pins (channel, target, only_for, seq, pinned) VALUES",
    "(?, ?, ?, ?, ?)",
    "",
);

pub(crate) static ADD_REPLIES: Pattern = Pattern::new(
    "INSERT INTO threads (channel, thread, only_for, replies) VALUES",
    "(?, ?, ?, ?)",
    "ON CONFLICT (channel, thread, only_for) DO UPDATE SET replies = replies + excluded.replies",
);

pub(crate) const INSERT_NOTE: &str = "
    INSERT OR IGNORE INTO body_notes (channel, after, target) SELECT ?1, ?2, value FROM json_each(?3)";

/// Index: the primary key.
pub(crate) const DELETE_NOTE: &str = "DELETE FROM body_notes WHERE channel = ?1 AND after = ?2";

/// From the first on, in the order of the primary key, and no further than asked.
pub(crate) const NOTES: &str = "
    SELECT channel, after, json_group_array(target) AS targets FROM body_notes
    GROUP BY channel, after ORDER BY channel, after LIMIT ?1";
