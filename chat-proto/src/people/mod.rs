//! What a user has beside channels: contacts, settings of their own, devices, and whether they are there.
//!
//! | file | holds |
//! |---|---|
//! | `contact` | how two users stand to each other |
//! | `relation` | what one does about another: contacts, blocks, and what each one's log tells of it |
//! | `prefs`, `merge` | what a member sets for themselves in a channel |
//! | `presence` | whether somebody is there |
//! | `user_entry` | what a user's own log holds |

mod contact;
mod merge;
mod prefs;
mod presence;
mod relation;
mod user_entry;

pub use contact::{ContactState, DirectFrom};
pub use prefs::{Prefs, PrefsChange};
pub use presence::{Presence, Shown, Status};
pub use relation::{Relation, RelationChange};
pub use user_entry::{
    BlockChange, ContactChange, DeviceChange, ProfileChange, UserEntry, UserEntryKind,
};
