//! What waits in the outbox.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{ChannelId, ClientId, Seq, UserId};
use crate::wire::{ClientOp, DeleteMessage, EditMessage, Pin, React, SendMessage, Target};

/// A command, which becomes an entry of a log: kept until it is acknowledged, and sent again under its key.
///
/// Stored as on the wire, with its fields beside `op`. Without an `op` it is a message: nothing else went through the
/// outboxes of former versions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Command {
    /// Say something.
    Send(SendMessage),
    /// Say it otherwise.
    Edit(EditMessage),
    /// Take it back.
    Delete(DeleteMessage),
    /// Answer with a sign.
    React(React),
    /// Keep a message at hand for everybody.
    Pin(Pin),
}

impl Command {
    /// Its key.
    pub fn client_id(&self) -> ClientId {
        match self {
            Self::Send(message) => message.client_id,
            Self::Edit(edit) => edit.client_id,
            Self::Delete(delete) => delete.client_id,
            Self::React(react) => react.client_id,
            Self::Pin(pin) => pin.client_id,
        }
    }

    /// The channel whose log it becomes an entry of. That of a first message to somebody depends on who says it.
    pub(super) fn channel(&self, user: Option<&UserId>) -> Option<ChannelId> {
        match self {
            Self::Send(SendMessage { to, .. }) => match to {
                Target::Channel(channel) => Some(*channel),
                Target::User(_) => user.map(|user| to.channel(user)),
            },
            Self::Edit(edit) => Some(edit.channel),
            Self::Delete(delete) => Some(delete.channel),
            Self::React(react) => Some(react.channel),
            Self::Pin(pin) => Some(pin.channel),
        }
    }

    /// Says how far the client knew the log.
    pub(super) fn set_after(&mut self, after: Option<Seq>) {
        *self.attempt().0 = after;
    }

    /// Says whether it was sent before.
    pub(super) fn set_retry(&mut self, retry: bool) {
        *self.attempt().1 = retry;
    }

    /// `after` and `retry`.
    fn attempt(&mut self) -> (&mut Option<Seq>, &mut bool) {
        match self {
            Self::Send(message) => (&mut message.after, &mut message.retry),
            Self::Edit(edit) => (&mut edit.after, &mut edit.retry),
            Self::Delete(delete) => (&mut delete.after, &mut delete.retry),
            Self::React(react) => (&mut react.after, &mut react.retry),
            Self::Pin(pin) => (&mut pin.after, &mut pin.retry),
        }
    }

    /// Roughly the bytes that it occupies.
    pub(super) fn size_bytes(&self) -> usize {
        let beyond = match self {
            Self::Send(message) => message.body.size_bytes() + message.mentions.len() * 72,
            Self::Edit(edit) => edit.body.size_bytes(),
            Self::React(react) => react.emoji.len(),
            Self::Delete(_) | Self::Pin(_) => 0,
        };
        256 + beyond
    }
}

impl From<Command> for ClientOp {
    fn from(command: Command) -> Self {
        match command {
            Command::Send(message) => Self::Send(message),
            Command::Edit(edit) => Self::Edit(edit),
            Command::Delete(delete) => Self::Delete(delete),
            Command::React(react) => Self::React(react),
            Command::Pin(pin) => Self::Pin(pin),
        }
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Op {
            #[default]
            Send,
            Edit,
            Delete,
            React,
            Pin,
        }
        #[derive(Deserialize)]
        struct Stored {
            #[serde(default)]
            op: Op,
            #[serde(flatten)]
            fields: Map<String, Value>,
        }
        let Stored { op, fields } = Stored::deserialize(deserializer)?;
        let fields = Value::Object(fields);
        let command = match op {
            Op::Send => SendMessage::deserialize(fields).map(Self::Send),
            Op::Edit => EditMessage::deserialize(fields).map(Self::Edit),
            Op::Delete => DeleteMessage::deserialize(fields).map(Self::Delete),
            Op::React => React::deserialize(fields).map(Self::React),
            Op::Pin => Pin::deserialize(fields).map(Self::Pin),
        };
        command.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_and_without_an_op_is_a_message() {
        let channel = "11111111-1111-5111-8111-111111111111";
        let key = "aaaaaaaa-0000-4000-8000-000000000001";
        let body = r#"{"type":"text","text":"hi"}"#;
        let target = format!(r#""channel":"{channel}","seq":3,"client_id":"{key}""#);
        for text in [
            format!(r#"{{"op":"edit",{target},"body":{body},"after":7}}"#),
            format!(r#"{{"op":"delete",{target},"after":7}}"#),
            format!(r#"{{"op":"react",{target},"emoji":"+1","remove":true}}"#),
            format!(r#"{{"op":"pin",{target}}}"#),
        ] {
            let command: Command = serde_json::from_str(&text).expect("a command");
            let stored: Value = serde_json::to_value(&command).expect("plain data");
            assert_eq!(stored, serde_json::from_str::<Value>(&text).expect("JSON"));
        }
        let former = format!(
            r#"{{"to":{{"channel":"{channel}"}},"client_id":"{key}","body":{body},"after":7}}"#
        );
        let command: Command = serde_json::from_str(&former).expect("a message");
        assert!(matches!(&command, Command::Send(message) if message.after == Some(Seq(7))));
        let stored = serde_json::to_string(&command).expect("plain data");
        assert!(stored.contains(r#""op":"send""#), "{stored}");
        assert_eq!(
            serde_json::from_str::<Command>(&stored).expect("a message"),
            command
        );
        let unknown = format!(r#"{{"op":"forward",{target}}}"#);
        assert!(serde_json::from_str::<Command>(&unknown).is_err());
    }
}
