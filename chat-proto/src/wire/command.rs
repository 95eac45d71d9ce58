//! Commands: what becomes an entry of a log.

use serde::de::{self, DeserializeSeed, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::format::Object;
use crate::body::Body;
use crate::flat::{flat, null_is_default};
use crate::id::{ChannelId, ClientId, Seq, UserId};

/// Says something.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
    #[cfg_attr(feature = "schema", schema(nullable))]
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
    #[cfg_attr(feature = "schema", schema(nullable, max_items = 50))]
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

/// Says a message otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EditMessage {
    /// In which log.
    pub channel: ChannelId,
    /// Which message.
    pub seq: Seq,
    /// The key of the command: a retry carries the same.
    pub client_id: ClientId,
    /// The head as the client knew it when it composed the command.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Whether it was sent before.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub retry: bool,
    /// What it says from now on.
    pub body: Body,
}

/// Takes a message back, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeleteMessage {
    /// In which log.
    pub channel: ChannelId,
    /// Which message.
    pub seq: Seq,
    /// The key of the command: a retry carries the same.
    pub client_id: ClientId,
    /// The head as the client knew it when it composed the command.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Whether it was sent before.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub retry: bool,
}

/// Answers a message with a sign.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ReactToMessage))]
pub struct React {
    /// In which log.
    pub channel: ChannelId,
    /// Which message.
    pub seq: Seq,
    /// The key of the command: a retry carries the same.
    pub client_id: ClientId,
    /// The head as the client knew it when it composed the command.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Whether it was sent before.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub retry: bool,
    /// The sign.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 64))]
    pub emoji: String,
    /// Take it away again.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub remove: bool,
}

/// Keeps a message at hand for everybody in the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PinMessage))]
pub struct Pin {
    /// In which log.
    pub channel: ChannelId,
    /// Which message.
    pub seq: Seq,
    /// The key of the command: a retry carries the same.
    pub client_id: ClientId,
    /// The head as the client knew it when it composed the command.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Whether it was sent before.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub retry: bool,
    /// No longer.
    #[serde(default, deserialize_with = "null_is_default")]
    #[cfg_attr(feature = "schema", schema(nullable))]
    pub remove: bool,
}

impl Target {
    /// The channel that it names when `sender` names it.
    pub fn channel(&self, sender: &UserId) -> ChannelId {
        match self {
            Self::User(user) => ChannelId::direct(sender, user),
            Self::Channel(channel) => *channel,
        }
    }
}

flat!(SendMessage {
    always: to, client_id, body;
    present: after, retry, reply_to, thread, mentions;
});
flat!(EditMessage {
    always: channel, seq, client_id, body;
    present: after, retry;
});
flat!(DeleteMessage {
    always: channel, seq, client_id;
    present: after, retry;
});
flat!(React {
    always: channel, seq, client_id, emoji;
    present: after, retry, remove;
});
flat!(Pin {
    always: channel, seq, client_id;
    present: after, retry, remove;
});

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
