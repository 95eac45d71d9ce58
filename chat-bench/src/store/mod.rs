//! A store on its own, without a server: appends and reads, beside the floor of the same rows by plain statements.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command, its rounds and what it tells |
//! | `target` | stores opened by their URLs |
//! | `channel` | appends as the engine makes them, made cheaply |
//! | `appends` | channels in closed loops |
//! | `floor` | the same rows by plain statements, without key and head |
//! | `reads` | pages of history, and inboxes |

mod appends;
mod args;
mod channel;
mod floor;
mod reads;
mod target;

pub(crate) use args::StoreArgs;
