//! Saying something.

use super::{Actor, Case, Decision, Draft};
use crate::channel::command::NewMessage;
use crate::channel::may::Operation;
use crate::entry::{EntryKind, Message};
use crate::id::{Seq, UserId};
use crate::rejection::Rejection;

impl Case<'_> {
    pub(super) fn send(&self, message: &NewMessage) -> Result<Decision, Rejection> {
        if self.state.meta().is_none() {
            return self.send_first(message);
        }
        let (meta, actor) = self.admitted()?;
        actor.require(
            meta,
            Operation::Send,
            "only owners and admins send to this channel",
        )?;
        self.check_message(message)?;
        self.check_targets(actor, message)?;
        let mentions = self.mentioned(message, |user| Ok(self.role(user)?.is_some()))?;
        self.record(message, mentions)
            .map(|draft| Decision::Record(vec![draft]))
    }

    /// The direct channel begins with its first message; the key is the message's, for a retry is answered with it.
    fn send_first(&self, message: &NewMessage) -> Result<Decision, Rejection> {
        let to = message
            .direct_to
            .as_ref()
            .ok_or_else(super::no_such_channel)?;
        let created = self.direct(to)?;
        self.check_message(message)?;
        if message.reply_to.or(message.thread).is_some() {
            return Err(no_such_target());
        }
        let mentions =
            self.mentioned(message, |user| Ok(user == to || *user == self.command.from))?;
        let first = Draft {
            kind: EntryKind::Created(created),
            key: None,
        };
        Ok(Decision::Record(vec![
            first,
            self.record(message, mentions)?,
        ]))
    }

    fn check_message(&self, message: &NewMessage) -> Result<(), Rejection> {
        let limits = self.context.limits;
        if message.mentions.len() > limits.mentions_max {
            return Err(Rejection::too_large(format!(
                "a message has at most {} mentions",
                limits.mentions_max
            )));
        }
        message.body.check(limits)
    }

    /// What a message answers, or whose thread it is in, must be a message that its sender can see. What they
    /// cannot see answers as if it were not there.
    fn check_targets(&self, actor: Actor, message: &NewMessage) -> Result<(), Rejection> {
        if message.reply_to.or(message.thread).is_none() {
            return Ok(());
        }
        let visible_from = match actor {
            Actor::System => Seq(1),
            Actor::Member(_) => self
                .member(&self.command.from)?
                .map_or(Seq(u64::MAX), |member| member.visible_from),
        };
        for target in [message.reply_to, message.thread].into_iter().flatten() {
            if target < visible_from || target == Seq(0) || target > self.state.head().seq {
                return Err(no_such_target());
            }
            match self.context.targets.get(&target) {
                Some(true) => {}
                Some(false) => return Err(no_such_target()),
                None => {
                    return Err(Rejection::unavailable(
                        "the message that this one refers to was not read; try again",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Those mentioned who are members, each once, as first named. The others are dropped without a word: a sender
    /// who names somebody that just left must not lose the message over it.
    fn mentioned(
        &self,
        message: &NewMessage,
        is_member: impl Fn(&UserId) -> Result<bool, Rejection>,
    ) -> Result<Vec<UserId>, Rejection> {
        let mut mentions: Vec<UserId> = Vec::new();
        for user in &message.mentions {
            if !mentions.contains(user) && is_member(user)? {
                mentions.push(user.clone());
            }
        }
        Ok(mentions)
    }

    fn record(&self, message: &NewMessage, mentions: Vec<UserId>) -> Result<Draft, Rejection> {
        let key = self
            .command
            .key
            .ok_or_else(|| Rejection::bad_request("a message needs a client_id"))?;
        Ok(Draft {
            kind: EntryKind::Message(Message {
                client_id: key.client_id,
                body: Some(message.body.clone()),
                erased: false,
                rev: None,
                reply_to: message.reply_to,
                thread: message.thread,
                mentions,
            }),
            key: Some(key),
        })
    }
}

fn no_such_target() -> Rejection {
    Rejection::not_found("reply_to and thread name a message of this channel that you can see")
}
