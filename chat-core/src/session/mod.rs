//! Sessions: one device on one node, behind any transport.
//!
//! | file | holds |
//! |---|---|
//! | `session` | what a transport drives: frames in, frames out |
//! | `outbound` | the bounded queue towards a session, and what gives way when it is full |
//! | `order` | a session's commands keep their order across failures |
//! | `registry` | the sessions of this node by user |

mod order;
mod outbound;
mod registry;
#[expect(
    clippy::module_inception,
    reason = "the main type of the module, in a file of its name"
)]
mod session;

pub(crate) use order::Turn;
pub(crate) use outbound::Outbound;
pub(crate) use registry::{Delivery, Registry, SessionShared};
pub use session::{Close, Outgoing, Session};
