//! Logs and inboxes on Apache Cassandra, shared by any number of chat servers: release 4.1 or later, with every node syncing before it
//! acknowledges.
//!
//! ```no_run
//! use chat_core::ports::MessageStore;
//! use chat_store_cassandra::{CassandraStore, Config, apply_schema};
//! use chat_proto::{ChannelId, Head};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config: Config = "cassandra://10.0.0.1,10.0.0.2,10.0.0.3/chat?dc=north".parse()?;
//! apply_schema(&config).await?;
//! let store = CassandraStore::open_with(config).await?;
//! assert_eq!(store.heads(&[ChannelId::external("support-17")]).await?, [Head::EMPTY]);
//! # Ok(())
//! # }
//! ```
//!
//! A log lies in partitions of 4,096 entries, its buckets. An append is one conditional batch in one bucket: the head if it
//! is the expected one, the entries, and their keys if they are not there. What is kept beside the log (members, the entries
//! that name a message, snapshots) is written afterwards, follows from the log alone, and is completed from it by whoever
//! comes next. Bodies that edits and deletions set lie in an overlay which converges in any order.
//!
//! Inboxes are told what was appended: a row per user and channel, of columns with timestamps that make the order of updates,
//! and their repetition, indifferent. Of large channels a row says that its user is in it, and the rest is read from the log.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what can be set, and every bound |
//! | `open`, `schema` | from a URL to a checked session; making the keyspace |
//! | [`store`] | [`CassandraStore`]: session, prepared statements, what is remembered of channels |
//! | `message_store` | the port: each call handed to whom it concerns |
//! | `append`, `batch`, `lanes` | the conditional batch: what is in it, and how many at once |
//! | `log`, `rows` | heads and ranges of entries; from rows to entries |
//! | `bodies`, `set_body`, `notes` | bodies as they now are, setting them, notes of those to be set |
//! | `views`, `changes`, `members`, `messages` | what is kept beside the log, and reading it up to the head |
//! | `snapshots`, `keys` | states to fold on from; finding keys |
//! | `inbox_store`, `inbox` | the port of inboxes: rows that are told what was appended, marks, fan-out marks |
//! | `cql` | every statement |
//! | [`error`] | what can go wrong, and whether it may have happened |

mod append;
mod batch;
mod bodies;
mod changes;
pub mod config;
mod cql;
pub mod error;
mod inbox;
mod inbox_store;
mod keys;
mod lanes;
mod log;
mod members;
mod message_store;
mod messages;
mod notes;
mod open;
mod rows;
mod schema;
mod set_body;
mod snapshots;
pub mod store;
mod views;

pub use config::{Config, ConfigError};
pub use error::OpenError;
pub use schema::{apply_schema, draw_new_epoch};
pub use store::CassandraStore;
