//! Whether a wish may happen, and what is recorded of it.

mod create;
mod members;
mod meta;
mod send;
mod target;

use super::command::{Action, Command, CommandKey};
use super::context::Context;
use super::may::{Operation, may};
use super::roster::Member;
use super::state::{ChannelState, Meta};
use super::target::Target;
use crate::entry::{EntryKind, Role};
use crate::id::{Seq, UserId};
use crate::rejection::Rejection;

/// What follows from a command that may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// These are appended, all or none: one, or the two that begin a direct channel with its first message.
    Record(Vec<Draft>),
    /// It is so already: nothing is appended, and the command has succeeded.
    AlreadySo,
}

/// An entry before it has a place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it records.
    pub kind: EntryKind,
    /// The command's key, on the one entry that a retry must find.
    pub key: Option<CommandKey>,
    /// As [`Entry::withheld`](crate::entry::Entry::withheld).
    pub withheld: bool,
}

impl Decision {
    fn one(kind: EntryKind, key: Option<CommandKey>) -> Self {
        Self::Record(vec![Draft {
            kind,
            key,
            withheld: false,
        }])
    }
}

/// Decides a command against the log that `state` folds, after its key was searched there and not found.
///
/// Membership comes before everything else: who is not in a channel hears the same as if there were none.
///
/// # Errors
/// `not_found` for a channel, user or target that is not there for the caller; `forbidden` where the caller's role
/// lacks the right; `conflict` for a channel that exists, or a change that would leave a group without an owner;
/// `too_large` and `bad_request` for what breaks a bound or a form; `unavailable` where the log holds a kind of
/// entry that this version does not know, or `context` lacks what [`needs`](super::needs) asked for.
pub fn decide(
    state: &ChannelState,
    command: &Command,
    context: &Context<'_>,
) -> Result<Decision, Rejection> {
    if !state.understood() {
        return Err(Rejection::unavailable(
            "this channel holds entries of a newer version than this server's; another server may know them",
        ));
    }
    let case = Case {
        state,
        command,
        context,
    };
    match &command.action {
        Action::Create(channel) => case.create(channel),
        Action::Send(message) => case.send(message),
        Action::Edit(edit) => case.edit(edit),
        Action::Delete(delete) => case.delete(*delete),
        Action::React(react) => case.react(react),
        Action::Pin(pin) => case.pin(*pin),
        Action::Members(change) => case.change_members(change),
        Action::Meta(change) => case.change_meta(change),
    }
}

/// A command with all that is known to decide it.
struct Case<'a> {
    state: &'a ChannelState,
    command: &'a Command,
    context: &'a Context<'a>,
}

/// In what capacity the caller acts.
#[derive(Clone, Copy)]
enum Actor {
    System,
    Member(Role),
}

impl Actor {
    fn may(self, meta: &Meta, operation: Operation) -> bool {
        match self {
            Self::System => true,
            Self::Member(role) => may(role, meta.channel_type, meta.post, operation),
        }
    }

    fn require(
        self,
        meta: &Meta,
        operation: Operation,
        otherwise: &'static str,
    ) -> Result<(), Rejection> {
        if self.may(meta, operation) {
            Ok(())
        } else {
            Err(Rejection::forbidden(otherwise))
        }
    }
}

impl<'a> Case<'a> {
    /// The channel's settings and the capacity in which the caller acts there.
    fn admitted(&self) -> Result<(&'a Meta, Actor), Rejection> {
        let meta = self.state.meta().ok_or_else(no_such_channel)?;
        if self.command.system {
            return Ok((meta, Actor::System));
        }
        let role = self.role(&self.command.from)?.ok_or_else(no_such_channel)?;
        Ok((meta, Actor::Member(role)))
    }

    fn role(&self, user: &UserId) -> Result<Option<Role>, Rejection> {
        if let Some(role) = self.state.privileged().get(user) {
            return Ok(Some(*role));
        }
        Ok(self.member(user)?.map(|member| member.role))
    }

    fn member(&self, user: &UserId) -> Result<Option<Member>, Rejection> {
        if let Some(roster) = self.state.roster() {
            return Ok(roster.get(user).copied());
        }
        let looked_up = self.context.memberships.get(user).copied();
        looked_up.ok_or_else(|| {
            Rejection::unavailable(
                "a membership that the decision depends on was not read; try again",
            )
        })
    }

    /// The first entry that the caller may see.
    fn visible_from(&self, actor: Actor) -> Result<Seq, Rejection> {
        Ok(match actor {
            Actor::System => Seq(1),
            Actor::Member(_) => self
                .member(&self.command.from)?
                .map_or(Seq(u64::MAX), |member| member.visible_from),
        })
    }

    /// A message of the channel that the caller can see; what they cannot see is as if it were not there.
    fn target(&self, actor: Actor, seq: Seq) -> Result<Option<&Target>, Rejection> {
        let in_sight = self.visible_from(actor)?.max(Seq(1))..=self.state.head().seq;
        if !in_sight.contains(&seq) {
            return Ok(None);
        }
        let target = self.context.targets.get(&seq).ok_or_else(|| {
            Rejection::unavailable("the message that this refers to was not read; try again")
        })?;
        let is_seen = |target: &&Target| !target.withheld || target.from == self.command.from;
        Ok(target.as_ref().filter(is_seen))
    }

    fn require_existing(&self, user: &UserId) -> Result<(), Rejection> {
        if self.context.strangers.contains(user) {
            return Err(Rejection::not_found(format!("there is no user {user}")));
        }
        Ok(())
    }

    fn check_member_number(&self, number: usize) -> Result<(), Rejection> {
        let max = self.context.limits.members_per_entry_max;
        if number > max {
            return Err(Rejection::too_large(format!(
                "at most {max} members are named at once; send the rest in further requests"
            )));
        }
        Ok(())
    }

    fn check_title(&self, title: &str) -> Result<(), Rejection> {
        if title.is_empty() {
            return Err(Rejection::bad_request("a title has at least 1 character"));
        }
        self.check_line("title", title)
    }

    fn check_line(&self, name: &str, text: &str) -> Result<(), Rejection> {
        let max = self.context.limits.title_chars_max;
        if text.len() > max && text.chars().count() > max {
            return Err(Rejection::too_large(format!(
                "{name} has at most {max} characters"
            )));
        }
        Ok(())
    }
}

/// One sentence for both, so that nobody learns of channels that they are not in.
fn no_such_channel() -> Rejection {
    Rejection::not_found("there is no such channel, or you are not in it")
}
