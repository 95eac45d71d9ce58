//! Sessions without a socket: frames are fetched by long polls or as a stream of server-sent events, requests come as
//! `POST /v1/op`. Behind them is the same [`chat_core::Session`] as behind a WebSocket.
//!
//! A session is a task that owns it; handlers of HTTP requests talk to it.
//!
//! | file | holds |
//! |---|---|
//! | `sessions` | which sessions there are, whose they are, how many there may be |
//! | `handle` | what a handler can ask of a session |
//! | `driver` | the task |
//! | `sent` | frames that went out and may have been lost on the way |
//! | `events` | a session's frames as server-sent events |

mod driver;
mod events;
mod handle;
mod sent;
mod sessions;

pub(crate) use events::events;
pub(crate) use handle::Batch;
pub(crate) use sessions::{PollSessions, SessionId};
