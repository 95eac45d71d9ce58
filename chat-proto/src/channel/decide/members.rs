//! Members who come, go or change their role, and the owner that a group must keep.

use std::collections::BTreeSet;

use super::{Actor, Case, Decision};
use crate::channel::context::owners;
use crate::channel::may::Operation;
use crate::channel::roster::successor;
use crate::channel::state::Meta;
use crate::entry::{ChannelType, EntryKind, MemberRole, MembersChange, Role};
use crate::id::UserId;
use crate::rejection::Rejection;

impl Case<'_> {
    pub(super) fn change_members(&self, change: &MembersChange) -> Result<Decision, Rejection> {
        let (meta, actor) = self.admitted()?;
        if meta.channel_type == ChannelType::Direct {
            return Err(Rejection::forbidden(
                "the members of a direct channel never change",
            ));
        }
        let number = change.add.len() + change.remove.len() + change.role.len();
        if number == 0 {
            return Err(Rejection::bad_request("name at least one member"));
        }
        self.check_member_number(number)?;
        check_named_once(change)?;
        let mut change = MembersChange {
            add: self.really_added(meta, actor, &change.add)?,
            remove: self.really_removed(meta, actor, &change.remove)?,
            role: self.really_changed(meta, actor, &change.role)?,
        };
        if change == MembersChange::default() {
            return Ok(Decision::AlreadySo);
        }
        self.keep_an_owner(&mut change)?;
        Ok(Decision::one(EntryKind::Members(change), self.command.key))
    }

    /// Those to add who are not members yet.
    fn really_added(
        &self,
        meta: &Meta,
        actor: Actor,
        add: &[MemberRole],
    ) -> Result<Vec<MemberRole>, Rejection> {
        let mut added = Vec::new();
        for member in unique(add, |member| &member.user) {
            let otherwise = "owners add members; admins too, as members or guests only";
            actor.require(meta, Operation::Add(member.role), otherwise)?;
            if self.role(&member.user)?.is_none() {
                self.require_existing(&member.user)?;
                added.push(member.clone());
            }
        }
        Ok(added)
    }

    /// Those to remove who are members.
    fn really_removed(
        &self,
        meta: &Meta,
        actor: Actor,
        remove: &[UserId],
    ) -> Result<Vec<UserId>, Rejection> {
        let mut removed = Vec::new();
        for user in unique(remove, |user| user) {
            let role = self.role(user)?;
            let operation = if *user == self.command.from {
                Operation::Leave
            } else {
                // Who may remove nobody is told so, whether or not the other is a member.
                Operation::Remove(role.unwrap_or(Role::Guest))
            };
            let otherwise =
                "owners remove anybody, admins remove members and guests, and everybody may leave";
            actor.require(meta, operation, otherwise)?;
            if role.is_some() {
                removed.push(user.clone());
            }
        }
        Ok(removed)
    }

    /// Those who have another role now.
    fn really_changed(
        &self,
        meta: &Meta,
        actor: Actor,
        roles: &[MemberRole],
    ) -> Result<Vec<MemberRole>, Rejection> {
        let mut changed = Vec::new();
        for member in unique(roles, |member| &member.user) {
            actor.require(meta, Operation::ChangeRoles, "only owners change roles")?;
            match self.role(&member.user)? {
                None => {
                    return Err(Rejection::not_found(format!(
                        "{} is not a member; add them first",
                        member.user
                    )));
                }
                Some(role) if role == member.role => {}
                Some(_) => changed.push(member.clone()),
            }
        }
        Ok(changed)
    }

    /// Sees that an owner remains wherever an admin or a member does. Where the last one goes, the hand-over becomes
    /// part of the entry, so that reading the log needs no rule of succession.
    fn keep_an_owner(&self, change: &mut MembersChange) -> Result<(), Rejection> {
        let is_changed = |user: &UserId| change.role.iter().any(|member| member.user == *user);
        let owner_stays =
            owners(self.state).any(|user| !change.remove.contains(user) && !is_changed(user));
        let mut named = change.add.iter().chain(&change.role);
        if owner_stays || named.any(|member| member.role == Role::Owner) {
            return Ok(());
        }
        // Succession goes by the roles before the entry; changing them in the same breath would make it a riddle.
        if !change.role.is_empty() {
            return Err(Rejection::conflict(
                "a group needs an owner; make another member owner first",
            ));
        }
        if let Some(user) = self.successor(change) {
            let role = Role::Owner;
            change.role.push(MemberRole { user, role });
            return Ok(());
        }
        if change.add.iter().any(|member| member.role != Role::Guest) {
            return Err(Rejection::conflict(
                "a group needs an owner; add one of them as owner",
            ));
        }
        Ok(())
    }

    /// Who takes over from the last owner, among those who stay.
    fn successor(&self, change: &MembersChange) -> Option<UserId> {
        if change.remove.is_empty() {
            return None;
        }
        let Some(roster) = self.state.roster() else {
            return self.context.successor.clone();
        };
        let leaving: BTreeSet<&UserId> = change.remove.iter().collect();
        let staying = roster.iter().filter(|(user, _)| !leaving.contains(user));
        successor(staying.map(|(user, member)| (user, *member)))
    }
}

/// The items without those whose user was named before.
fn unique<'a, T>(
    items: &'a [T],
    user: impl Fn(&'a T) -> &'a UserId,
) -> impl Iterator<Item = &'a T> {
    let mut named = BTreeSet::new();
    items.iter().filter(move |item| named.insert(user(item)))
}

fn check_named_once(change: &MembersChange) -> Result<(), Rejection> {
    let added: BTreeSet<_> = change.add.iter().map(|member| &member.user).collect();
    let removed: BTreeSet<_> = change.remove.iter().collect();
    let changed: BTreeSet<_> = change.role.iter().map(|member| &member.user).collect();
    if added.is_disjoint(&removed) && added.is_disjoint(&changed) && removed.is_disjoint(&changed) {
        return Ok(());
    }
    Err(Rejection::bad_request(
        "name a user in one of add, remove and role only",
    ))
}
