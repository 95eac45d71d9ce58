//! What an application asks to be done to a log, and what it hears once that is durable.

use chat_proto::sync::Command;
use chat_proto::wire::{DeleteMessage, EditMessage, Pin, React, SendMessage, Target};
use chat_proto::{Body, ChannelId, ClientId, MessageId, Ordinal, Seq, Timestamp, UserId};

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Where.
    pub to: Target,
    /// What.
    pub body: Body,
    /// The message that it answers.
    pub reply_to: Option<Seq>,
    /// The message whose thread it is in.
    pub thread: Option<Seq>,
    /// Whom it addresses.
    pub mentions: Vec<UserId>,
}

/// A message that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The key under which it was sent.
    pub client_id: ClientId,
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
    /// It was durable before the attempt that was answered.
    pub duplicate: bool,
}

impl Draft {
    /// A text to somebody, in the direct channel with them.
    pub fn to_user(user: UserId, text: impl Into<String>) -> Self {
        Self::new(Target::User(user), Body::text(text))
    }

    /// A text to a channel.
    pub fn to_channel(channel: ChannelId, text: impl Into<String>) -> Self {
        Self::new(Target::Channel(channel), Body::text(text))
    }

    /// Any body to anywhere.
    pub fn new(to: Target, body: Body) -> Self {
        Self {
            to,
            body,
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
        }
    }
}

/// What is to be done to a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Say it otherwise.
    Edit(Body),
    /// Take it back, for ever.
    Delete,
    /// Answer it with this sign.
    React(String),
    /// Take the sign away again.
    Unreact(String),
    /// Keep it at hand for everybody.
    Pin,
    /// No longer.
    Unpin,
}

/// A change that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The key under which it was sent.
    pub client_id: ClientId,
    /// In which log.
    pub channel: ChannelId,
    /// The place of the entry that did it.
    pub seq: Seq,
    /// It was so before the attempt that was answered.
    pub duplicate: bool,
}

/// A command that is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Durable {
    Sent(Sent),
    Changed(Changed),
}

impl Draft {
    pub(crate) fn command(self, client_id: ClientId) -> Command {
        Command::Send(SendMessage {
            to: self.to,
            client_id,
            after: None,
            retry: false,
            body: self.body,
            reply_to: self.reply_to,
            thread: self.thread,
            mentions: self.mentions,
        })
    }
}

impl Change {
    pub(crate) fn command(self, client_id: ClientId, channel: ChannelId, seq: Seq) -> Command {
        let (after, retry) = (None, false);
        let react = |emoji, remove| React {
            channel,
            seq,
            client_id,
            after,
            retry,
            emoji,
            remove,
        };
        let pin = |remove| Pin {
            channel,
            seq,
            client_id,
            after,
            retry,
            remove,
        };
        match self {
            Self::Edit(body) => Command::Edit(EditMessage {
                channel,
                seq,
                client_id,
                after,
                retry,
                body,
            }),
            Self::Delete => Command::Delete(DeleteMessage {
                channel,
                seq,
                client_id,
                after,
                retry,
            }),
            Self::React(emoji) => Command::React(react(emoji, false)),
            Self::Unreact(emoji) => Command::React(react(emoji, true)),
            Self::Pin => Command::Pin(pin(false)),
            Self::Unpin => Command::Pin(pin(true)),
        }
    }
}
