//! Logs for the unit tests here and in the decorators.

use chat_proto::channel::{CommandKey, ContentHash, evolve, member_changes};
use chat_proto::entry::{Created, MemberRole, MembersChange, Message};
use chat_proto::{
    Body, ChannelId, ChannelState, ChannelType, ClientId, Entry, EntryKind, Head, History,
    MessageId, Ordinal, Record, Role, Timestamp, UserId,
};
use uuid::Uuid;

use crate::ports::{Append, AppendOutcome, AppendRecord, MessageStore, PortError};

pub(crate) fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

pub(crate) fn member(name: &str) -> MemberRole {
    MemberRole {
        user: user(name),
        role: Role::Member,
    }
}

pub(crate) fn client_id(number: u128) -> ClientId {
    ClientId::from_uuid(Uuid::from_u128(number))
}

/// Writes one channel's log, entry by entry. An entry's time is its seq.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) state: ChannelState,
}

impl Writer {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            state: ChannelState::empty(ChannelId::external(name)),
        }
    }

    pub(crate) fn channel(&self) -> ChannelId {
        self.state.id()
    }

    pub(crate) fn head(&self) -> Head {
        self.state.head()
    }

    /// The next append, of this one entry; the writer goes on behind it.
    pub(crate) fn next(&mut self, from: &str, kind: EntryKind, key: Option<ClientId>) -> Append {
        let head = self.head();
        let seq = head.seq.next();
        let entry = Entry {
            seq,
            n: Ordinal(head.n.0 + u64::from(kind.is_message())),
            message: MessageId(seq.0),
            at: Timestamp(seq.0),
            from: user(from),
            device: None,
            withheld: false,
            kind,
        };
        let key = key.map(|client_id| CommandKey {
            client_id,
            content: ContentHash::from_bytes([7; 16]),
        });
        let changes = member_changes(&self.state, &entry);
        evolve(&mut self.state, &entry, key.as_ref());
        let record = Record {
            channel: self.channel(),
            entry,
            key,
        };
        Append {
            channel: self.channel(),
            expected_head: head.seq,
            records: vec![AppendRecord { record, changes }],
            state: Some(self.state.to_snapshot()),
        }
    }

    /// A message that names these users, under a key that its place gives.
    pub(crate) fn message(&mut self, from: &str, mentions: &[&str]) -> Append {
        let client_id = client_id(u128::from(self.head().seq.0) + 1);
        let message = Message {
            client_id,
            body: Some(Body::text("hello")),
            erased: false,
            rev: None,
            reply_to: None,
            thread: None,
            mentions: mentions.iter().map(|name| user(name)).collect(),
        };
        self.next(from, EntryKind::Message(message), Some(client_id))
    }

    /// The creation of a group.
    pub(crate) fn group(&mut self, members: &[&str], history: History) -> Append {
        let created = Created {
            channel_type: ChannelType::Group,
            title: Some("room".into()),
            members: members.iter().map(|name| member(name)).collect(),
            history,
            data: None,
            external_id: None,
        };
        self.next(members[0], EntryKind::Created(created), None)
    }

    pub(crate) fn members(&mut self, from: &str, change: MembersChange) -> Append {
        self.next(from, EntryKind::Members(change), None)
    }
}

/// Appends what must succeed.
pub(crate) async fn write(store: &dyn MessageStore, append: Append) -> Result<(), PortError> {
    let outcome = store.append(append).await?;
    assert_eq!(outcome, AppendOutcome::Appended { durable: 1 });
    Ok(())
}
