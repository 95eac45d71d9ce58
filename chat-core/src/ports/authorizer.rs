//! The host's say.

use async_trait::async_trait;
use chat_proto::channel::Action;
use chat_proto::{Body, ChannelId, Rejection, UserId};

use super::PortError;

/// What is about to happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A command that would append to a channel's log, before the rules of chat have decided: who creates a channel or
    /// adds somebody asks for those who join it.
    Command {
        /// The channel, also one that does not exist yet.
        channel: ChannelId,
        /// What would be done.
        action: &'a Action,
    },
    /// A read of a channel: its place in the list of channels, its log, history or members, one's own marks in it, being seen typing in it. A
    /// denied one is not in the answer to `sync`.
    Read {
        /// The channel.
        channel: ChannelId,
    },
    /// A watch of how a contact is seen. A denied one is among the refused of the answer.
    Watch {
        /// The contact.
        contact: &'a UserId,
    },
}

/// What the host says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The rules of chat decide.
    Allow,
    /// Refused, with a code and a sentence for the caller.
    Deny(Rejection),
    /// The rules of chat decide on a message with this body instead of the sent one. A retry still finds the first
    /// result: keys are hashes of what was sent.
    ReplaceBody(Body),
}

/// The embedding program's own rules, asked before the rules of chat.
///
/// It is not asked about what the program does itself as [`System`](crate::System), nor about each entry that is pushed to a
/// member: to keep somebody from hearing a channel, remove them. One `sync` asks for each channel that it lists, so it answers from
/// memory or nearly so; what takes longer than [`port_time_max`](crate::EngineSettings::port_time_max) is refused as by an error.
///
/// # Contract
/// - It MUST be a function of its arguments and the host's data; the engine MAY ask more than once for one command.
/// - It MUST NOT call back into the engine for the same channel and wait: the channel's queue stands meanwhile.
/// - `Err` refuses the operation as `unavailable`.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `user` may do `operation`.
    async fn authorize(
        &self,
        user: &UserId,
        operation: Operation<'_>,
    ) -> Result<Verdict, PortError>;
}
