//! What the application's side asks of the task.

use chat_proto::sync::{RequestError, SyncMachine};
use chat_proto::wire::{Answer, ClientOp, SendMessage};
use chat_proto::{ChannelId, Seq};
use tokio::sync::oneshot;

use crate::client::Sent;
use crate::error::SendError;

pub(crate) enum Command {
    Send(Send),
    Read(ChannelId, Seq),
    Delivered(ChannelId, Seq),
    Typing(ChannelId),
    Ask(ClientOp, oneshot::Sender<Result<Answer, RequestError>>),
    Look(Look),
    DropConnection,
}

/// A message, and who waits for it.
pub(crate) struct Send {
    pub(crate) message: SendMessage,
    pub(crate) waiter: oneshot::Sender<Result<Sent, SendError>>,
}

/// A look at the machine.
pub(crate) type Look = Box<dyn FnOnce(&SyncMachine) + std::marker::Send>;
