//! Numbers as columns hold them.

use chat_proto::Role;

/// A bound of a range: what lies beyond every stored number is the same as the highest.
pub fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A role as rows keep it; its order is that of the roles.
pub fn role_number(role: Role) -> i8 {
    match role {
        Role::Guest => 0,
        Role::Member => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

/// The role that is kept as this number.
pub fn role_of(number: i8) -> Option<Role> {
    [Role::Guest, Role::Member, Role::Admin, Role::Owner]
        .into_iter()
        .find(|role| role_number(*role) == number)
}
