//! Where everything durable is kept: which store, opened, watched, closed.
//!
//! The only module of the project that names concrete stores. Cargo features leave adapters out (`postgres`, `cassandra`;
//! both are on by default); a URL of an adapter that was left out is refused by name.
//!
//! | file | holds |
//! |---|---|
//! | `url` | [`StoreUrl`]: where a store is, as people write it |
//! | `check` | what no store can be used for, found before anything is opened |
//! | `adapter` | one opened store, whatever it is |
//! | `bundle` | [`Stores`]: all that an engine is built on, from one adapter or two |
//! | `upkeep` | schemas and epochs, for operators |
//! | `error` | why a store cannot be used |

mod adapter;
mod bundle;
mod check;
mod error;
mod upkeep;
mod url;

pub(crate) use bundle::Chosen;
pub use bundle::Stores;
pub(crate) use check::{refusal_of_messages, refusal_of_users};
pub use error::StoresError;
pub use upkeep::{Upkeep, apply_schemas, draw_new_epochs};
pub use url::{StoreUrl, StoreUrlError};
