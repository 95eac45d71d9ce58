//! A client of a chat server: connects and comes back by itself, keeps what was said in an outbox until it is
//! durable, also over a restart, and tells each event once and in order. The rules are
//! [`chat_proto::sync`]'s; here are the socket, the clock and the files.
//!
//! ```no_run
//! use chat_client::{Client, Draft, Event, Watch};
//! use chat_proto::Body;
//! use chat_proto::people::Status;
//! use futures_util::StreamExt;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::builder("ws://127.0.0.1:8080/v1/ws", "the-token-of-a-login")
//!     .client("echo/1.0")
//!     .state_file("alice.json")
//!     .connect()
//!     .await?;
//!
//! // Events have a task of their own: while nobody takes them nothing is read, and no `send` returns.
//! let listener = tokio::spawn(async move {
//!     while let Some(event) = events.next().await {
//!         if let Event::Entry { channel, entry } = event {
//!             println!("{channel} {}: {:?}", entry.seq, entry.kind.name());
//!         }
//!     }
//! });
//!
//! let sent = client.send(Draft::to_user("bob".parse()?, "hello")).await?;
//! println!("durable as entry {} of {}", sent.seq, sent.channel);
//! client.edit(sent.channel, sent.seq, Body::text("hello, Bob")).await?;
//! client.react(sent.channel, sent.seq, "+1").await?;
//! for member in client.receipts(sent.channel).await? {
//!     println!("{} has read up to {}", member.user, member.read);
//! }
//! // Who of the contacts is there; changes follow as events.
//! let watched = client.watch(Watch::Contacts).await?;
//! println!("{:?}", watched.presence);
//! client.set_status(Status::Busy, Some("in a meeting".into())).await?;
//! client.close().await;
//! listener.await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `builder` | what a client may be told before it starts |
//! | `client` | [`Client`]: what an application calls |
//! | `draft` | [`Draft`], [`Change`]: what it asks to be done to a log, and what it hears then |
//! | `questions` | what it asks the server while a connection stands |
//! | `events` | [`Events`]: what an application hears |
//! | `state` | [`StateStore`]: what survives a restart; [`FileState`] |
//! | `driver` | the task between them: one life of the client, connection after connection |
//! | `session` | one connection |
//! | `socket` | its WebSocket |
//! | `command` | what the application's side asks of the task |
//! | `error` | what goes wrong |

mod builder;
mod client;
mod command;
mod draft;
mod driver;
mod error;
mod events;
mod questions;
mod session;
mod socket;
mod state;

pub use builder::ClientBuilder;
pub use chat_proto::sync::{Ending, Event, GapPolicy, RequestError, SendRefused};
pub use chat_proto::wire::{Format, Target, Watch};
pub use client::Client;
pub use draft::{Change, Changed, Draft, Sent};
pub use error::{ClientError, SendError, StateError};
pub use events::Events;
pub use state::{FileState, StateStore};
