//! What goes wrong.

use std::error::Error;

use chat_proto::sync::{Ending, SendRefused};
use chat_proto::{ClientId, Rejection};

/// Why a client did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is not one of a WebSocket.
    #[error("{url} is not an address of a chat server; it looks like ws://host:port/v1/ws")]
    Url {
        /// As it was given.
        url: String,
    },
    /// The stored state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The server refused for good.
    #[error(transparent)]
    Ended(#[from] Ending),
    /// The client's task stopped before the first connection stood.
    #[error("the client was stopped before it was connected")]
    Stopped,
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The server refused it for good.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The outbox did not take it.
    #[error(transparent)]
    Refused(#[from] SendRefused),
    /// It could not be stored, and was therefore not sent either.
    #[error(transparent)]
    NotStored(#[from] StateError),
    /// The client has stopped. The message waits in the stored outbox, if there is one, and is sent by the next client
    /// that starts with it.
    #[error("the client has stopped; message {client_id} may wait in its stored outbox")]
    Stopped {
        /// Of the message.
        client_id: ClientId,
    },
}

/// The state of a client could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the client's state could not be {action}: {source}; check the disk and the permissions of its folder"
)]
pub struct StateError {
    /// What was tried, as `read` or `written`.
    pub action: &'static str,
    /// What lay beneath.
    pub source: Box<dyn Error + Send + Sync>,
}

impl StateError {
    /// A failure to do this to the state.
    pub fn new(action: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            action,
            source: source.into(),
        }
    }
}
