//! One connection: `hello`, then frames in and frames out until it closes.
//!
//! | file | holds |
//! |---|---|
//! | `ending` | why a connection ends, and how the peer hears of it |
//! | `hello` | from the upgrade to a session |
//! | `connection` | from then on |

mod connection;
mod ending;
mod hello;

pub(crate) use ending::serve;
