//! Statements over what a user has beside channels; all by primary key.

/// Logs of users that are not there yet begin, in the order of their names.
pub(crate) const INSERT_HEADS: &str = "
    INSERT INTO user_heads (user_id, seq)
    SELECT new.user_id, 0 FROM UNNEST($1::text[]) AS new (user_id) ORDER BY new.user_id COLLATE \"C\"
    ON CONFLICT (user_id) DO NOTHING";

/// Locks these users for writing, in the order of their names.
pub(crate) const LOCK_USERS: &str = "
    SELECT user_id, seq FROM user_heads WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR NO KEY UPDATE";

/// The end of a user's own log.
pub(crate) const USER_SEQ: &str = "SELECT seq AS head FROM user_heads WHERE user_id = $1";

pub(crate) const MOVE_HEAD: &str = "UPDATE user_heads SET seq = $2 WHERE user_id = $1";

pub(crate) const TELL: &str = "
    INSERT INTO user_log (user_id, seq, entry)
    SELECT $1::text, told.seq, told.entry FROM UNNEST($2::bigint[], $3::bytea[]) AS told (seq, entry)";

pub(crate) const ENTRY: &str = "SELECT entry FROM user_log WHERE user_id = $1 AND seq = $2";

pub(crate) const SET_ENTRY: &str = "UPDATE user_log SET entry = $3 WHERE user_id = $1 AND seq = $2";

/// The log's head beside each entry; once without an entry where there is none.
pub(crate) const ENTRIES: &str = "
    WITH page AS (
        SELECT seq, entry FROM user_log WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
    )
    SELECT h.seq AS head, page.entry
    FROM user_heads h LEFT JOIN page ON true
    WHERE h.user_id = $1
    ORDER BY page.seq";

/// How a user stands to each of others.
pub(crate) const RELATIONS: &str = "
    SELECT asked.other, c.state, b.user_id IS NOT NULL AS blocks, r.user_id IS NOT NULL AS blocked
    FROM UNNEST($2::text[]) AS asked (other)
    LEFT JOIN contacts c ON c.user_id = $1 AND c.other = asked.other
    LEFT JOIN blocks b ON b.user_id = $1 AND b.other = asked.other
    LEFT JOIN blocks r ON r.user_id = asked.other AND r.other = $1";

/// A block hides who asks.
pub(crate) const CONTACTS: &str = "
    SELECT c.other, c.state FROM contacts c
    WHERE c.user_id = $1 AND c.other > $2 AND NOT (
        c.state = 'asking' AND EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = $1 AND b.other = c.other)
    )
    ORDER BY c.other LIMIT $3";

pub(crate) const SET_CONTACT: &str = "
    INSERT INTO contacts (user_id, other, state) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, other) DO UPDATE SET state = excluded.state";

pub(crate) const REMOVE_CONTACT: &str = "DELETE FROM contacts WHERE user_id = $1 AND other = $2";

pub(crate) const BLOCKS: &str =
    "SELECT other FROM blocks WHERE user_id = $1 AND other > $2 ORDER BY other LIMIT $3";

pub(crate) const SET_BLOCK: &str =
    "INSERT INTO blocks (user_id, other) VALUES ($1, $2) ON CONFLICT (user_id, other) DO NOTHING";

pub(crate) const REMOVE_BLOCK: &str = "DELETE FROM blocks WHERE user_id = $1 AND other = $2";

pub(crate) const PREFS: &str = "
    SELECT channel, prefs, draft_seq FROM prefs WHERE user_id = $1 AND channel = ANY($2::uuid[])";

pub(crate) const SET_PREFS: &str = "
    INSERT INTO prefs (user_id, channel, prefs, draft_seq) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, channel) DO UPDATE SET prefs = excluded.prefs, draft_seq = excluded.draft_seq";

pub(crate) const REMOVE_PREFS: &str = "DELETE FROM prefs WHERE user_id = $1 AND channel = $2";

pub(crate) const STATUSES: &str =
    "SELECT user_id, state, text, rev FROM statuses WHERE user_id = ANY($1::text[])";

pub(crate) const SET_STATUS: &str = "
    INSERT INTO statuses AS s (user_id, state, text, rev) VALUES ($1, $2, $3, 1)
    ON CONFLICT (user_id) DO UPDATE SET state = excluded.state, text = excluded.text, rev = s.rev + 1";
