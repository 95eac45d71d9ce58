//! WebSocket on a byte stream, server side, without extensions.
//!
//! Tungstenite reads and writes frame heads here, and its own stream is not used: it keeps the largest read and write
//! buffer that a connection ever needed, and a chat server has very many connections of which few are busy. Here an idle
//! connection has no buffer at all, and a write that makes no progress can be told from one that does.
//!
//! | file | holds |
//! |---|---|
//! | `socket` | messages in and out of a byte stream |
//! | `reader` | bytes to messages; waits for nothing |
//! | `partial` | the bound on what all connections together have begun to send |
//! | `fault` | what ends a connection, and the close code that says so |

mod fault;
mod partial;
mod reader;
mod socket;

pub(crate) use fault::Fault;
pub(crate) use partial::PartialBytes;
pub(crate) use reader::Inbound;
pub(crate) use socket::Socket;
