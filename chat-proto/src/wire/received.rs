//! A server's frame from bytes, as a client sees it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::Deserializer;
use serde::{Deserialize, de::DeserializeOwned};

use super::format::{Format, Unreadable};
use super::server::Push;
use crate::flat::flat;
use crate::rejection::{Code, Rejection};

/// A server's frame, read as far as it can be without knowing what was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceivedFrame {
    /// A request succeeded.
    Ok {
        /// Of the request.
        id: u32,
        /// To be read as what the request's op is answered with.
        answer: RawAnswer,
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
    /// Of a newer server; to be ignored.
    Unknown,
}

/// An answer whose type the request's op tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    format: Format,
    frame: Bytes,
}

impl RawAnswer {
    /// The answer as one of the structs in [`super::Answer`].
    ///
    /// # Errors
    /// When it is not that.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        self.format.read(&self.frame)
    }
}

/// Reads a server's frame.
///
/// # Errors
/// When it is not one; a client then closes the connection and comes back.
pub fn decode_server(format: Format, frame: Bytes) -> Result<ReceivedFrame, Unreadable> {
    #[derive(Deserialize)]
    struct First {
        op: Op,
        #[serde(default)]
        id: Option<u32>,
    }
    let first: First = format.read(&frame)?;
    let id = || {
        first
            .id
            .ok_or_else(|| Unreadable::because("an answer has an `id`"))
    };
    Ok(match first.op {
        Op::Ok => ReceivedFrame::Ok {
            id: id()?,
            answer: RawAnswer { format, frame },
        },
        Op::Error => ReceivedFrame::Error {
            id: id()?,
            rejection: format.read(&frame)?,
        },
        Op::Pong => ReceivedFrame::Pong,
        Op::Entry => ReceivedFrame::Push(Push::Entry(format.read(&frame)?)),
        Op::Heads => ReceivedFrame::Push(Push::Heads(format.read(&frame)?)),
        Op::Read => ReceivedFrame::Push(Push::Read(format.read(&frame)?)),
        Op::Delivered => ReceivedFrame::Push(Push::Delivered(format.read(&frame)?)),
        Op::User => ReceivedFrame::Push(Push::User(format.read(&frame)?)),
        Op::Presence => ReceivedFrame::Push(Push::Presence(format.read(&frame)?)),
        Op::Typing => ReceivedFrame::Push(Push::Typing(format.read(&frame)?)),
        Op::Goaway => ReceivedFrame::Push(Push::GoAway(format.read(&frame)?)),
        Op::Unknown => ReceivedFrame::Unknown,
    })
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Op {
    Ok,
    Error,
    Pong,
    Entry,
    Heads,
    Read,
    Delivered,
    User,
    Presence,
    Typing,
    Goaway,
    #[serde(other)]
    Unknown,
}

flat!(Rejection {
    always: code, message;
    present: retry_after_ms;
});

impl<'de> Deserialize<'de> for Rejection {
    /// A code that a newer server made is read as `bad_request`: final, and told in the sentence.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {
            code: String,
            #[serde(default)]
            message: Option<String>,
            #[serde(default)]
            retry_after_ms: Option<u64>,
        }
        let plain = Plain::deserialize(deserializer)?;
        let message = plain.message.unwrap_or_default();
        let known = Code::ALL
            .into_iter()
            .find(|code| code.as_str() == plain.code);
        Ok(Self {
            code: known.unwrap_or(Code::BadRequest),
            message: Cow::Owned(match known {
                Some(_) => message,
                None => format!("{}: {message}", plain.code),
            }),
            retry_after_ms: plain.retry_after_ms,
        })
    }
}
