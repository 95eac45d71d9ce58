//! Statements over inboxes and marks.

use super::rows::Pattern;

/// The sender's own mark rises when everything before was read. Index: the primary key of `members`.
pub(crate) static RAISE_OWN: Pattern = Pattern::new(
        "WITH own (channel, user, read_before, seq, n) AS (VALUES",
        "(?, ?, ?, ?, ?)",
        ")
         UPDATE members SET read_seq = own.seq, read_n = own.n FROM own
         WHERE members.channel = own.channel AND members.user = own.user AND members.read_n = own.read_before",
);

/// What is withheld is news to its sender only. Index: the primary key of `members`.
pub(crate) static RAISE_WITHHELD: Pattern = Pattern::new(
    "WITH own (channel, user, seq, at) AS (VALUES",
    "(?, ?, ?, ?)",
    ")
         UPDATE members SET
             withheld_seq = max(withheld_seq, own.seq),
             active_at = max(active_at, own.at)
         FROM own
         WHERE members.channel = own.channel AND members.user = own.user",
);

/// A mark never passes the head; others are shown it. Indexes: `channels.uuid`, the primary key of `members`.
pub(crate) static RAISE_READ: Pattern = Pattern::new(
    "WITH rise (uuid, user, seq, n, at) AS (VALUES",
    "(?, ?, ?, ?, ?)",
    ")
         UPDATE members SET
             read_seq = min(rise.seq, c.head_seq),
             read_n = CASE WHEN rise.seq < c.head_seq THEN min(rise.n, c.head_n) ELSE c.head_n END,
             active_at = max(members.active_at, rise.at),
             shown_seq = NULL,
             shown_n = NULL
         FROM rise JOIN channels c ON c.uuid = rise.uuid
         WHERE members.channel = c.id AND members.user = rise.user
           AND members.read_seq < min(rise.seq, c.head_seq)",
);

/// As a rise that others are shown, but that they are shown what they were shown before. Indexes: as there.
pub(crate) static RAISE_READ_PRIVATELY: Pattern = Pattern::new(
    "WITH rise (uuid, user, seq, n, at) AS (VALUES",
    "(?, ?, ?, ?, ?)",
    ")
         UPDATE members SET
             read_seq = min(rise.seq, c.head_seq),
             read_n = CASE WHEN rise.seq < c.head_seq THEN min(rise.n, c.head_n) ELSE c.head_n END,
             active_at = max(members.active_at, rise.at),
             shown_seq = coalesce(shown_seq, read_seq),
             shown_n = coalesce(shown_n, read_n)
         FROM rise JOIN channels c ON c.uuid = rise.uuid
         WHERE members.channel = c.id AND members.user = rise.user
           AND members.read_seq < min(rise.seq, c.head_seq)",
);

/// Shows others more of what was read in private, after `RAISE_READ`: the mark itself stands as high already. A shown mark
/// that reaches it is the mark. Indexes: as there.
pub(crate) static SHOW_READ: Pattern = Pattern::new(
    "WITH rise (uuid, user, seq, n, at) AS (VALUES",
    "(?, ?, ?, ?, ?)",
    ")
         UPDATE members SET
             shown_seq = CASE WHEN rise.seq < read_seq THEN rise.seq END,
             shown_n = CASE WHEN rise.seq < read_seq THEN min(rise.n, read_n) END
         FROM rise JOIN channels c ON c.uuid = rise.uuid
         WHERE members.channel = c.id AND members.user = rise.user AND members.shown_seq < rise.seq",
);

/// As for read marks.
pub(crate) static RAISE_DELIVERED: Pattern = Pattern::new(
        "WITH rise (uuid, user, seq, n, at) AS (VALUES",
        "(?, ?, ?, ?, ?)",
        ")
         UPDATE members SET
             delivered_seq = min(rise.seq, c.head_seq),
             delivered_n = CASE WHEN rise.seq < c.head_seq THEN min(rise.n, c.head_n) ELSE c.head_n END,
             active_at = max(members.active_at, rise.at)
         FROM rise JOIN channels c ON c.uuid = rise.uuid
         WHERE members.channel = c.id AND members.user = rise.user
           AND members.delivered_seq < min(rise.seq, c.head_seq)",
);

/// The rows of a page, given by `page`; the last message only where the user may see it: of those that are withheld from
/// nobody, or the user's own.
macro_rules! inbox_rows {
    ($filter:literal) => {
        concat!(
            "WITH page AS (
                SELECT c.id, c.uuid, c.head_seq, c.head_n, max(c.last_message_seq, m.withheld_seq) AS last_seq,
                       m.role, m.joined, m.visible_from, m.read_seq, m.read_n,
                       max(c.active_at, m.active_at) AS activity
                FROM members m JOIN channels c ON c.id = m.channel
                WHERE m.user = ?1 AND ",
            $filter,
            ")
            SELECT page.uuid, page.head_seq, page.head_n, page.role, page.joined, page.visible_from,
                   page.read_seq, page.read_n, page.activity, s.snapshot, s.member_count,
                   CASE WHEN s.direct THEN coalesce(
                       (SELECT peer.user FROM members peer WHERE peer.channel = page.id AND peer.user <> ?1 LIMIT 1),
                       ?1
                   ) END AS peer,
                   (SELECT count(*) FROM mentions
                    WHERE mentions.channel = page.id AND mentions.user = ?1 AND mentions.seq > page.read_seq) AS mentions,
                   l.seq, l.n, l.message, l.at, l.sender, l.device, l.client_id, l.content, NULL AS kind, l.detail,
                   l.rev, b.form, b.body
            FROM page
            JOIN channel_states s ON s.channel = page.id
            LEFT JOIN messages l ON l.channel = page.id AND l.seq = page.last_seq
                AND l.seq >= page.visible_from
            LEFT JOIN bodies b ON b.id = l.body
            ORDER BY page.activity DESC, page.uuid DESC"
        )
    };
}

/// Newest activity first, without what holds nothing but entries that are withheld from the user. ?2: the lowest activity;
/// ?3 and ?4: the row behind which to begin; ?5: rows.
/// Indexes: `members_by_user`, then primary keys.
pub(crate) const LIST: &str = inbox_rows!(
    "(c.active_at > 0 OR m.withheld_seq > 0) AND max(c.active_at, m.active_at) >= ?2
     AND (?3 IS NULL OR max(c.active_at, m.active_at) < ?3 OR (max(c.active_at, m.active_at) = ?3 AND c.uuid < ?4))
     ORDER BY activity DESC, c.uuid DESC LIMIT ?5"
);

/// Those of the channels in ?2 that the user is in. Indexes: `channels.uuid`, then primary keys.
pub(crate) const ROWS: &str = inbox_rows!("c.uuid IN (SELECT unhex(value) FROM json_each(?2))");

/// Index: the primary key of `left_channels`.
pub(crate) const LEFT: &str = "
    SELECT c.uuid, l.at FROM left_channels l JOIN channels c ON c.id = l.channel
    WHERE l.user = ?1 AND l.at >= ?2
    ORDER BY l.at DESC, c.uuid DESC LIMIT ?3";

/// Index: `members_by_user`.
pub(crate) const LARGE: &str = "
    SELECT c.uuid
    FROM members m JOIN channel_states s ON s.channel = m.channel JOIN channels c ON c.id = m.channel
    WHERE m.user = ?1 AND s.large = 1
    ORDER BY c.uuid";

/// Indexes: `channels.uuid`, the primary key of `members`.
pub(crate) const MARKS: &str = "
    SELECT user, coalesce(shown_seq, read_seq) AS read_seq, coalesce(shown_n, read_n) AS read_n, delivered_seq, delivered_n
    FROM members
    WHERE channel = (SELECT id FROM channels WHERE uuid = ?1) AND user IN (SELECT value FROM json_each(?2))";
