//! What an append leaves in the inboxes of stores that cannot derive it, from the log alone: so that whoever finds a log ahead
//! of the inboxes, the node that appended or one that takes over, brings them up in the same way.
//!
//! | file | holds |
//! |---|---|
//! | `update` | which rows change, and how: a function of the entries and the members |
//! | [`copier`](Copier) | reads what that needs, and tells the store |

mod copier;
mod preview;
mod update;

pub use copier::Copier;
pub use preview::preview;
pub use update::{Appended, inbox_update};
