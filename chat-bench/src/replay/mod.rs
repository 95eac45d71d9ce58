//! Replays real conversations through a real server, breaks what can break on the way, and checks that nothing was
//! lost, doubled or moved.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command and its run as a whole |
//! | `corpus` | logs as files hold them |
//! | `plan` | what is going to happen in a channel, faults included; a function of the log and the seed |
//! | `rounds` | the two orders in which lines are replayed |
//! | `fleet`, `notes` | devices that are connected, and what they saw |
//! | `room` | one channel on its way: membership over HTTP, messages over sockets |
//! | `speech` | how a message is sent, and sent again |
//! | `kills` | the server's deaths |
//! | `check` | devices, acknowledgements and the server compared |
//! | `outcome` | counts |

mod args;
mod check;
mod corpus;
mod fleet;
mod kills;
mod notes;
mod outcome;
mod plan;
mod room;
mod rounds;
mod speech;

pub(crate) use args::ReplayArgs;
