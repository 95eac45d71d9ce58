//! Proof for adapters: suites that hold an implementation of a port to its contract, a checker of recorded histories,
//! strategies for property tests, and adapters that are broken on purpose so that the suites prove themselves.
//!
//! A dev-dependency only. An adapter implements [`StoreFactory`] once and mounts one line a port:
//!
//! ```
//! # mod example {
//! use chat_testkit::{Opened, Skip, StoreFactory};
//!
//! struct MyStores;
//!
//! #[async_trait::async_trait]
//! impl StoreFactory for MyStores {
//!     async fn open(&self) -> Result<Opened, Skip> {
//!         Err(Skip("my database"))
//!     }
//! }
//!
//! chat_testkit::message_store_suite!(MyStores);
//! chat_testkit::inbox_store_suite!(MyStores);
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`message_store`], [`inbox_store`], [`user_store`], [`accounts`] | one case per sentence of the contract, for stores |
//! | [`id_generator`], [`presence_bus`], [`router`] | the same for the other ports |
//! | [`models`] | the ports under random steps, each held to a plain model of what it is |
//! | [`log_writer`], [`names`] | logs as the engine writes them, and names that nobody else uses |
//! | [`engine`] | engines under every interleaving, with chaos at every await |
//! | [`endurance`] | writers who go on while the servers of a store die and come back |
//! | [`hostile`] | logs that no rule would have let happen, before every reader |
//! | [`history`] | what clients sent and saw, held to the laws of delivery |
//! | [`strategies`] | commands, hostile bodies, user ids and interleavings |
//! | [`broken`] | adapters that each break one sentence |
//! | [`autobahn`] | the Autobahn cases, for both sides of a WebSocket |

pub mod accounts;
pub mod autobahn;
pub mod broken;
pub mod case;
pub mod endurance;
pub mod engine;
mod factory;
mod fanned_out;
pub mod history;
pub mod hostile;
pub mod id_generator;
pub mod inbox_store;
pub mod log_writer;
mod macros;
mod memory_stores;
pub mod message_store;
pub mod models;
pub mod names;
pub mod presence_bus;
pub mod router;
mod skip;
pub mod strategies;
pub mod user_store;

pub use factory::{Guard, Opened, StoreFactory, Stores};
pub use fanned_out::FannedOut;
pub use log_writer::{LogWriter, Settled};
pub use memory_stores::MemoryStores;
pub use skip::{REQUIRE_VARIABLE, Skip};
