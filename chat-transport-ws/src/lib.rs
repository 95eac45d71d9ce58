//! Chat sessions over WebSocket, and the part of the HTTP API that the engine itself answers, as one
//! [`axum::Router`] that mounts into any axum or tower application.
//!
//! ```no_run
//! # fn app(engine: chat_core::Engine) -> axum::Router {
//! // Serves /chat/v1/ws, /chat/v1/channels and so on.
//! axum::Router::new().nest("/chat", chat_transport_ws::router(engine))
//! # }
//! ```
//!
//! # What a host must bring
//! A host that mounts the router into its own server brings what happens before a request reaches it: TLS, a time limit
//! on request heads, and caps on connections, in total and for each address. [`serve`] is an accept loop that has the
//! last two, for programs without a server of their own. Everything from the request on is bounded here: bodies, frames,
//! the time until `hello`, writes that a client does not read, idle sessions. When the host stops, it calls
//! `Engine::drain`, then `Engine::shutdown`, and may wait for [`TransportSettings::tasks`].
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | what can be set |
//! | `router` | paths, and what answers the wrong ones |
//! | [`http`] | requests: bearer tokens, bodies, errors; channels, members, messages, `POST /v1/op` |
//! | [`openapi`] | the same as a document, and pages that show it |
//! | `upgrade` | from a request to a WebSocket |
//! | `websocket` | frames and messages of WebSocket on a byte stream, with buffers only while they hold something |
//! | [`mod@rates`] | how often users and addresses may connect, log in and ask |
//! | `opening` | from a client that was let in to its session, behind any transport |
//! | `session` | one connection: `hello`, then frames in and frames out until it closes |
//! | `poll` | sessions without a socket: long polls and server-sent events |
//! | [`mod@listener`] | the accept loop |

pub mod http;
pub mod listener;
mod meters;
pub mod openapi;
mod opening;
mod poll;
pub mod rates;
mod router;
mod session;
pub mod settings;
mod state;
mod upgrade;
mod websocket;

pub use listener::{ServeSettings, serve};
pub use rates::{RateSettings, Rates};
pub use router::{router, router_beside, router_with, with_error_shape};
pub use settings::TransportSettings;
