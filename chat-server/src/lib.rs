//! The reference chat server: the engine on SQLite, PostgreSQL or Cassandra, with accounts of its own or the host's JWTs,
//! behind WebSocket and HTTP. The only crate that names concrete adapters.
//!
//! ```no_run
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! use chat_server::server::run;
//! use chat_server::settings::Settings;
//!
//! // Listens on 127.0.0.1:8080 and keeps its data in ./chat-data.
//! let stop = std::future::pending::<()>();
//! run(Settings::default(), |addresses| println!("{}", addresses.public), stop).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | every setting, where they come from, which are refused |
//! | [`server`] | the life of the process: open, serve, drain, close |
//! | [`auth`] | tokens to users: the server's own and JWTs; which users there are |
//! | [`accounts`] | sign-up, log-in, devices, profiles over HTTP |
//! | [`admin`] | health, readiness and metrics on a port of their own |
//! | [`stores`] | where everything durable is kept: SQLite, PostgreSQL, Cassandra |
//! | [`logging`] | log lines |

pub mod accounts;
pub mod admin;
pub mod auth;
pub mod logging;
pub mod server;
pub mod settings;
pub mod stores;
