//! Who is in a channel: everybody while it is small, owners, admins and the count when it is large.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::views::MemberChange;
use crate::entry::Role;
use crate::id::{Seq, UserId};
use crate::limits::Limits;

/// One user's membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What they may do.
    pub role: Role,
    /// The entry that added them.
    pub joined: Seq,
    /// The first entry that they may see.
    pub visible_from: Seq,
}

/// Who becomes owner when the last one goes: of those who stay, the longest-standing admin, else the
/// longest-standing member; of two who came together, the lower user id. Guests never.
pub fn successor<'a>(staying: impl IntoIterator<Item = (&'a UserId, Member)>) -> Option<UserId> {
    staying
        .into_iter()
        .filter(|(_, member)| matches!(member.role, Role::Admin | Role::Member))
        .min_by_key(|(user, member)| (Reverse(member.role), member.joined, *user))
        .map(|(user, _)| user.clone())
}

/// The members as far as the fold of a log knows them.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    members: Option<Arc<BTreeMap<UserId, Member>>>,
    // Roles only: when a member of a large channel is promoted, the fold has forgotten when they joined.
    privileged: Arc<BTreeMap<UserId, Role>>,
    count: u64,
    large: bool,
}

impl Roster {
    pub(super) fn empty() -> Self {
        Self {
            members: Some(Arc::default()),
            privileged: Arc::default(),
            count: 0,
            large: false,
        }
    }

    /// The roster that these members make, or the one of a large channel where only some are known.
    pub(super) fn restore(
        members: Option<BTreeMap<UserId, Member>>,
        privileged: BTreeMap<UserId, Role>,
        count: u64,
        large: bool,
    ) -> Self {
        let mut roster = Self {
            members: None,
            privileged: Arc::new(privileged),
            count,
            large,
        };
        if let Some(members) = members {
            roster.adopt(members);
        }
        roster
    }

    /// Takes the members of a small channel as the truth. A large channel stays without.
    pub(super) fn adopt(&mut self, members: BTreeMap<UserId, Member>) {
        if self.large {
            return;
        }
        let privileged = members
            .iter()
            .filter(|(_, member)| is_privileged(member.role));
        self.privileged = Arc::new(
            privileged
                .map(|(user, member)| (user.clone(), member.role))
                .collect(),
        );
        self.count = members.len() as u64;
        self.members = Some(Arc::new(members));
        self.settle();
    }

    pub(super) fn members(&self) -> Option<&BTreeMap<UserId, Member>> {
        self.members.as_deref()
    }

    pub(super) fn privileged(&self) -> &BTreeMap<UserId, Role> {
        &self.privileged
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn is_large(&self) -> bool {
        self.large
    }

    pub(super) fn apply(&mut self, changes: &[MemberChange]) {
        for change in changes {
            self.apply_one(change);
        }
        self.settle();
    }

    fn apply_one(&mut self, change: &MemberChange) {
        match change {
            MemberChange::Joined { user, role, .. } => {
                self.count = self.count.saturating_add(1);
                self.note_role(user, *role);
            }
            MemberChange::Left { user } => {
                self.count = self.count.saturating_sub(1);
                if self.privileged.contains_key(user) {
                    Arc::make_mut(&mut self.privileged).remove(user);
                }
            }
            MemberChange::Role { user, role } => self.note_role(user, *role),
        }
        if let Some(members) = &mut self.members {
            change.apply_to(Arc::make_mut(members));
        }
    }

    fn note_role(&mut self, user: &UserId, role: Role) {
        if is_privileged(role) {
            Arc::make_mut(&mut self.privileged).insert(user.clone(), role);
        } else if self.privileged.contains_key(user) {
            Arc::make_mut(&mut self.privileged).remove(user);
        }
    }

    /// Crosses the limit between small and large, at two different counts, so that a channel around one of them
    /// does not change its nature with every member.
    fn settle(&mut self) {
        self.large = if self.large {
            self.count > Limits::INBOX_COPY_MEMBERS_LOW
        } else {
            self.count > Limits::INBOX_COPY_MEMBERS_MAX
        };
        if self.large {
            self.members = None;
        }
    }
}

fn is_privileged(role: Role) -> bool {
    role >= Role::Admin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn succession_goes_by_rank_then_standing_then_name() {
        let chosen = |staying: &[(&str, Role, u64)]| {
            let members: BTreeMap<UserId, Member> = staying
                .iter()
                .map(|&(name, role, joined)| {
                    let member = Member {
                        role,
                        joined: Seq(joined),
                        visible_from: Seq(1),
                    };
                    (name.parse().expect("a good name"), member)
                })
                .collect();
            let members = members.iter().map(|(user, member)| (user, *member));
            successor(members).map(|user| user.to_string())
        };
        let (guest, member, admin) = (Role::Guest, Role::Member, Role::Admin);
        let late_admin = [("a", member, 1), ("b", guest, 1), ("z", admin, 9)];
        assert_eq!(chosen(&late_admin).as_deref(), Some("z"));
        let admins = [("a", admin, 5), ("b", admin, 4), ("c", member, 1)];
        assert_eq!(chosen(&admins).as_deref(), Some("b"));
        let members = [("b", member, 4), ("a", member, 4), ("c", member, 5)];
        assert_eq!(chosen(&members).as_deref(), Some("a"));
        assert_eq!(chosen(&[("a", guest, 1)]), None);
        assert_eq!(chosen(&[]), None);
    }
}
