//! Every statement of the store, by area. None is built from input: those for many rows are one constant pattern
//! repeated a fixed number of times.

pub(crate) mod accounts;
pub(crate) mod inbox;
pub(crate) mod messages;
pub(crate) mod meta;
pub(crate) mod rows;
pub(crate) mod users;
