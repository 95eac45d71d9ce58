-- Facts about the file itself: its epoch and generation.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One small row a channel, written with every append. `id` is the short name that all other tables use.
CREATE TABLE channels (
    id               INTEGER NOT NULL PRIMARY KEY,
    uuid             BLOB    NOT NULL UNIQUE,
    head_seq         INTEGER NOT NULL,
    head_n           INTEGER NOT NULL,
    head_message     INTEGER NOT NULL,
    last_at          INTEGER NOT NULL,
    last_message_seq INTEGER NOT NULL
) STRICT;

-- What changes only with an entry that is not a message; `snapshot` is JSON without members.
CREATE TABLE channel_states (
    channel      INTEGER NOT NULL PRIMARY KEY,
    direct       INTEGER NOT NULL,
    large        INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    snapshot     BLOB    NOT NULL
) STRICT;

-- The message entries of all logs. They are apart from the other entries, so that a page of history reads nothing
-- but messages, and an append touches one page of one tree. `form` says how `body` is to be read: 0 is the text
-- itself, 1 is JSON; without a body both are NULL. `content` is the hash of the entry's key, NULL without key.
CREATE TABLE messages (
    channel   INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    message   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    sender    TEXT    NOT NULL,
    device    BLOB,
    client_id BLOB    NOT NULL,
    content   BLOB,
    detail    BLOB,
    form      INTEGER,
    body      BLOB,
    PRIMARY KEY (channel, seq)
) STRICT, WITHOUT ROWID;

-- All other entries. `client_id` and `content` are the key, NULL without key; `detail` is JSON.
CREATE TABLE events (
    channel   INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    message   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    sender    TEXT    NOT NULL,
    device    BLOB,
    client_id BLOB,
    content   BLOB,
    kind      TEXT    NOT NULL,
    detail    BLOB    NOT NULL,
    PRIMARY KEY (channel, seq)
) STRICT, WITHOUT ROWID;

-- Every key of every log, for ever: what makes a send happen once.
CREATE TABLE keys (
    channel   INTEGER NOT NULL,
    sender    TEXT    NOT NULL,
    client_id BLOB    NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (channel, sender, client_id)
) STRICT, WITHOUT ROWID;

-- Who is in which channel, and how far they have read. Roles: 0 guest, 1 member, 2 admin, 3 owner.
CREATE TABLE members (
    channel       INTEGER NOT NULL,
    user          TEXT    NOT NULL,
    role          INTEGER NOT NULL,
    joined        INTEGER NOT NULL,
    visible_from  INTEGER NOT NULL,
    read_seq      INTEGER NOT NULL,
    read_n        INTEGER NOT NULL,
    delivered_seq INTEGER NOT NULL,
    delivered_n   INTEGER NOT NULL,
    active_at     INTEGER NOT NULL,
    PRIMARY KEY (channel, user)
) STRICT, WITHOUT ROWID;

-- A user's channels.
CREATE INDEX members_by_user ON members (user, channel);

-- Who has been there longest in which role.
CREATE INDEX members_by_standing ON members (channel, role, joined, user);

-- Channels that a user was in and is not.
CREATE TABLE left_channels (
    user    TEXT    NOT NULL,
    channel INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user, channel)
) STRICT, WITHOUT ROWID;

-- Messages that name a user; counted behind the user's read mark.
CREATE TABLE mentions (
    channel INTEGER NOT NULL,
    user    TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (channel, user, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    user       TEXT    NOT NULL PRIMARY KEY,
    name       TEXT,
    created_at INTEGER NOT NULL,
    user_seq   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- `name` is NULL until a log-in tells it; `client` is the program that was seen first.
CREATE TABLE devices (
    user       TEXT    NOT NULL,
    device     BLOB    NOT NULL,
    name       TEXT,
    platform   TEXT    NOT NULL,
    client     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) STRICT, WITHOUT ROWID;

-- Log-in names, which are never given up.
CREATE TABLE accounts (
    user          TEXT    NOT NULL PRIMARY KEY,
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    user       TEXT    NOT NULL,
    device     BLOB    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    at         INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) STRICT, WITHOUT ROWID;

-- A message with a key in a channel that is there, and everything that hangs on it, as one row to insert: nearly every
-- append is a few of these, and one statement wakes its waiter once. Rows come in the order of their logs.
CREATE VIEW plain_messages AS SELECT * FROM messages;

CREATE TRIGGER plain_messages_insert INSTEAD OF INSERT ON plain_messages
BEGIN
    INSERT INTO keys (channel, sender, client_id, seq)
    VALUES (NEW.channel, NEW.sender, NEW.client_id, NEW.seq);

    INSERT INTO messages (channel, seq, n, message, at, sender, device, client_id, content, detail, form, body)
    VALUES (NEW.channel, NEW.seq, NEW.n, NEW.message, NEW.at, NEW.sender, NEW.device, NEW.client_id, NEW.content,
            NEW.detail, NEW.form, NEW.body);

    UPDATE channels SET
        head_seq = NEW.seq,
        head_n = NEW.n,
        head_message = max(head_message, NEW.message),
        last_at = max(last_at, NEW.at),
        last_message_seq = NEW.seq
    WHERE id = NEW.channel;

    -- The sender's own mark rises over a message if everything before it was read.
    UPDATE members SET read_seq = NEW.seq, read_n = NEW.n
    WHERE channel = NEW.channel AND user = NEW.sender AND read_n = NEW.n - 1;
END;
