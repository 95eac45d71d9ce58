//! What a client's command wishes of a channel.

use chat_proto::channel::{Action, NewBody, NewMessage};
use chat_proto::entry::{Delete, Pin, React};
use chat_proto::wire::{Answer, ChangeAnswer, ClientOp, SendAnswer, SendMessage, Target};
use chat_proto::{ChannelId, ClientId, Seq, UserId};

use crate::draft::Receipt;

/// A client's command, apart from who sent it.
pub(super) struct Wish {
    pub(super) channel: ChannelId,
    pub(super) client_id: ClientId,
    /// The head as the client knew it when it composed the command.
    pub(super) after: Seq,
    pub(super) action: Action,
}

impl Wish {
    /// What `sender` wishes by `op`; the op itself where it is no command.
    pub(super) fn of(sender: &UserId, op: ClientOp) -> Result<Self, Box<ClientOp>> {
        Ok(match op {
            ClientOp::Send(message) => Self::send(sender, message),
            ClientOp::Edit(edit) => Self {
                channel: edit.channel,
                client_id: edit.client_id,
                after: edit.after.unwrap_or_default(),
                action: Action::Edit(NewBody {
                    target: edit.seq,
                    body: edit.body,
                }),
            },
            ClientOp::Delete(delete) => Self {
                channel: delete.channel,
                client_id: delete.client_id,
                after: delete.after.unwrap_or_default(),
                action: Action::Delete(Delete { target: delete.seq }),
            },
            ClientOp::React(react) => Self {
                channel: react.channel,
                client_id: react.client_id,
                after: react.after.unwrap_or_default(),
                action: Action::React(React {
                    target: react.seq,
                    emoji: react.emoji,
                    remove: react.remove,
                }),
            },
            ClientOp::Pin(pin) => Self {
                channel: pin.channel,
                client_id: pin.client_id,
                after: pin.after.unwrap_or_default(),
                action: Action::Pin(Pin {
                    target: pin.seq,
                    remove: pin.remove,
                }),
            },
            op @ (ClientOp::Sync(_)
            | ClientOp::Pull(_)
            | ClientOp::History(_)
            | ClientOp::Read(_)
            | ClientOp::Delivered(_)
            | ClientOp::Prefs(_)
            | ClientOp::Receipts(_)
            | ClientOp::Watch(_)
            | ClientOp::Unwatch(_)
            | ClientOp::Status(_)) => return Err(Box::new(op)),
        })
    }

    pub(super) fn send(sender: &UserId, message: SendMessage) -> Self {
        let channel = message.to.channel(sender);
        let direct_to = match message.to {
            Target::User(user) => Some(user),
            Target::Channel(_) => None,
        };
        Self {
            channel,
            client_id: message.client_id,
            after: message.after.unwrap_or_default(),
            action: Action::Send(NewMessage {
                direct_to,
                body: message.body,
                reply_to: message.reply_to,
                thread: message.thread,
                mentions: message.mentions,
            }),
        }
    }
}

/// A receipt as whoever sent the command hears it, given the message that the command does something to.
pub(super) fn answer_to(target: Option<Seq>, receipt: Receipt) -> Answer {
    match target {
        Some(_) => Answer::Change(ChangeAnswer {
            seq: receipt.seq,
            duplicate: receipt.duplicate,
        }),
        None => Answer::Send(SendAnswer {
            channel: receipt.channel,
            seq: receipt.seq,
            n: receipt.n,
            message: receipt.message,
            at: receipt.at,
            duplicate: receipt.duplicate,
        }),
    }
}
