//! Frames: what clients and servers say to each other, as JSON and as MessagePack. This is the only place where
//! frames are read or written.
//!
//! | file | holds |
//! |---|---|
//! | `format` | the two encodings and their limits |
//! | `client` | what a client sends: [`ClientFrame`], [`ClientOp`], and what it asks of logs |
//! | `command` | what becomes an entry of a log: [`SendMessage`], [`EditMessage`] and the like |
//! | `people` | what a client asks about people, and says of its own user |
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
mod command;
mod decode;
mod format;
mod people;
mod probe;
mod received;
mod server;
mod shared;

pub use answer::{
    Answer, ChangeAnswer, Gap, HelloAnswer, HistoryAnswer, HistoryMessage, MemberMarks,
    PrefsAnswer, PullAnswer, Reaction, ReceiptsAnswer, SendAnswer, Summary, SyncAnswer,
    WatchAnswer,
};
pub use client::{
    Anchor, ClientFrame, ClientOp, Hello, HistoryQuery, Mark, PullQuery, ReceiptsQuery, SyncQuery,
    TypingIn, encode_client,
};
pub use close::{CloseCode, GoAwayReason};
pub use command::{DeleteMessage, EditMessage, Pin, React, SendMessage, Target};
pub use decode::{DecodeError, decode_client, decode_object, decode_op, decode_session_op};
pub use format::{Format, NESTING_MAX, Unreadable};
pub use people::{SetStatus, Unwatch, Watch};
pub use received::{RawAnswer, ReceivedFrame, decode_server};
pub use server::{
    ChannelHead, EntryPush, GoAway, HeadsPush, MarkPush, Push, ServerFrame, TypingPush, UserPush,
    encode, encode_push,
};
pub use shared::SharedPush;
