-- Text that people or programs write is kept as bytes: PostgreSQL's text, json and jsonb cannot hold U+0000. User ids hold no
-- control characters; they are text in the order of their bytes.

-- Facts about the database itself, in one row.
CREATE TABLE meta (
    only_row   boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch      uuid    NOT NULL,
    generation bigint  NOT NULL
);

-- One small row a channel, written with every append. `id` is the short name that all other tables use. Whoever writes
-- anything of a channel locks its row first. `active_at` is when the newest entry came that is withheld from nobody, and
-- `last_message_seq` the newest such message. Half of each page is left free, so that a new head stays on the page of the
-- former one and no index hears of it.
CREATE TABLE channels (
    id               bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid             uuid   NOT NULL,
    head_seq         bigint NOT NULL,
    head_n           bigint NOT NULL,
    head_message     bigint NOT NULL,
    last_at          bigint NOT NULL,
    active_at        bigint NOT NULL,
    last_message_seq bigint NOT NULL,
    CONSTRAINT channels_by_uuid UNIQUE (uuid)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- What changes only with an entry that is not a message; `snapshot` is JSON without members.
CREATE TABLE channel_states (
    channel      bigint  NOT NULL PRIMARY KEY,
    direct       boolean NOT NULL,
    large        boolean NOT NULL,
    member_count bigint  NOT NULL,
    snapshot     bytea   NOT NULL
);

-- The message entries of all logs. They are apart from the other entries, so that a page of history reads nothing
-- but messages. `content` is the hash of the entry's key, NULL without key. `rev` is the entry that last set the body, NULL
-- for the message itself. `form` says how `body` is to be read: 0 is the text itself, 1 is JSON; once erased both are NULL.
CREATE TABLE messages (
    channel   bigint  NOT NULL,
    seq       bigint  NOT NULL,
    n         bigint  NOT NULL,
    message   bigint  NOT NULL,
    at        bigint  NOT NULL,
    rev       bigint,
    device    uuid,
    client_id uuid    NOT NULL,
    form      smallint,
    withheld  boolean NOT NULL,
    sender    text    COLLATE "C" NOT NULL,
    content   bytea,
    detail    bytea,
    body      bytea,
    PRIMARY KEY (channel, seq)
);

-- All other entries. `client_id` and `content` are the key, NULL without key; `detail` is JSON. `target` is the message that
-- an edit, a deletion, a reaction or a pin names. An edit's body is its target's as long as the target's `rev` is the edit.
CREATE TABLE events (
    channel   bigint NOT NULL,
    seq       bigint NOT NULL,
    n         bigint NOT NULL,
    message   bigint NOT NULL,
    at        bigint NOT NULL,
    target    bigint,
    device    uuid,
    client_id uuid,
    sender    text   COLLATE "C" NOT NULL,
    content   bytea,
    kind      bytea  NOT NULL,
    detail    bytea  NOT NULL,
    PRIMARY KEY (channel, seq)
);

-- Every key of every log, for ever: what makes a send happen once.
CREATE TABLE keys (
    channel   bigint NOT NULL,
    seq       bigint NOT NULL,
    client_id uuid   NOT NULL,
    sender    text   COLLATE "C" NOT NULL,
    PRIMARY KEY (channel, client_id, sender)
);

-- Who is in which channel, and how far they have read. Roles: 0 guest, 1 member, 2 admin, 3 owner. `shown_seq` and `shown_n`
-- are what others are shown since the member read on in private; NULL: `read_seq` and `read_n`. `withheld_seq` is the newest
-- message that only this member sees. Marks move in place: no index holds them.
CREATE TABLE members (
    channel       bigint   NOT NULL,
    joined        bigint   NOT NULL,
    visible_from  bigint   NOT NULL,
    read_seq      bigint   NOT NULL,
    read_n        bigint   NOT NULL,
    shown_seq     bigint,
    shown_n       bigint,
    delivered_seq bigint   NOT NULL,
    delivered_n   bigint   NOT NULL,
    active_at     bigint   NOT NULL,
    withheld_seq  bigint   NOT NULL,
    role          smallint NOT NULL,
    user_id       text     COLLATE "C" NOT NULL,
    PRIMARY KEY (channel, user_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- A user's channels.
CREATE INDEX members_by_user ON members (user_id, channel);

-- Who has been there longest in which role.
CREATE INDEX members_by_standing ON members (channel, role, joined, user_id);

-- Channels that a user was in and is not.
CREATE TABLE left_channels (
    channel bigint NOT NULL,
    at      bigint NOT NULL,
    user_id text   COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, channel)
);

-- Messages that name a user; counted behind the user's read mark.
CREATE TABLE mentions (
    channel bigint NOT NULL,
    seq     bigint NOT NULL,
    user_id text   COLLATE "C" NOT NULL,
    PRIMARY KEY (channel, user_id, seq)
);

-- Whom a message names, when it is erased.
CREATE INDEX mentions_by_message ON mentions (channel, seq);

-- Who has which sign on a message now, since which entry. What is withheld only the user sees.
CREATE TABLE reactions (
    channel  bigint  NOT NULL,
    target   bigint  NOT NULL,
    seq      bigint  NOT NULL,
    withheld boolean NOT NULL,
    user_id  text    COLLATE "C" NOT NULL,
    emoji    bytea   NOT NULL
);

-- By hash: a log may hold signs that are too long for an index.
CREATE UNIQUE INDEX reactions_by_sign ON reactions (channel, target, user_id, sha256(emoji));

-- The last entry that pinned a message or took the pin away; '' for everybody, or else a user for whom alone it did.
CREATE TABLE pins (
    channel  bigint  NOT NULL,
    target   bigint  NOT NULL,
    seq      bigint  NOT NULL,
    pinned   boolean NOT NULL,
    only_for text    COLLATE "C" NOT NULL,
    PRIMARY KEY (channel, target, only_for)
);

-- How many messages are in a message's thread; '' for everybody, and more of them for the user who sent what is withheld.
CREATE TABLE threads (
    channel  bigint NOT NULL,
    thread   bigint NOT NULL,
    replies  bigint NOT NULL,
    only_for text   COLLATE "C" NOT NULL,
    PRIMARY KEY (channel, thread, only_for)
) WITH (fillfactor = 70);

-- Notes that bodies are to be set, one row for each message.
CREATE TABLE body_notes (
    channel uuid   NOT NULL,
    after   bigint NOT NULL,
    target  bigint NOT NULL,
    PRIMARY KEY (channel, after, target)
);

-- `direct` is who may write to the user directly, by the name on the wire.
CREATE TABLE users (
    created_at bigint NOT NULL,
    user_id    text   COLLATE "C" NOT NULL PRIMARY KEY,
    direct     text   NOT NULL DEFAULT 'all',
    name       bytea
);

-- `name` is NULL until a log-in tells it; `client` is the program that was seen first.
CREATE TABLE devices (
    created_at bigint NOT NULL,
    seen_at    bigint NOT NULL,
    device     uuid   NOT NULL,
    user_id    text   COLLATE "C" NOT NULL,
    name       bytea,
    platform   bytea  NOT NULL,
    client     bytea  NOT NULL,
    PRIMARY KEY (user_id, device)
) WITH (fillfactor = 70);

-- Log-in names, which are never given up.
CREATE TABLE accounts (
    created_at    bigint NOT NULL,
    user_id       text   COLLATE "C" NOT NULL PRIMARY KEY,
    password_hash bytea  NOT NULL
);

CREATE TABLE tokens (
    at         bigint NOT NULL,
    expires_at bigint NOT NULL,
    device     uuid   NOT NULL,
    user_id    text   COLLATE "C" NOT NULL,
    hash       bytea  NOT NULL,
    PRIMARY KEY (user_id, device),
    CONSTRAINT tokens_by_hash UNIQUE (hash)
);

-- The end of each user's own log. Whoever writes anything of a user locks this row first.
CREATE TABLE user_heads (
    seq     bigint NOT NULL,
    user_id text   COLLATE "C" NOT NULL PRIMARY KEY
) WITH (fillfactor = 70);

-- What happened to a user outside of channels, told to all their devices: contiguous from 1, JSON as on the wire.
CREATE TABLE user_log (
    seq     bigint NOT NULL,
    user_id text   COLLATE "C" NOT NULL,
    entry   bytea  NOT NULL,
    PRIMARY KEY (user_id, seq)
);

-- How a user stands to another one; each pair has a row on both sides. `state` is the name on the wire.
CREATE TABLE contacts (
    user_id text COLLATE "C" NOT NULL,
    other   text COLLATE "C" NOT NULL,
    state   text NOT NULL,
    PRIMARY KEY (user_id, other)
);

-- Whom a user blocks.
CREATE TABLE blocks (
    user_id text COLLATE "C" NOT NULL,
    other   text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, other)
);

-- What a user set for themselves in a channel, as JSON; no row where nothing is set. `draft_seq` is the entry of the
-- user's log that holds the draft, as long as it is the current one.
CREATE TABLE prefs (
    channel   uuid   NOT NULL,
    draft_seq bigint,
    user_id   text   COLLATE "C" NOT NULL,
    prefs     bytea  NOT NULL,
    PRIMARY KEY (user_id, channel)
);

-- What a user says of being there, for the `rev`th time. `state` is the name on the wire.
CREATE TABLE statuses (
    rev     bigint NOT NULL,
    user_id text   COLLATE "C" NOT NULL PRIMARY KEY,
    state   text   NOT NULL,
    text    bytea
) WITH (fillfactor = 70);

-- What a server may have appended behind `after_seq` and told nobody of. Owners are names of servers, as bytes.
CREATE TABLE fan_out_marks (
    channel   uuid   NOT NULL,
    after_seq bigint NOT NULL,
    owner     bytea  NOT NULL,
    PRIMARY KEY (owner, channel)
);

-- Until when each of them is alive at least, in milliseconds of its clock.
CREATE TABLE server_leases (
    lives_until bigint NOT NULL,
    owner       bytea  NOT NULL PRIMARY KEY
) WITH (fillfactor = 50);
