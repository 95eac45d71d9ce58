//! Schemas of what is on the wire, with the feature `schema`: derived beside the types where the derive tells the
//! truth, and written here for the types whose reader and writer are written by hand.
//!
//! | file | holds |
//! |---|---|
//! | `parts` | objects that are put together from others |
//! | `ids` | ids, which are text of a certain form |
//! | `body` | what a message says |
//! | `entry` | entries of channels' logs and of users' own logs, by kind |
//! | `client`, `server` | frames, by op |
//! | `document` | all of it as one JSON Schema |

mod body;
mod client;
mod document;
mod entry;
mod ids;
mod parts;
mod server;

pub use client::OpRequest;
pub use document::protocol;
pub use server::OpAnswer;
