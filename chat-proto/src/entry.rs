//! Entries: what a channel's log holds.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::body::Body;
use crate::channel::CommandKey;
use crate::flat::{self, Fields, flat};
use crate::id::{ChannelId, ClientId, DeviceId, Head, MessageId, Ordinal, Seq, Timestamp, UserId};

/// One entry of a channel's log. Everything but a message's body never changes once it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place: contiguous from 1.
    pub seq: Seq,
    /// Message entries up to and with this one.
    pub n: Ordinal,
    /// Its name, rising with `seq`.
    pub message: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// Who did it.
    pub from: UserId,
    /// With which device; absent for a system actor.
    pub device: Option<DeviceId>,
    /// What happened.
    pub kind: EntryKind,
}

impl Entry {
    /// The log's head when this entry is its last.
    pub fn head(&self) -> Head {
        Head {
            seq: self.seq,
            n: self.n,
        }
    }

    /// Roughly the bytes that the entry occupies; what queues and pages count.
    pub fn size_bytes(&self) -> usize {
        let fixed = 256 + self.from.as_str().len();
        fixed
            + match &self.kind {
                EntryKind::Message(message) => {
                    message.body.as_ref().map_or(0, Body::size_bytes) + message.mentions.len() * 72
                }
                EntryKind::Created(created) => created.members.len() * 96,
                EntryKind::Members(change) => {
                    (change.add.len() + change.remove.len() + change.role.len()) * 96
                }
                EntryKind::Meta(_) | EntryKind::Unknown { .. } => 1024,
            }
    }

    /// The message, if the entry is one.
    pub fn as_message(&self) -> Option<&Message> {
        match &self.kind {
            EntryKind::Message(message) => Some(message),
            EntryKind::Created(_)
            | EntryKind::Members(_)
            | EntryKind::Meta(_)
            | EntryKind::Unknown { .. } => None,
        }
    }
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// Somebody said something.
    Message(Message),
    /// The channel began; always entry 1, and only entry 1.
    Created(Created),
    /// Members came, went or changed their role.
    Members(MembersChange),
    /// Title, topic or settings changed.
    Meta(MetaChange),
    /// Written by a newer version: kept, passed on, and no ground for a decision.
    Unknown {
        /// Its name.
        kind: String,
        /// Whatever came with it.
        fields: Map<String, Value>,
    },
}

impl EntryKind {
    /// The name on the wire and in stores.
    pub fn name(&self) -> &str {
        match self {
            Self::Message(_) => "message",
            Self::Created(_) => "created",
            Self::Members(_) => "members",
            Self::Meta(_) => "meta",
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// Whether the entry counts in `n`.
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}

/// A message as its entry carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's key of the command.
    pub client_id: ClientId,
    /// The body as it now is; absent once erased.
    pub body: Option<Body>,
    /// The body was erased for ever.
    pub erased: bool,
    /// The entry that last set the body, if it is not the message itself.
    pub rev: Option<Seq>,
    /// The message that this one answers.
    pub reply_to: Option<Seq>,
    /// The message whose thread this one is in.
    pub thread: Option<Seq>,
    /// Members whom the message addresses.
    pub mentions: Vec<UserId>,
}

/// A channel's first entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// Direct or group.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// A group's name.
    #[serde(default)]
    pub title: Option<String>,
    /// The first members, the creator included.
    pub members: Vec<MemberRole>,
    /// What a later member sees.
    pub history: History,
    /// Opaque to the server, for the embedding program.
    #[serde(default)]
    pub data: Option<Map<String, Value>>,
    /// The embedding program's own name for the channel.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// A change of a channel's members. Holds only what really changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MembersChange {
    /// Who came.
    pub add: Vec<MemberRole>,
    /// Who went.
    pub remove: Vec<UserId>,
    /// Who has another role now.
    pub role: Vec<MemberRole>,
}

/// A change of a channel's settings; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MetaChange {
    /// The name.
    pub title: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// A reference to a picture.
    pub avatar: Option<String>,
    /// What a later member sees.
    pub history: Option<History>,
    /// Who may send.
    pub post: Option<Posting>,
    /// Opaque to the server, for the embedding program.
    pub data: Option<Map<String, Value>>,
}

flat!(Message {
    always: client_id;
    present: body, erased, rev, reply_to, thread, mentions;
});
flat!(Created {
    always: channel_type as "type", members, history;
    present: title, data, external_id;
});
flat!(MembersChange {
    always: ;
    present: add, remove, role;
});
flat!(MetaChange {
    always: ;
    present: title, topic, avatar, history, post, data;
});

impl MetaChange {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A member with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRole {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
}

/// What a member may do; see [`crate::channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May leave, read and send.
    Guest,
    /// May leave, read and send.
    Member,
    /// May also change settings, add members, and remove members and guests.
    Admin,
    /// May everything.
    Owner,
}

/// How a channel is named and who may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelType {
    /// Two users, or one with themselves; membership never changes.
    Direct,
    /// Created with a title and members who come and go.
    Group,
}

/// From where a new member sees the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// From the entry that added them.
    Joined,
    /// From the first entry.
    #[default]
    All,
}

/// Who may send to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Posting {
    /// Every member.
    #[default]
    All,
    /// Owners and admins.
    Admins,
}

/// An entry as a log keeps it: with the key under which a retry finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The channel whose log it is in.
    pub channel: ChannelId,
    /// What everybody sees.
    pub entry: Entry,
    /// The key of the command that made it; absent where the command had none, or has it on another entry.
    pub key: Option<CommandKey>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        flat::serialize(self, serializer)
    }
}

impl Fields for Entry {
    fn count(&self) -> usize {
        6 + usize::from(self.device.is_some()) + self.kind.count()
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("n", &self.n)?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("from", &self.from)?;
        if let Some(device) = &self.device {
            map.serialize_entry("device", device)?;
        }
        map.serialize_entry("kind", self.kind.name())?;
        self.kind.write(map)
    }
}

/// What an entry of the kind has beside what every entry has.
impl Fields for EntryKind {
    fn count(&self) -> usize {
        match self {
            Self::Message(message) => message.count(),
            Self::Created(created) => created.count(),
            Self::Members(change) => change.count(),
            Self::Meta(change) => change.count(),
            Self::Unknown { fields, .. } => fields.len(),
        }
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Message(message) => message.write(map),
            Self::Created(created) => created.write(map),
            Self::Members(change) => change.write(map),
            Self::Meta(change) => change.write(map),
            Self::Unknown { fields, .. } => fields
                .iter()
                .try_for_each(|(name, value)| map.serialize_entry(name, value)),
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    // By hand: messages, nearly all of the traffic, are read without an intermediate tree.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut parts = EntryParts::default();
        while let Some(key) = map.next_key::<EntryKey>()? {
            parts.read(key, &mut map)?;
        }
        parts.into_entry()
    }
}

/// The fields of an entry as they arrive, in any order.
#[derive(Default)]
pub(crate) struct EntryParts {
    seq: Option<Seq>,
    n: Option<Ordinal>,
    message: Option<MessageId>,
    at: Option<Timestamp>,
    from: Option<UserId>,
    device: Option<DeviceId>,
    kind: Option<String>,
    client_id: Option<ClientId>,
    body: Option<Body>,
    fields: Map<String, Value>,
}

/// The name of a field of an entry.
pub(crate) enum EntryKey {
    Seq,
    N,
    Message,
    At,
    From,
    Device,
    Kind,
    ClientId,
    Body,
    Other(String),
}

impl<'de> Deserialize<'de> for EntryKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(EntryKeyVisitor)
    }
}

struct EntryKeyVisitor;

impl Visitor<'_> for EntryKeyVisitor {
    type Value = EntryKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<EntryKey, E> {
        Ok(match name {
            "seq" => EntryKey::Seq,
            "n" => EntryKey::N,
            "message" => EntryKey::Message,
            "at" => EntryKey::At,
            "from" => EntryKey::From,
            "device" => EntryKey::Device,
            "kind" => EntryKey::Kind,
            "client_id" => EntryKey::ClientId,
            "body" => EntryKey::Body,
            _ => EntryKey::Other(name.to_owned()),
        })
    }
}

impl EntryParts {
    /// Reads the value that follows `key`.
    pub(crate) fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: EntryKey,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            EntryKey::Seq => self.seq = map.next_value()?,
            EntryKey::N => self.n = map.next_value()?,
            EntryKey::Message => self.message = map.next_value()?,
            EntryKey::At => self.at = map.next_value()?,
            EntryKey::From => self.from = map.next_value()?,
            EntryKey::Device => self.device = map.next_value()?,
            EntryKey::Kind => self.kind = map.next_value()?,
            EntryKey::ClientId => self.client_id = map.next_value()?,
            EntryKey::Body => self.body = map.next_value()?,
            EntryKey::Other(name) => {
                let value = map.next_value::<Value>()?;
                // Null is the same as absent.
                if !value.is_null() {
                    self.fields.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// The entry, once every field has been read.
    pub(crate) fn into_entry<E: de::Error>(self) -> Result<Entry, E> {
        let missing = de::Error::missing_field;
        let kind = self.kind.ok_or_else(|| missing("kind"))?;
        Ok(Entry {
            seq: self.seq.ok_or_else(|| missing("seq"))?,
            n: self.n.ok_or_else(|| missing("n"))?,
            message: self.message.ok_or_else(|| missing("message"))?,
            at: self.at.ok_or_else(|| missing("at"))?,
            from: self.from.ok_or_else(|| missing("from"))?,
            device: self.device,
            kind: EntryKind::from_fields(kind, self.client_id, self.body, self.fields)
                .map_err(de::Error::custom)?,
        })
    }
}

impl EntryKind {
    /// The kind with this name and these fields; unknown names are kept.
    ///
    /// # Errors
    /// When a known kind lacks a field or has one of another type.
    fn from_fields(
        kind: String,
        client_id: Option<ClientId>,
        body: Option<Body>,
        mut fields: Map<String, Value>,
    ) -> Result<Self, serde_json::Error> {
        match kind.as_str() {
            "message" => {
                let client_id = client_id.ok_or_else(|| de::Error::missing_field("client_id"))?;
                let extra = MessageExtra::read(fields)?;
                Ok(Self::Message(extra.into_message(client_id, body)))
            }
            "created" => read(fields).map(Self::Created),
            "members" => read(fields).map(Self::Members),
            "meta" => read(fields).map(Self::Meta),
            _ => {
                if let Some(client_id) = client_id {
                    fields.insert("client_id".into(), Value::String(client_id.to_string()));
                }
                if let Some(body) = body {
                    fields.insert("body".into(), serde_json::to_value(body)?);
                }
                Ok(Self::Unknown { kind, fields })
            }
        }
    }

    /// The kind with this name from the JSON object that a store kept of it; see [`EntryKind::detail`].
    ///
    /// # Errors
    /// When the object is not what [`EntryKind::detail`] wrote for that kind.
    pub fn from_detail(
        kind: &str,
        client_id: Option<ClientId>,
        body: Option<Body>,
        detail: &[u8],
    ) -> Result<Self, serde_json::Error> {
        let fields = if detail.is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(detail)?
        };
        Self::from_fields(kind.to_owned(), client_id, body, fields)
    }

    /// What a store keeps of the kind beside its name, a message's `client_id` and its body: a JSON object, or
    /// nothing where there is nothing else.
    ///
    /// # Errors
    /// Never for kinds that were parsed or decided; the type of the serializer.
    pub fn detail(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Message(message) => {
                let extra = MessageExtra::of(message);
                if extra == MessageExtra::default() {
                    Ok(Vec::new())
                } else {
                    serde_json::to_vec(&extra)
                }
            }
            Self::Created(created) => serde_json::to_vec(created),
            Self::Members(change) => serde_json::to_vec(change),
            Self::Meta(change) => serde_json::to_vec(change),
            Self::Unknown { fields, .. } => serde_json::to_vec(fields),
        }
    }
}

fn read<T: de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(fields))
}

/// A message without its `client_id` and body.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct MessageExtra {
    #[serde(skip_serializing_if = "is_false")]
    erased: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Seq>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<UserId>,
}

impl MessageExtra {
    fn read(fields: Map<String, Value>) -> Result<Self, serde_json::Error> {
        if fields.is_empty() {
            Ok(Self::default())
        } else {
            read(fields)
        }
    }

    fn of(message: &Message) -> Self {
        Self {
            erased: message.erased,
            rev: message.rev,
            reply_to: message.reply_to,
            thread: message.thread,
            mentions: message.mentions.clone(),
        }
    }

    fn into_message(self, client_id: ClientId, body: Option<Body>) -> Message {
        Message {
            client_id,
            body,
            erased: self.erased,
            rev: self.rev,
            reply_to: self.reply_to,
            thread: self.thread,
            mentions: self.mentions,
        }
    }
}
