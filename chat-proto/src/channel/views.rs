//! What an entry changes in the rows that stores keep beside the log.

use std::collections::{BTreeMap, BTreeSet};

use super::roster::Member;
use super::state::ChannelState;
use crate::entry::{Created, Entry, EntryKind, History, MemberRole, MembersChange, Role};
use crate::id::{Seq, UserId};

/// A change of one member's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A row begins. The new member's read mark is the head that the entry makes.
    Joined {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
        /// The entry that added them.
        joined: Seq,
        /// The first entry that they may see.
        visible_from: Seq,
    },
    /// The row ends.
    Left {
        /// Who.
        user: UserId,
    },
    /// The row has another role.
    Role {
        /// Who.
        user: UserId,
        /// The role that they have now.
        role: Role,
    },
}

impl MemberChange {
    /// Whose row changes.
    pub fn user(&self) -> &UserId {
        match self {
            Self::Joined { user, .. } | Self::Left { user } | Self::Role { user, .. } => user,
        }
    }

    /// The user's membership behind this change, on top of `before`.
    pub fn applied_to(&self, before: Option<Member>) -> Option<Member> {
        match self {
            Self::Joined {
                role,
                joined,
                visible_from,
                ..
            } => Some(Member {
                role: *role,
                joined: *joined,
                visible_from: *visible_from,
            }),
            Self::Left { .. } => None,
            Self::Role { role, .. } => before.map(|member| Member {
                role: *role,
                ..member
            }),
        }
    }

    /// Makes this change in a map of members.
    pub fn apply_to(&self, members: &mut BTreeMap<UserId, Member>) {
        match self.applied_to(members.get(self.user()).copied()) {
            Some(member) => drop(members.insert(self.user().clone(), member)),
            None => drop(members.remove(self.user())),
        }
    }
}

/// The changes of member rows that `entry` makes on top of `before`, each user at most once. A store writes exactly
/// these in the append's transaction; the fold applies the same.
///
/// An entry that nobody could have decided (whoever wrote it) never stops a fold: what contradicts the known
/// members is left out. Where the members are not known, in a large channel, the entry is trusted.
pub fn member_changes(before: &ChannelState, entry: &Entry) -> Vec<MemberChange> {
    match &entry.kind {
        EntryKind::Created(created) if is_creation(before, entry) => first_members(created, entry),
        EntryKind::Members(change) => members_changed(before, entry.seq, change),
        EntryKind::Created(_)
        | EntryKind::Message(_)
        | EntryKind::Edit(_)
        | EntryKind::Delete(_)
        | EntryKind::React(_)
        | EntryKind::Pin(_)
        | EntryKind::Meta(_)
        | EntryKind::Withheld
        | EntryKind::Unknown { .. } => Vec::new(),
    }
}

/// Whether the entry begins the channel: only the first of a log can.
pub(super) fn is_creation(before: &ChannelState, entry: &Entry) -> bool {
    before.meta().is_none() && entry.seq == Seq(1)
}

fn first_members(created: &Created, entry: &Entry) -> Vec<MemberChange> {
    let mut named = BTreeSet::new();
    created
        .members
        .iter()
        .filter(|member| named.insert(&member.user))
        .map(|member| joined(member, entry.seq, entry.seq))
        .collect()
}

fn members_changed(before: &ChannelState, seq: Seq, change: &MembersChange) -> Vec<MemberChange> {
    let Some(meta) = before.meta() else {
        return Vec::new();
    };
    let visible_from = match meta.history {
        History::Joined => seq,
        History::All => Seq(1),
    };
    let is = |user: &UserId| before.roster().map(|roster| roster.contains_key(user));
    let mut named = BTreeSet::new();
    let mut changes =
        Vec::with_capacity(change.add.len() + change.remove.len() + change.role.len());
    for member in &change.add {
        if is(&member.user) != Some(true) && named.insert(&member.user) {
            changes.push(joined(member, seq, visible_from));
        }
    }
    for user in &change.remove {
        if is(user) != Some(false) && named.insert(user) {
            changes.push(MemberChange::Left { user: user.clone() });
        }
    }
    for member in &change.role {
        if is(&member.user) != Some(false) && named.insert(&member.user) {
            changes.push(MemberChange::Role {
                user: member.user.clone(),
                role: member.role,
            });
        }
    }
    changes
}

fn joined(member: &MemberRole, joined: Seq, visible_from: Seq) -> MemberChange {
    MemberChange::Joined {
        user: member.user.clone(),
        role: member.role,
        joined,
        visible_from,
    }
}
