//! What the `ok` to a request carries.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::entry::{ChannelType, Entry, EntryKey, EntryParts, Role};
use crate::flat::{self, Fields, flat};
use crate::id::{
    ChannelId, DeviceId, Epoch, Head, MessageId, NodeId, Ordinal, Seq, Timestamp, UserId,
};
use crate::limits::Limits;
use crate::people::{Presence, UserEntry};

/// What a request asked for; its fields stand beside `op` and `id`.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To `hello`.
    Hello(HelloAnswer),
    /// To `sync`.
    Sync(SyncAnswer),
    /// To `send`.
    Send(SendAnswer),
    /// To `pull`.
    Pull(PullAnswer),
    /// To `history`.
    History(HistoryAnswer),
    /// To `edit`, `delete`, `react` and `pin`.
    Change(ChangeAnswer),
    /// To `prefs`.
    Prefs(PrefsAnswer),
    /// To `receipts`.
    Receipts(ReceiptsAnswer),
    /// To `watch`.
    Watch(WatchAnswer),
    /// To `read`, `delivered` and whatever else has nothing to tell.
    Done,
}

/// The session has begun.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HelloAnswer {
    /// Who the caller is.
    pub user: UserId,
    /// With which device.
    pub device: DeviceId,
    /// The server that answers.
    pub node: NodeId,
    /// Of the logs that it serves.
    pub epoch: Epoch,
    /// The server's clock.
    pub server_time_ms: Timestamp,
    /// How often to ping.
    pub heartbeat_ms: u64,
    /// The bounds of this server.
    pub limits: Limits,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SyncAnswer {
    /// Newest activity first.
    pub channels: Vec<Summary>,
    /// Channels that the caller is no longer in.
    #[serde(default)]
    pub left: Vec<ChannelId>,
    /// Entries of the user's own log, from the cursor on.
    #[serde(default)]
    pub user_entries: Vec<UserEntry>,
    /// How far the user's own log goes.
    pub user_seq: Seq,
    /// For the next time.
    pub since: String,
    /// More follows: repeat the request with this.
    #[serde(default)]
    pub page: Option<String>,
    /// The client's logs are of another epoch and must go.
    #[serde(default)]
    pub reset: bool,
}

/// The message is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SendAnswer {
    /// In which log.
    pub channel: ChannelId,
    /// Its place.
    pub seq: Seq,
    /// Message entries up to and with it.
    pub n: Ordinal,
    /// Its name.
    pub message: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// It was durable before this request.
    #[serde(default)]
    pub duplicate: bool,
}

/// Entries that follow a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PullAnswer {
    /// Contiguous, as they now are.
    pub entries: Vec<Entry>,
    /// How far the log goes.
    pub head: Head,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HistoryAnswer {
    /// Ascending.
    pub messages: Vec<HistoryMessage>,
    /// Whether older ones exist.
    pub more_before: bool,
    /// Whether newer ones exist.
    pub more_after: bool,
    /// The head whose reactions, pins and replies the page shows.
    pub as_of: Seq,
}

/// What was to be done to a message is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChangeAnswer {
    /// The place of the entry that did it.
    pub seq: Seq,
    /// It was so before this request.
    #[serde(default)]
    pub duplicate: bool,
}

/// What the user set for themselves is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PrefsAnswer {
    /// How far the user's own log goes.
    pub user_seq: Seq,
}

/// How far the members of a channel are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReceiptsAnswer {
    /// By user.
    pub marks: Vec<MemberMarks>,
}

/// How far a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MemberMarks {
    /// Who.
    pub user: UserId,
    /// Up to which entry they have read.
    pub read: Seq,
    /// Up to which entry everything has arrived; in direct channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Seq>,
}

/// Whether those who are watched are there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WatchAnswer {
    /// As it now is; changes follow.
    pub presence: Vec<Presence>,
    /// Users who are not the caller's to watch.
    #[serde(default)]
    pub refused: Vec<UserId>,
}

/// A message with what was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Its entry.
    pub entry: Entry,
    /// What others answered with a sign.
    pub reactions: Vec<Reaction>,
    /// Whether it is kept at hand for everybody.
    pub pinned: bool,
    /// Messages in its thread.
    pub replies: u64,
}

/// How often one sign was set on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// The sign.
    pub emoji: String,
    /// By how many users.
    pub count: u64,
    /// Whether the caller is among them.
    pub mine: bool,
}

/// A channel as a list of channels shows it to one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Summary {
    /// Which.
    pub channel: ChannelId,
    /// Direct or group.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// A group's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The other user of a direct channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserId>,
    /// How many.
    pub members: u64,
    /// The caller's.
    pub role: Role,
    /// The first entry that the caller may see.
    pub visible_from: Seq,
    /// How far the log goes.
    pub head: Head,
    /// How far the caller has read.
    pub read: Head,
    /// Messages after the read mark.
    pub unread: u64,
    /// Of these, how many address the caller.
    pub mentions: u64,
    /// The newest message that the caller may see; its text may be cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Entry>,
    /// No notifications until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_until_ms: Option<Timestamp>,
    /// The caller put it out of the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// The caller wants it shown as unread.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_unread: bool,
    /// What the caller has begun to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// Opaque to the server, for the embedding program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// The newest entries after the cursor, if the request asked for some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// Entries between the cursor and `entries` that were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// Entries that were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Gap {
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
}

flat!(HelloAnswer {
    always: user, device, node, epoch, server_time_ms, heartbeat_ms, limits;
    present: ;
});
flat!(SyncAnswer {
    always: channels, left, user_entries, user_seq, since;
    present: page, reset;
});
flat!(SendAnswer {
    always: channel, seq, n, message, at;
    present: duplicate;
});
flat!(PullAnswer {
    always: entries, head;
    present: ;
});
flat!(HistoryAnswer {
    always: messages, more_before, more_after, as_of;
    present: ;
});
flat!(ChangeAnswer {
    always: seq;
    present: duplicate;
});
flat!(PrefsAnswer {
    always: user_seq;
    present: ;
});
flat!(ReceiptsAnswer {
    always: marks;
    present: ;
});
flat!(WatchAnswer {
    always: presence, refused;
    present: ;
});

impl Fields for HistoryMessage {
    fn count(&self) -> usize {
        self.entry.count() + 1 + usize::from(self.pinned) + usize::from(self.replies > 0)
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.entry.write(map)?;
        map.serialize_entry("reactions", &self.reactions)?;
        if self.pinned {
            map.serialize_entry("pinned", &true)?;
        }
        if self.replies > 0 {
            map.serialize_entry("replies", &self.replies)?;
        }
        Ok(())
    }
}

impl Serialize for HistoryMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        flat::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for HistoryMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HistoryMessageVisitor)
    }
}

struct HistoryMessageVisitor;

impl<'de> Visitor<'de> for HistoryMessageVisitor {
    type Value = HistoryMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HistoryMessage, A::Error> {
        let mut parts = EntryParts::default();
        let (mut reactions, mut pinned, mut replies) = (None, None, None);
        while let Some(key) = map.next_key::<EntryKey>()? {
            match key {
                EntryKey::Other(name) if name == "reactions" => reactions = map.next_value()?,
                EntryKey::Other(name) if name == "pinned" => pinned = map.next_value()?,
                EntryKey::Other(name) if name == "replies" => replies = map.next_value()?,
                key => parts.read(key, &mut map)?,
            }
        }
        Ok(HistoryMessage {
            entry: parts.into_entry()?,
            reactions: reactions.unwrap_or_default(),
            pinned: pinned.unwrap_or_default(),
            replies: replies.unwrap_or_default(),
        })
    }
}
