//! Every rule of chat, as two pure functions over a channel's state.

mod command;

pub use command::{Action, Command, CommandKey, ContentHash, NewChannel, NewMessage};
