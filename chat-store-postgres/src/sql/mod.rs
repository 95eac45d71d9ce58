//! Every statement of the store, by area. None is built from input: those for many rows take one array a column.

pub(crate) mod accounts;
pub(crate) mod bodies;
pub(crate) mod fan_out;
pub(crate) mod inbox;
pub(crate) mod messages;
pub(crate) mod meta;
pub(crate) mod people;
pub(crate) mod rows;
pub(crate) mod users;
