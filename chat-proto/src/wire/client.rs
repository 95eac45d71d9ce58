//! What a client sends.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::format::{Format, Object};
use super::server::Header;
use crate::body::Body;
use crate::flat::{Fields, flat};
use crate::id::{ChannelId, ClientId, Epoch, Seq, UserId};
use crate::limits::Limits;
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
}

/// Logs in.
#[derive(Clone, PartialEq, Eq, Deserialize)]
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
    pub cursors: BTreeMap<ChannelId, (Seq, Seq)>,
    /// How many of the newest entries of each channel come along.
    #[serde(default, deserialize_with = "null_is_default")]
    pub entries: u32,
    /// From an answer that said that more follows.
    #[serde(default)]
    pub page: Option<String>,
}

/// Says something.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SendMessage {
    /// Where.
    pub to: Target,
    /// The key of the command: a retry carries the same.
    pub client_id: ClientId,
    /// The head as the client knew it when it composed the message.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Whether it was sent before.
    #[serde(default, deserialize_with = "null_is_default")]
    pub retry: bool,
    /// What.
    pub body: Body,
    /// The message that it answers.
    #[serde(default)]
    pub reply_to: Option<Seq>,
    /// The message whose thread it is in.
    #[serde(default)]
    pub thread: Option<Seq>,
    /// Whom it addresses.
    #[serde(default, deserialize_with = "null_is_default")]
    pub mentions: Vec<UserId>,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To somebody, in the direct channel with them.
    User(UserId),
    /// To a channel.
    Channel(ChannelId),
}

/// Asks for the entries that follow a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
pub struct Mark {
    /// Which log.
    pub channel: ChannelId,
    /// Up to which entry; beyond the head means the head.
    pub seq: Seq,
}

/// Where the user is typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
flat!(SendMessage {
    always: to, client_id, body;
    present: after, retry, reply_to, thread, mentions;
});
flat!(PullQuery {
    always: channel, after;
    present: limit;
});
flat!(Mark {
    always: channel, seq;
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

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::User(user) => map.serialize_entry("user", user)?,
            Self::Channel(channel) => map.serialize_entry("channel", channel)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Either {
            user: Option<UserId>,
            channel: Option<ChannelId>,
        }
        let either = Object::<Either>::default().deserialize(deserializer)?;
        match (either.user, either.channel) {
            (Some(user), None) => Ok(Self::User(user)),
            (None, Some(channel)) => Ok(Self::Channel(channel)),
            (None, None) | (Some(_), Some(_)) => Err(de::Error::custom(
                "`to` has exactly one of `user` and `channel`",
            )),
        }
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
