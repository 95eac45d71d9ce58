//! What a server sends.

use std::sync::Arc;

use bytes::Bytes;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::close::GoAwayReason;
use super::format::Format;
use crate::entry::Entry;
use crate::flat::{Fields, Joined, flat};
use crate::id::{ChannelId, Head, Ordinal, Seq, UserId};
use crate::people::{Presence, UserEntry};
use crate::rejection::Rejection;

/// A frame of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerFrame {
    /// A request succeeded.
    Ok {
        /// Of the request.
        id: u32,
        /// What it asked for.
        answer: Answer,
    },
    /// A request was refused.
    Error {
        /// Of the request.
        id: u32,
        /// Why.
        rejection: Rejection,
    },
    /// Answers `ping`.
    Pong,
    /// Nobody asked; it happened.
    Push(Push),
}

/// What a server says of its own accord.
#[derive(Clone, Debug, PartialEq)]
pub enum Push {
    /// A new entry.
    Entry(EntryPush),
    /// Entries were left out: pull them.
    Heads(HeadsPush),
    /// A read mark rose.
    Read(MarkPush),
    /// A delivered mark rose.
    Delivered(MarkPush),
    /// The user's own log has a new entry.
    User(UserPush),
    /// Whether somebody is there has changed.
    Presence(Presence),
    /// Somebody is typing.
    Typing(TypingPush),
    /// The socket is about to close.
    GoAway(GoAway),
}

/// A new entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EntryPush {
    /// Of which log.
    pub channel: ChannelId,
    /// The entry.
    #[cfg_attr(feature = "schema", schema(value_type = Entry))]
    pub entry: Arc<Entry>,
}

/// Entries that were left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeadsPush {
    /// The logs with their heads.
    pub channels: Vec<ChannelHead>,
}

/// A log with its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChannelHead {
    /// Which log.
    pub channel: ChannelId,
    /// How far it goes.
    pub head: Head,
}

/// A user's mark that rose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MarkPush {
    /// In which log.
    pub channel: ChannelId,
    /// Whose.
    pub user: UserId,
    /// Up to which entry.
    pub seq: Seq,
    /// Message entries up to and with it.
    pub n: Ordinal,
}

/// A new entry of the user's own log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UserPush {
    /// The entry.
    pub entry: UserEntry,
}

/// Somebody is typing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TypingPush {
    /// Where.
    pub channel: ChannelId,
    /// Who.
    pub user: UserId,
}

/// The socket is about to close.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GoAway {
    /// Why.
    pub reason: GoAwayReason,
    /// Milliseconds after which to come back.
    pub reconnect_after_ms: u64,
    /// Where to, if not here.
    #[serde(default)]
    pub url: Option<String>,
}

/// A server's frame as bytes.
pub fn encode(format: Format, frame: &ServerFrame) -> Bytes {
    format.write(frame).into()
}

/// A push as bytes. For many receivers see [`super::SharedPush`].
pub fn encode_push(format: Format, push: &Push) -> Bytes {
    format.write(push).into()
}

impl Push {
    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Entry(_) => "entry",
            Self::Heads(_) => "heads",
            Self::Read(_) => "read",
            Self::Delivered(_) => "delivered",
            Self::User(_) => "user",
            Self::Presence(_) => "presence",
            Self::Typing(_) => "typing",
            Self::GoAway(_) => "goaway",
        }
    }

    /// Roughly the bytes that the push occupies; what queues count.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Entry(push) => 64 + push.entry.size_bytes(),
            Self::Heads(push) => 32 + push.channels.len() * 96,
            Self::User(push) => 32 + push.entry.size_bytes(),
            Self::Presence(presence) => presence.size_bytes(),
            Self::Read(_) | Self::Delivered(_) | Self::Typing(_) | Self::GoAway(_) => 192,
        }
    }
}

impl Serialize for ServerFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ok { id, answer } => {
                let header = Header::new("ok", Some(*id));
                match answer {
                    Answer::Hello(answer) => header.with(answer, serializer),
                    Answer::Sync(answer) => header.with(answer, serializer),
                    Answer::Send(answer) => header.with(answer, serializer),
                    Answer::Pull(answer) => header.with(answer, serializer),
                    Answer::History(answer) => header.with(answer, serializer),
                    Answer::Change(answer) => header.with(answer, serializer),
                    Answer::Prefs(answer) => header.with(answer, serializer),
                    Answer::Receipts(answer) => header.with(answer, serializer),
                    Answer::Watch(answer) => header.with(answer, serializer),
                    Answer::Done => header.with(&(), serializer),
                }
            }
            Self::Error { id, rejection } => {
                Header::new("error", Some(*id)).with(rejection, serializer)
            }
            Self::Pong => Header::new("pong", None).with(&(), serializer),
            Self::Push(push) => push.serialize(serializer),
        }
    }
}

impl Serialize for Push {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = Header::new(self.name(), None);
        match self {
            Self::Entry(push) => header.with(push, serializer),
            Self::Heads(push) => header.with(push, serializer),
            Self::Read(push) | Self::Delivered(push) => header.with(push, serializer),
            Self::User(push) => header.with(push, serializer),
            Self::Presence(presence) => header.with(presence, serializer),
            Self::Typing(push) => header.with(push, serializer),
            Self::GoAway(push) => header.with(push, serializer),
        }
    }
}

flat!(EntryPush {
    always: channel, entry;
    present: ;
});
flat!(HeadsPush {
    always: channels;
    present: ;
});
flat!(MarkPush {
    always: channel, user, seq, n;
    present: ;
});
flat!(UserPush {
    always: entry;
    present: ;
});
flat!(TypingPush {
    always: channel, user;
    present: ;
});
flat!(GoAway {
    always: reason, reconnect_after_ms;
    present: url;
});

/// What every frame begins with.
pub(super) struct Header {
    op: &'static str,
    id: Option<u32>,
}

impl Header {
    pub(super) fn new(op: &'static str, id: Option<u32>) -> Self {
        Self { op, id }
    }

    /// Writes the frame: these fields, then `fields`.
    pub(super) fn with<S: Serializer>(
        &self,
        fields: &impl Fields,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Joined(self, fields).serialize(serializer)
    }
}

impl Fields for Header {
    fn count(&self) -> usize {
        1 + usize::from(self.id.is_some())
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("op", self.op)?;
        match self.id {
            Some(id) => map.serialize_entry("id", &id),
            None => Ok(()),
        }
    }
}
