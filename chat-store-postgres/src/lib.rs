//! Every store of the chat engine on PostgreSQL 13 or newer, shared by any number of chat servers: logs, inboxes, users and
//! accounts.
//!
//! ```no_run
//! use chat_core::ports::MessageStore;
//! use chat_proto::{ChannelId, Head};
//! use chat_store_postgres::PostgresStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::open("postgres://chat:secret@db.internal/chat?sslmode=verify-full").await?;
//! assert_eq!(store.heads(&[ChannelId::external("support-17")]).await?, [Head::EMPTY]);
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! All writes go through a few tasks that own their connections. A channel and a user each belong to one of them; it takes
//! everything that has queued up, writes it in one transaction, and answers when that is committed. No server trusts what it
//! remembers of a log: a transaction locks the heads of its channels, reads them, and moves them from where it found
//! them. Reads are single statements on connections of their own, and wait for no write.
//!
//! Give the store a database or a schema of its own, and connect to the server itself: poolers that hand out a connection for
//! one transaction do not keep what is prepared on it. What was edited away or deleted leaves its row with the commit;
//! PostgreSQL keeps former versions of rows in its files until `VACUUM` and in its write-ahead log as long as that
//! is archived.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what can be set, and every bound |
//! | `open`, `migrate` | from a URL to checked connections |
//! | [`store`] | [`PostgresStore`]: open, close, health |
//! | `message_store`, `inbox_store`, `user_store`, `accounts` | the ports: what is asked of readers and writers |
//! | `writer` | the queues, the group commit, what an append writes |
//! | `sql` | every statement |
//! | [`error`], [`health`] | what can go wrong, and whether writes are taken |

mod accounts;
pub mod config;
mod decode;
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
pub use error::OpenError;
pub use health::Health;
pub use store::PostgresStore;
