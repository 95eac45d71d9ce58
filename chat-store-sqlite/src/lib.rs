//! Every store of the chat engine in one SQLite file: logs, inboxes, users and accounts, with an fsync before every
//! acknowledgement and nothing else to install.
//!
//! ```
//! use chat_core::ports::MessageStore;
//! use chat_store_sqlite::SqliteStore;
//! use chat_proto::Head;
//! # use chat_proto::ChannelId;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("chat.db");
//! let store = SqliteStore::open(&path).await?;
//! assert_eq!(store.heads(&[ChannelId::external("support-17")]).await?, [Head::EMPTY]);
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! All writes go through one task that owns the only writing connection: it takes everything that has queued up, writes
//! it in one transaction, and answers when the disk has it. Reads go through a few connections of their own and never
//! wait for a write. The file belongs to one process; a lock beside it (`chat.db.lock`) keeps others out.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what can be set, and every bound |
//! | `open`, `migrate` | from a path to checked connections |
//! | [`store`] | [`SqliteStore`]: open, close, health |
//! | `epoch` | [`draw_new_epoch`]: another life of a file, after a restore |
//! | `message_store`, `inbox_store`, `user_store`, `accounts` | the ports: what is asked of readers and writer |
//! | `writer` | the queue, the group commit, what an append writes |
//! | `sql` | every statement |
//! | [`error`], [`health`] | what can go wrong, and whether writes are taken |

mod accounts;
pub mod config;
mod decode;
mod epoch;
pub mod error;
pub mod health;
mod inbox_store;
mod message_store;
mod migrate;
mod open;
mod readers;
mod sql;
pub mod store;
mod user_store;
mod writer;

pub use config::Config;
pub use epoch::draw_new_epoch;
pub use error::OpenError;
pub use health::Health;
pub use store::SqliteStore;
