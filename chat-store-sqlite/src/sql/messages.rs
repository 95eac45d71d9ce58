//! Statements over logs and members.

use super::rows::{Pattern, Transaction};

/// Index: `channels.uuid`.
pub(crate) static FIND_CHANNELS: Pattern = Pattern::new(
    "SELECT id, uuid, head_seq, head_n FROM channels WHERE uuid IN (",
    "?",
    ")",
);

/// Fails where a key is there already. Index: the primary key.
pub(crate) static INSERT_KEYS: Pattern = Pattern::new(
    "INSERT INTO keys (channel, sender, client_id, seq) VALUES",
    "(?, ?, ?, ?)",
    "",
);

/// The entries under these keys; `place` is the caller's. Index: the primary keys.
pub(crate) static FIND_KEYS: Pattern = Pattern::new(
        "WITH wanted (place, channel, sender, client_id) AS (VALUES",
        "(?, ?, ?, ?)",
        ")
         SELECT wanted.place, keys.seq, coalesce(m.n, e.n) AS n, coalesce(m.message, e.message) AS message,
                coalesce(m.at, e.at) AS at, coalesce(m.content, e.content) AS content
         FROM wanted
         JOIN keys ON keys.channel = wanted.channel AND keys.sender = wanted.sender AND keys.client_id = wanted.client_id
         LEFT JOIN messages m ON m.channel = keys.channel AND m.seq = keys.seq
         LEFT JOIN events e ON e.channel = keys.channel AND e.seq = keys.seq",
);

pub(crate) static INSERT_MESSAGES: Pattern = Pattern::new(
        "INSERT INTO messages
         (channel, seq, n, message, at, sender, device, client_id, content, detail, rev, body) VALUES",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        "",
);

/// Behind the last: a body in any other place would move others, and leave copies of them.
pub(crate) static INSERT_BODIES: Pattern = Pattern::new(
    "INSERT INTO bodies (id, form, body) VALUES",
    "(?, ?, ?)",
    "",
);

pub(crate) static INSERT_EVENTS: Pattern = Pattern::new(
    "INSERT INTO events
         (channel, seq, n, message, at, sender, device, client_id, content, kind, detail, target) VALUES",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
);

/// New channels begin, known ones get another head. Index: the primary key.
pub(crate) static UPSERT_CHANNELS: Pattern = Pattern::new(
    "INSERT INTO channels
         (id, uuid, head_seq, head_n, head_message, last_at, active_at, last_message_seq) VALUES",
    "(?, ?, ?, ?, ?, ?, ?, ?)",
    "ON CONFLICT (id) DO UPDATE SET
             head_seq = excluded.head_seq,
             head_n = excluded.head_n,
             head_message = max(head_message, excluded.head_message),
             last_at = max(last_at, excluded.last_at),
             active_at = max(active_at, excluded.active_at),
             last_message_seq = max(last_message_seq, excluded.last_message_seq)",
);

/// Messages with keys in channels that are there, withheld from nobody and in no thread, in the order of their logs: what
/// nearly every transaction writes. The trigger of the view does the rest.
pub(crate) static INSERT_PLAIN_MESSAGES: Pattern = Pattern::new(
    "INSERT INTO plain_messages
         (channel, seq, n, message, at, sender, device, client_id, content, detail, body_id, form, body)
     VALUES",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
);

pub(crate) static PLAIN_MESSAGES: Transaction = Transaction::new(&INSERT_PLAIN_MESSAGES);

pub(crate) static UPSERT_STATES: Pattern = Pattern::new(
    "INSERT OR REPLACE INTO channel_states (channel, direct, large, member_count, snapshot) VALUES",
    "(?, ?, ?, ?, ?)",
    "",
);

/// A member begins with everything read up to the adding entry.
pub(crate) static INSERT_MEMBERS: Pattern = Pattern::new(
        "INSERT OR REPLACE INTO members
         (channel, user, role, joined, visible_from, read_seq, read_n, delivered_seq, delivered_n, active_at) VALUES",
        "(?, ?, ?, ?, ?, ?, ?, 0, 0, 0)",
        "",
);

/// Index: the primary key of `members`.
pub(crate) static DELETE_MEMBERS: Pattern = Pattern::new(
    "DELETE FROM members WHERE (channel, user) IN (VALUES",
    "(?, ?)",
    ")",
);

/// Index: the primary key of `members`.
pub(crate) static UPDATE_ROLES: Pattern = Pattern::new(
    "WITH changed (channel, user, role) AS (VALUES",
    "(?, ?, ?)",
    ")
         UPDATE members SET role = changed.role FROM changed
         WHERE members.channel = changed.channel AND members.user = changed.user",
);

pub(crate) static INSERT_LEFT: Pattern = Pattern::new(
    "INSERT OR REPLACE INTO left_channels (user, channel, at) VALUES",
    "(?, ?, ?)",
    "",
);

/// Index: the primary key of `left_channels`.
pub(crate) static DELETE_LEFT: Pattern = Pattern::new(
    "DELETE FROM left_channels WHERE (user, channel) IN (VALUES",
    "(?, ?)",
    ")",
);

pub(crate) static INSERT_MENTIONS: Pattern = Pattern::new(
    "INSERT OR IGNORE INTO mentions (channel, user, seq) VALUES",
    "(?, ?, ?)",
    "",
);

/// Indexes: `channels.uuid`, the primary keys of `channel_states` and `members`.
pub(crate) const LOAD: &str = "
    SELECT c.head_seq, c.head_n, c.head_message, c.last_at, s.snapshot,
           CASE WHEN s.large = 0 THEN (
               SELECT json_group_array(json_array(m.user, m.role, m.joined, m.visible_from))
               FROM members m WHERE m.channel = c.id
           ) END AS members
    FROM channels c LEFT JOIN channel_states s ON s.channel = c.id
    WHERE c.uuid = ?1";

/// Index: `channels.uuid`.
pub(crate) const HEADS: &str = "
    SELECT uuid, head_seq, head_n FROM channels
    WHERE uuid IN (SELECT unhex(value) FROM json_each(?1))";

/// Index: `channels.uuid`.
pub(crate) const HEAD: &str = "SELECT id, head_seq, head_n FROM channels WHERE uuid = ?1";

/// Both halves come in the order of their primary keys and are merged. An edit has its target's body as long as it is the
/// one that set it. Indexes: the primary keys.
pub(crate) const ENTRIES: &str = "
    SELECT m.seq, m.n, m.message, m.at, m.sender, m.device, m.client_id, m.content, NULL AS kind, m.detail, m.rev,
           b.form, b.body
    FROM messages m LEFT JOIN bodies b ON b.id = m.body
    WHERE m.channel = ?1 AND m.seq > ?2 AND m.seq <= ?3
    UNION ALL
    SELECT e.seq, e.n, e.message, e.at, e.sender, e.device, e.client_id, e.content, e.kind, e.detail, NULL,
           b.form, b.body
    FROM events e
    LEFT JOIN messages t ON t.channel = e.channel AND t.seq = e.target AND t.rev = e.seq
    LEFT JOIN bodies b ON b.id = t.body
    WHERE e.channel = ?1 AND e.seq > ?2 AND e.seq <= ?3
    ORDER BY seq";

/// Messages with what user ?5 sees of what was done to them, all as of `head_seq`. One row without a message where there is
/// none.
macro_rules! messages {
    ($order:literal) => {
        concat!(
            "SELECT c.head_seq, m.seq, m.n, m.message, m.at, m.sender, m.device, m.client_id, m.content, NULL AS kind,
                    m.detail, m.rev, b.form, b.body,
                    (SELECT json_group_array(json_array(signs.emoji, signs.users, signs.mine) ORDER BY signs.first) FROM (
                         SELECT emoji, count(*) AS users, max(user = ?5) AS mine, min(seq) AS first
                         FROM reactions
                         WHERE channel = m.channel AND target = m.seq AND (withheld = 0 OR user = ?5)
                         GROUP BY emoji
                     ) signs) AS reactions,
                    coalesce((SELECT pinned FROM pins
                              WHERE channel = m.channel AND target = m.seq AND only_for IN ('', ?5)
                              ORDER BY seq DESC LIMIT 1), 0) AS pinned,
                    (SELECT coalesce(sum(replies), 0) FROM threads
                     WHERE channel = m.channel AND thread = m.seq AND only_for IN ('', ?5)) AS replies
             FROM channels c
             LEFT JOIN messages m ON m.channel = c.id AND m.seq > ?2 AND m.seq < ?3
             LEFT JOIN bodies b ON b.id = m.body
             WHERE c.uuid = ?1
             ORDER BY m.seq ",
            $order,
            " LIMIT ?4"
        )
    };
}

/// Indexes: `channels.uuid`, the primary keys of `messages`, `bodies`, `reactions`, `pins` and `threads`.
pub(crate) const OLDEST_MESSAGES: &str = messages!("ASC");

/// As the oldest, from the other end.
pub(crate) const NEWEST_MESSAGES: &str = messages!("DESC");

/// One row without a message where none of them is one. Indexes: as for the oldest messages.
pub(crate) const TARGETS: &str = "
    SELECT c.head_seq, m.seq, m.sender, m.body IS NULL AS erased,
           m.detail IS NOT NULL AND json_extract(CAST(m.detail AS TEXT), '$.withheld') IS NOT NULL AS withheld,
           coalesce((SELECT pinned FROM pins WHERE channel = m.channel AND target = m.seq
                     ORDER BY seq DESC LIMIT 1), 0) AS pinned,
           (SELECT json_group_array(json_array(signs.emoji, signs.users, signs.mine)) FROM (
                SELECT emoji, count(*) AS users, max(user = ?3) AS mine FROM reactions
                WHERE channel = m.channel AND target = m.seq GROUP BY emoji
            ) signs) AS reactions
    FROM channels c
    LEFT JOIN messages m ON m.channel = c.id AND m.seq IN (SELECT value FROM json_each(?2))
    WHERE c.uuid = ?1";

/// Indexes: `channels.uuid`, the primary keys of `keys`, `messages` and `events`.
pub(crate) const FIND_KEY: &str = "
    SELECT keys.seq, coalesce(m.n, e.n) AS n, coalesce(m.message, e.message) AS message,
           coalesce(m.at, e.at) AS at, coalesce(m.content, e.content) AS content
    FROM keys
    LEFT JOIN messages m ON m.channel = keys.channel AND m.seq = keys.seq
    LEFT JOIN events e ON e.channel = keys.channel AND e.seq = keys.seq
    WHERE keys.channel = (SELECT id FROM channels WHERE uuid = ?1)
      AND keys.sender = ?2 AND keys.client_id = ?3 AND keys.seq > ?4 AND keys.seq <= ?5";

/// One row without a user where the page is empty. Indexes: `channels.uuid`, the primary key of `members`.
pub(crate) const MEMBERS: &str = "
    SELECT c.head_seq, m.user, m.role, m.joined, m.visible_from
    FROM channels c LEFT JOIN members m ON m.channel = c.id AND m.user > ?2
    WHERE c.uuid = ?1
    ORDER BY m.user LIMIT ?3";

/// One row without a user where none is a member. Indexes: `channels.uuid`, the primary key of `members`.
pub(crate) const MEMBERSHIPS: &str = "
    SELECT c.head_seq, m.user, m.role, m.joined, m.visible_from
    FROM channels c
    LEFT JOIN members m ON m.channel = c.id AND m.user IN (SELECT value FROM json_each(?2))
    WHERE c.uuid = ?1";

/// Admins before members, the longest-standing first; never guests. Indexes: `channels.uuid`, `members_by_standing`.
pub(crate) const SUCCESSOR: &str = "
    WITH asked AS (SELECT id FROM channels WHERE uuid = ?1)
    SELECT coalesce(
        (SELECT user FROM members
         WHERE channel = (SELECT id FROM asked) AND role = 2 AND user NOT IN (SELECT value FROM json_each(?2))
         ORDER BY joined, user LIMIT 1),
        (SELECT user FROM members
         WHERE channel = (SELECT id FROM asked) AND role = 1 AND user NOT IN (SELECT value FROM json_each(?2))
         ORDER BY joined, user LIMIT 1)
    ) AS user";
