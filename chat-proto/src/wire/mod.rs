//! Frames: what clients and servers say to each other, as JSON and as MessagePack. This is the only place where
//! frames are read or written.
//!
//! | file | holds |
//! |---|---|
//! | `format` | the two encodings and their limits |
//! | `client` | what a client sends: [`ClientFrame`], [`ClientOp`] |
//! | `server` | what a server sends: [`ServerFrame`], [`Push`] |
//! | `answer` | what an `ok` carries: [`Answer`], [`Summary`], [`HistoryMessage`] |
//! | `probe` | the first look at a client's frame: is it sound, which op, which id |
//! | `decode` | a client's frame from bytes, or why not |
//! | `received` | a server's frame from bytes, as a client sees it |
//! | `shared` | a push that is encoded once for many sessions |
//! | `close` | why a socket closes |

mod answer;
mod client;
mod close;
mod decode;
mod format;
mod probe;
mod received;
mod server;
mod shared;

pub use answer::{
    Answer, Gap, HelloAnswer, HistoryAnswer, HistoryMessage, PullAnswer, Reaction, SendAnswer,
    Summary, SyncAnswer,
};
pub use client::{
    Anchor, ClientFrame, ClientOp, Hello, HistoryQuery, Mark, PullQuery, SendMessage, SyncQuery,
    Target, TypingIn, encode_client,
};
pub use close::{CloseCode, GoAwayReason};
pub use decode::{DecodeError, decode_client, decode_object, decode_op};
pub use format::{Format, NESTING_MAX, Unreadable};
pub use received::{RawAnswer, ReceivedFrame, decode_server};
pub use server::{
    ChannelHead, EntryPush, GoAway, HeadsPush, MarkPush, Push, ServerFrame, TypingPush, encode,
    encode_push,
};
pub use shared::SharedPush;
