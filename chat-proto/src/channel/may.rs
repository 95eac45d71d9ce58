//! Who may what: the one table of rights.

use crate::entry::{ChannelType, Posting, Role};

/// What a member wants to do in a channel, as far as rights tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Read the log, move one's marks, show that one types.
    Read,
    /// Send a message.
    Send,
    /// Set a sign on a message.
    React,
    /// Edit or delete one's own message.
    ChangeOwn,
    /// Delete another's message.
    DeleteOthers,
    /// Pin a message.
    Pin,
    /// Change title, topic, avatar or settings.
    ChangeMeta,
    /// Add somebody with this role.
    Add(Role),
    /// Remove another member who has this role.
    Remove(Role),
    /// Remove oneself.
    Leave,
    /// Change somebody's role.
    ChangeRoles,
}

/// Whether a member with this role may do it. Those who are not members may nothing, and learn nothing.
pub fn may(role: Role, channel_type: ChannelType, post: Posting, operation: Operation) -> bool {
    match channel_type {
        ChannelType::Direct => match operation {
            Operation::Read
            | Operation::Send
            | Operation::React
            | Operation::ChangeOwn
            | Operation::Pin => true,
            Operation::DeleteOthers
            | Operation::ChangeMeta
            | Operation::Add(_)
            | Operation::Remove(_)
            | Operation::Leave
            | Operation::ChangeRoles => false,
        },
        ChannelType::Group => may_in_group(role, post, operation),
    }
}

fn may_in_group(role: Role, post: Posting, operation: Operation) -> bool {
    match operation {
        Operation::Read | Operation::React | Operation::ChangeOwn | Operation::Leave => true,
        Operation::Send => match post {
            Posting::All => true,
            Posting::Admins => role >= Role::Admin,
        },
        Operation::DeleteOthers | Operation::Pin | Operation::ChangeMeta => role >= Role::Admin,
        // An admin's reach ends below admin: nobody makes or removes their equal but an owner.
        Operation::Add(other) | Operation::Remove(other) => match role {
            Role::Owner => true,
            Role::Admin => other < Role::Admin,
            Role::Member | Role::Guest => false,
        },
        Operation::ChangeRoles => role == Role::Owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{
        Add, ChangeMeta, ChangeOwn, ChangeRoles, DeleteOthers, Leave, Pin, React, Read, Remove,
        Send,
    };
    use Role::{Admin, Guest, Member, Owner};

    /// Owner, admin, member, guest; then either side of a direct channel. `p` = unless only admins post.
    const TABLE: [(Operation, &str); 17] = [
        (Read, "yyyyy"),
        (Send, "yyppy"),
        (React, "yyyyy"),
        (ChangeOwn, "yyyyy"),
        (DeleteOthers, "yynnn"),
        (Pin, "yynny"),
        (ChangeMeta, "yynnn"),
        (Add(Owner), "ynnnn"),
        (Add(Admin), "ynnnn"),
        (Add(Member), "yynnn"),
        (Add(Guest), "yynnn"),
        (Remove(Owner), "ynnnn"),
        (Remove(Admin), "ynnnn"),
        (Remove(Member), "yynnn"),
        (Remove(Guest), "yynnn"),
        (Leave, "yyyyn"),
        (ChangeRoles, "ynnnn"),
    ];

    #[test]
    fn rights_are_as_the_table_says() {
        for (operation, row) in TABLE {
            for post in [Posting::All, Posting::Admins] {
                let expected = |cell: u8| match cell {
                    b'y' => true,
                    b'p' => post == Posting::All,
                    _ => false,
                };
                for (role, cell) in [Owner, Admin, Member, Guest].into_iter().zip(row.bytes()) {
                    let actual = may(role, ChannelType::Group, post, operation);
                    assert_eq!(actual, expected(cell), "{role:?} {post:?} {operation:?}");
                    let direct = may(role, ChannelType::Direct, post, operation);
                    assert_eq!(
                        direct,
                        expected(row.as_bytes()[4]),
                        "direct {role:?} {operation:?}"
                    );
                }
            }
        }
    }
}
