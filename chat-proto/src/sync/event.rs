//! What comes out of the sync machine.

use std::sync::Arc;

use serde::Serialize;

use crate::entry::Entry;
use crate::id::{
    ChannelId, ClientId, DeviceId, MessageId, NodeId, Ordinal, Seq, Timestamp, UserId,
};
use crate::people::{Presence, UserEntry};
use crate::rejection::{Code, Rejection};
use crate::wire::{Answer, ClientFrame, Summary};

/// One thing to be done by the program around the machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this to the server.
    Frame(ClientFrame),
    /// Tell the application.
    Event(Event),
    /// A request of [`super::SyncMachine::request`] is answered.
    Answer {
        /// As `request` returned it.
        request: u32,
        /// What came of it.
        result: Result<Answer, RequestError>,
    },
    /// Close the connection and come back as [`super::SyncMachine::disconnected`] says.
    Close,
}

/// What happened, for the application.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The server knows who this is.
    Connected {
        /// Who.
        user: UserId,
        /// With which device.
        device: DeviceId,
        /// Which server.
        node: NodeId,
    },
    /// Every channel was compared with the server's since the connection began. Entries may still be on their way;
    /// each channel's head was told.
    Synced,
    /// The connection is gone; the machine comes back by itself unless it has [`Event::Ended`].
    Disconnected,
    /// Nothing will come any more.
    Ended {
        /// Why.
        ending: Ending,
    },
    /// The next entry of a channel: each one once, in the order of the log.
    Entry {
        /// Of which log.
        channel: ChannelId,
        /// The entry.
        entry: Arc<Entry>,
    },
    /// Entries that will not come: they were skipped as [`super::GapPolicy::Drop`] says, or are no longer visible.
    /// What the application kept before them stands apart from what follows.
    GapDropped {
        /// Of which log.
        channel: ChannelId,
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
    },
    /// A message is durable.
    Acknowledged {
        /// Of which command.
        client_id: ClientId,
        /// In which log.
        channel: ChannelId,
        /// Its place.
        seq: Seq,
        /// Message entries up to and with it.
        n: Ordinal,
        /// Its name.
        message: MessageId,
        /// When the server took it.
        at: Timestamp,
        /// It was durable before this attempt.
        duplicate: bool,
    },
    /// What was to be done to a message is durable. Its entry follows, unless it was so before.
    Changed {
        /// Of which command.
        client_id: ClientId,
        /// In which log.
        channel: ChannelId,
        /// The place of the entry that did it.
        seq: Seq,
        /// It was so before this attempt.
        duplicate: bool,
    },
    /// A command was refused for good and left the outbox.
    Rejected {
        /// Of which command.
        client_id: ClientId,
        /// Why.
        code: Code,
        /// Why, for a person.
        message: String,
    },
    /// The next entry of the user's own log: each one once, in the order of the log. What a device does itself comes as
    /// well.
    UserEntry {
        /// The entry.
        entry: Box<UserEntry>,
    },
    /// A user, perhaps oneself on another device, has read up to an entry.
    Read {
        /// In which log.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// Up to which entry.
        seq: Seq,
        /// Message entries up to and with it.
        n: Ordinal,
    },
    /// Everything up to an entry arrived at a user.
    Delivered {
        /// In which log.
        channel: ChannelId,
        /// Whose.
        user: UserId,
        /// Up to which entry.
        seq: Seq,
        /// Message entries up to and with it.
        n: Ordinal,
    },
    /// Whether somebody who is watched is there. What one watches ends with the connection.
    Presence {
        /// As it now is.
        presence: Presence,
    },
    /// Somebody is typing.
    Typing {
        /// Where.
        channel: ChannelId,
        /// Who.
        user: UserId,
    },
    /// A channel is new or differs from what was known. Entries are told apart.
    ChannelChanged {
        /// The channel as it now is; `entries` and `gap` are empty.
        summary: Box<Summary>,
    },
    /// The user is not in the channel any more. Drop what was kept of it: after joining again it begins anew.
    Left {
        /// Which.
        channel: ChannelId,
    },
    /// The server's logs are others than those seen before, as after restoring a backup. Drop all of them; what
    /// exists comes again.
    Reset,
}

/// Why a client does not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// The server refused the token.
    #[error("the server refused the token ({message}); log in again")]
    Unauthenticated {
        /// The server's sentence.
        message: String,
    },
    /// The device was logged out.
    #[error("this device was logged out; log in again")]
    Revoked,
    /// The token is not of the user whose state was restored.
    #[error(
        "the stored state is {stored}'s and the token is {actual}'s; use a state of its own for each user"
    )]
    OtherUser {
        /// Whose state.
        stored: UserId,
        /// Whose token.
        actual: UserId,
    },
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The server refused it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// There is no connection, or it broke before the answer came.
    #[error("not connected; ask again once connected")]
    Disconnected,
    /// Too many requests are outstanding.
    #[error("{0} requests are outstanding already; wait for an answer")]
    TooMany(usize),
    /// Commands and marks have their own ways in, which survive a lost connection.
    #[error("this is a command, not a question; use the method of its name")]
    NotAQuestion,
}

/// Why a command was not taken into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// Too many commands wait for their acknowledgement.
    #[error(
        "the outbox holds {commands} commands of {bytes} bytes already; wait until some are acknowledged"
    )]
    OutboxFull {
        /// How many wait.
        commands: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// A command with this `client_id` waits already.
    #[error("a command with this client_id is in the outbox already; wait for its acknowledgement")]
    AlreadyWaiting,
}
