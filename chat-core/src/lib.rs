//! The chat engine: ports for stores, routing and identity, and the engine that decides, appends and delivers over
//! them. No database driver and no socket: adapters bring those.
//!
//! | module | holds |
//! |---|---|
//! | [`ports`] | the traits that adapters implement; each one's documentation is its contract |
//! | [`memory`] | adapters that keep everything in memory: the contracts as a program |
//! | [`decorators`] | layers around any adapter: time limits, measurements, seeded chaos |
//! | [`inboxes`] | what appends leave in inboxes that are not derived from the logs |
//! | [`rows`] | what stores that keep rows have in common: an append as values, the rows of a transaction |
//! | [`snowflake`] | message ids that sort by time |
//! | `engine` | [`Engine`]: decides, appends and delivers |
//! | `session` | [`Session`]: one device on one node, behind any transport |
//! | `lock` | locks whose holders leave nothing half changed |
//!
//! ```
//! use chat_core::memory::MemoryStore;
//! use chat_core::{Draft, Engine, Outgoing};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().messages(MemoryStore::new()).build()?;
//! let (alice, bob) = ("alice".parse()?, "bob".parse()?);
//! let mut session = engine.connect(&bob, "5f0a2a0e-0000-4000-8000-000000000001".parse()?).await?;
//!
//! // Answers when the message is durable.
//! let receipt = engine.send(&alice, Draft::direct(&bob, "hello")).await?;
//! assert_eq!(receipt.seq.0, 2, "the channel's creation is its first entry");
//! assert!(matches!(session.next().await, Outgoing::Shared(_)));
//! engine.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod caller;
pub mod decorators;
mod draft;
mod engine;
mod entry_at;
pub mod inboxes;
mod lock;
pub mod memory;
pub mod ports;
pub mod rows;
mod session;
pub mod snowflake;

pub use caller::Caller;
pub use draft::{Draft, NewChannel, Receipt};
pub use engine::{
    BuildError, Connect, DeviceList, Engine, EngineBuilder, EngineSettings, MemberList, System,
};
pub use session::{Close, Outgoing, Session};

pub use chat_proto as proto;
