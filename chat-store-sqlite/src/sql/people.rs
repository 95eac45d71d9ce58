//! Statements over what a user has beside channels; all by primary key.

/// The end of a user's own log.
pub(crate) const USER_SEQ: &str =
    "SELECT coalesce(max(seq), 0) AS head FROM user_log WHERE user = ?1";

pub(crate) const TELL: &str = "INSERT INTO user_log (user, seq, entry) VALUES (?1, ?2, ?3)";

pub(crate) const FORGET_DRAFT: &str = "
    UPDATE user_log SET entry = CAST(json_remove(CAST(entry AS TEXT), '$.draft') AS BLOB)
    WHERE user = ?1 AND seq = ?2";

/// The log's head beside each entry; once without an entry where there is none.
pub(crate) const ENTRIES: &str = "
    WITH asked (head) AS MATERIALIZED (SELECT coalesce(max(seq), 0) FROM user_log WHERE user = ?1)
    SELECT asked.head, l.entry
    FROM asked LEFT JOIN user_log l ON l.user = ?1 AND l.seq > ?2
    ORDER BY l.seq LIMIT ?3";

/// How a user stands to each of others, in JSON.
pub(crate) const RELATIONS: &str = "
    SELECT asked.value AS other, c.state, b.user IS NOT NULL AS blocks, r.user IS NOT NULL AS blocked
    FROM json_each(?2) asked
    LEFT JOIN contacts c ON c.user = ?1 AND c.other = asked.value
    LEFT JOIN blocks b ON b.user = ?1 AND b.other = asked.value
    LEFT JOIN blocks r ON r.user = asked.value AND r.other = ?1";

/// A block hides who asks.
pub(crate) const CONTACTS: &str = "
    SELECT c.other, c.state FROM contacts c
    WHERE c.user = ?1 AND c.other > ?2 AND NOT (
        c.state = 'asking' AND EXISTS (SELECT 1 FROM blocks b WHERE b.user = ?1 AND b.other = c.other)
    )
    ORDER BY c.other LIMIT ?3";

pub(crate) const SET_CONTACT: &str = "
    INSERT INTO contacts (user, other, state) VALUES (?1, ?2, ?3)
    ON CONFLICT (user, other) DO UPDATE SET state = excluded.state";

pub(crate) const REMOVE_CONTACT: &str = "DELETE FROM contacts WHERE user = ?1 AND other = ?2";

pub(crate) const BLOCKS: &str =
    "SELECT other FROM blocks WHERE user = ?1 AND other > ?2 ORDER BY other LIMIT ?3";

pub(crate) const SET_BLOCK: &str =
    "INSERT INTO blocks (user, other) VALUES (?1, ?2) ON CONFLICT (user, other) DO NOTHING";

pub(crate) const REMOVE_BLOCK: &str = "DELETE FROM blocks WHERE user = ?1 AND other = ?2";

pub(crate) const PREFS: &str = "
    SELECT channel, prefs, draft_seq FROM prefs
    WHERE user = ?1 AND channel IN (SELECT unhex(value) FROM json_each(?2))";

pub(crate) const SET_PREFS: &str = "
    INSERT INTO prefs (user, channel, prefs, draft_seq) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (user, channel) DO UPDATE SET prefs = excluded.prefs, draft_seq = excluded.draft_seq";

pub(crate) const REMOVE_PREFS: &str = "DELETE FROM prefs WHERE user = ?1 AND channel = ?2";

pub(crate) const STATUSES: &str = "
    SELECT user, state, text, rev FROM statuses WHERE user IN (SELECT value FROM json_each(?1))";

pub(crate) const SET_STATUS: &str = "
    INSERT INTO statuses (user, state, text, rev) VALUES (?1, ?2, ?3, 1)
    ON CONFLICT (user) DO UPDATE SET state = excluded.state, text = excluded.text, rev = rev + 1";
