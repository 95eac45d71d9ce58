//! What a decision needs beyond the fold of the log.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{Action, Command, NewBody, NewMessage};
use super::roster::Member;
use super::state::ChannelState;
use super::target::Target;
use crate::entry::{ChannelType, Delete, MembersChange, Pin, React, Role};
use crate::id::{Seq, UserId};
use crate::limits::Limits;

/// What was looked up for one decision, as it is at exactly the state's head. Must answer all that [`needs`] asked
/// of that state: after folding further entries, ask and look up again.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The server's bounds.
    pub limits: &'a Limits,
    /// Memberships, where the state does not know all members: none for those who are not in the channel.
    pub memberships: BTreeMap<UserId, Option<Member>>,
    /// Whom [`successor`](super::successor) chooses, where the state does not know all members.
    pub successor: Option<UserId>,
    /// What each target is to the caller now; none for an entry that is no message.
    pub targets: BTreeMap<Seq, Option<Target>>,
    /// How the other user of a direct channel takes messages of the caller.
    pub reception: Option<Reception>,
    /// Those of the people asked for who do not exist.
    pub strangers: BTreeSet<UserId>,
}

impl<'a> Context<'a> {
    /// The context of a command that needs nothing looked up. Does not allocate.
    pub fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            memberships: BTreeMap::new(),
            successor: None,
            targets: BTreeMap::new(),
            reception: None,
            strangers: BTreeSet::new(),
        }
    }
}

/// How a user takes direct messages of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// They block the sender, who must not learn of it.
    pub blocks: bool,
    /// They take direct messages of their contacts only, and the sender is none.
    pub refuses: bool,
}

/// What must be looked up before a command is decided against a state. Nothing for a plain message to a channel
/// whose members are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whose membership: goes to [`Context::memberships`].
    pub members: BTreeSet<UserId>,
    /// Whether the successor is needed, chosen among the members without those whom the command removes:
    /// goes to [`Context::successor`].
    pub successor: bool,
    /// Which entries are targets: go to [`Context::targets`]. All lie at or below the state's head.
    pub targets: BTreeSet<Seq>,
    /// Who receives the caller's message directly: how they take it goes to [`Context::reception`].
    pub reception: Option<UserId>,
    /// Of whom it must be known that they exist: the others go to [`Context::strangers`].
    pub people: BTreeSet<UserId>,
}

impl Needs {
    /// Whether nothing need be looked up.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
            && !self.successor
            && self.targets.is_empty()
            && self.reception.is_none()
            && self.people.is_empty()
    }
}

/// What must be looked up before `command` is decided against `state`.
pub fn needs(state: &ChannelState, command: &Command) -> Needs {
    let mut needs = Needs::default();
    match &command.action {
        Action::Create(channel) => {
            if state.meta().is_none() {
                let others = channel.members.iter().filter(|user| **user != command.from);
                needs.people.extend(others.cloned());
            }
        }
        Action::Send(message) => needs.of_message(state, command, message),
        Action::Edit(NewBody { target, .. })
        | Action::Delete(Delete { target })
        | Action::React(React { target, .. })
        | Action::Pin(Pin { target, .. }) => needs.of_target(state, command, *target),
        Action::Members(change) => needs.of_members(state, command, change),
        Action::Meta(_) => needs.membership(state, command),
    }
    needs
}

impl Needs {
    fn of_message(&mut self, state: &ChannelState, command: &Command, message: &NewMessage) {
        if state.meta().is_none() {
            let other = message.direct_to.iter().find(|to| **to != command.from);
            self.people.extend(other.cloned());
            self.reception = other.filter(|_| !command.system).cloned();
            return;
        }
        if !command.system {
            self.reception = peer(state, &command.from).cloned();
        }
        let targets = [message.reply_to, message.thread].into_iter().flatten();
        self.targets
            .extend(targets.filter(|seq| is_in_log(state, *seq)));
        if state.roster().is_some() {
            return;
        }
        self.members.extend(message.mentions.iter().cloned());
        if message.reply_to.or(message.thread).is_none() {
            self.membership(state, command);
        } else if !command.system {
            // Also of an owner: from where they see the log is not in the fold.
            self.members.insert(command.from.clone());
        }
    }

    fn of_target(&mut self, state: &ChannelState, command: &Command, target: Seq) {
        if is_in_log(state, target) {
            self.targets.insert(target);
        }
        if state.meta().is_some() && state.roster().is_none() && !command.system {
            // Also of an owner: from where they see the log is not in the fold.
            self.members.insert(command.from.clone());
        }
    }

    fn of_members(&mut self, state: &ChannelState, command: &Command, change: &MembersChange) {
        let is_known = |user: &UserId| {
            state
                .roster()
                .is_some_and(|roster| roster.contains_key(user))
        };
        let added = change.add.iter().map(|member| &member.user);
        self.people
            .extend(added.clone().filter(|user| !is_known(user)).cloned());
        if state.roster().is_some() {
            return;
        }
        self.membership(state, command);
        let promoted = change.role.iter().map(|member| &member.user);
        let named = added.chain(&change.remove).chain(promoted);
        self.members.extend(
            named
                .filter(|user| !state.privileged().contains_key(*user))
                .cloned(),
        );
        self.successor =
            !change.remove.is_empty() && owners(state).all(|owner| change.remove.contains(owner));
    }

    fn membership(&mut self, state: &ChannelState, command: &Command) {
        if !command.system
            && state.roster().is_none()
            && !state.privileged().contains_key(&command.from)
        {
            self.members.insert(command.from.clone());
        }
    }
}

fn is_in_log(state: &ChannelState, seq: Seq) -> bool {
    (Seq(1)..=state.head().seq).contains(&seq)
}

/// The other user of a direct channel.
pub(super) fn peer<'a>(state: &'a ChannelState, user: &UserId) -> Option<&'a UserId> {
    let is_direct = state.meta()?.channel_type == ChannelType::Direct;
    let members = state.roster().filter(|_| is_direct)?;
    members.keys().find(|member| *member != user)
}

/// The owners, of whom the fold always knows.
pub(super) fn owners(state: &ChannelState) -> impl Iterator<Item = &UserId> {
    state
        .privileged()
        .iter()
        .filter(|(_, role)| **role == Role::Owner)
        .map(|(user, _)| user)
}
