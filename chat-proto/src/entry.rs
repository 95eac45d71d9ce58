//! Entries: what a channel's log holds.

mod read;
mod seen;
mod stored;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::body::Body;
use crate::channel::CommandKey;
use crate::flat::{self, Fields, flat};
use crate::id::{ChannelId, ClientId, DeviceId, Head, MessageId, Ordinal, Seq, Timestamp, UserId};

pub(crate) use read::{EntryKey, EntryParts};
pub use stored::StoredKind;

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
    /// Only `from` may know more than that there is an entry: it went to somebody who blocks them. Stores keep it, the
    /// wire never shows it; see [`Entry::seen_by`].
    pub withheld: bool,
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
                EntryKind::Edit(edit) => edit.body.as_ref().map_or(0, Body::size_bytes),
                EntryKind::React(react) => react.emoji.len(),
                EntryKind::Delete(_) | EntryKind::Pin(_) | EntryKind::Withheld => 0,
                EntryKind::Meta(_) | EntryKind::Unknown { .. } => 1024,
            }
    }

    /// The message, if the entry is one.
    pub fn as_message(&self) -> Option<&Message> {
        match &self.kind {
            EntryKind::Message(message) => Some(message),
            EntryKind::Edit(_)
            | EntryKind::Delete(_)
            | EntryKind::React(_)
            | EntryKind::Pin(_)
            | EntryKind::Created(_)
            | EntryKind::Members(_)
            | EntryKind::Meta(_)
            | EntryKind::Withheld
            | EntryKind::Unknown { .. } => None,
        }
    }

    /// The message that the entry does something to.
    pub fn target(&self) -> Option<Seq> {
        match &self.kind {
            EntryKind::Edit(edit) => Some(edit.target),
            EntryKind::Delete(delete) => Some(delete.target),
            EntryKind::React(react) => Some(react.target),
            EntryKind::Pin(pin) => Some(pin.target),
            EntryKind::Message(_)
            | EntryKind::Created(_)
            | EntryKind::Members(_)
            | EntryKind::Meta(_)
            | EntryKind::Withheld
            | EntryKind::Unknown { .. } => None,
        }
    }

    /// The body that the entry leaves its target with: another one, or none for ever. An edit without body is no longer the
    /// current one and leaves nothing.
    pub fn sets_body(&self) -> Option<BodySet<'_>> {
        match &self.kind {
            EntryKind::Edit(edit) => edit.body.as_ref().map(|body| BodySet {
                target: edit.target,
                rev: self.seq,
                body: Some(body),
                erases: false,
            }),
            EntryKind::Delete(delete) => Some(BodySet {
                target: delete.target,
                rev: self.seq,
                body: None,
                erases: true,
            }),
            EntryKind::Message(_)
            | EntryKind::React(_)
            | EntryKind::Pin(_)
            | EntryKind::Created(_)
            | EntryKind::Members(_)
            | EntryKind::Meta(_)
            | EntryKind::Withheld
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
    /// A message says something else now.
    Edit(Edit),
    /// A message's body was erased for ever.
    Delete(Delete),
    /// Somebody set a sign on a message, or took it back.
    React(React),
    /// A message was pinned, or is no longer.
    Pin(Pin),
    /// The channel began; always entry 1, and only entry 1.
    Created(Created),
    /// Members came, went or changed their role.
    Members(MembersChange),
    /// Title, topic or settings changed.
    Meta(MetaChange),
    /// A stub: the reader may not see what the sender sent. Never in a log; see [`Entry::seen_by`].
    Withheld,
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
            Self::Edit(_) => "edit",
            Self::Delete(_) => "delete",
            Self::React(_) => "react",
            Self::Pin(_) => "pin",
            Self::Created(_) => "created",
            Self::Members(_) => "members",
            Self::Meta(_) => "meta",
            Self::Withheld => "withheld",
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = MessageFields))]
pub struct Message {
    /// The sender's key of the command.
    pub client_id: ClientId,
    /// The body as it now is; absent once erased.
    pub body: Option<Body>,
    /// The body was erased for ever.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub erased: bool,
    /// The entry that last set the body, if it is not the message itself.
    pub rev: Option<Seq>,
    /// The message that this one answers.
    pub reply_to: Option<Seq>,
    /// The message whose thread this one is in.
    pub thread: Option<Seq>,
    /// Members whom the message addresses.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub mentions: Vec<UserId>,
}

/// What a message says from this entry on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = EditFields))]
pub struct Edit {
    /// The message.
    pub target: Seq,
    /// Its body, only while this is the current one.
    #[serde(default)]
    pub body: Option<Body>,
}

/// A message's body was erased, here and everywhere it was copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = DeleteFields))]
pub struct Delete {
    /// The message.
    pub target: Seq,
}

/// A sign that a user set on a message, or took back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ReactFields))]
pub struct React {
    /// The message.
    pub target: Seq,
    /// The sign.
    pub emoji: String,
    /// Took back.
    #[serde(default)]
    pub remove: bool,
}

/// A message that was pinned, or is no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PinFields))]
pub struct Pin {
    /// The message.
    pub target: Seq,
    /// Is no longer.
    #[serde(default)]
    pub remove: bool,
}

/// A message's body is a register: what an edit or a deletion does to it. The higher `rev` wins, and nothing comes after
/// an erasure; so any order of setting ends with the same body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodySet<'a> {
    /// The message.
    pub target: Seq,
    /// The entry that sets it.
    pub rev: Seq,
    /// What it says now; none when erased.
    pub body: Option<&'a Body>,
    /// For ever.
    pub erases: bool,
}

/// A channel's first entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = CreatedFields))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetaChange {
    /// The name.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    pub title: Option<String>,
    /// What it is about.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    pub topic: Option<String>,
    /// A reference to a picture.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
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
flat!(Edit {
    always: target;
    present: body;
});
flat!(Delete {
    always: target;
    present: ;
});
flat!(React {
    always: target, emoji;
    present: remove;
});
flat!(Pin {
    always: target;
    present: remove;
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

impl Message {
    /// Does what an edit or a deletion does to the body.
    pub fn set_body(&mut self, set: BodySet<'_>) {
        let is_newer = self.rev.is_none_or(|rev| set.rev > rev);
        self.rev = self.rev.max(Some(set.rev));
        if set.erases {
            self.erased = true;
            self.body = None;
        } else if is_newer && !self.erased {
            self.body = set.body.cloned();
        }
    }
}

impl MetaChange {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A member with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MemberRole {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
}

/// What a member may do; see [`crate::channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ChannelType {
    /// Two users, or one with themselves; membership never changes.
    Direct,
    /// Created with a title and members who come and go.
    Group,
}

/// From where a new member sees the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
            Self::Edit(edit) => edit.count(),
            Self::Delete(delete) => delete.count(),
            Self::React(react) => react.count(),
            Self::Pin(pin) => pin.count(),
            Self::Created(created) => created.count(),
            Self::Members(change) => change.count(),
            Self::Meta(change) => change.count(),
            Self::Withheld => 0,
            Self::Unknown { fields, .. } => fields.len(),
        }
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Message(message) => message.write(map),
            Self::Edit(edit) => edit.write(map),
            Self::Delete(delete) => delete.write(map),
            Self::React(react) => react.write(map),
            Self::Pin(pin) => pin.write(map),
            Self::Created(created) => created.write(map),
            Self::Members(change) => change.write(map),
            Self::Meta(change) => change.write(map),
            Self::Withheld => Ok(()),
            Self::Unknown { fields, .. } => fields
                .iter()
                .try_for_each(|(name, value)| map.serialize_entry(name, value)),
        }
    }
}
