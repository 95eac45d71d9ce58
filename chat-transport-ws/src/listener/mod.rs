//! The accept loop: what happens to a connection before and between requests.
//!
//! | file | holds |
//! |---|---|
//! | `serve` | accepts, serves, stops |
//! | `admission` | how many connections there may be, in total and for each address |
//! | `patient` | a stream whose reader may be slow, but not for ever |

mod admission;
mod patient;
mod serve;

pub(crate) use admission::ConnectionGuard;
pub use serve::{ServeSettings, serve};
