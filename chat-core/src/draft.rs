//! What an embedding program says to the engine.

use chat_proto::wire::{SendMessage, Target};
use chat_proto::{
    Body, ChannelId, ChannelType, ClientId, History, MessageId, Ordinal, Seq, Timestamp, UserId,
};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A message to send. Its key is drawn here, so that sending the same draft again never stores it twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub(crate) message: SendMessage,
}

impl Draft {
    /// A text to one user.
    pub fn direct(to: &UserId, text: impl Into<String>) -> Self {
        Self::new(Target::User(to.clone()), Body::text(text))
    }

    /// A text to a channel.
    pub fn channel(channel: ChannelId, text: impl Into<String>) -> Self {
        Self::new(Target::Channel(channel), Body::text(text))
    }

    /// Any body to any target.
    pub fn new(to: Target, body: Body) -> Self {
        Self {
            message: SendMessage {
                to,
                client_id: ClientId::from_uuid(Uuid::new_v4()),
                after: None,
                retry: false,
                body,
                reply_to: None,
                thread: None,
                mentions: Vec::new(),
            },
        }
    }

    /// The same with a key of the caller's own, as one that it stored before sending.
    #[must_use]
    pub fn client_id(mut self, client_id: ClientId) -> Self {
        self.message.client_id = client_id;
        self
    }

    /// The same as an answer to a message.
    #[must_use]
    pub fn reply_to(mut self, seq: Seq) -> Self {
        self.message.reply_to = Some(seq);
        self
    }

    /// The same in a message's thread.
    #[must_use]
    pub fn thread(mut self, seq: Seq) -> Self {
        self.message.thread = Some(seq);
        self
    }

    /// The same, addressing these members.
    #[must_use]
    pub fn mentions(mut self, mentions: Vec<UserId>) -> Self {
        self.message.mentions = mentions;
        self
    }

    /// The key.
    pub fn key(&self) -> ClientId {
        self.message.client_id
    }
}

/// A channel to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChannel {
    pub(crate) client_id: ClientId,
    pub(crate) inner: chat_proto::channel::NewChannel,
}

impl NewChannel {
    /// A group with this title and, for now, its creator alone.
    pub fn group(title: impl Into<String>) -> Self {
        Self {
            client_id: ClientId::from_uuid(Uuid::new_v4()),
            inner: chat_proto::channel::NewChannel {
                channel_type: ChannelType::Group,
                title: Some(title.into()),
                members: Vec::new(),
                history: History::All,
                data: None,
                external_id: None,
            },
        }
    }

    /// The same with these members besides the creator.
    #[must_use]
    pub fn members(mut self, members: Vec<UserId>) -> Self {
        self.inner.members = members;
        self
    }

    /// The same with what later members see.
    #[must_use]
    pub fn history(mut self, history: History) -> Self {
        self.inner.history = history;
        self
    }

    /// The same with data of the embedding program, opaque to chat.
    #[must_use]
    pub fn data(mut self, data: Option<Map<String, Value>>) -> Self {
        self.inner.data = data;
        self
    }

    /// The same under a name of the embedding program's, from which the channel's id follows.
    #[must_use]
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.inner.external_id = Some(external_id.into());
        self
    }

    /// The same with a key of the caller's own.
    #[must_use]
    pub fn client_id(mut self, client_id: ClientId) -> Self {
        self.client_id = client_id;
        self
    }
}

/// The place that a command got in a log. It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// In which log.
    pub channel: ChannelId,
    /// Its entry; of a command that changed nothing, the head.
    pub seq: Seq,
    /// Messages up to it.
    pub n: Ordinal,
    /// Its name.
    pub message: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// It was so before this request.
    pub duplicate: bool,
}
