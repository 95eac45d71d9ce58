//! What a client asks about people, and says of its own user.

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde::ser::SerializeMap;

use crate::flat::{Fields, flat};
use crate::id::UserId;
use crate::limits::Limits;
use crate::people::Status;
use crate::rejection::Rejection;

/// Asks whether others are there, and to be told when that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// These users.
    Users(Vec<UserId>),
    /// All contacts.
    Contacts,
}

/// Wants to hear of these users no longer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Unwatch {
    /// Whom.
    #[cfg_attr(feature = "schema", schema(max_items = 500))]
    pub users: Vec<UserId>,
}

/// Says whether the user is there: on all devices, kept across connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SetStatus {
    /// Whether.
    pub state: Status,
    /// What they say beside it; absent for nothing.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_length = 100))]
    pub text: Option<String>,
}

impl Watch {
    /// Checks the number of users, which only the frame's size bounds until then.
    ///
    /// # Errors
    /// `too_large` for more users than `page_entries_max`.
    pub fn check(&self, limits: &Limits) -> Result<(), Rejection> {
        match self {
            Self::Users(users) => check_users(users, limits),
            Self::Contacts => Ok(()),
        }
    }
}

impl Unwatch {
    /// Checks the number of users, which only the frame's size bounds until then.
    ///
    /// # Errors
    /// `too_large` for more users than `page_entries_max`.
    pub fn check(&self, limits: &Limits) -> Result<(), Rejection> {
        check_users(&self.users, limits)
    }
}

impl SetStatus {
    /// Checks the length of the text.
    ///
    /// # Errors
    /// `too_large` for more characters than `status_chars_max`.
    pub fn check(&self, limits: &Limits) -> Result<(), Rejection> {
        match &self.text {
            Some(text) if text.chars().count() > limits.status_chars_max => {
                Err(Rejection::too_large(format!(
                    "a status has a text of at most {} characters",
                    limits.status_chars_max
                )))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn check_users(users: &[UserId], limits: &Limits) -> Result<(), Rejection> {
    if users.len() > limits.page_entries_max {
        return Err(Rejection::too_large(format!(
            "a frame names at most {} users; send the rest in another",
            limits.page_entries_max
        )));
    }
    Ok(())
}

flat!(Unwatch {
    always: users;
    present: ;
});
flat!(SetStatus {
    always: state;
    present: text;
});

impl Fields for Watch {
    fn count(&self) -> usize {
        1
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Users(users) => map.serialize_entry("users", users),
            Self::Contacts => map.serialize_entry("contacts", &true),
        }
    }
}

impl<'de> Deserialize<'de> for Watch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Either {
            users: Option<Vec<UserId>>,
            contacts: Option<bool>,
        }
        let either = Either::deserialize(deserializer)?;
        match (either.users, either.contacts.unwrap_or_default()) {
            (Some(users), false) => Ok(Self::Users(users)),
            (None, true) => Ok(Self::Contacts),
            (None, false) | (Some(_), true) => Err(de::Error::custom(
                "exactly one of `users` and `contacts: true`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::Code;

    #[test]
    fn what_only_the_frame_bounds_is_checked() {
        let limits = Limits::default();
        let code = |checked: Result<(), Rejection>| checked.err().map(|rejection| rejection.code);
        let users = |count| vec!["bob".parse().expect("a good name"); count];
        let watch = |count| code(Watch::Users(users(count)).check(&limits));
        let unwatch = |count| {
            let users = users(count);
            code(Unwatch { users }.check(&limits))
        };
        let status = |chars| {
            let state = Status::Busy;
            let text = Some("\u{1F600}".repeat(chars));
            code(SetStatus { state, text }.check(&limits))
        };
        assert_eq!(watch(limits.page_entries_max), None);
        assert_eq!(watch(limits.page_entries_max + 1), Some(Code::TooLarge));
        assert_eq!(code(Watch::Contacts.check(&limits)), None);
        assert_eq!(unwatch(limits.page_entries_max), None);
        assert_eq!(unwatch(limits.page_entries_max + 1), Some(Code::TooLarge));
        assert_eq!(status(limits.status_chars_max), None);
        assert_eq!(status(limits.status_chars_max + 1), Some(Code::TooLarge));
    }
}
