//! Who came, went and changed over a transaction.

use std::collections::BTreeMap;

use chat_proto::channel::MemberChange;
use chat_proto::{Head, UserId};

use super::append::PreparedEntry;
use super::numbers::{bound, role_number};

/// Changes of members, collected so that each row is written once.
#[derive(Default)]
pub struct MemberChanges {
    fates: BTreeMap<(i64, UserId), MemberFate>,
}

/// What became of a user in a channel over the transaction.
enum MemberFate {
    In(MemberRow),
    Out(LeftRow),
    Role(i8),
}

/// What a transaction does to members.
#[derive(Default)]
pub struct MemberRows {
    /// Who came.
    pub joined: Vec<MemberRow>,
    /// The same: they have left no more.
    pub back: Vec<MemberKey>,
    /// Whose rows end.
    pub gone: Vec<MemberKey>,
    /// The same: when they left.
    pub left: Vec<LeftRow>,
    /// Who has another role.
    pub roles: Vec<RoleRow>,
}

/// A user who is a member after the transaction and came in it.
pub struct MemberRow {
    /// The store's short name of the channel.
    pub channel: i64,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: i8,
    /// The entry that added them.
    pub joined: i64,
    /// The first entry that they may see.
    pub visible_from: i64,
    /// The head that the adding entry made.
    pub read: Head,
}

/// A member's row by its key, or that of who left.
pub struct MemberKey {
    /// The store's short name of the channel.
    pub channel: i64,
    /// Who.
    pub user: UserId,
}

/// Another role.
pub struct RoleRow {
    /// The store's short name of the channel.
    pub channel: i64,
    /// Who.
    pub user: UserId,
    /// The role.
    pub role: i8,
}

/// A departure.
pub struct LeftRow {
    /// The store's short name of the channel.
    pub channel: i64,
    /// Who.
    pub user: UserId,
    /// When.
    pub at: i64,
}

impl MemberChanges {
    /// Takes in the next entry of a log.
    pub fn take(&mut self, channel: i64, entry: &PreparedEntry) {
        for change in &entry.changes {
            self.change(channel, entry, change);
        }
    }

    /// Whether nobody came, went or changed.
    pub fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// All of it; nothing is left.
    pub fn take_rows(&mut self) -> MemberRows {
        let mut rows = MemberRows::default();
        for ((channel, user), fate) in std::mem::take(&mut self.fates) {
            match fate {
                MemberFate::In(row) => {
                    rows.back.push(MemberKey { channel, user });
                    rows.joined.push(row);
                }
                MemberFate::Out(row) => {
                    rows.gone.push(MemberKey { channel, user });
                    rows.left.push(row);
                }
                MemberFate::Role(role) => rows.roles.push(RoleRow {
                    channel,
                    user,
                    role,
                }),
            }
        }
        rows
    }

    fn change(&mut self, channel: i64, entry: &PreparedEntry, change: &MemberChange) {
        let place = (channel, change.user().clone());
        match change {
            MemberChange::Joined {
                user,
                role,
                joined,
                visible_from,
            } => {
                let row = MemberRow {
                    channel,
                    user: user.clone(),
                    role: role_number(*role),
                    joined: bound(joined.0),
                    visible_from: bound(visible_from.0),
                    read: entry.head,
                };
                self.fates.insert(place, MemberFate::In(row));
            }
            MemberChange::Left { user } => {
                let row = LeftRow {
                    channel,
                    user: user.clone(),
                    at: entry.at,
                };
                self.fates.insert(place, MemberFate::Out(row));
            }
            MemberChange::Role { role, .. } => {
                let role = role_number(*role);
                match self.fates.entry(place).or_insert(MemberFate::Role(role)) {
                    MemberFate::In(row) => row.role = role,
                    MemberFate::Role(known) => *known = role,
                    // Whoever has left has no role.
                    MemberFate::Out(_) => {}
                }
            }
        }
    }
}
