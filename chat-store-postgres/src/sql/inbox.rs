//! Statements over inboxes and marks.

/// The sender's own mark rises when everything before was read. Index: the primary key of `members`.
pub(crate) const RAISE_OWN: &str = "
    UPDATE members m SET read_seq = own.seq, read_n = own.n
    FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
         AS own (channel, user_id, read_before, seq, n)
    WHERE m.channel = own.channel AND m.user_id = own.user_id AND m.read_n = own.read_before";

/// What is withheld is news to its sender only. Index: the primary key of `members`.
pub(crate) const RAISE_WITHHELD: &str = "
    UPDATE members m SET
        withheld_seq = GREATEST(m.withheld_seq, own.seq), active_at = GREATEST(m.active_at, own.at)
    FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS own (channel, user_id, seq, at)
    WHERE m.channel = own.channel AND m.user_id = own.user_id";

/// An update of the marks that stand lower than the rises, and than the head, which none passes. Indexes: `channels_by_uuid`,
/// the primary key of `members`.
macro_rules! raise {
    ($seq:literal, $n:literal, $besides:literal) => {
        concat!(
            "UPDATE members m SET ",
            $seq,
            " = LEAST(rise.seq, c.head_seq), ",
            $n,
            " = CASE WHEN rise.seq < c.head_seq THEN LEAST(rise.n, c.head_n) ELSE c.head_n END,
             active_at = GREATEST(m.active_at, rise.at)",
            $besides,
            " FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
                   AS rise (uuid, user_id, seq, n, at)
              JOIN channels c ON c.uuid = rise.uuid
              WHERE m.channel = c.id AND m.user_id = rise.user_id AND m.",
            $seq,
            " < LEAST(rise.seq, c.head_seq)"
        )
    };
}

/// Others are shown it.
pub(crate) const RAISE_READ: &str =
    raise!("read_seq", "read_n", ", shown_seq = NULL, shown_n = NULL");

/// As a rise that others are shown, but that they are shown what they were shown before.
pub(crate) const RAISE_READ_PRIVATELY: &str = raise!(
    "read_seq",
    "read_n",
    ", shown_seq = coalesce(m.shown_seq, m.read_seq), shown_n = coalesce(m.shown_n, m.read_n)"
);

/// As for read marks.
pub(crate) const RAISE_DELIVERED: &str = raise!("delivered_seq", "delivered_n", "");

/// Shows others more of what was read in private, after `RAISE_READ`: the mark itself stands as high already. A shown mark
/// that reaches it is the mark. Indexes: as there.
pub(crate) const SHOW_READ: &str = "
    UPDATE members m SET
        shown_seq = CASE WHEN rise.seq < m.read_seq THEN rise.seq END,
        shown_n = CASE WHEN rise.seq < m.read_seq THEN LEAST(rise.n, m.read_n) END
    FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS rise (uuid, user_id, seq, n, at)
    JOIN channels c ON c.uuid = rise.uuid
    WHERE m.channel = c.id AND m.user_id = rise.user_id AND m.shown_seq < rise.seq";

/// The rows of a page, given by `page`; the last message only where the user may see it: of those that are withheld from
/// nobody, or the user's own.
macro_rules! inbox_rows {
    ($filter:literal) => {
        concat!(
            "WITH page AS MATERIALIZED (
                SELECT c.id, c.uuid, c.head_seq, c.head_n, GREATEST(c.last_message_seq, m.withheld_seq) AS last_seq,
                       m.role, m.joined, m.visible_from, m.read_seq, m.read_n,
                       GREATEST(c.active_at, m.active_at) AS activity
                FROM members m JOIN channels c ON c.id = m.channel
                WHERE m.user_id = $1 AND ",
            $filter,
            ")
            SELECT page.uuid, page.head_seq, page.head_n, page.role, page.joined, page.visible_from,
                   page.read_seq, page.read_n, page.activity, s.snapshot, s.member_count,
                   CASE WHEN s.direct THEN coalesce(
                       (SELECT peer.user_id FROM members peer
                        WHERE peer.channel = page.id AND peer.user_id <> $1 ORDER BY peer.user_id LIMIT 1),
                       $1
                   ) END AS peer,
                   (SELECT count(*) FROM mentions
                    WHERE mentions.channel = page.id AND mentions.user_id = $1 AND mentions.seq > page.read_seq)
                   AS mentions,
                   l.seq, l.n, l.message, l.at, l.sender, l.device, l.client_id, l.content, NULL::bytea AS kind,
                   l.detail, l.rev, l.form, l.body
            FROM page
            JOIN channel_states s ON s.channel = page.id
            LEFT JOIN messages l ON l.channel = page.id AND l.seq = page.last_seq AND l.seq >= page.visible_from
            ORDER BY page.activity DESC, page.uuid DESC"
        )
    };
}

/// Newest activity first, without what holds nothing but entries that are withheld from the user. $2: the lowest activity;
/// $3 and $4: the row behind which to begin; $5: rows. Indexes: `members_by_user`, then primary keys.
pub(crate) const LIST: &str = inbox_rows!(
    "(c.active_at > 0 OR m.withheld_seq > 0) AND GREATEST(c.active_at, m.active_at) >= $2
     AND ($3::bigint IS NULL OR (GREATEST(c.active_at, m.active_at), c.uuid) < ($3::bigint, $4::uuid))
     ORDER BY activity DESC, c.uuid DESC LIMIT $5"
);

/// Those of the channels in $2 that the user is in. Indexes: `channels_by_uuid`, then primary keys.
pub(crate) const ROWS: &str = inbox_rows!("c.uuid = ANY($2::uuid[])");

/// Index: the primary key of `left_channels`.
pub(crate) const LEFT: &str = "
    SELECT c.uuid, l.at FROM left_channels l JOIN channels c ON c.id = l.channel
    WHERE l.user_id = $1 AND l.at >= $2
    ORDER BY l.at DESC, c.uuid DESC LIMIT $3";

/// From the user's channels on: large ones are so few that a join might begin with all of them. Indexes: `members_by_user`, then
/// primary keys.
pub(crate) const LARGE: &str = "
    SELECT c.uuid
    FROM members m JOIN channels c ON c.id = m.channel
    WHERE m.user_id = $1 AND (SELECT s.large FROM channel_states s WHERE s.channel = m.channel)
    ORDER BY c.uuid";

/// Indexes: `channels_by_uuid`, the primary key of `members`.
pub(crate) const MARKS: &str = "
    SELECT user_id, coalesce(shown_seq, read_seq) AS read_seq, coalesce(shown_n, read_n) AS read_n, delivered_seq,
           delivered_n
    FROM members
    WHERE channel = (SELECT id FROM channels WHERE uuid = $1) AND user_id = ANY($2::text[])";
