//! What a caller wants of a channel, before anybody has decided whether it may happen.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::body::Body;
use crate::entry::{ChannelType, Delete, History, MembersChange, MetaChange, Pin, React};
use crate::id::{ChannelId, ClientId, DeviceId, Seq, UserId};

/// A wish of one user for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who wishes it; authenticated, or a system actor of the embedding program.
    pub from: UserId,
    /// With which device; absent for a system actor.
    pub device: Option<DeviceId>,
    /// Whether the embedding program itself wishes it: it may everything that a rule on roles would refuse.
    pub system: bool,
    /// The key under which a retry finds the first result; absent where the protocol has none.
    pub key: Option<CommandKey>,
    /// What.
    pub action: Action,
}

/// What a command would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Begin the channel.
    Create(NewChannel),
    /// Say something.
    Send(NewMessage),
    /// Have a message say something else.
    Edit(NewBody),
    /// Erase a message's body.
    Delete(Delete),
    /// Set a sign on a message, or take it back.
    React(React),
    /// Pin a message, or no longer.
    Pin(Pin),
    /// Add, remove or change members.
    Members(MembersChange),
    /// Change title, topic or settings.
    Meta(MetaChange),
}

/// The beginning of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewChannel {
    /// Direct or group.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// A group's name.
    pub title: Option<String>,
    /// The members besides the creator.
    pub members: Vec<UserId>,
    /// What a later member sees.
    pub history: History,
    /// Opaque to the server.
    pub data: Option<Map<String, Value>>,
    /// The embedding program's own name for the channel.
    pub external_id: Option<String>,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewMessage {
    /// In a direct channel that does not exist yet: the other user, so that creation and message are one unit.
    #[serde(skip)]
    pub direct_to: Option<UserId>,
    /// What it says.
    pub body: Body,
    /// The message that it answers.
    pub reply_to: Option<Seq>,
    /// The message whose thread it is in.
    pub thread: Option<Seq>,
    /// Whom it addresses.
    pub mentions: Vec<UserId>,
}

/// A message that shall say something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewBody {
    /// The message.
    pub target: Seq,
    /// What it shall say.
    pub body: Body,
}

/// The name under which a retry of a command finds the first result, with a hash that tells a retry from a misuse.
/// Unique per channel and sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandKey {
    /// Made by the client, once per command.
    pub client_id: ClientId,
    /// Of the command as it was sent.
    pub content: ContentHash,
}

/// The first 128 bits of SHA-256 over a command's canonical JSON (keys of opaque objects sorted), without what may
/// differ between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    /// The hash of this action as its sender wrote it.
    pub fn of(action: &Action) -> Self {
        let json = serde_json::to_vec(action)
            .expect("an action is made of strings, numbers and JSON values");
        let digest = Sha256::digest(&json);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }

    /// The hash that a store kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes that a store keeps.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Action {
    /// The message that it does something to.
    pub fn target(&self) -> Option<Seq> {
        match self {
            Self::Edit(edit) => Some(edit.target),
            Self::Delete(delete) => Some(delete.target),
            Self::React(react) => Some(react.target),
            Self::Pin(pin) => Some(pin.target),
            Self::Create(_) | Self::Send(_) | Self::Members(_) | Self::Meta(_) => None,
        }
    }

    /// Whether it sets or erases the body of a message that is there.
    pub fn sets_body(&self) -> bool {
        matches!(self, Self::Edit(_) | Self::Delete(_))
    }
}

impl NewMessage {
    /// A message to a channel that exists, which answers nothing and addresses nobody in particular.
    pub fn new(body: Body) -> Self {
        Self {
            direct_to: None,
            body,
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
        }
    }
}

impl CommandKey {
    /// The key of a command. A channel that the embedding program names is begun under that name: whoever repeats
    /// the creation meets the first, also with another `client_id` or none.
    pub fn of(client_id: Option<ClientId>, action: &Action) -> Option<Self> {
        let named = match action {
            Action::Create(channel) => channel.external_id.as_deref().map(ChannelId::external),
            Action::Send(_)
            | Action::Edit(_)
            | Action::Delete(_)
            | Action::React(_)
            | Action::Pin(_)
            | Action::Members(_)
            | Action::Meta(_) => None,
        };
        let client_id = named.map_or(client_id, |id| Some(ClientId::from_uuid(id.as_uuid())))?;
        Some(Self {
            client_id,
            content: ContentHash::of(action),
        })
    }
}

impl Command {
    /// A command of a user's device, with the key that its `client_id` and content give.
    pub fn of_device(
        from: UserId,
        device: DeviceId,
        client_id: Option<ClientId>,
        action: Action,
    ) -> Self {
        let key = CommandKey::of(client_id, &action);
        Self {
            from,
            device: Some(device),
            system: false,
            key,
            action,
        }
    }

    /// A command of the embedding program itself.
    pub fn of_system(from: UserId, client_id: Option<ClientId>, action: Action) -> Self {
        let key = CommandKey::of(client_id, &action);
        Self {
            from,
            device: None,
            system: true,
            key,
            action,
        }
    }
}
