//! How two users stand to each other: contacts and blocks, and what each side's log tells of a change.
//!
//! One state says how both sides stand as contacts, for each side's is the mirror of the other's. A block changes none of
//! it: it hides from the blocker that the blocked asks, and the blocked can tell nothing.

use super::{BlockChange, ContactChange, ContactState, UserEntryKind};
use crate::id::UserId;

/// How a user stands to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// As contacts, whatever a block hides of it.
    pub contact: Option<ContactState>,
    /// The user blocks the other.
    pub blocks: bool,
    /// The other blocks the user, who must not be able to tell.
    pub blocked: bool,
}

/// What a user does about another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationChange {
    /// Asks to be a contact, or accepts the other's asking.
    PutContact,
    /// Ends being contacts, takes the asking back, or declines the other's.
    RemoveContact,
    /// Wants to hear nothing of the other.
    Block,
    /// Takes that back; what was asked meanwhile shows.
    Unblock,
}

impl Relation {
    /// The relation behind a change; the same where it is so already.
    #[must_use]
    pub fn after(self, change: RelationChange) -> Self {
        match change {
            RelationChange::PutContact => Self {
                contact: Some(ContactState::put(self.contact)),
                ..self
            },
            RelationChange::RemoveContact => Self {
                contact: None,
                ..self
            },
            RelationChange::Block => Self {
                blocks: true,
                ..self
            },
            RelationChange::Unblock => Self {
                blocks: false,
                ..self
            },
        }
    }

    /// The same relation from the other's side.
    #[must_use]
    pub fn mirror(self) -> Self {
        Self {
            contact: self.contact.map(ContactState::mirror),
            blocks: self.blocked,
            blocked: self.blocks,
        }
    }

    /// What the user's own list of contacts shows of the other.
    pub fn shown_contact(self) -> Option<ContactState> {
        self.contact
            .filter(|state| !(self.blocks && *state == ContactState::Asking))
    }

    /// What the user's own log tells when the relation to `other` becomes `next`; nothing of what they may not know.
    pub fn told(self, next: Self, other: &UserId) -> Vec<UserEntryKind> {
        let mut told = Vec::new();
        if self.blocks != next.blocks {
            told.push(UserEntryKind::Block(BlockChange {
                user: other.clone(),
                removed: !next.blocks,
            }));
        }
        if self.shown_contact() != next.shown_contact() {
            told.push(UserEntryKind::Contact(ContactChange {
                user: other.clone(),
                state: next.shown_contact(),
            }));
        }
        told
    }
}

impl ContactState {
    /// How the same two users stand to each other as the other one sees it.
    fn mirror(self) -> Self {
        match self {
            Self::Asked => Self::Asking,
            Self::Asking => Self::Asked,
            Self::Contact => Self::Contact,
        }
    }

    /// How a user stands to another one whom they put on their list.
    fn put(before: Option<Self>) -> Self {
        match before {
            None | Some(Self::Asked) => Self::Asked,
            Some(Self::Asking | Self::Contact) => Self::Contact,
        }
    }
}
