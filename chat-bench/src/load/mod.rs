//! Load on a real server: what it does in a second, how long one waits, and what it costs the server's processor.

mod group;
mod idle;
mod pairs;
mod peer;
mod run;
mod tally;

pub(crate) use group::GroupArgs;
pub(crate) use idle::IdleArgs;
pub(crate) use pairs::PairsArgs;
