//! The rules of chat, as a caller sees them: examples of each rule, and laws over arbitrary commands and logs.

mod hostile;
mod keys;
mod laws;
mod rules;
mod targets;
mod world;
