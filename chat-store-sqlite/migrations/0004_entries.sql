-- What messages say, apart from the logs, so that it can be erased from the file. SQLite leaves copies of rows behind where a
-- tree moves them between its pages, and overwrites only what is deleted. In this table no row ever moves: one comes behind
-- the last, under a number that never comes again, and what goes is overwritten where it is. So a row is never deleted, and
-- never given a longer body. `form` says how `body` is to be read: 0 is the text itself, 1 is JSON; once erased both are
-- NULL.
CREATE TABLE bodies (
    id   INTEGER NOT NULL PRIMARY KEY,
    form INTEGER,
    body BLOB
) STRICT;

INSERT INTO bodies (id, form, body)
SELECT row_number() OVER (ORDER BY channel, seq), form, body FROM messages WHERE body IS NOT NULL;

DROP VIEW plain_messages;
ALTER TABLE messages RENAME TO former_messages;

-- The message entries of all logs. They are apart from the other entries, so that a page of history reads nothing
-- but messages, and an append touches one page of one tree. `content` is the hash of the entry's key, NULL without key.
-- `rev` is the entry that last set the body, NULL for the message itself; `body` is NULL once erased.
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
    rev       INTEGER,
    body      INTEGER,
    PRIMARY KEY (channel, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO messages (channel, seq, n, message, at, sender, device, client_id, content, detail, rev, body)
SELECT channel, seq, n, message, at, sender, device, client_id, content, detail, NULL,
       row_number() OVER (ORDER BY channel, seq)
FROM former_messages WHERE body IS NOT NULL
UNION ALL
SELECT channel, seq, n, message, at, sender, device, client_id, content, detail, NULL, NULL
FROM former_messages WHERE body IS NULL;

DROP TABLE former_messages;

-- The message that an edit, a deletion, a reaction or a pin names. An edit's body is its target's as long as `rev` is the
-- edit.
ALTER TABLE events ADD COLUMN target INTEGER;

-- Who has which sign on a message now, since which entry. What is withheld only the user sees.
CREATE TABLE reactions (
    channel  INTEGER NOT NULL,
    target   INTEGER NOT NULL,
    emoji    TEXT    NOT NULL,
    user     TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    withheld INTEGER NOT NULL,
    PRIMARY KEY (channel, target, emoji, user)
) STRICT, WITHOUT ROWID;

-- The last entry that pinned a message or took the pin away; '' for everybody, or else a user for whom alone it did.
CREATE TABLE pins (
    channel  INTEGER NOT NULL,
    target   INTEGER NOT NULL,
    only_for TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    pinned   INTEGER NOT NULL,
    PRIMARY KEY (channel, target, only_for)
) STRICT, WITHOUT ROWID;

-- How many messages are in a message's thread; '' for everybody, and more of them for the user who sent what is withheld.
CREATE TABLE threads (
    channel  INTEGER NOT NULL,
    thread   INTEGER NOT NULL,
    only_for TEXT    NOT NULL,
    replies  INTEGER NOT NULL,
    PRIMARY KEY (channel, thread, only_for)
) STRICT, WITHOUT ROWID;

INSERT INTO threads (channel, thread, only_for, replies)
SELECT channel, json_extract(CAST(detail AS TEXT), '$.thread') AS thread, '', count(*)
FROM messages
WHERE detail IS NOT NULL AND json_extract(CAST(detail AS TEXT), '$.thread') IS NOT NULL
GROUP BY channel, thread;

-- Notes that bodies are to be set, one row for each message.
CREATE TABLE body_notes (
    channel BLOB    NOT NULL,
    after   INTEGER NOT NULL,
    target  INTEGER NOT NULL,
    PRIMARY KEY (channel, after, target)
) STRICT, WITHOUT ROWID;

-- When the newest entry came that is withheld from nobody. From here on `last_message_seq` is such a message as well, and what
-- is withheld stands with its sender: the newest message, and its time in `members.active_at`.
ALTER TABLE channels ADD COLUMN active_at INTEGER NOT NULL DEFAULT 0;
UPDATE channels SET active_at = last_at;
ALTER TABLE members ADD COLUMN withheld_seq INTEGER NOT NULL DEFAULT 0;

-- A message with a key in a channel that is there, withheld from nobody and in no thread, and everything that hangs on it, as
-- one row to insert: nearly every append is a few of these, and one statement wakes its waiter once. Rows come in the order
-- of their logs.
CREATE VIEW plain_messages AS
SELECT m.channel, m.seq, m.n, m.message, m.at, m.sender, m.device, m.client_id, m.content, m.detail, b.id AS body_id,
       b.form, b.body
FROM messages m JOIN bodies b ON b.id = m.body;

CREATE TRIGGER plain_messages_insert INSTEAD OF INSERT ON plain_messages
BEGIN
    INSERT INTO keys (channel, sender, client_id, seq)
    VALUES (NEW.channel, NEW.sender, NEW.client_id, NEW.seq);

    INSERT INTO bodies (id, form, body) VALUES (NEW.body_id, NEW.form, NEW.body);

    INSERT INTO messages (channel, seq, n, message, at, sender, device, client_id, content, detail, rev, body)
    VALUES (NEW.channel, NEW.seq, NEW.n, NEW.message, NEW.at, NEW.sender, NEW.device, NEW.client_id, NEW.content,
            NEW.detail, NULL, NEW.body_id);

    UPDATE channels SET
        head_seq = NEW.seq,
        head_n = NEW.n,
        head_message = max(head_message, NEW.message),
        last_at = max(last_at, NEW.at),
        active_at = max(active_at, NEW.at),
        last_message_seq = NEW.seq
    WHERE id = NEW.channel;

    -- The sender's own mark rises over a message if everything before it was read.
    UPDATE members SET read_seq = NEW.seq, read_n = NEW.n
    WHERE channel = NEW.channel AND user = NEW.sender AND read_n = NEW.n - 1;
END;

-- Until the file has been written anew once, it may hold copies of what was moved.
INSERT INTO meta (name, value) VALUES ('unscrubbed', x'01');
