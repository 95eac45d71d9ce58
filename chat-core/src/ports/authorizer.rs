//! The host's say.

use async_trait::async_trait;
use chat_proto::channel::Action;
use chat_proto::{Body, ChannelId, Rejection, UserId};

use super::PortError;

/// What is about to happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A command that would append to a channel's log, before the rules of chat have decided.
    Command(&'a Action),
    /// A read of a channel's log, history or members.
    Read,
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
/// # Contract
/// - It MUST be a function of its arguments and the host's data; the engine MAY ask more than once for one command.
/// - It MUST NOT call back into the engine for the same channel and wait: the channel's queue stands meanwhile.
/// - `Err` refuses the operation as `unavailable`.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `user` may do `operation` in `channel`.
    async fn authorize(
        &self,
        user: &UserId,
        channel: ChannelId,
        operation: Operation<'_>,
    ) -> Result<Verdict, PortError>;
}
