//! A real server process, spoken to over the wire by clients that know nothing but the protocol.
//!
//! | module | proves |
//! |---|---|
//! | `harness` | (the process, a raw WebSocket client, a raw HTTP client) |
//! | `hello` | how a connection begins |
//! | `messages` | 1-on-1 messages, retries, pages, limits |
//! | `groups` | members and who may what |
//! | `hostile` | what a client must not send |
//! | `http` | errors of one shape, requests without a socket |
//! | `accounts` | sign-up, log-in, devices, revocation |
//! | `presence` | who is seen as what and when |
//! | `life` | kill, restart, drain, settings, the admin port |

mod accounts;
mod groups;
mod harness;
mod hello;
mod hostile;
mod http;
mod life;
mod messages;
mod people;
mod presence;
