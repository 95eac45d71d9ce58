//! What a client sends.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::command::{DeleteMessage, EditMessage, Pin, React, SendMessage};
use super::format::Format;
use super::people::{SetStatus, Unwatch, Watch};
use super::server::Header;
use crate::flat::{Fields, flat, null_is_default};
use crate::id::{ChannelId, ClientId, Epoch, Seq, UserId};
use crate::limits::Limits;
use crate::people::PrefsChange;
use crate::rejection::Rejection;

/// A frame of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFrame {
    /// The first frame of a connection.
    Hello {
        /// Comes back in the answer.
        id: u32,
        /// Who calls.
        hello: Hello,
    },
    /// Anything that gets exactly one answer.
    Command {
        /// Comes back in the answer; unique among those outstanding.
        id: u32,
        /// What.
        op: ClientOp,
    },
    /// The user is typing; no answer.
    Typing(TypingIn),
    /// Answered by `pong`.
    Ping,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientOp {
    /// Which channels changed.
    Sync(SyncQuery),
    /// Say something.
    Send(SendMessage),
    /// Entries that follow a cursor.
    Pull(PullQuery),
    /// A page of messages.
    History(HistoryQuery),
    /// Everything up to an entry was read.
    Read(Mark),
    /// Everything up to an entry arrived.
    Delivered(Mark),
    /// Say it otherwise.
    Edit(EditMessage),
    /// Take it back.
    Delete(DeleteMessage),
    /// Answer with a sign.
    React(React),
    /// Keep a message at hand for everybody.
    Pin(Pin),
    /// Set something for oneself in a channel.
    Prefs(PrefsChange),
    /// How far the members of a channel are.
    Receipts(ReceiptsQuery),
    /// Whether others are there, now and from now on.
    Watch(Watch),
    /// No longer whether they are there.
    Unwatch(Unwatch),
    /// Say whether one is there.
    Status(SetStatus),
}

/// Logs in.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Hello {
    /// Opaque, or a JWT of the embedding program.
    pub token: String,
    /// Name and version of the client program, as `name/1.0`.
    pub client: String,
    /// How often the client means to ping.
    #[serde(default)]
    pub heartbeat_ms: Option<u64>,
}

/// Asks for what changed since the client's cursors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SyncQuery {
    /// Of the logs that the client holds.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// The client's cursor in the user's own log.
    #[serde(default)]
    pub user_seq: Option<Seq>,
    /// From the last answer.
    #[serde(default)]
    pub since: Option<String>,
    /// What the client holds: per channel its cursor and the read mark as it knows it.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub cursors: BTreeMap<ChannelId, (Seq, Seq)>,
    /// How many of the newest entries of each channel come along.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub entries: u32,
    /// From an answer that said that more follows.
    #[serde(default)]
    pub page: Option<String>,
}

/// Asks for the entries that follow a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PullQuery {
    /// Of which log.
    pub channel: ChannelId,
    /// The last entry that the client has.
    pub after: Seq,
    /// Entries at the most.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Asks for a page of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of which log.
    pub channel: ChannelId,
    /// Where the page lies.
    pub anchor: Anchor,
    /// Messages at the most.
    pub limit: Option<u32>,
}

/// Where a page of messages lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At the end of the log.
    Newest,
    /// Just before an entry.
    Before(Seq),
    /// Just after an entry.
    After(Seq),
    /// On both sides of an entry.
    Around(Seq),
}

/// A point in a log that a user has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Mark {
    /// Which log.
    pub channel: ChannelId,
    /// Up to which entry; beyond the head means the head.
    pub seq: Seq,
}

/// Asks how far the members of a channel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReceiptsQuery {
    /// Of which log.
    pub channel: ChannelId,
}

/// Where the user is typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TypingIn {
    /// Which channel.
    pub channel: ChannelId,
}

/// A client's frame as bytes.
pub fn encode_client(format: Format, frame: &ClientFrame) -> Vec<u8> {
    format.write(frame)
}

impl ClientOp {
    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
            Self::Send(_) => "send",
            Self::Pull(_) => "pull",
            Self::History(_) => "history",
            Self::Read(_) => "read",
            Self::Delivered(_) => "delivered",
            Self::Edit(_) => "edit",
            Self::Delete(_) => "delete",
            Self::React(_) => "react",
            Self::Pin(_) => "pin",
            Self::Prefs(_) => "prefs",
            Self::Receipts(_) => "receipts",
            Self::Watch(_) => "watch",
            Self::Unwatch(_) => "unwatch",
            Self::Status(_) => "status",
        }
    }

    /// The channel and the key of a command, if `sender` asks for one: what becomes an entry of a log. Commands of one
    /// connection to one channel are carried out and answered in the order sent.
    pub fn command_channel(&self, sender: &UserId) -> Option<(ChannelId, ClientId)> {
        match self {
            Self::Send(message) => Some((message.to.channel(sender), message.client_id)),
            Self::Edit(edit) => Some((edit.channel, edit.client_id)),
            Self::Delete(delete) => Some((delete.channel, delete.client_id)),
            Self::React(react) => Some((react.channel, react.client_id)),
            Self::Pin(pin) => Some((pin.channel, pin.client_id)),
            Self::Sync(_)
            | Self::Pull(_)
            | Self::History(_)
            | Self::Read(_)
            | Self::Delivered(_)
            | Self::Prefs(_)
            | Self::Receipts(_)
            | Self::Watch(_)
            | Self::Unwatch(_)
            | Self::Status(_) => None,
        }
    }
}

impl SyncQuery {
    /// Checks the number of cursors, which only the frame's size bounds until then.
    ///
    /// # Errors
    /// `too_large` for more cursors than `sync_cursors_max`.
    pub fn check(&self, limits: &Limits) -> Result<(), Rejection> {
        if self.cursors.len() > limits.sync_cursors_max {
            return Err(Rejection::too_large(format!(
                "a sync has at most {} cursors; send the rest in another",
                limits.sync_cursors_max
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for Hello {
    // Without the token, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("client", &self.client)
            .field("heartbeat_ms", &self.heartbeat_ms)
            .finish_non_exhaustive()
    }
}

impl Serialize for ClientFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hello { id, hello } => Header::new("hello", Some(*id)).with(hello, serializer),
            Self::Command { id, op } => {
                let header = Header::new(op.name(), Some(*id));
                match op {
                    ClientOp::Sync(query) => header.with(query, serializer),
                    ClientOp::Send(message) => header.with(message, serializer),
                    ClientOp::Pull(query) => header.with(query, serializer),
                    ClientOp::History(query) => header.with(query, serializer),
                    ClientOp::Read(mark) | ClientOp::Delivered(mark) => {
                        header.with(mark, serializer)
                    }
                    ClientOp::Edit(edit) => header.with(edit, serializer),
                    ClientOp::Delete(delete) => header.with(delete, serializer),
                    ClientOp::React(react) => header.with(react, serializer),
                    ClientOp::Pin(pin) => header.with(pin, serializer),
                    ClientOp::Prefs(change) => header.with(change, serializer),
                    ClientOp::Receipts(query) => header.with(query, serializer),
                    ClientOp::Watch(watch) => header.with(watch, serializer),
                    ClientOp::Unwatch(unwatch) => header.with(unwatch, serializer),
                    ClientOp::Status(status) => header.with(status, serializer),
                }
            }
            Self::Typing(typing) => Header::new("typing", None).with(typing, serializer),
            Self::Ping => Header::new("ping", None).with(&(), serializer),
        }
    }
}

flat!(Hello {
    always: token, client;
    present: heartbeat_ms;
});
flat!(SyncQuery {
    always: ;
    present: epoch, user_seq, since, cursors, entries, page;
});
flat!(PullQuery {
    always: channel, after;
    present: limit;
});
flat!(Mark {
    always: channel, seq;
    present: ;
});
flat!(ReceiptsQuery {
    always: channel;
    present: ;
});
flat!(TypingIn {
    always: channel;
    present: ;
});

impl Fields for HistoryQuery {
    fn count(&self) -> usize {
        let anchored = self.anchor != Anchor::Newest;
        1 + usize::from(anchored) + usize::from(self.limit.is_some())
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("channel", &self.channel)?;
        match self.anchor {
            Anchor::Newest => {}
            Anchor::Before(seq) => map.serialize_entry("before", &seq)?,
            Anchor::After(seq) => map.serialize_entry("after", &seq)?,
            Anchor::Around(seq) => map.serialize_entry("around", &seq)?,
        }
        match self.limit {
            Some(limit) => map.serialize_entry("limit", &limit),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for HistoryQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Flat {
            channel: ChannelId,
            before: Option<Seq>,
            after: Option<Seq>,
            around: Option<Seq>,
            limit: Option<u32>,
        }
        let flat = Flat::deserialize(deserializer)?;
        let anchor = match (flat.before, flat.after, flat.around) {
            (None, None, None) => Anchor::Newest,
            (Some(seq), None, None) => Anchor::Before(seq),
            (None, Some(seq), None) => Anchor::After(seq),
            (None, None, Some(seq)) => Anchor::Around(seq),
            _ => {
                return Err(de::Error::custom(
                    "at most one of `before`, `after` and `around`",
                ));
            }
        };
        Ok(Self {
            channel: flat.channel,
            anchor,
            limit: flat.limit,
        })
    }
}
