//! Chat's data and rules, and nothing that waits: ids, entries, channel decisions, wire frames and the
//! client's sync machine, without a clock, a socket or randomness. Time and chance come in as arguments.
//!
//! ```
//! use chat_proto::{ChannelId, UserId};
//!
//! let alice: UserId = "alice".parse()?;
//! let bob: UserId = "bob".parse()?;
//! // Two first messages meet in one channel, whoever sends first.
//! assert_eq!(ChannelId::direct(&alice, &bob), ChannelId::direct(&bob, &alice));
//! # Ok::<(), chat_proto::Rejection>(())
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | newtypes for every id, sequence number and point in time |
//! | [`body`], [`entry`] | what a log holds |
//! | [`channel`] | every rule of chat: `decide`, `evolve`, who may what |
//! | [`people`] | contacts, presence, and what a user sets for themselves |
//! | [`wire`] | frames of the protocol, as JSON and MessagePack |
//! | [`sync`] | what a client must do to miss nothing and show nothing twice |
//! | [`limits`], [`rejection`] | the bounds, and the codes with which they answer |
//! | `schema` | schemas of all that is on the wire, with the feature of that name |

pub mod body;
pub mod channel;
pub mod entry;
mod flat;
pub mod id;
pub mod limits;
pub mod people;
pub mod rejection;
#[cfg(feature = "schema")]
pub mod schema;
pub mod sync;
pub mod wire;

pub use body::{Attachment, Body, CipherScheme};
pub use channel::{ChannelState, Command};
pub use entry::{ChannelType, Entry, EntryKind, History, Posting, Record, Role};
pub use id::{
    ChannelId, ClientId, DeviceId, Epoch, Head, MediaId, MessageId, NodeId, Ordinal, Seq,
    Timestamp, UserId,
};
pub use limits::Limits;
pub use rejection::{Code, Rejection};
