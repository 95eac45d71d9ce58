//! The golden vectors in `tests/vectors/`: one a line, in both formats, for every implementation of the protocol.
//!
//! | file | a vector |
//! |---|---|
//! | `client.json`, `server.json` | `name`, `frame` (byte for byte as it is written in JSON), `msgpack` (base64 of the same in MessagePack); in `server.json` also `answers`, the op that an `ok` answers |
//! | `refused.json` | `name`, `json` (text) or `msgpack` (base64), `outcome`: `error` with `id` and `code`, or `close` |
//!
//! `CHAT_VECTORS=write cargo test -p chat-proto --test vectors` writes the files anew from the lists below; a
//! difference in review is a change of the protocol.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chat_proto::entry::{Created, Delete, Edit, MemberRole, MembersChange, Message, MetaChange};
use chat_proto::people::*;
use chat_proto::wire::*;
use chat_proto::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

#[derive(Serialize, Deserialize)]
struct Vector {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
    frame: Box<RawValue>,
    msgpack: String,
}

#[derive(Serialize, Deserialize)]
struct RefusedVector {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    msgpack: Option<String>,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[test]
fn client_frames_are_as_published() {
    let vectors: Vec<Vector> = client_frames()
        .iter()
        .map(|(name, frame)| {
            vector(
                name,
                None,
                &encode_client(Format::Json, frame),
                &encode_client(Format::MessagePack, frame),
            )
        })
        .collect();
    let published: Vec<Vector> = published("client.json", &vectors);
    for (vector, (name, frame)) in published.iter().zip(client_frames()) {
        for (format, bytes) in bytes_of(vector) {
            let decoded = decode_client(format, &bytes)
                .unwrap_or_else(|error| panic!("{name} as {format:?}: {error}"));
            assert_eq!(decoded, frame, "{name} as {format:?}");
            assert_eq!(
                encode_client(format, &decoded),
                bytes,
                "{name} as {format:?}"
            );
        }
    }
}

#[test]
fn server_frames_are_as_published() {
    let vectors: Vec<Vector> = server_frames()
        .iter()
        .map(|(name, frame)| {
            vector(
                name,
                answers(frame),
                &encode(Format::Json, frame),
                &encode(Format::MessagePack, frame),
            )
        })
        .collect();
    let published: Vec<Vector> = published("server.json", &vectors);
    for (vector, (name, frame)) in published.iter().zip(server_frames()) {
        for (format, bytes) in bytes_of(vector) {
            let received = decode_server(format, Bytes::from(bytes.clone()))
                .unwrap_or_else(|error| panic!("{name} as {format:?}: {error}"));
            let typed = typed(received, vector.answers.as_deref());
            assert_eq!(typed, frame, "{name} as {format:?}");
            assert_eq!(encode(format, &typed), bytes, "{name} as {format:?}");
        }
    }
}

#[test]
fn refused_frames_are_as_published() {
    let published: Vec<RefusedVector> = published("refused.json", &refused_frames());
    for vector in published {
        let (format, bytes) = match (&vector.json, &vector.msgpack) {
            (Some(json), None) => (Format::Json, json.clone().into_bytes()),
            (None, Some(packed)) => (Format::MessagePack, unbase64(packed)),
            _ => panic!("{}: either json or msgpack", vector.name),
        };
        let outcome = match decode_client(format, &bytes) {
            Ok(frame) => panic!("{}: taken as {frame:?}", vector.name),
            Err(DecodeError::Unreadable(_)) => ("close", None, None),
            Err(DecodeError::Refused { id, rejection }) => {
                ("error", Some(id), Some(rejection.code.as_str()))
            }
        };
        let expected = (vector.outcome.as_str(), vector.id, vector.code.as_deref());
        assert_eq!(outcome, expected, "{}", vector.name);
    }
}

#[test]
fn every_code_kind_and_op_has_a_vector() {
    let frames = server_frames();
    let codes: BTreeSet<Code> = frames
        .iter()
        .filter_map(|(_, frame)| match frame {
            ServerFrame::Error { rejection, .. } => Some(rejection.code),
            ServerFrame::Ok { .. } | ServerFrame::Pong | ServerFrame::Push(_) => None,
        })
        .collect();
    assert_eq!(codes, BTreeSet::from(Code::ALL));
    let kinds: BTreeSet<String> = entries()
        .iter()
        .map(|(_, entry)| entry.kind.name().to_owned())
        .collect();
    for kind in [
        "message", "edit", "delete", "react", "pin", "created", "members", "meta", "withheld",
        "x_poll",
    ] {
        assert!(kinds.contains(kind), "{kind}");
    }
    let client = client_frames();
    let ops: BTreeSet<&str> = client
        .iter()
        .map(|(_, frame)| match frame {
            ClientFrame::Hello { .. } => "hello",
            ClientFrame::Command { op, .. } => op.name(),
            ClientFrame::Typing(_) => "typing",
            ClientFrame::Ping => "ping",
        })
        .collect();
    assert_eq!(ops.len(), 18, "{ops:?}");
    let kinds: BTreeSet<String> = user_entries()
        .iter()
        .map(|(_, entry)| entry.kind.name().to_owned())
        .collect();
    for kind in ["contact", "block", "device", "prefs", "profile", "welcome"] {
        assert!(kinds.contains(kind), "{kind}");
    }
}

#[test]
fn a_newer_server_is_understood_as_far_as_possible() {
    let received = |frame: &'static str| {
        decode_server(Format::Json, Bytes::from_static(frame.as_bytes())).expect(frame)
    };
    assert_eq!(
        received(r#"{"op":"party","hats":3}"#),
        ReceivedFrame::Unknown
    );
    match received(r#"{"op":"error","id":1,"code":"too_festive","message":"later"}"#) {
        ReceivedFrame::Error { id: 1, rejection } => {
            assert_eq!(rejection.code, Code::BadRequest);
            assert_eq!(rejection.message, "too_festive: later");
        }
        other => panic!("{other:?}"),
    }
    match received(r#"{"op":"goaway","reason":"moon","reconnect_after_ms":5,"url":null}"#) {
        ReceivedFrame::Push(Push::GoAway(goaway)) => {
            assert_eq!(goaway.reason, GoAwayReason::Unknown);
        }
        other => panic!("{other:?}"),
    }
    assert!(decode_server(Format::Json, Bytes::from_static(br#"{"op":"ok"}"#)).is_err());
}

#[test]
fn a_shared_push_is_encoded_once() {
    let push = Push::Entry(EntryPush {
        channel: channel(),
        entry: Arc::new(entries().swap_remove(0).1),
    });
    let shared = SharedPush::new(push.clone());
    for format in Format::ALL {
        let (one, two) = (shared.encoded(format), shared.encoded(format));
        assert_eq!(one.as_ptr(), two.as_ptr());
        assert_eq!(one, encode_push(format, &push));
        assert!(shared.size_bytes() >= one.len() / 2 && shared.size_bytes() <= one.len() * 4);
    }
}

fn vector(name: &str, answers: Option<&str>, json: &[u8], packed: &[u8]) -> Vector {
    let json = String::from_utf8(json.to_vec()).expect("JSON is UTF-8");
    Vector {
        name: name.to_owned(),
        answers: answers.map(str::to_owned),
        frame: RawValue::from_string(json).expect("a frame is JSON"),
        msgpack: BASE64.encode(packed),
    }
}

fn bytes_of(vector: &Vector) -> [(Format, Vec<u8>); 2] {
    [
        (Format::Json, vector.frame.get().as_bytes().to_vec()),
        (Format::MessagePack, unbase64(&vector.msgpack)),
    ]
}

fn unbase64(text: &str) -> Vec<u8> {
    BASE64.decode(text).expect("a vector holds base64")
}

/// The file's vectors, after a check that it holds exactly these.
fn published<T: Serialize + for<'de> Deserialize<'de>>(file: &str, vectors: &[T]) -> Vec<T> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    let lines: Vec<String> = vectors
        .iter()
        .map(|vector| serde_json::to_string(vector).expect("a vector is JSON"))
        .collect();
    let current = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("CHAT_VECTORS").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, &current).expect("the folder of vectors is writable");
    }
    let text = std::fs::read_to_string(&path).expect("the vectors are there");
    for (line, (published, current)) in text.lines().zip(current.lines()).enumerate() {
        assert_eq!(
            published,
            current,
            "{file}, line {}: the wire changed",
            line + 1
        );
    }
    assert_eq!(
        text, current,
        "{file} holds other vectors than the lists here"
    );
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn answers(frame: &ServerFrame) -> Option<&'static str> {
    match frame {
        ServerFrame::Ok { answer, .. } => Some(match answer {
            Answer::Hello(_) => "hello",
            Answer::Sync(_) => "sync",
            Answer::Send(_) => "send",
            Answer::Pull(_) => "pull",
            Answer::History(_) => "history",
            Answer::Change(_) => "edit",
            Answer::Prefs(_) => "prefs",
            Answer::Receipts(_) => "receipts",
            Answer::Watch(_) => "watch",
            Answer::Done => "read",
        }),
        ServerFrame::Error { .. } | ServerFrame::Pong | ServerFrame::Push(_) => None,
    }
}

fn typed(received: ReceivedFrame, answers: Option<&str>) -> ServerFrame {
    match received {
        ReceivedFrame::Ok { id, answer } => {
            let raw = answer;
            let answer = match answers {
                Some("hello") => raw.read().map(Answer::Hello),
                Some("sync") => raw.read().map(Answer::Sync),
                Some("send") => raw.read().map(Answer::Send),
                Some("pull") => raw.read().map(Answer::Pull),
                Some("history") => raw.read().map(Answer::History),
                Some("edit") => raw.read().map(Answer::Change),
                Some("prefs") => raw.read().map(Answer::Prefs),
                Some("receipts") => raw.read().map(Answer::Receipts),
                Some("watch") => raw.read().map(Answer::Watch),
                Some("read") => Ok(Answer::Done),
                other => panic!("an ok answers {other:?}"),
            };
            ServerFrame::Ok {
                id,
                answer: answer.expect("the answer that the vector names"),
            }
        }
        ReceivedFrame::Error { id, rejection } => ServerFrame::Error { id, rejection },
        ReceivedFrame::Pong => ServerFrame::Pong,
        ReceivedFrame::Push(push) => ServerFrame::Push(push),
        ReceivedFrame::Unknown => panic!("a published op is known"),
    }
}

fn channel() -> ChannelId {
    ChannelId::direct(&user("alice"), &user("bob"))
}

fn group() -> ChannelId {
    ChannelId::external("ticket:17")
}

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn client_id(n: u8) -> ClientId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}")
        .parse()
        .expect("a UUID")
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn client_frames() -> Vec<(&'static str, ClientFrame)> {
    let command = |id, op| ClientFrame::Command { id, op };
    let send = |to, body| SendMessage {
        to,
        client_id: client_id(1),
        after: None,
        retry: false,
        body,
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    };
    let history = |anchor, limit| {
        ClientOp::History(HistoryQuery {
            channel: group(),
            anchor,
            limit,
        })
    };
    let rich = Body::Text {
        text: "see \u{0}\u{1F600} \"quoted\" \u{2028}".into(),
        attachments: vec![Attachment {
            media: serde_json::from_value(json!("00000000-0000-4000-8000-00000000aaaa"))
                .expect("a media id"),
            name: "cat.png".into(),
            size: 4_294_967_296,
            media_type: "image/png".into(),
        }],
        data: Some(object(
            json!({"nested": [1, -2, 1.5, null, true, {"a": {}}]}),
        )),
    };
    let cipher = Body::Cipher {
        scheme: CipherScheme::Mls,
        data: "AAECAw==".into(),
    };
    let mut frames = vec![
        (
            "hello",
            ClientFrame::Hello {
                id: 1,
                hello: Hello {
                    token: "secret".into(),
                    client: "example/1.0".into(),
                    heartbeat_ms: None,
                },
            },
        ),
        (
            "hello with a heartbeat and the highest id",
            ClientFrame::Hello {
                id: u32::MAX,
                hello: Hello {
                    token: "secret".into(),
                    client: "example/1.0".into(),
                    heartbeat_ms: Some(10_000),
                },
            },
        ),
        (
            "first sync",
            command(2, ClientOp::Sync(SyncQuery::default())),
        ),
        (
            "sync with everything",
            command(
                3,
                ClientOp::Sync(SyncQuery {
                    epoch: Some(epoch()),
                    user_seq: Some(Seq(4)),
                    since: Some("opaque".into()),
                    cursors: [(channel(), (Seq(7), Seq(5))), (group(), (Seq(0), Seq(0)))].into(),
                    entries: 20,
                    page: Some("next".into()),
                }),
            ),
        ),
        (
            "send to a user",
            command(
                4,
                ClientOp::Send(send(Target::User(user("bob")), Body::text("hello"))),
            ),
        ),
        (
            "send with everything, once more",
            command(
                5,
                ClientOp::Send(SendMessage {
                    after: Some(Seq(41)),
                    retry: true,
                    reply_to: Some(Seq(3)),
                    thread: Some(Seq(2)),
                    mentions: vec![user("bob"), user("Zoë")],
                    ..send(Target::Channel(group()), rich)
                }),
            ),
        ),
        (
            "send a cipher",
            command(6, ClientOp::Send(send(Target::Channel(channel()), cipher))),
        ),
        (
            "pull",
            command(
                7,
                ClientOp::Pull(PullQuery {
                    channel: channel(),
                    after: Seq(0),
                    limit: None,
                }),
            ),
        ),
        (
            "pull with a limit",
            command(
                8,
                ClientOp::Pull(PullQuery {
                    channel: channel(),
                    after: Seq(9_007_199_254_740_991),
                    limit: Some(500),
                }),
            ),
        ),
        ("history, newest", command(9, history(Anchor::Newest, None))),
        (
            "history before",
            command(10, history(Anchor::Before(Seq(90)), Some(50))),
        ),
        (
            "history after",
            command(11, history(Anchor::After(Seq(90)), None)),
        ),
        (
            "history around",
            command(12, history(Anchor::Around(Seq(90)), Some(1))),
        ),
        (
            "read",
            command(
                13,
                ClientOp::Read(Mark {
                    channel: channel(),
                    seq: Seq(12),
                }),
            ),
        ),
        (
            "delivered",
            command(
                14,
                ClientOp::Delivered(Mark {
                    channel: channel(),
                    seq: Seq(12),
                }),
            ),
        ),
        (
            "typing",
            ClientFrame::Typing(TypingIn { channel: channel() }),
        ),
        ("ping", ClientFrame::Ping),
    ];
    let later = change_ops().into_iter().chain(people_ops());
    frames.extend(
        (15..)
            .zip(later)
            .map(|(id, (name, op))| (name, command(id, op))),
    );
    frames
}

fn change_ops() -> Vec<(&'static str, ClientOp)> {
    let edit = EditMessage {
        channel: group(),
        seq: Seq(2),
        client_id: client_id(2),
        after: None,
        retry: false,
        body: Body::text("hello, all"),
    };
    let delete = DeleteMessage {
        channel: group(),
        seq: Seq(2),
        client_id: client_id(3),
        after: None,
        retry: false,
    };
    let react = React {
        channel: group(),
        seq: Seq(2),
        client_id: client_id(4),
        after: None,
        retry: false,
        emoji: "\u{1F44D}\u{1F3FD}".into(),
        remove: false,
    };
    let pin = Pin {
        channel: group(),
        seq: Seq(2),
        client_id: client_id(5),
        after: None,
        retry: false,
        remove: false,
    };
    vec![
        ("edit", ClientOp::Edit(edit.clone())),
        (
            "edit, once more",
            ClientOp::Edit(EditMessage {
                after: Some(Seq(41)),
                retry: true,
                ..edit
            }),
        ),
        ("delete", ClientOp::Delete(delete)),
        (
            "delete, once more",
            ClientOp::Delete(DeleteMessage {
                after: Some(Seq(41)),
                retry: true,
                ..delete
            }),
        ),
        ("react", ClientOp::React(react.clone())),
        (
            "react, taken away, once more",
            ClientOp::React(React {
                after: Some(Seq(41)),
                retry: true,
                remove: true,
                ..react
            }),
        ),
        ("pin", ClientOp::Pin(pin)),
        (
            "pin, taken away, once more",
            ClientOp::Pin(Pin {
                after: Some(Seq(41)),
                retry: true,
                remove: true,
                ..pin
            }),
        ),
    ]
}

fn people_ops() -> Vec<(&'static str, ClientOp)> {
    let prefs = |prefs| {
        ClientOp::Prefs(PrefsChange {
            channel: channel(),
            prefs,
        })
    };
    let status = |state, text: Option<&str>| {
        ClientOp::Status(SetStatus {
            state,
            text: text.map(str::to_owned),
        })
    };
    vec![
        ("prefs, everything", prefs(all_prefs())),
        (
            "prefs, cleared",
            prefs(Prefs {
                mute_until_ms: Some(Timestamp(0)),
                archived: Some(false),
                marked_unread: Some(false),
                draft: Some(String::new()),
            }),
        ),
        (
            "prefs, one of them",
            prefs(Prefs {
                archived: Some(true),
                ..Prefs::default()
            }),
        ),
        (
            "receipts",
            ClientOp::Receipts(ReceiptsQuery { channel: channel() }),
        ),
        (
            "watch users",
            ClientOp::Watch(Watch::Users(vec![user("bob"), user("carol")])),
        ),
        ("watch contacts", ClientOp::Watch(Watch::Contacts)),
        (
            "unwatch",
            ClientOp::Unwatch(Unwatch {
                users: vec![user("bob")],
            }),
        ),
        ("status: online", status(Status::Online, None)),
        (
            "status: away, with a text",
            status(Status::Away, Some("at lunch")),
        ),
        ("status: busy", status(Status::Busy, None)),
        ("status: invisible", status(Status::Invisible, None)),
    ]
}

fn all_prefs() -> Prefs {
    Prefs {
        mute_until_ms: Some(Timestamp(1_767_312_000_000)),
        archived: Some(true),
        marked_unread: Some(true),
        draft: Some("half a sen".into()),
    }
}

fn user_entries() -> Vec<(&'static str, UserEntry)> {
    let contact = |state| {
        UserEntryKind::Contact(ContactChange {
            user: user("bob"),
            state,
        })
    };
    let block = |removed| {
        UserEntryKind::Block(BlockChange {
            user: user("bob"),
            removed,
        })
    };
    let device = DeviceChange {
        device: "00000000-0000-4000-8000-00000000dddd"
            .parse()
            .expect("a UUID"),
        name: Some("phone".into()),
        platform: Some("android".into()),
        removed: false,
    };
    let gone = DeviceChange {
        name: None,
        platform: None,
        removed: true,
        ..device.clone()
    };
    let profile = |direct, name: Option<&str>| {
        UserEntryKind::Profile(ProfileChange {
            name: name.map(str::to_owned),
            direct: Some(direct),
        })
    };
    let kinds = [
        ("contact: asked", contact(Some(ContactState::Asked))),
        ("contact: asking", contact(Some(ContactState::Asking))),
        ("contact: contact", contact(Some(ContactState::Contact))),
        ("contact, removed", contact(None)),
        ("block", block(false)),
        ("block, removed", block(true)),
        ("device", UserEntryKind::Device(device)),
        ("device, removed", UserEntryKind::Device(gone)),
        (
            "prefs",
            UserEntryKind::Prefs(PrefsChange {
                channel: channel(),
                prefs: all_prefs(),
            }),
        ),
        ("profile", profile(DirectFrom::Contacts, Some("Alice"))),
        ("profile, one field", profile(DirectFrom::All, None)),
        (
            "unknown kind",
            UserEntryKind::Unknown {
                kind: "welcome".into(),
                fields: object(json!({"data": "AAEC"})),
            },
        ),
    ];
    (1..)
        .zip(kinds)
        .map(|(seq, (name, kind))| {
            let entry = UserEntry {
                seq: Seq(seq),
                at: Timestamp(1_767_225_600_000 + seq),
                kind,
            };
            (name, entry)
        })
        .collect()
}

fn presence(state: Shown) -> Presence {
    Presence {
        user: user("bob"),
        state,
        text: None,
        last_seen_ms: None,
    }
}

fn offline() -> Presence {
    Presence {
        last_seen_ms: Some(Timestamp(1_767_225_600_000)),
        ..presence(Shown::Offline)
    }
}

fn epoch() -> Epoch {
    serde_json::from_value(json!("00000000-0000-4000-8000-00000000eeee")).expect("an epoch")
}

fn entries() -> Vec<(&'static str, Entry)> {
    let device = "00000000-0000-4000-8000-00000000dddd"
        .parse()
        .expect("a UUID");
    let entry = |seq, n, kind| Entry {
        seq: Seq(seq),
        n: Ordinal(n),
        message: MessageId(7_331_112_223_334_445_566 + seq),
        at: Timestamp(1_767_225_600_000 + seq),
        from: user("alice"),
        device: Some(device),
        withheld: false,
        kind,
    };
    let target = Seq(2);
    let edit = |body| EntryKind::Edit(Edit { target, body });
    let react = |remove| {
        EntryKind::React(entry::React {
            target,
            emoji: "\u{1f44d}".into(),
            remove,
        })
    };
    let pin = |remove| EntryKind::Pin(entry::Pin { target, remove });
    let message = Message {
        client_id: client_id(1),
        body: Some(Body::text("hello")),
        erased: false,
        rev: None,
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    };
    let member = |name, role| MemberRole {
        user: user(name),
        role,
    };
    let erased = Message {
        body: None,
        erased: true,
        rev: Some(Seq(9)),
        ..message.clone()
    };
    let answer = Message {
        reply_to: Some(Seq(2)),
        thread: Some(Seq(2)),
        mentions: vec![user("bob")],
        ..message.clone()
    };
    let direct = Created {
        channel_type: ChannelType::Direct,
        title: None,
        members: vec![member("alice", Role::Member), member("bob", Role::Member)],
        history: History::All,
        data: None,
        external_id: None,
    };
    let group = Created {
        channel_type: ChannelType::Group,
        title: Some("Ticket 17".into()),
        members: vec![member("alice", Role::Owner), member("bob", Role::Guest)],
        history: History::Joined,
        data: Some(object(json!({"ticket": 17}))),
        external_id: Some("ticket:17".into()),
    };
    let change = MembersChange {
        add: vec![member("carol", Role::Admin)],
        remove: vec![user("bob")],
        role: vec![member("dave", Role::Member)],
    };
    let meta = MetaChange {
        title: Some("Ticket 18".into()),
        topic: Some("".into()),
        avatar: Some("media:1".into()),
        history: Some(History::All),
        post: Some(Posting::Admins),
        data: Some(object(json!({}))),
    };
    let meta_topic = MetaChange {
        topic: Some("lunch".into()),
        ..MetaChange::default()
    };
    let unknown = EntryKind::Unknown {
        kind: "x_poll".into(),
        fields: object(json!({"question": "lunch?", "options": ["yes", "no"]})),
    };
    vec![
        ("message", entry(2, 1, EntryKind::Message(message))),
        (
            "message that answers in a thread",
            entry(3, 2, EntryKind::Message(answer)),
        ),
        ("erased message", entry(4, 3, EntryKind::Message(erased))),
        ("edit", entry(9, 3, edit(Some(Body::text("hello again"))))),
        (
            "edit that is no longer the current one",
            entry(9, 3, edit(None)),
        ),
        ("delete", entry(10, 3, EntryKind::Delete(Delete { target }))),
        ("react", entry(11, 3, react(false))),
        ("react, taken back", entry(12, 3, react(true))),
        ("pin", entry(13, 3, pin(false))),
        ("pin, no longer", entry(14, 3, pin(true))),
        (
            "withheld",
            Entry {
                device: None,
                ..entry(15, 4, EntryKind::Withheld)
            },
        ),
        (
            "created, direct, by a system actor",
            Entry {
                device: None,
                ..entry(1, 0, EntryKind::Created(direct))
            },
        ),
        ("created, group", entry(1, 0, EntryKind::Created(group))),
        ("members", entry(5, 3, EntryKind::Members(change))),
        ("meta", entry(6, 3, EntryKind::Meta(meta))),
        ("meta, one field", entry(7, 3, EntryKind::Meta(meta_topic))),
        ("unknown kind", entry(8, 3, unknown)),
    ]
}

fn server_frames() -> Vec<(String, ServerFrame)> {
    let mut frames = Vec::new();
    for (name, answer) in answer_list() {
        frames.push((format!("ok: {name}"), ServerFrame::Ok { id: 7, answer }));
    }
    for code in Code::ALL {
        let mut rejection = Rejection::new(code, "what happened, and what to do");
        if code.is_transient() {
            rejection = rejection.retry_after_ms(1_500);
        }
        let frame = ServerFrame::Error { id: 7, rejection };
        frames.push((format!("error: {code}"), frame));
    }
    frames.push(("pong".into(), ServerFrame::Pong));
    for (name, entry) in entries() {
        let push = Push::Entry(EntryPush {
            channel: group(),
            entry: Arc::new(entry),
        });
        frames.push((format!("entry: {name}"), ServerFrame::Push(push)));
    }
    for (name, entry) in user_entries() {
        let push = Push::User(UserPush { entry });
        frames.push((format!("user: {name}"), ServerFrame::Push(push)));
    }
    for (name, push) in pushes() {
        frames.push((name.to_owned(), ServerFrame::Push(push)));
    }
    frames
}

fn pushes() -> Vec<(&'static str, Push)> {
    let mark = MarkPush {
        channel: channel(),
        user: user("bob"),
        seq: Seq(12),
        n: Ordinal(9),
    };
    let goaway = |reason, url: Option<&str>| {
        Push::GoAway(GoAway {
            reason,
            reconnect_after_ms: 2_000,
            url: url.map(str::to_owned),
        })
    };
    vec![
        (
            "heads",
            Push::Heads(HeadsPush {
                channels: vec![ChannelHead {
                    channel: channel(),
                    head: Head::new(70, 64),
                }],
            }),
        ),
        ("read", Push::Read(mark.clone())),
        ("delivered", Push::Delivered(mark)),
        ("presence: online", Push::Presence(presence(Shown::Online))),
        (
            "presence: away, with a text",
            Push::Presence(Presence {
                text: Some("at lunch".into()),
                ..presence(Shown::Away)
            }),
        ),
        ("presence: busy", Push::Presence(presence(Shown::Busy))),
        ("presence: offline", Push::Presence(offline())),
        (
            "typing",
            Push::Typing(TypingPush {
                channel: channel(),
                user: user("bob"),
            }),
        ),
        (
            "goaway: drain",
            goaway(GoAwayReason::Drain, Some("wss://b.example/v1/ws")),
        ),
        ("goaway: slow", goaway(GoAwayReason::Slow, None)),
        ("goaway: revoked", goaway(GoAwayReason::Revoked, None)),
        ("goaway: replaced", goaway(GoAwayReason::Replaced, None)),
    ]
}

fn answer_list() -> Vec<(&'static str, Answer)> {
    let entry = |at: usize| entries().swap_remove(at).1;
    let summary = Summary {
        channel: channel(),
        channel_type: ChannelType::Direct,
        title: None,
        peer: Some(user("bob")),
        members: 2,
        role: Role::Member,
        visible_from: Seq(1),
        head: Head::new(4, 3),
        read: Head::new(2, 1),
        unread: 2,
        mentions: 1,
        last: Some(entry(1)),
        mute_until_ms: None,
        archived: false,
        marked_unread: false,
        draft: None,
        data: None,
        entries: vec![entry(1), entry(2)],
        gap: Some(Gap {
            from: Seq(1),
            to: Seq(2),
        }),
    };
    let group = Summary {
        channel: group(),
        channel_type: ChannelType::Group,
        title: Some("Ticket 17".into()),
        peer: None,
        mute_until_ms: Some(Timestamp(1_767_312_000_000)),
        archived: true,
        marked_unread: true,
        draft: Some("half a sen".into()),
        data: Some(object(json!({"ticket": 17}))),
        last: None,
        entries: Vec::new(),
        gap: None,
        ..summary.clone()
    };
    let sync = SyncAnswer {
        channels: Vec::new(),
        left: Vec::new(),
        user_entries: Vec::new(),
        user_seq: Seq(0),
        since: "opaque".into(),
        page: None,
        reset: false,
    };
    let send = SendAnswer {
        channel: channel(),
        seq: Seq(2),
        n: Ordinal(1),
        message: MessageId(u64::MAX),
        at: Timestamp(1_767_225_600_000),
        duplicate: false,
    };
    vec![
        (
            "hello",
            Answer::Hello(HelloAnswer {
                user: user("alice"),
                device: "00000000-0000-4000-8000-00000000dddd"
                    .parse()
                    .expect("a UUID"),
                node: NodeId::new("node-1"),
                epoch: epoch(),
                server_time_ms: Timestamp(1_767_225_600_000),
                heartbeat_ms: 10_000,
                limits: Limits::default(),
            }),
        ),
        ("sync, nothing changed", Answer::Sync(sync.clone())),
        (
            "sync, everything",
            Answer::Sync(SyncAnswer {
                channels: vec![summary, group],
                left: vec![ChannelId::external("ticket:16")],
                user_entries: user_entries().into_iter().map(|(_, entry)| entry).collect(),
                user_seq: Seq(12),
                page: Some("next".into()),
                reset: true,
                ..sync
            }),
        ),
        ("send", Answer::Send(send)),
        (
            "send, duplicate",
            Answer::Send(SendAnswer {
                duplicate: true,
                ..send
            }),
        ),
        (
            "pull",
            Answer::Pull(PullAnswer {
                entries: vec![entry(4), entry(0)],
                head: Head::new(8, 3),
            }),
        ),
        (
            "history",
            Answer::History(HistoryAnswer {
                messages: vec![
                    HistoryMessage {
                        entry: entry(0),
                        reactions: Vec::new(),
                        pinned: false,
                        replies: 0,
                    },
                    HistoryMessage {
                        entry: entry(1),
                        reactions: vec![Reaction {
                            emoji: "\u{1F44D}".into(),
                            count: 2,
                            mine: true,
                        }],
                        pinned: true,
                        replies: 3,
                    },
                ],
                more_before: true,
                more_after: false,
                as_of: Seq(8),
            }),
        ),
        (
            "edit, delete, react or pin",
            Answer::Change(ChangeAnswer {
                seq: Seq(9),
                duplicate: false,
            }),
        ),
        (
            "react or pin, what already is so",
            Answer::Change(ChangeAnswer {
                seq: Seq(9),
                duplicate: true,
            }),
        ),
        ("prefs", Answer::Prefs(PrefsAnswer { user_seq: Seq(12) })),
        (
            "receipts",
            Answer::Receipts(ReceiptsAnswer {
                marks: vec![
                    MemberMarks {
                        user: user("alice"),
                        read: Seq(8),
                        delivered: None,
                    },
                    MemberMarks {
                        user: user("bob"),
                        read: Seq(3),
                        delivered: Some(Seq(8)),
                    },
                ],
            }),
        ),
        (
            "watch",
            Answer::Watch(WatchAnswer {
                presence: vec![offline()],
                refused: vec![user("carol")],
            }),
        ),
        ("read, delivered, unwatch or status", Answer::Done),
    ]
}

fn refused_frames() -> Vec<RefusedVector> {
    let json = |name: &str, json: &str, answer: Option<(u32, Code)>| {
        refused(name, Some(json.to_owned()), None, answer)
    };
    let packed = |name: &str, bytes: &[u8], answer: Option<(u32, Code)>| {
        refused(name, None, Some(BASE64.encode(bytes)), answer)
    };
    let bad = Some((7, Code::BadRequest));
    let deep = format!(
        r#"{{"op":"ping","id":7,"x":{}{}}}"#,
        "[".repeat(NESTING_MAX),
        "]".repeat(NESTING_MAX)
    );
    let id = client_id(1);
    let both = format!(
        r#"{{"op":"send","id":7,"to":{{"user":"bob","channel":"{id}"}},"client_id":"{id}","body":{{"type":"text","text":"a"}}}}"#
    );
    let neither = format!(
        r#"{{"op":"send","id":7,"to":{{}},"client_id":"{id}","body":{{"type":"text","text":"a"}}}}"#
    );
    let twice = format!(
        r#"{{"op":"send","id":7,"to":{{"user":"bob"}},"client_id":"{id}","body":{{"type":"text","text":"a","data":{{"k":1,"k":2}}}}}}"#
    );
    let anchors = format!(r#"{{"op":"history","id":7,"channel":"{id}","before":9,"around":3}}"#);
    let mut list = vec![
        json("not JSON", "{", None),
        json("an array", "[]", None),
        json("null", "null", None),
        json("two frames in one", r#"{"op":"ping"}{"op":"ping"}"#, None),
        json("no id", r#"{"op":"sync"}"#, None),
        json("null id", r#"{"op":"sync","id":null}"#, None),
        json("negative id", r#"{"op":"sync","id":-1}"#, None),
        json("fractional id", r#"{"op":"sync","id":1.0}"#, None),
        json(
            "id beyond 32 bits",
            r#"{"op":"sync","id":4294967296}"#,
            None,
        ),
        json("id as text", r#"{"op":"sync","id":"7"}"#, None),
        json("id twice", r#"{"op":"sync","id":7,"id":7}"#, None),
        json("typing without a channel", r#"{"op":"typing"}"#, None),
        json("no op", r#"{"id":7}"#, bad),
        json("op of another type", r#"{"op":7,"id":7}"#, bad),
        json("unknown op", r#"{"op":"shout","id":7}"#, bad),
        json("op twice", r#"{"op":"sync","op":"sync","id":7}"#, bad),
        json("a key twice in opaque data", &twice, bad),
        json(
            "a key twice, once escaped",
            r#"{"op":"sync","id":7,"x":{"a":1,"\u0061":2}}"#,
            bad,
        ),
        json("nested too deep", &deep, bad),
        json(
            "half a surrogate pair",
            r#"{"op":"sync","id":7,"since":"\ud800"}"#,
            bad,
        ),
        json(
            "a field is missing",
            r#"{"op":"hello","id":7,"token":"t"}"#,
            bad,
        ),
        json(
            "a field of another type",
            r#"{"op":"sync","id":7,"entries":"20"}"#,
            bad,
        ),
        json("two targets", &both, bad),
        json("no target", &neither, bad),
        json("two anchors", &anchors, bad),
        packed("packed: empty", b"", None),
        packed("packed: trailing bytes", b"\x81\xa2op\xa4ping\xc0", None),
        packed("packed: cut off", b"\x82\xa2op\xa4ping", None),
        packed(
            "packed: bytes",
            b"\x83\xa2op\xa4sync\xa2id\x07\xa1x\xc4\x01a",
            bad,
        ),
        packed(
            "packed: an extension type",
            b"\x83\xa2op\xa4sync\xa2id\x07\xa1x\xd4\x01a",
            bad,
        ),
        packed(
            "packed: a key that is a number",
            b"\x83\xa2op\xa4sync\xa2id\x07\xa1x\x81\x01\x01",
            bad,
        ),
        packed(
            "packed: a key twice",
            b"\x83\xa2op\xa4sync\xa2id\x07\xa1x\x82\xa1k\x01\xa1k\x01",
            bad,
        ),
        packed(
            "packed: text that is not UTF-8",
            b"\x83\xa2op\xa4sync\xa2id\x07\xa1x\xa1\xff",
            bad,
        ),
    ];
    for (name, frame) in [
        (
            "edit without a body",
            format!(r#"{{"op":"edit","id":7,"channel":"{id}","seq":2,"client_id":"{id}"}}"#),
        ),
        (
            "delete without a key",
            format!(r#"{{"op":"delete","id":7,"channel":"{id}","seq":2}}"#),
        ),
        (
            "react without a sign",
            format!(r#"{{"op":"react","id":7,"channel":"{id}","seq":2,"client_id":"{id}"}}"#),
        ),
        (
            "pin of no message",
            format!(r#"{{"op":"pin","id":7,"channel":"{id}","client_id":"{id}"}}"#),
        ),
        (
            "prefs of nothing",
            format!(r#"{{"op":"prefs","id":7,"channel":"{id}","draft":null}}"#),
        ),
        (
            "receipts of no channel",
            r#"{"op":"receipts","id":7}"#.to_owned(),
        ),
        ("watch of nobody", r#"{"op":"watch","id":7}"#.to_owned()),
        (
            "watch of users and of contacts",
            r#"{"op":"watch","id":7,"users":["bob"],"contacts":true}"#.to_owned(),
        ),
        ("unwatch of nobody", r#"{"op":"unwatch","id":7}"#.to_owned()),
        (
            "status that nobody has",
            r#"{"op":"status","id":7,"state":"offline"}"#.to_owned(),
        ),
    ] {
        list.push(json(name, &frame, bad));
    }
    list
}

fn refused(
    name: &str,
    json: Option<String>,
    msgpack: Option<String>,
    answer: Option<(u32, Code)>,
) -> RefusedVector {
    RefusedVector {
        name: name.to_owned(),
        json,
        msgpack,
        outcome: if answer.is_some() { "error" } else { "close" }.to_owned(),
        id: answer.map(|(id, _)| id),
        code: answer.map(|(_, code)| code.to_string()),
    }
}
