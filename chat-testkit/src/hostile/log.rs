//! Logs that no rule would have let happen.

use std::sync::Arc;

use chat_core::ports::MessageStore;
use chat_core::proto::channel::Member;
use chat_core::proto::entry::{
    Created, Delete, Edit, MemberRole, MembersChange, Message, MetaChange, Pin, React,
};
use chat_core::proto::{
    Body, ChannelId, ChannelType, ClientId, Entry, EntryKind, Head, History, Ordinal, Posting,
    Record, Role, Seq, Timestamp, UserId,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::log_writer::{LogWriter, TICK_MS};
use crate::names::{fresh_client_id, fresh_device, fresh_users, next_message_id};
use crate::strategies::texts;

/// Entries of a log beside those that begin it.
const ENTRIES_MAX: usize = 24;
/// Entries of an append.
const APPEND_ENTRIES: usize = 7;
/// Users of a log: enough that a channel becomes a large one.
const USERS: usize = 130;
/// Of these, who is usually meant, and who reads: the owner is the first.
const KNOWN_USERS: usize = 4;
/// Characters of the longest texts and signs.
const LONG_CHARS: usize = 100_000;

/// A log to write.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    direct: bool,
    history: History,
    entries: Vec<Planned>,
}

/// An entry whose users are numbers.
#[derive(Clone, Debug)]
struct Planned {
    from: usize,
    withheld: bool,
    kind: EntryKind,
}

/// A log in a store.
pub(super) struct Written {
    writer: LogWriter,
    users: Vec<UserId>,
}

impl Scene {
    pub(super) async fn write(self, messages: &Arc<dyn MessageStore>) -> Written {
        let users = fresh_users("hostile", USERS);
        let mut writer = if self.direct {
            LogWriter::direct(messages, &users[0], &users[1]).await
        } else {
            let members = &users[1..KNOWN_USERS - 1];
            LogWriter::group_with(messages, &users[0], members, self.history).await
        };
        for planned in self.entries.chunks(APPEND_ENTRIES) {
            let (mut head, mut at) = (writer.head(), writer.now());
            let mut records = Vec::new();
            for planned in planned {
                let entry = planned.entry(head, at, &users);
                (head, at) = (entry.head(), Timestamp(at.0 + TICK_MS));
                records.push(Record {
                    channel: writer.channel(),
                    entry,
                    key: None,
                });
            }
            writer.set_now(at);
            let append = writer.prepare_records(records);
            writer.commit(append).await;
        }
        Written { writer, users }
    }
}

impl Planned {
    fn entry(&self, head: Head, at: Timestamp, users: &[UserId]) -> Entry {
        let is_message = self.kind.is_message();
        Entry {
            seq: head.seq.next(),
            n: Ordinal(head.n.0 + u64::from(is_message)),
            message: next_message_id(),
            at,
            from: users[self.from].clone(),
            device: Some(fresh_device()),
            withheld: self.withheld,
            kind: cast(self.kind.clone(), users),
        }
    }
}

impl Written {
    pub(super) fn channel(&self) -> ChannelId {
        self.writer.channel()
    }

    pub(super) fn head(&self) -> Head {
        self.writer.head()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.writer.entries()
    }

    pub(super) fn owner(&self) -> &UserId {
        &self.users[0]
    }

    /// Those who read, members or not.
    pub(super) fn viewers(&self) -> &[UserId] {
        &self.users[..KNOWN_USERS]
    }

    pub(super) fn member(&self, user: &UserId) -> Option<Member> {
        self.writer.members().get(user).copied()
    }

    pub(super) fn member_ids(&self) -> Vec<UserId> {
        self.writer.members().keys().cloned().collect()
    }

    pub(super) fn met_unknown(&self) -> bool {
        let mut records = self.writer.records().iter();
        records.any(|record| matches!(record.entry.kind, EntryKind::Unknown { .. }))
    }
}

pub(super) fn scenes() -> impl Strategy<Value = Scene> {
    let history = select(vec![History::All, History::Joined]);
    // An unknown kind ends all decisions: most logs have none.
    let kinds = prop_oneof![
        3 => vec(planned(known_kinds().boxed()), 1..ENTRIES_MAX),
        1 => vec(planned(prop_oneof![4 => known_kinds(), 1 => unknown_kinds()].boxed()), 1..ENTRIES_MAX),
    ];
    (any::<bool>(), history, kinds).prop_map(|(direct, history, entries)| Scene {
        direct,
        history,
        entries,
    })
}

fn planned(kinds: BoxedStrategy<EntryKind>) -> impl Strategy<Value = Planned> {
    (users(), prop::bool::weighted(0.2), kinds).prop_map(|(from, withheld, kind)| Planned {
        from,
        withheld,
        kind,
    })
}

fn known_kinds() -> impl Strategy<Value = EntryKind> {
    let edit = (targets(), bodies());
    let react = (targets(), strings(), any::<bool>());
    let pin = (targets(), any::<bool>());
    prop_oneof![
        6 => messages().prop_map(EntryKind::Message),
        3 => edit.prop_map(|(target, body)| EntryKind::Edit(Edit { target, body })),
        2 => targets().prop_map(|target| EntryKind::Delete(Delete { target })),
        3 => react.prop_map(|(target, emoji, remove)| {
            EntryKind::React(React { target, emoji, remove })
        }),
        2 => pin.prop_map(|(target, remove)| EntryKind::Pin(Pin { target, remove })),
        3 => changes().prop_map(EntryKind::Members),
        1 => metas().prop_map(EntryKind::Meta),
        1 => creations().prop_map(EntryKind::Created),
        1 => Just(EntryKind::Withheld),
    ]
}

fn unknown_kinds() -> impl Strategy<Value = EntryKind> {
    let names = select(vec!["target", "body", "client_id", "deep", "mentions"]);
    let values = select(vec![
        json!(0),
        json!(u64::MAX),
        json!({"type": "poll"}),
        json!("\u{0}"),
        json!({"list": [1, "two", null, {"deep": [[[]]]}]}),
    ]);
    let fields = vec((names, values), 0..4).prop_map(|fields| {
        let fields = fields.into_iter();
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<String, Value>>()
    });
    (select(vec!["react_v9", "", "\u{202E}"]), fields).prop_map(|(kind, fields)| {
        EntryKind::Unknown {
            kind: kind.to_owned(),
            fields,
        }
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let places = || prop::option::weighted(0.3, targets());
    let erased = prop::bool::weighted(0.2);
    (
        bodies(),
        erased,
        places(),
        places(),
        places(),
        vec(users(), 0..4),
    )
        .prop_map(|(body, erased, rev, reply_to, thread, mentions)| Message {
            client_id: ClientId::from_uuid(Uuid::nil()),
            body,
            erased,
            rev,
            reply_to,
            thread,
            mentions: mentions.into_iter().map(number).collect(),
        })
}

fn changes() -> impl Strategy<Value = MembersChange> {
    let few = || vec((users(), roles()), 0..4);
    let crowd = roles().prop_map(|role| (KNOWN_USERS..USERS).map(|user| (user, role)).collect());
    let add = prop_oneof![5 => few(), 1 => crowd];
    let all = Just((KNOWN_USERS..USERS).collect());
    let remove = prop_oneof![4 => vec(1..KNOWN_USERS, 0..2), 1 => all, 1 => Just(vec![0])];
    (add, remove, few()).prop_map(|(add, remove, role)| MembersChange {
        add: named(add),
        remove: remove.into_iter().map(number).collect(),
        role: named(role),
    })
}

fn metas() -> impl Strategy<Value = MetaChange> {
    let post = prop::option::weighted(0.1, Just(Posting::Admins));
    let history = prop::option::of(select(vec![History::All, History::Joined]));
    (prop::option::of(strings()), history, post).prop_map(|(title, history, post)| MetaChange {
        title: title.clone(),
        topic: title.clone(),
        avatar: title,
        history,
        post,
        data: None,
    })
}

fn creations() -> impl Strategy<Value = Created> {
    let channel_type = select(vec![ChannelType::Direct, ChannelType::Group]);
    (channel_type, vec((users(), roles()), 0..4), strings()).prop_map(
        |(channel_type, members, title)| Created {
            channel_type,
            title: Some(title.clone()),
            members: named(members),
            history: History::All,
            data: None,
            external_id: Some(title),
        },
    )
}

fn targets() -> impl Strategy<Value = Seq> {
    let absurd = select(vec![
        0,
        1 << 32,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ]);
    prop_oneof![4 => 1..ENTRIES_MAX as u64 + 3, 1 => absurd].prop_map(Seq)
}

fn bodies() -> impl Strategy<Value = Option<Body>> {
    prop::option::weighted(0.8, strings().prop_map(Body::text))
}

/// Texts and signs, empty and huge ones too.
fn strings() -> impl Strategy<Value = String> {
    prop_oneof![
        60 => "[+a-z\u{1F600}]{1,8}",
        20 => texts(),
        20 => select(vec!["", "\u{0}", "\u{202E}\u{2066}", "\u{200F}"]).prop_map(str::to_owned),
        1 => Just("\u{1F600}".repeat(LONG_CHARS)),
    ]
}

fn roles() -> impl Strategy<Value = Role> {
    select(vec![Role::Guest, Role::Member, Role::Admin, Role::Owner])
}

fn users() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 0..KNOWN_USERS, 1 => 0..USERS]
}

fn named(members: Vec<(usize, Role)>) -> Vec<MemberRole> {
    let members = members.into_iter();
    members
        .map(|(user, role)| MemberRole {
            user: number(user),
            role,
        })
        .collect()
}

/// Stands for a user until names are drawn.
fn number(user: usize) -> UserId {
    user.to_string().parse().expect("digits are a name")
}

/// The kind with users and a key that nobody else uses.
fn cast(mut kind: EntryKind, users: &[UserId]) -> EntryKind {
    let name = |user: &mut UserId| {
        let number: usize = user.as_str().parse().expect("a number stands for a user");
        *user = users[number].clone();
    };
    match &mut kind {
        EntryKind::Message(message) => {
            message.client_id = fresh_client_id();
            message.mentions.iter_mut().for_each(name);
        }
        EntryKind::Created(created) => {
            let members = created.members.iter_mut();
            members.for_each(|member| name(&mut member.user));
        }
        EntryKind::Members(change) => {
            change.remove.iter_mut().for_each(name);
            let members = change.add.iter_mut().chain(&mut change.role);
            members.for_each(|member| name(&mut member.user));
        }
        _ => {}
    }
    kind
}
