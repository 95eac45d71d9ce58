//! Inputs for property tests: what clients send, what attackers send, and the orders in which it arrives.
//!
//! The strategies are those of [`proptest`]; an adapter or a host uses them in its own properties.

mod commands;
mod interleavings;
mod texts;
mod users;

pub use commands::{actions, bodies, commands, hostile_bodies, new_messages};
pub use interleavings::interleavings;
pub use texts::{hostile_texts, texts};
pub use users::{bad_user_ids, user_ids};
