//! A command on its way, and how its answer gets back.

use std::sync::Arc;

use chat_proto::channel::{Action, Command};
use chat_proto::wire::Answer;
use chat_proto::{Code, MessageId, Rejection, Seq};
use tokio::sync::oneshot;

use super::wish::answer_to;
use crate::draft::Receipt;
use crate::ports::Verdict;
use crate::session::{SessionShared, Turn};

/// A command that waits in a channel's queue, with what was found out about it on the way.
pub(super) struct Submission {
    pub(super) command: Command,
    /// The head as the client knew it when it composed the command: its key cannot be at or before it.
    pub(super) after: Seq,
    /// The log up to here has been searched for the key.
    pub(super) searched_through: Seq,
    /// The host's say, once it was asked.
    pub(super) verdict: Option<Verdict>,
    /// Names given to this command in appends that had no answer: an entry of such a name is this command's own.
    pub(super) attempted: Vec<MessageId>,
    pub(super) bytes: usize,
    pub(super) reply: Reply,
}

impl Submission {
    pub(super) fn new(command: Command, after: Seq, bytes: usize, reply: Reply) -> Self {
        Self {
            command,
            after,
            searched_through: Seq(0),
            verdict: None,
            attempted: Vec::new(),
            bytes,
            reply,
        }
    }

    /// Whether the session of this command has an earlier one in this channel that failed and must come again first.
    pub(super) fn must_wait(&self) -> bool {
        self.reply.must_wait()
    }

    /// Answers the command.
    pub(super) fn answer(mut self, result: Result<Receipt, Rejection>) {
        self.reply.send(
            &self.command.action,
            match result {
                // Something of it may be in the log, whatever stands in the way of finding out.
                Err(rejection)
                    if rejection.code == Code::Unavailable && !self.attempted.is_empty() =>
                {
                    let unknown = Rejection::unknown_outcome(
                        "the server could not confirm it: retry with the same client_id",
                    );
                    Err(Rejection {
                        retry_after_ms: rejection.retry_after_ms,
                        ..unknown
                    })
                }
                result => result,
            },
        );
    }
}

/// Where an answer goes. Dropped without one, it says that the outcome is unknown: nobody waits for ever.
pub(crate) struct Reply(Option<To>);

enum To {
    Waiter(oneshot::Sender<Result<Receipt, Rejection>>),
    Session {
        session: Arc<SessionShared>,
        id: u32,
        bytes: usize,
        turn: Turn,
    },
}

impl Reply {
    pub(super) fn waiter(sender: oneshot::Sender<Result<Receipt, Rejection>>) -> Self {
        Self(Some(To::Waiter(sender)))
    }

    pub(crate) fn session(session: Arc<SessionShared>, id: u32, bytes: usize, turn: Turn) -> Self {
        Self(Some(To::Session {
            session,
            id,
            bytes,
            turn,
        }))
    }

    fn must_wait(&self) -> bool {
        match &self.0 {
            Some(To::Session { session, turn, .. }) => session.order.must_wait(turn),
            Some(To::Waiter(_)) | None => false,
        }
    }

    /// The session that waits for it.
    pub(super) fn origin(&self) -> Option<&Arc<SessionShared>> {
        match &self.0 {
            Some(To::Session { session, .. }) => Some(session),
            Some(To::Waiter(_)) | None => None,
        }
    }

    fn send(&mut self, action: &Action, result: Result<Receipt, Rejection>) {
        self.settle(result, |receipt| answer_to(action.target(), receipt));
    }

    fn settle(
        &mut self,
        result: Result<Receipt, Rejection>,
        answer_of: impl FnOnce(Receipt) -> Answer,
    ) {
        match self.0.take() {
            // Whoever waited may have gone; the log has what it has.
            Some(To::Waiter(sender)) => drop(sender.send(result)),
            Some(To::Session {
                session,
                id,
                bytes,
                turn,
            }) => {
                let may_come_again = result
                    .as_ref()
                    .is_err_and(|rejection| rejection.code.is_transient());
                session.settle(&turn, may_come_again);
                session.outbound.answer(id, bytes, result.map(answer_of));
            }
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.0.is_some() {
            let stopped = Rejection::unknown_outcome(
                "the server stopped on the way: retry with the same client_id",
            );
            self.settle(Err(stopped), |_| Answer::Done);
        }
    }
}
