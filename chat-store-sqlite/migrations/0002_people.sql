-- What happened to a user outside of channels, told to all their devices: contiguous from 1, JSON as on the wire.
CREATE TABLE user_log (
    user  TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    entry BLOB    NOT NULL,
    PRIMARY KEY (user, seq)
) STRICT, WITHOUT ROWID;

-- How a user stands to another one; each pair has a row on both sides. `state` is the name on the wire.
CREATE TABLE contacts (
    user  TEXT NOT NULL,
    other TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (user, other)
) STRICT, WITHOUT ROWID;

-- Whom a user blocks.
CREATE TABLE blocks (
    user  TEXT NOT NULL,
    other TEXT NOT NULL,
    PRIMARY KEY (user, other)
) STRICT, WITHOUT ROWID;

-- What a user set for themselves in a channel, as JSON; no row where nothing is set. `draft_seq` is the entry of the
-- user's log that holds the draft, as long as it is the current one.
CREATE TABLE prefs (
    user      TEXT NOT NULL,
    channel   BLOB NOT NULL,
    prefs     BLOB NOT NULL,
    draft_seq INTEGER,
    PRIMARY KEY (user, channel)
) STRICT, WITHOUT ROWID;

-- What a user says of being there, for the `rev`th time. `state` is the name on the wire.
CREATE TABLE statuses (
    user  TEXT    NOT NULL PRIMARY KEY,
    state TEXT    NOT NULL,
    text  TEXT,
    rev   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may write to a user directly, by the name on the wire.
ALTER TABLE users ADD COLUMN direct TEXT NOT NULL DEFAULT 'all';

-- The end of a user's log is the log's own to tell: others write to it before the user is ever seen.
ALTER TABLE users DROP COLUMN user_seq;
