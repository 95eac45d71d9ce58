//! What stores that keep rows have in common, whatever the database: an append checked and turned into values, and the rows
//! that a transaction of many appends comes to. All of it is decided in memory; a store binds the values to its statements.
//!
//! | file | holds |
//! |---|---|
//! | `append` | one append, checked and encoded on its caller's task |
//! | `head`, `own_marks`, `members`, `targets` | what several appends do to heads, marks, members and messages: one row each |
//! | `body` | what a message says |
//! | `page` | what fits into a page |
//! | `numbers` | ids, roles and bounds as columns hold them |

mod append;
mod body;
mod head;
mod members;
mod numbers;
mod own_marks;
mod page;
mod targets;

pub use append::{
    PreparedAppend, PreparedEntry, PreparedKind, PreparedSet, PreparedState, SeenKeys,
};
pub use body::{BODY_FORMS, PreparedBody, decode_body, encode_body};
pub use head::NewHead;
pub use members::{LeftRow, MemberChanges, MemberKey, MemberRow, MemberRows, RoleRow};
pub use numbers::{bound, role_number, role_of};
pub use own_marks::{OwnMarkRow, OwnMarks};
pub use page::Page;
pub use targets::{
    PinRow, ReactionKey, ReactionRow, RepliesRow, SetRow, TakenRows, TargetKey, TargetRows,
    WithheldRow,
};
