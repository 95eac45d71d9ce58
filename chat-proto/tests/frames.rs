//! Laws of the codec, for arbitrary frames and arbitrary bytes.

use std::sync::Arc;

use bytes::Bytes;
use chat_proto::entry::{Created, Delete, Edit, MemberRole, MembersChange, Message, MetaChange};
use chat_proto::people::*;
use chat_proto::wire::*;
use chat_proto::*;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value};

proptest! {
    #[test]
    fn a_client_frame_survives_both_formats(frame in client_frame()) {
        for format in Format::ALL {
            let bytes = encode_client(format, &frame);
            prop_assert_eq!(decode_client(format, &bytes), Ok(frame.clone()));
        }
    }

    #[test]
    fn a_command_needs_no_session(frame in client_frame()) {
        for format in Format::ALL {
            let decoded = decode_op(format, &encode_client(format, &frame));
            match &frame {
                ClientFrame::Hello { .. }
                | ClientFrame::Ping
                | ClientFrame::Command {
                    op: ClientOp::Watch(_),
                    ..
                } => {
                    prop_assert_eq!(decoded.map_err(|rejection| rejection.code), Err(Code::BadRequest));
                }
                ClientFrame::Command { .. } | ClientFrame::Typing(_) => {
                    prop_assert_eq!(decoded, Ok(frame.clone()));
                }
            }
        }
    }

    #[test]
    fn what_becomes_an_entry_is_a_command_of_its_channel(op in client_op(), sender in user()) {
        let command = op.command_channel(&sender);
        match op {
            ClientOp::Send(message) => {
                let channel = match &message.to {
                    Target::User(user) => ChannelId::direct(user, &sender),
                    Target::Channel(channel) => *channel,
                };
                prop_assert_eq!(command, Some((channel, message.client_id)));
            }
            ClientOp::Edit(edit) => prop_assert_eq!(command, Some((edit.channel, edit.client_id))),
            ClientOp::Delete(delete) => prop_assert_eq!(command, Some((delete.channel, delete.client_id))),
            ClientOp::React(react) => prop_assert_eq!(command, Some((react.channel, react.client_id))),
            ClientOp::Pin(pin) => prop_assert_eq!(command, Some((pin.channel, pin.client_id))),
            ClientOp::Sync(_)
            | ClientOp::Pull(_)
            | ClientOp::History(_)
            | ClientOp::Read(_)
            | ClientOp::Delivered(_)
            | ClientOp::Prefs(_)
            | ClientOp::Receipts(_)
            | ClientOp::Watch(_)
            | ClientOp::Unwatch(_)
            | ClientOp::Status(_) => prop_assert_eq!(command, None),
        }
    }

    #[test]
    fn a_server_frame_survives_both_formats(frame in server_frame()) {
        for format in Format::ALL {
            let received = decode_server(format, encode(format, &frame))
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(says_the_same(&frame, &received), "{:?} became {:?}", frame, received);
        }
    }

    #[test]
    fn any_bytes_are_taken_or_answered_or_closed(bytes in vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            let _ = decode_client(format, &bytes);
            let _ = decode_op(format, &bytes);
            let _ = decode_server(format, Bytes::copy_from_slice(&bytes));
        }
    }

    #[test]
    fn a_damaged_frame_is_never_misread(frame in client_frame(), damage in damage()) {
        for format in Format::ALL {
            let mut bytes = encode_client(format, &frame);
            damage.apply(&mut bytes);
            if let Ok(taken) = decode_client(format, &bytes) {
                // What was taken is a frame: written again, it is the same.
                prop_assert_eq!(decode_client(format, &encode_client(format, &taken)), Ok(taken));
            }
        }
    }

    #[test]
    fn both_formats_judge_alike(frame in loose_object()) {
        let json = serde_json::to_vec(&frame).expect("a value is JSON");
        let packed = rmp_serde::to_vec_named(&frame).expect("a value is MessagePack");
        prop_assert_eq!(outcome(Format::Json, &json), outcome(Format::MessagePack, &packed));
    }

    #[test]
    fn a_doubled_key_is_refused_wherever_it_is(mut frame in loose_object(), at in any::<Index>()) {
        frame.insert("op".into(), "ping".into());
        frame.insert("id".into(), 7.into());
        let json = serde_json::to_string(&frame).expect("a value is JSON");
        prop_assert_eq!(decode_client(Format::Json, json.as_bytes()), Ok(ClientFrame::Ping));
        // The first key of any object that has one, once more in front of it.
        let objects: Vec<usize> = json
            .match_indices("{\"")
            .map(|(at, _)| at)
            .filter(|at| !in_text(&json, *at))
            .collect();
        let (before, rest) = json.split_at(objects[at.index(objects.len())] + 1);
        let key_end = (2..).find(|end| !in_text(rest, *end)).expect("a key ends");
        let doubled = format!("{before}{}:0,{rest}", &rest[..key_end]);
        prop_assert!(decode_client(Format::Json, doubled.as_bytes()).is_err(), "{}", doubled);
    }
}

/// Frames that are almost right, with the fields of the protocol at random types.
fn loose_object() -> impl Strategy<Value = Map<String, Value>> {
    let op = prop_oneof![
        8 => prop::sample::select(vec!["hello", "sync", "send", "pull", "history", "read", "delivered", "typing", "ping", "edit", "delete", "react", "pin", "prefs", "receipts", "watch", "unwatch", "status", "shout"])
            .prop_map(Value::from),
        1 => json_value(),
    ];
    let id = prop_oneof![8 => any::<u32>().prop_map(Value::from), 1 => json_value()];
    let name = prop::sample::select(vec![
        "token",
        "client",
        "heartbeat_ms",
        "since",
        "cursors",
        "entries",
        "page",
        "to",
        "client_id",
        "body",
        "after",
        "before",
        "limit",
        "channel",
        "seq",
        "emoji",
        "remove",
        "retry",
        "draft",
        "archived",
        "mute_until_ms",
        "users",
        "contacts",
        "state",
        "text",
        "x",
    ]);
    let value = prop_oneof![
        Just(Value::from("6f1f0f4e-7b7d-5c5e-9d57-0a3c1f2b4d5e")),
        any::<u32>().prop_map(Value::from),
        json_value(),
    ];
    (op, id, btree_map(name, value, 0..6)).prop_map(|(op, id, fields)| {
        let mut object: Map<String, Value> = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        object.insert("op".into(), op);
        object.insert("id".into(), id);
        object
    })
}

/// Whether a place in JSON is inside a text.
fn in_text(json: &str, at: usize) -> bool {
    let (mut inside, mut escaped) = (false, false);
    for byte in &json.as_bytes()[..at] {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    inside
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Taken(Box<ClientFrame>),
    Refused(u32, Code),
    Closed,
}

fn outcome(format: Format, bytes: &[u8]) -> Outcome {
    match decode_client(format, bytes) {
        Ok(frame) => Outcome::Taken(Box::new(frame)),
        Err(DecodeError::Refused { id, rejection }) => Outcome::Refused(id, rejection.code),
        Err(DecodeError::Unreadable(_)) => Outcome::Closed,
    }
}

fn says_the_same(sent: &ServerFrame, received: &ReceivedFrame) -> bool {
    match (sent, received) {
        (
            ServerFrame::Ok { id, answer },
            ReceivedFrame::Ok {
                id: same,
                answer: raw,
            },
        ) => {
            let read = match answer {
                Answer::Hello(_) => raw.read().map(Answer::Hello),
                Answer::Sync(_) => raw.read().map(Answer::Sync),
                Answer::Send(_) => raw.read().map(Answer::Send),
                Answer::Pull(_) => raw.read().map(Answer::Pull),
                Answer::History(_) => raw.read().map(Answer::History),
                Answer::Change(_) => raw.read().map(Answer::Change),
                Answer::Prefs(_) => raw.read().map(Answer::Prefs),
                Answer::Receipts(_) => raw.read().map(Answer::Receipts),
                Answer::Watch(_) => raw.read().map(Answer::Watch),
                Answer::Done => Ok(Answer::Done),
            };
            id == same && read.as_ref() == Ok(answer)
        }
        (
            ServerFrame::Error { id, rejection },
            ReceivedFrame::Error {
                id: same,
                rejection: read,
            },
        ) => id == same && rejection == read,
        (ServerFrame::Pong, ReceivedFrame::Pong) => true,
        (ServerFrame::Push(push), ReceivedFrame::Push(read)) => push == read,
        (
            ServerFrame::Ok { .. }
            | ServerFrame::Error { .. }
            | ServerFrame::Pong
            | ServerFrame::Push(_),
            _,
        ) => false,
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Change(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Change(at, byte) => bytes[at.index(length)] = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(length))),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                let at = from.max(to);
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Change(at, byte)),
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
         1 => (any::<u32>(), any::<String>(), any::<String>(), of(any::<u64>())).prop_map(
            |(id, token, client, heartbeat_ms)| ClientFrame::Hello {
                id,
                hello: Hello { token, client, heartbeat_ms },
            }
        ),
        8 => (any::<u32>(), client_op()).prop_map(|(id, op)| ClientFrame::Command { id, op }),
        1 => channel().prop_map(|channel| ClientFrame::Typing(TypingIn { channel })),
        1 => Just(ClientFrame::Ping),
    ]
}

fn client_op() -> impl Strategy<Value = ClientOp> {
    let cursors = btree_map(channel(), (seq(), seq()), 0..4);
    let sync = (
        of(uuid()),
        of(seq()),
        of(any::<String>()),
        cursors,
        any::<u32>(),
        of(any::<String>()),
    )
        .prop_map(
            |(epoch, user_seq, since, cursors, entries, page)| SyncQuery {
                epoch: epoch.map(Epoch::from_uuid),
                user_seq,
                since,
                cursors,
                entries,
                page,
            },
        );
    let to = prop_oneof![
        user().prop_map(Target::User),
        channel().prop_map(Target::Channel)
    ];
    let send = (
        to,
        uuid(),
        of(seq()),
        any::<bool>(),
        body(),
        of(seq()),
        of(seq()),
        vec(user(), 0..4),
    )
        .prop_map(
            |(to, client_id, after, retry, body, reply_to, thread, mentions)| SendMessage {
                to,
                client_id: ClientId::from_uuid(client_id),
                after,
                retry,
                body,
                reply_to,
                thread,
                mentions,
            },
        );
    let anchor = prop_oneof![
        Just(Anchor::Newest),
        seq().prop_map(Anchor::Before),
        seq().prop_map(Anchor::After),
        seq().prop_map(Anchor::Around),
    ];
    let mark = || (channel(), seq()).prop_map(|(channel, seq)| Mark { channel, seq });
    prop_oneof![
        1 => sync.prop_map(ClientOp::Sync),
        1 => send.prop_map(ClientOp::Send),
        1 => (channel(), seq(), of(any::<u32>())).prop_map(|(channel, after, limit)| ClientOp::Pull(
            PullQuery {
                channel,
                after,
                limit
            }
        )),
        1 => (channel(), anchor, of(any::<u32>())).prop_map(|(channel, anchor, limit)| {
            ClientOp::History(HistoryQuery {
                channel,
                anchor,
                limit,
            })
        }),
        1 => mark().prop_map(ClientOp::Read),
        1 => mark().prop_map(ClientOp::Delivered),
        4 => change_op(),
        4 => people_op(),
    ]
}

fn change_op() -> impl Strategy<Value = ClientOp> {
    let place = (
        channel(),
        seq(),
        uuid().prop_map(ClientId::from_uuid),
        of(seq()),
        any::<bool>(),
    );
    let rest = (body(), any::<String>(), any::<bool>());
    (0..4, place, rest).prop_map(
        |(op, (channel, seq, client_id, after, retry), (body, emoji, remove))| match op {
            0 => ClientOp::Edit(EditMessage {
                channel,
                seq,
                client_id,
                after,
                retry,
                body,
            }),
            1 => ClientOp::Delete(DeleteMessage {
                channel,
                seq,
                client_id,
                after,
                retry,
            }),
            2 => ClientOp::React(React {
                channel,
                seq,
                client_id,
                after,
                retry,
                emoji,
                remove,
            }),
            _ => ClientOp::Pin(Pin {
                channel,
                seq,
                client_id,
                after,
                retry,
                remove,
            }),
        },
    )
}

fn people_op() -> impl Strategy<Value = ClientOp> {
    let users = || vec(user(), 0..4);
    let status = prop::sample::select(vec![
        Status::Online,
        Status::Away,
        Status::Busy,
        Status::Invisible,
    ]);
    let prefs =
        prefs_change().prop_filter("of something", |change| change.prefs != Prefs::default());
    prop_oneof![
        prefs.prop_map(ClientOp::Prefs),
        channel().prop_map(|channel| ClientOp::Receipts(ReceiptsQuery { channel })),
        users().prop_map(|users| ClientOp::Watch(Watch::Users(users))),
        Just(ClientOp::Watch(Watch::Contacts)),
        users().prop_map(|users| ClientOp::Unwatch(Unwatch { users })),
        (status, of(any::<String>()))
            .prop_map(|(state, text)| ClientOp::Status(SetStatus { state, text })),
    ]
}

fn prefs_change() -> impl Strategy<Value = PrefsChange> {
    let prefs = (
        of(any::<u64>().prop_map(Timestamp)),
        of(any::<bool>()),
        of(any::<bool>()),
        of(any::<String>()),
    )
        .prop_map(|(mute_until_ms, archived, marked_unread, draft)| Prefs {
            mute_until_ms,
            archived,
            marked_unread,
            draft,
        });
    (channel(), prefs).prop_map(|(channel, prefs)| PrefsChange { channel, prefs })
}

fn user_entry() -> impl Strategy<Value = UserEntry> {
    let text = || of(any::<String>());
    let contact = of(prop::sample::select(vec![
        ContactState::Asked,
        ContactState::Asking,
        ContactState::Contact,
    ]));
    let direct = of(prop::sample::select(vec![
        DirectFrom::All,
        DirectFrom::Contacts,
    ]));
    let kind = prop_oneof![
        (user(), contact)
            .prop_map(|(user, state)| UserEntryKind::Contact(ContactChange { user, state })),
        (user(), any::<bool>())
            .prop_map(|(user, removed)| UserEntryKind::Block(BlockChange { user, removed })),
        (uuid(), text(), text(), any::<bool>()).prop_map(|(device, name, platform, removed)| {
            UserEntryKind::Device(DeviceChange {
                device: DeviceId::from_uuid(device),
                name,
                platform,
                removed,
            })
        }),
        prefs_change().prop_map(UserEntryKind::Prefs),
        (text(), direct)
            .prop_map(|(name, direct)| UserEntryKind::Profile(ProfileChange { name, direct })),
        ("x_[a-z]{1,8}", unknown_fields())
            .prop_map(|(kind, fields)| UserEntryKind::Unknown { kind, fields }),
    ];
    (seq(), any::<u64>(), kind).prop_map(|(seq, at, kind)| UserEntry {
        seq,
        at: Timestamp(at),
        kind,
    })
}

fn presence() -> impl Strategy<Value = Presence> {
    let shown = prop::sample::select(vec![
        Shown::Online,
        Shown::Away,
        Shown::Busy,
        Shown::Offline,
    ]);
    (user(), shown, of(any::<String>()), of(any::<u64>())).prop_map(
        |(user, state, text, last_seen_ms)| Presence {
            user,
            state,
            text,
            last_seen_ms: last_seen_ms.map(Timestamp),
        },
    )
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    let rejection = (
        prop::sample::select(Code::ALL.to_vec()),
        any::<String>(),
        of(any::<u64>()),
    )
        .prop_map(|(code, message, retry_after_ms)| Rejection {
            retry_after_ms,
            ..Rejection::new(code, message)
        });
    prop_oneof![
        (any::<u32>(), answer()).prop_map(|(id, answer)| ServerFrame::Ok { id, answer }),
        (any::<u32>(), rejection).prop_map(|(id, rejection)| ServerFrame::Error { id, rejection }),
        Just(ServerFrame::Pong),
        push().prop_map(ServerFrame::Push),
    ]
}

fn push() -> impl Strategy<Value = Push> {
    let mark = || {
        (channel(), user(), head()).prop_map(|(channel, user, Head { seq, n })| MarkPush {
            channel,
            user,
            seq,
            n,
        })
    };
    let heads = vec((channel(), head()), 0..4).prop_map(|heads| HeadsPush {
        channels: heads
            .into_iter()
            .map(|(channel, head)| ChannelHead { channel, head })
            .collect(),
    });
    let reason = prop::sample::select(vec![
        GoAwayReason::Drain,
        GoAwayReason::Slow,
        GoAwayReason::Revoked,
        GoAwayReason::Replaced,
    ]);
    prop_oneof![
        (channel(), entry()).prop_map(|(channel, entry)| Push::Entry(EntryPush {
            channel,
            entry: Arc::new(entry)
        })),
        heads.prop_map(Push::Heads),
        mark().prop_map(Push::Read),
        mark().prop_map(Push::Delivered),
        user_entry().prop_map(|entry| Push::User(UserPush { entry })),
        presence().prop_map(Push::Presence),
        (channel(), user()).prop_map(|(channel, user)| Push::Typing(TypingPush { channel, user })),
        (reason, any::<u64>(), of(any::<String>())).prop_map(
            |(reason, reconnect_after_ms, url)| {
                Push::GoAway(GoAway {
                    reason,
                    reconnect_after_ms,
                    url,
                })
            }
        ),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let hello = (
        user(),
        uuid(),
        "[a-z0-9-]{1,12}",
        uuid(),
        any::<u64>(),
        any::<u64>(),
    )
        .prop_map(
            |(user, device, node, epoch, now, heartbeat_ms)| HelloAnswer {
                user,
                device: DeviceId::from_uuid(device),
                node: NodeId::new(node),
                epoch: Epoch::from_uuid(epoch),
                server_time_ms: Timestamp(now),
                heartbeat_ms,
                limits: Limits::default(),
            },
        );
    let sync = (
        vec(summary(), 0..3),
        vec(channel(), 0..3),
        seq(),
        any::<String>(),
        of(any::<String>()),
        any::<bool>(),
        vec(user_entry(), 0..3),
    )
        .prop_map(
            |(channels, left, user_seq, since, page, reset, user_entries)| SyncAnswer {
                channels,
                left,
                user_entries,
                user_seq,
                since,
                page,
                reset,
            },
        );
    let send = (channel(), head(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
        |(channel, Head { seq, n }, message, at, duplicate)| SendAnswer {
            channel,
            seq,
            n,
            message: MessageId(message),
            at: Timestamp(at),
            duplicate,
        },
    );
    let reactions =
        vec((any::<String>(), any::<u64>(), any::<bool>()), 0..3).prop_map(|reactions| {
            reactions
                .into_iter()
                .map(|(emoji, count, mine)| Reaction { emoji, count, mine })
                .collect()
        });
    let messages = vec(
        (entry(), reactions, any::<bool>(), any::<u64>()).prop_map(
            |(entry, reactions, pinned, replies)| HistoryMessage {
                entry,
                reactions,
                pinned,
                replies,
            },
        ),
        0..3,
    );
    let marks = (user(), seq(), of(seq())).prop_map(|(user, read, delivered)| MemberMarks {
        user,
        read,
        delivered,
    });
    prop_oneof![
        hello.prop_map(Answer::Hello),
        sync.prop_map(Answer::Sync),
        send.prop_map(Answer::Send),
        (vec(entry(), 0..4), head())
            .prop_map(|(entries, head)| Answer::Pull(PullAnswer { entries, head })),
        (messages, any::<bool>(), any::<bool>(), seq()).prop_map(
            |(messages, more_before, more_after, as_of)| {
                Answer::History(HistoryAnswer {
                    messages,
                    more_before,
                    more_after,
                    as_of,
                })
            }
        ),
        (seq(), any::<bool>())
            .prop_map(|(seq, duplicate)| Answer::Change(ChangeAnswer { seq, duplicate })),
        seq().prop_map(|user_seq| Answer::Prefs(PrefsAnswer { user_seq })),
        vec(marks, 0..4).prop_map(|marks| Answer::Receipts(ReceiptsAnswer { marks })),
        (vec(presence(), 0..3), vec(user(), 0..3))
            .prop_map(|(presence, refused)| Answer::Watch(WatchAnswer { presence, refused })),
        Just(Answer::Done),
    ]
}

fn summary() -> impl Strategy<Value = Summary> {
    let names = (
        channel(),
        channel_type(),
        of(any::<String>()),
        of(user()),
        role(),
    );
    let numbers = (
        any::<u64>(),
        seq(),
        head(),
        head(),
        any::<u64>(),
        any::<u64>(),
    );
    let rest = (
        of(entry()),
        of(data()),
        vec(entry(), 0..3),
        of((seq(), seq())),
    );
    (names, numbers, rest, prefs_change()).prop_map(|(names, numbers, rest, own)| {
        let (channel, channel_type, title, peer, role) = names;
        let (members, visible_from, head, read, unread, mentions) = numbers;
        let (last, data, entries, gap) = rest;
        Summary {
            channel,
            channel_type,
            title,
            peer,
            members,
            role,
            visible_from,
            head,
            read,
            unread,
            mentions,
            last,
            mute_until_ms: own.prefs.mute_until_ms,
            archived: own.prefs.archived.unwrap_or_default(),
            marked_unread: own.prefs.marked_unread.unwrap_or_default(),
            draft: own.prefs.draft,
            data,
            entries,
            gap: gap.map(|(from, to)| Gap { from, to }),
        }
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    (
        head(),
        any::<u64>(),
        any::<u64>(),
        user(),
        of(uuid()),
        kind(),
    )
        .prop_map(|(Head { seq, n }, message, at, from, device, kind)| Entry {
            seq,
            n,
            message: MessageId(message),
            at: Timestamp(at),
            from,
            device: device.map(DeviceId::from_uuid),
            withheld: false,
            kind,
        })
}

fn kind() -> impl Strategy<Value = EntryKind> {
    let message = (
        uuid(),
        of(body()),
        of(seq()),
        of(seq()),
        of(seq()),
        vec(user(), 0..3),
    )
        .prop_map(
            |(client_id, body, rev, reply_to, thread, mentions)| Message {
                client_id: ClientId::from_uuid(client_id),
                erased: body.is_none(),
                body,
                rev,
                reply_to,
                thread,
                mentions,
            },
        );
    let created = (
        channel_type(),
        of(any::<String>()),
        roles(),
        history(),
        of(data()),
        of(any::<String>()),
    )
        .prop_map(
            |(channel_type, title, members, history, data, external_id)| Created {
                channel_type,
                title,
                members,
                history,
                data,
                external_id,
            },
        );
    let members = (roles(), vec(user(), 0..3), roles())
        .prop_map(|(add, remove, role)| MembersChange { add, remove, role });
    let text = || of(any::<String>());
    let post = of(prop::sample::select(vec![Posting::All, Posting::Admins]));
    let meta = (text(), text(), text(), of(history()), post, of(data())).prop_map(
        |(title, topic, avatar, history, post, data)| MetaChange {
            title,
            topic,
            avatar,
            history,
            post,
            data,
        },
    );
    prop_oneof![
        2 => (seq(), of(body())).prop_map(|(target, body)| EntryKind::Edit(Edit { target, body })),
        1 => seq().prop_map(|target| EntryKind::Delete(Delete { target })),
        1 => (seq(), any::<String>(), any::<bool>()).prop_map(|(target, emoji, remove)| {
            EntryKind::React(entry::React { target, emoji, remove })
        }),
        1 => (seq(), any::<bool>())
            .prop_map(|(target, remove)| EntryKind::Pin(entry::Pin { target, remove })),
        1 => Just(EntryKind::Withheld),
        4 => message.prop_map(EntryKind::Message),
        1 => created.prop_map(EntryKind::Created),
        1 => members.prop_map(EntryKind::Members),
        1 => meta.prop_map(EntryKind::Meta),
        1 => ("x_[a-z]{1,8}", unknown_fields())
            .prop_map(|(kind, fields)| EntryKind::Unknown { kind, fields }),
    ]
}

fn unknown_fields() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("y_[a-z]{1,8}", json_value(), 0..4).prop_map(|fields| {
        let present = fields.into_iter().filter(|(_, value)| !value.is_null());
        present.collect()
    })
}

fn body() -> impl Strategy<Value = Body> {
    let attachment = (uuid(), any::<String>(), any::<u64>(), any::<String>()).prop_map(
        |(media, name, size, media_type)| Attachment {
            media: MediaId::from_uuid(media),
            name,
            size,
            media_type,
        },
    );
    prop_oneof![
        4 => (any::<String>(), vec(attachment, 0..2), of(data()))
            .prop_map(|(text, attachments, data)| Body::Text { text, attachments, data }),
        1 => "[A-Za-z0-9+/]{4,40}".prop_map(|data| Body::Cipher { scheme: CipherScheme::Mls, data }),
    ]
}

fn data() -> impl Strategy<Value = Map<String, Value>> {
    btree_map(any::<String>(), json_value(), 0..4).prop_map(|data| data.into_iter().collect())
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

fn roles() -> impl Strategy<Value = Vec<MemberRole>> {
    vec(
        (user(), role()).prop_map(|(user, role)| MemberRole { user, role }),
        0..3,
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Guest, Role::Member, Role::Admin, Role::Owner])
}

fn channel_type() -> impl Strategy<Value = ChannelType> {
    prop::sample::select(vec![ChannelType::Direct, ChannelType::Group])
}

fn history() -> impl Strategy<Value = History> {
    prop::sample::select(vec![History::Joined, History::All])
}

fn user() -> impl Strategy<Value = UserId> {
    "[a-zé名\u{1F600}.@_-]{1,12}".prop_map(|name| name.parse().expect("a good name"))
}

fn channel() -> impl Strategy<Value = ChannelId> {
    uuid().prop_map(ChannelId::from_uuid)
}

fn uuid() -> impl Strategy<Value = uuid::Uuid> {
    any::<u128>().prop_map(uuid::Uuid::from_u128)
}

fn seq() -> impl Strategy<Value = Seq> {
    any::<u64>().prop_map(Seq)
}

fn head() -> impl Strategy<Value = Head> {
    any::<(u64, u64)>().prop_map(|(seq, n)| Head::new(seq, n))
}
