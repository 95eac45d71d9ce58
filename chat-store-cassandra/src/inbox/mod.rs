//! Inboxes: a row per user and channel, written by whoever appends and by marks that rise, in any order.
//!
//! | file | holds |
//! |---|---|
//! | `row` | what rows hold, as columns |
//! | `marks` | where a user stands: raising, own messages, and what of it is to be written |
//! | `copies` | the newest message of a row: what is written when, and what is read of it |
//! | `writes` | the statements of one row, as one mutation |
//! | `fan_out` | bringing rows up to what was appended |
//! | `raise` | raising marks, and telling them |
//! | `list` | a user's channels in order, those that were left, those that are large |
//! | `shown` | one channel as it is shown, from its row or, where it is large, from its log |
//! | `large` | the states of large channels |
//! | `notes` | fan-out marks and leases |

mod copies;
mod fan_out;
pub(crate) mod large;
mod list;
mod marks;
pub(crate) mod notes;
mod raise;
mod row;
mod shown;
mod writes;
