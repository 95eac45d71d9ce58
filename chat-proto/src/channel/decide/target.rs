//! Doing something to a message: editing, deleting, setting signs, pinning.

use super::{Actor, Case, Decision, Draft};
use crate::channel::command::NewBody;
use crate::channel::may::Operation;
use crate::channel::state::Meta;
use crate::channel::target::Target;
use crate::entry::{Delete, Edit, EntryKind, Pin, React};
use crate::id::Seq;
use crate::rejection::Rejection;

impl Case<'_> {
    pub(super) fn edit(&self, edit: &NewBody) -> Result<Decision, Rejection> {
        let (meta, actor, target) = self.on_message(edit.target)?;
        self.require_author(meta, actor, target, "only its author edits a message")?;
        edit.body.check(self.context.limits)?;
        let kind = EntryKind::Edit(Edit {
            target: edit.target,
            body: Some(edit.body.clone()),
        });
        Ok(self.record_on(target, kind))
    }

    /// Deleting what was deleted has succeeded already.
    pub(super) fn delete(&self, delete: Delete) -> Result<Decision, Rejection> {
        let (meta, actor) = self.admitted()?;
        let target = self.target(actor, delete.target)?.ok_or_else(no_message)?;
        if !actor.may(meta, Operation::DeleteOthers) {
            let otherwise = "only its author deletes a message, and in a group owners and admins";
            self.require_author(meta, actor, target, otherwise)?;
        }
        if target.erased {
            return Ok(Decision::AlreadySo);
        }
        Ok(self.record_on(target, EntryKind::Delete(delete)))
    }

    pub(super) fn react(&self, react: &React) -> Result<Decision, Rejection> {
        let (meta, actor, target) = self.on_message(react.target)?;
        actor.require(meta, Operation::React, "you may not react here")?;
        self.check_emoji(&react.emoji)?;
        if target.own_signs.contains(&react.emoji) != react.remove {
            return Ok(Decision::AlreadySo);
        }
        if !react.remove {
            self.check_room(target, &react.emoji)?;
        }
        Ok(self.record_on(target, EntryKind::React(react.clone())))
    }

    pub(super) fn pin(&self, pin: Pin) -> Result<Decision, Rejection> {
        let (meta, actor, target) = self.on_message(pin.target)?;
        actor.require(meta, Operation::Pin, "only owners and admins pin messages")?;
        if target.pinned != pin.remove {
            return Ok(Decision::AlreadySo);
        }
        Ok(self.record_on(target, EntryKind::Pin(pin)))
    }

    /// The message that the caller would do something to; a deleted one is gone.
    fn on_message(&self, seq: Seq) -> Result<(&Meta, Actor, &Target), Rejection> {
        let (meta, actor) = self.admitted()?;
        let target = self.target(actor, seq)?.filter(|target| !target.erased);
        Ok((meta, actor, target.ok_or_else(no_message)?))
    }

    fn require_author(
        &self,
        meta: &Meta,
        actor: Actor,
        target: &Target,
        otherwise: &'static str,
    ) -> Result<(), Rejection> {
        match actor {
            Actor::System => Ok(()),
            Actor::Member(_) if target.from == self.command.from => {
                actor.require(meta, Operation::ChangeOwn, otherwise)
            }
            Actor::Member(_) => Err(Rejection::forbidden(otherwise)),
        }
    }

    fn check_emoji(&self, emoji: &str) -> Result<(), Rejection> {
        let max = self.context.limits.emoji_bytes_max;
        if emoji.len() > max {
            return Err(Rejection::too_large(format!(
                "an emoji has at most {max} bytes"
            )));
        }
        let is_sign = |c: char| !c.is_whitespace() && !c.is_control();
        if emoji.is_empty() || !emoji.chars().all(is_sign) {
            return Err(Rejection::bad_request(
                "an emoji has at least 1 character, and neither white space nor control characters",
            ));
        }
        Ok(())
    }

    fn check_room(&self, target: &Target, emoji: &str) -> Result<(), Rejection> {
        let limits = self.context.limits;
        if target.own_signs.len() >= limits.reactions_per_user_max {
            return Err(Rejection::too_large(format!(
                "a user sets at most {} reactions on a message; take one back first",
                limits.reactions_per_user_max
            )));
        }
        if target.signs.len() >= limits.reaction_emoji_max && !target.signs.contains_key(emoji) {
            return Err(Rejection::too_large(format!(
                "a message has at most {} different reactions; choose one that is there",
                limits.reaction_emoji_max
            )));
        }
        Ok(())
    }

    /// What is done to a message that was withheld is withheld as well.
    fn record_on(&self, target: &Target, kind: EntryKind) -> Decision {
        Decision::Record(vec![Draft {
            kind,
            key: self.command.key,
            withheld: target.withheld,
        }])
    }
}

fn no_message() -> Rejection {
    Rejection::not_found("there is no such message in this channel, or it was deleted")
}
