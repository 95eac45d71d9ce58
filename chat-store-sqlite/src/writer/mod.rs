//! The one task that writes. Requests queue up in [`queue`]; [`task`] takes all that are there, writes them in one
//! transaction and answers them when it is on the disk.
//!
//! An append is turned into rows on its caller's task ([`PreparedAppend`](chat_core::rows::PreparedAppend)), set against the heads that the writer knows
//! ([`known`], [`plan`]), and written with the rows of all others, table by table ([`append`]). Keys are written first and
//! optimistically: when one is there already, the transaction is rolled back, all keys are searched at once, and the
//! rest goes in without those that were found.

mod append;
mod bodies;
mod checkpoint;
mod known;
mod marks;
mod people;
mod personal;
mod plan;
mod queue;
mod rows;
mod statement;
mod task;

pub(crate) use bodies::BodyWrite;
pub(crate) use people::PersonWrite;
pub(crate) use queue::WriteQueue;
