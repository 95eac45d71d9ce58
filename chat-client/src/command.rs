//! What the application's side asks of the task.

use chat_proto::sync::{Command as LogCommand, RequestError, SyncMachine};
use chat_proto::wire::{Answer, ClientOp};
use chat_proto::{ChannelId, Seq};
use tokio::sync::oneshot;

use crate::draft::Durable;
use crate::error::SendError;

pub(crate) enum Command {
    Submit(Submit),
    Read(ChannelId, Seq),
    Delivered(ChannelId, Seq),
    Typing(ChannelId),
    Ask(ClientOp, oneshot::Sender<Result<Answer, RequestError>>),
    Look(Look),
    DropConnection,
}

/// A command for the outbox, and who waits for it.
pub(crate) struct Submit {
    pub(crate) command: LogCommand,
    pub(crate) waiter: oneshot::Sender<Result<Durable, SendError>>,
}

/// A look at the machine.
pub(crate) type Look = Box<dyn FnOnce(&SyncMachine) + Send>;
