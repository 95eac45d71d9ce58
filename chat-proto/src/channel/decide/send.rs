//! Saying something.

use super::{Actor, Case, Decision, Draft};
use crate::channel::command::NewMessage;
use crate::channel::context::{Reception, peer};
use crate::channel::may::Operation;
use crate::entry::{EntryKind, Message};
use crate::id::UserId;
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
        let reception = self.reception(peer(self.state, &self.command.from))?;
        let mentions = self.mentioned(message, |user| Ok(self.role(user)?.is_some()))?;
        let draft = self.record(message, mentions, reception)?;
        Ok(Decision::Record(vec![draft]))
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
        let reception = self.reception(Some(to))?;
        let mentions =
            self.mentioned(message, |user| Ok(user == to || *user == self.command.from))?;
        let first = Draft {
            kind: EntryKind::Created(created),
            key: None,
            withheld: reception.blocks,
        };
        Ok(Decision::Record(vec![
            first,
            self.record(message, mentions, reception)?,
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

    /// What a message answers, or whose thread it is in, must be a message that its sender can see.
    fn check_targets(&self, actor: Actor, message: &NewMessage) -> Result<(), Rejection> {
        for seq in [message.reply_to, message.thread].into_iter().flatten() {
            self.target(actor, seq)?.ok_or_else(no_such_target)?;
        }
        Ok(())
    }

    /// Whether the message will be withheld from the other user of a direct channel.
    fn reception(&self, to: Option<&UserId>) -> Result<Reception, Rejection> {
        if self.command.system || to.is_none_or(|to| *to == self.command.from) {
            return Ok(Reception::default());
        }
        let reception = self.context.reception.ok_or_else(|| {
            Rejection::unavailable("whether the other user takes messages was not read; try again")
        })?;
        if reception.refuses {
            return Err(Rejection::forbidden(
                "this user takes direct messages of contacts only; ask to be one",
            ));
        }
        Ok(reception)
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

    fn record(
        &self,
        message: &NewMessage,
        mentions: Vec<UserId>,
        reception: Reception,
    ) -> Result<Draft, Rejection> {
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
            withheld: reception.blocks,
        })
    }
}

fn no_such_target() -> Rejection {
    Rejection::not_found("reply_to and thread name a message of this channel that you can see")
}
