//! Statements over logs and members.

/// Begins logs that are not there yet. In the order of their names: two servers that begin the same ones wait for each other
/// in one direction only. Index: `channels_by_uuid`.
pub(crate) const INSERT_CHANNELS: &str = "
    INSERT INTO channels (uuid, head_seq, head_n, head_message, last_at, active_at, last_message_seq)
    SELECT new.uuid, 0, 0, 0, 0, 0, 0 FROM UNNEST($1::uuid[]) AS new (uuid) ORDER BY new.uuid
    ON CONFLICT (uuid) DO NOTHING";

/// Locks these logs for writing, in the order of their names, and tells where they end: nobody else moves them until the
/// transaction is over. Index: `channels_by_uuid`.
pub(crate) const LOCK_CHANNELS: &str = "
    SELECT id, uuid, head_seq, head_n FROM channels WHERE uuid = ANY($1::uuid[])
    ORDER BY uuid FOR NO KEY UPDATE";

/// The entries under these keys; `place` is the caller's. Index: the primary keys.
pub(crate) const FIND_KEYS: &str = "
    SELECT wanted.place, keys.seq, coalesce(m.n, e.n) AS n, coalesce(m.message, e.message) AS message,
           coalesce(m.at, e.at) AS at, coalesce(m.content, e.content) AS content
    FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::uuid[]) AS wanted (place, channel, sender, client_id)
    JOIN keys ON keys.channel = wanted.channel AND keys.client_id = wanted.client_id AND keys.sender = wanted.sender
    LEFT JOIN messages m ON m.channel = keys.channel AND m.seq = keys.seq
    LEFT JOIN events e ON e.channel = keys.channel AND e.seq = keys.seq";

/// Messages with their keys. A key that is there already fails the transaction.
pub(crate) const INSERT_MESSAGES: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM UNNEST(
            $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::uuid[], $8::uuid[],
            $9::bytea[], $10::bytea[], $11::bool[], $12::smallint[], $13::bytea[]
        ) AS r (channel, seq, n, message, at, sender, device, client_id, content, detail, withheld, form, body)
    ), kept AS (
        INSERT INTO keys (channel, sender, client_id, seq)
        SELECT channel, sender, client_id, seq FROM new WHERE content IS NOT NULL
    )
    INSERT INTO messages
        (channel, seq, n, message, at, sender, device, client_id, content, detail, withheld, rev, form, body)
    SELECT channel, seq, n, message, at, sender, device, client_id, content, detail, withheld, NULL, form, body
    FROM new";

/// Other entries with their keys, as for messages.
pub(crate) const INSERT_EVENTS: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM UNNEST(
            $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::uuid[], $8::uuid[],
            $9::bytea[], $10::bytea[], $11::bytea[], $12::bigint[]
        ) AS r (channel, seq, n, message, at, sender, device, client_id, content, kind, detail, target)
    ), kept AS (
        INSERT INTO keys (channel, sender, client_id, seq)
        SELECT channel, sender, client_id, seq FROM new WHERE content IS NOT NULL
    )
    INSERT INTO events (channel, seq, n, message, at, sender, device, client_id, content, kind, detail, target)
    SELECT channel, seq, n, message, at, sender, device, client_id, content, kind, detail, target FROM new";

/// Moves heads that stand where they are expected. Index: the primary key.
pub(crate) const MOVE_HEADS: &str = "
    UPDATE channels c SET
        head_seq = moved.head_seq,
        head_n = moved.head_n,
        head_message = GREATEST(c.head_message, moved.message),
        last_at = GREATEST(c.last_at, moved.at),
        active_at = GREATEST(c.active_at, moved.active_at),
        last_message_seq = GREATEST(c.last_message_seq, moved.last_message_seq)
    FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[])
         AS moved (id, expected, head_seq, head_n, message, at, active_at, last_message_seq)
    WHERE c.id = moved.id AND c.head_seq = moved.expected";

pub(crate) const UPSERT_STATES: &str = "
    INSERT INTO channel_states (channel, direct, large, member_count, snapshot)
    SELECT * FROM UNNEST($1::bigint[], $2::bool[], $3::bool[], $4::bigint[], $5::bytea[])
    ON CONFLICT (channel) DO UPDATE SET
        direct = excluded.direct, large = excluded.large, member_count = excluded.member_count,
        snapshot = excluded.snapshot";

/// A member begins with everything read up to the adding entry.
pub(crate) const UPSERT_MEMBERS: &str = "
    INSERT INTO members
        (channel, user_id, role, joined, visible_from, read_seq, read_n, delivered_seq, delivered_n, active_at,
         withheld_seq)
    SELECT new.*, 0, 0, 0, 0
    FROM UNNEST($1::bigint[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
         AS new (channel, user_id, role, joined, visible_from, read_seq, read_n)
    ON CONFLICT (channel, user_id) DO UPDATE SET
        role = excluded.role, joined = excluded.joined, visible_from = excluded.visible_from,
        read_seq = excluded.read_seq, read_n = excluded.read_n, shown_seq = NULL, shown_n = NULL,
        delivered_seq = 0, delivered_n = 0, active_at = 0, withheld_seq = 0";

/// Index: the primary key of `members`.
pub(crate) const DELETE_MEMBERS: &str = "
    DELETE FROM members m USING UNNEST($1::bigint[], $2::text[]) AS gone (channel, user_id)
    WHERE m.channel = gone.channel AND m.user_id = gone.user_id";

/// Index: the primary key of `members`.
pub(crate) const UPDATE_ROLES: &str = "
    UPDATE members m SET role = changed.role
    FROM UNNEST($1::bigint[], $2::text[], $3::smallint[]) AS changed (channel, user_id, role)
    WHERE m.channel = changed.channel AND m.user_id = changed.user_id";

pub(crate) const UPSERT_LEFT: &str = "
    INSERT INTO left_channels (channel, user_id, at)
    SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bigint[])
    ON CONFLICT (user_id, channel) DO UPDATE SET at = excluded.at";

/// Index: the primary key of `left_channels`.
pub(crate) const DELETE_LEFT: &str = "
    DELETE FROM left_channels l USING UNNEST($1::bigint[], $2::text[]) AS back (channel, user_id)
    WHERE l.channel = back.channel AND l.user_id = back.user_id";

pub(crate) const INSERT_MENTIONS: &str = "
    INSERT INTO mentions (channel, user_id, seq)
    SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bigint[])
    ON CONFLICT (channel, user_id, seq) DO NOTHING";

/// Indexes: `channels_by_uuid`, the primary keys of `channel_states` and `members`.
pub(crate) const LOAD: &str = r#"
    SELECT c.head_seq, c.head_n, c.head_message, c.last_at, s.snapshot, r.users, r.roles, r.joined, r.visible_from
    FROM channels c
    LEFT JOIN channel_states s ON s.channel = c.id
    LEFT JOIN LATERAL (
        SELECT coalesce(array_agg(m.user_id), '{}') AS users, coalesce(array_agg(m.role), '{}') AS roles,
               coalesce(array_agg(m.joined), '{}') AS joined, coalesce(array_agg(m.visible_from), '{}') AS visible_from
        FROM members m WHERE m.channel = c.id
    ) r ON NOT s.large
    WHERE c.uuid = $1"#;

/// Index: `channels_by_uuid`.
pub(crate) const HEADS: &str =
    "SELECT uuid, head_seq, head_n FROM channels WHERE uuid = ANY($1::uuid[])";

/// What stored bodies count at the least of what `Entry::size_bytes` counts: JSON writes a character in six bytes at the most.
macro_rules! bytes_before {
    ($order:literal) => {
        concat!(
            "coalesce(sum(CASE form WHEN 0 THEN octet_length(body) ELSE octet_length(body) / 8 END) OVER (ORDER BY seq ",
            $order,
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)"
        )
    };
}

/// The log's head beside each entry; once without an entry where there is none. Both halves come in the order of their primary
/// keys and are merged. An edit has its target's body as long as it is the one that set it. $3: entries; $4: bytes of bodies
/// behind which no more are sent, whoever asks would not take them. Indexes: `channels_by_uuid`, the primary keys.
pub(crate) const ENTRIES: &str = concat!(
    "WITH asked AS MATERIALIZED (SELECT id, head_seq, head_n FROM channels WHERE uuid = $1),
    page AS (
        (SELECT m.seq, m.n, m.message, m.at, m.sender, m.device, m.client_id, m.content, NULL::bytea AS kind, m.detail,
                m.rev, m.form, m.body
         FROM messages m
         WHERE m.channel = (SELECT id FROM asked) AND m.seq > $2
         ORDER BY m.seq LIMIT $3)
        UNION ALL
        (SELECT e.seq, e.n, e.message, e.at, e.sender, e.device, e.client_id, e.content, e.kind, e.detail,
                NULL::bigint, t.form, t.body
         FROM events e
         LEFT JOIN messages t ON t.channel = e.channel AND t.seq = e.target AND t.rev = e.seq
         WHERE e.channel = (SELECT id FROM asked) AND e.seq > $2
         ORDER BY e.seq LIMIT $3)
        ORDER BY seq LIMIT $3
    ),
    sized AS (SELECT page.*, ",
    bytes_before!("ASC"),
    " AS bytes_before FROM page)
    SELECT asked.head_seq, asked.head_n, sized.*
    FROM asked LEFT JOIN sized ON sized.bytes_before <= $4
    ORDER BY sized.seq"
);

/// Messages with what user $6 sees of what was done to them, all as of `head_seq`. One row without a message where there is
/// none. $5 is as for entries.
macro_rules! messages {
    ($order:literal) => {
        concat!(
            "WITH asked AS MATERIALIZED (SELECT id, head_seq FROM channels WHERE uuid = $1),
            page AS (
                SELECT m.* FROM messages m
                WHERE m.channel = (SELECT id FROM asked) AND m.seq > $2 AND m.seq < $3
                ORDER BY m.seq ",
            $order,
            " LIMIT $4
            ),
            sized AS (SELECT page.*, ",
            bytes_before!($order),
            " AS bytes_before FROM page)
            SELECT asked.head_seq, m.seq, m.n, m.message, m.at, m.sender, m.device, m.client_id, m.content,
                   NULL::bytea AS kind, m.detail, m.rev, m.form, m.body,
                   r.emojis, r.counts, r.mine,
                   coalesce((SELECT pinned FROM pins
                             WHERE channel = m.channel AND target = m.seq AND only_for IN ('', $6)
                             ORDER BY seq DESC LIMIT 1), false) AS pinned,
                   (SELECT coalesce(sum(replies), 0)::bigint FROM threads
                    WHERE channel = m.channel AND thread = m.seq AND only_for IN ('', $6)) AS replies
            FROM asked
            LEFT JOIN sized m ON m.bytes_before <= $5
            LEFT JOIN LATERAL (
                SELECT array_agg(signs.emoji ORDER BY signs.first) AS emojis,
                       array_agg(signs.users ORDER BY signs.first) AS counts,
                       array_agg(signs.mine ORDER BY signs.first) AS mine
                FROM (
                    SELECT emoji, count(*) AS users, bool_or(user_id = $6) AS mine, min(seq) AS first
                    FROM reactions
                    WHERE channel = m.channel AND target = m.seq AND (NOT withheld OR user_id = $6)
                    GROUP BY emoji
                ) signs
            ) r ON true
            ORDER BY m.seq ",
            $order
        )
    };
}

/// Indexes: `channels_by_uuid`, the primary keys of `messages`, `pins` and `threads`, `reactions_by_sign`.
pub(crate) const OLDEST_MESSAGES: &str = messages!("ASC");

/// As the oldest, from the other end.
pub(crate) const NEWEST_MESSAGES: &str = messages!("DESC");

/// One row without a message where none of them is one. Indexes: as for the oldest messages.
pub(crate) const TARGETS: &str = "
    WITH asked AS MATERIALIZED (SELECT id, head_seq FROM channels WHERE uuid = $1)
    SELECT asked.head_seq, m.seq, m.sender, m.body IS NULL AS erased, m.withheld, r.emojis, r.counts, r.mine,
           coalesce((SELECT pinned FROM pins WHERE channel = m.channel AND target = m.seq
                     ORDER BY seq DESC LIMIT 1), false) AS pinned
    FROM asked
    LEFT JOIN messages m ON m.channel = (SELECT id FROM asked) AND m.seq = ANY($2::bigint[])
    LEFT JOIN LATERAL (
        SELECT array_agg(signs.emoji) AS emojis, array_agg(signs.users) AS counts, array_agg(signs.mine) AS mine
        FROM (
            SELECT emoji, count(*) AS users, bool_or(user_id = $3) AS mine FROM reactions
            WHERE channel = m.channel AND target = m.seq GROUP BY emoji
        ) signs
    ) r ON true";

/// Indexes: `channels_by_uuid`, the primary keys of `keys`, `messages` and `events`.
pub(crate) const FIND_KEY: &str = "
    SELECT keys.seq, coalesce(m.n, e.n) AS n, coalesce(m.message, e.message) AS message,
           coalesce(m.at, e.at) AS at, coalesce(m.content, e.content) AS content
    FROM keys
    LEFT JOIN messages m ON m.channel = keys.channel AND m.seq = keys.seq
    LEFT JOIN events e ON e.channel = keys.channel AND e.seq = keys.seq
    WHERE keys.channel = (SELECT id FROM channels WHERE uuid = $1)
      AND keys.sender = $2 AND keys.client_id = $3 AND keys.seq > $4 AND keys.seq <= $5";

/// One row without a user where the page is empty. Indexes: `channels_by_uuid`, the primary key of `members`.
pub(crate) const MEMBERS: &str = "
    WITH asked AS MATERIALIZED (SELECT id, head_seq FROM channels WHERE uuid = $1),
    page AS (
        SELECT user_id, role, joined, visible_from FROM members
        WHERE channel = (SELECT id FROM asked) AND user_id > $2
        ORDER BY user_id LIMIT $3
    )
    SELECT asked.head_seq, page.* FROM asked LEFT JOIN page ON true ORDER BY page.user_id";

/// One row without a user where none is a member. Indexes: `channels_by_uuid`, the primary key of `members`.
pub(crate) const MEMBERSHIPS: &str = "
    WITH asked AS MATERIALIZED (SELECT id, head_seq FROM channels WHERE uuid = $1)
    SELECT asked.head_seq, m.user_id, m.role, m.joined, m.visible_from
    FROM asked
    LEFT JOIN members m ON m.channel = (SELECT id FROM asked) AND m.user_id = ANY($2::text[])";

/// Admins before members, the longest-standing first; never guests. Indexes: `channels_by_uuid`, `members_by_standing`.
pub(crate) const SUCCESSOR: &str = "
    WITH asked AS MATERIALIZED (SELECT id FROM channels WHERE uuid = $1)
    SELECT coalesce(
        (SELECT user_id FROM members
         WHERE channel = (SELECT id FROM asked) AND role = 2 AND user_id <> ALL($2::text[])
         ORDER BY joined, user_id LIMIT 1),
        (SELECT user_id FROM members
         WHERE channel = (SELECT id FROM asked) AND role = 1 AND user_id <> ALL($2::text[])
         ORDER BY joined, user_id LIMIT 1)
    ) AS user_id";
