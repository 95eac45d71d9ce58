//! Statements over what is done to messages: bodies, reactions, pins, threads. Each message is in a statement once.

/// The higher revision wins, and an erasure is for ever; no former body is kept. Index: the primary key of `messages`.
pub(crate) const SET: &str = "
    UPDATE messages m SET
        rev = GREATEST(coalesce(m.rev, 0), made.rev),
        form = CASE WHEN made.erases THEN NULL
                    WHEN m.body IS NOT NULL AND made.body IS NOT NULL AND coalesce(m.rev, 0) < made.rev THEN made.form
                    ELSE m.form END,
        body = CASE WHEN made.erases THEN NULL
                    WHEN m.body IS NOT NULL AND made.body IS NOT NULL AND coalesce(m.rev, 0) < made.rev THEN made.body
                    ELSE m.body END
    FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[], $4::bool[], $5::smallint[], $6::bytea[])
         AS made (channel, seq, rev, erases, form, body)
    WHERE m.channel = made.channel AND m.seq = made.seq";

/// Erased messages mention nobody. Index: `mentions_by_message`.
pub(crate) const DELETE_MENTIONS_OF: &str = "
    DELETE FROM mentions d USING UNNEST($1::bigint[], $2::bigint[]) AS erased (channel, seq)
    WHERE d.channel = erased.channel AND d.seq = erased.seq";

/// All of these messages. Index: `reactions_by_sign`.
pub(crate) const DELETE_REACTIONS_OF: &str = "
    DELETE FROM reactions d USING UNNEST($1::bigint[], $2::bigint[]) AS erased (channel, seq)
    WHERE d.channel = erased.channel AND d.target = erased.seq";

/// All of these messages. Index: the primary key.
pub(crate) const DELETE_PINS_OF: &str = "
    DELETE FROM pins d USING UNNEST($1::bigint[], $2::bigint[]) AS erased (channel, seq)
    WHERE d.channel = erased.channel AND d.target = erased.seq";

/// Signs that were taken back. Index: `reactions_by_sign`.
pub(crate) const DELETE_REACTIONS: &str = "
    DELETE FROM reactions d
    USING UNNEST($1::bigint[], $2::bigint[], $3::bytea[], $4::text[]) AS gone (channel, target, emoji, user_id)
    WHERE d.channel = gone.channel AND d.target = gone.target AND d.user_id = gone.user_id
      AND sha256(d.emoji) = sha256(gone.emoji)";

/// Signs; one that is there stays from when it was set first.
pub(crate) const INSERT_REACTIONS: &str = "
    INSERT INTO reactions (channel, target, emoji, user_id, seq, withheld)
    SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[], $4::text[], $5::bigint[], $6::bool[])
    ON CONFLICT (channel, target, user_id, sha256(emoji)) DO NOTHING";

pub(crate) const UPSERT_PINS: &str = "
    INSERT INTO pins (channel, target, only_for, seq, pinned)
    SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bool[])
    ON CONFLICT (channel, target, only_for) DO UPDATE SET seq = excluded.seq, pinned = excluded.pinned";

pub(crate) const ADD_REPLIES: &str = "
    INSERT INTO threads AS t (channel, thread, only_for, replies)
    SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])
    ON CONFLICT (channel, thread, only_for) DO UPDATE SET replies = t.replies + excluded.replies";

pub(crate) const INSERT_NOTE: &str = "
    INSERT INTO body_notes (channel, after, target) SELECT $1::uuid, $2::bigint, target FROM UNNEST($3::bigint[]) AS note (target)
    ON CONFLICT (channel, after, target) DO NOTHING";

/// Index: the primary key.
pub(crate) const DELETE_NOTE: &str = "DELETE FROM body_notes WHERE channel = $1 AND after = $2";

/// From the first on, in the order of the primary key.
pub(crate) const NOTES: &str = "
    SELECT channel, after, array_agg(target) AS targets FROM body_notes
    GROUP BY channel, after ORDER BY channel, after LIMIT $1";
