//! What survives a restart of the client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::Command;
use crate::id::{ChannelId, Epoch, Head, Seq, UserId};

/// All that a client keeps. The two parts may be stored apart, and at different times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncSnapshot {
    /// How far the client has come.
    pub progress: Progress,
    /// What it has not got through yet.
    pub outbox: OutboxSnapshot,
}

/// How far a client has come in each log. An old one is as good as a new one, only slower: what follows its cursors
/// comes again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Whose.
    pub user: Option<UserId>,
    /// Of which logs.
    pub epoch: Option<Epoch>,
    /// The server's word for the last complete sync.
    pub since: Option<String>,
    /// The last entry of the user's own log that the application got.
    pub user_seq: Seq,
    /// The channels that the user is in.
    pub channels: BTreeMap<ChannelId, ChannelProgress>,
    /// Read marks that were set and are perhaps not durable.
    pub read_wanted: BTreeMap<ChannelId, Seq>,
    /// Delivered marks that were set and are perhaps not durable.
    pub delivered_wanted: BTreeMap<ChannelId, Seq>,
}

/// How far a client has come in one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelProgress {
    /// The last entry that the application got.
    pub cursor: Seq,
    /// The first that it may see.
    pub visible_from: Seq,
    /// How far the log is known to go.
    pub head: Head,
    /// How far the user has read.
    pub read: Head,
}

/// The commands of a client that are not acknowledged. Store it before the first attempt to send what is new in it:
/// a command that was sent and is forgotten cannot be told from one that never was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutboxSnapshot {
    /// Of the logs that `after` of the commands speaks of.
    pub epoch: Option<Epoch>,
    /// In the order in which they were given.
    pub commands: Vec<Command>,
}

impl Progress {
    /// Moves the cursor of the user's own log back to an entry, as [`hold_back`](Self::hold_back) does a channel's.
    pub fn hold_back_user(&mut self, seq: Seq) {
        self.user_seq = self.user_seq.min(seq);
    }

    /// Moves a channel's cursor back to an entry, if it is beyond: for a program that has taken entries from the
    /// machine and not yet handed them on.
    pub fn hold_back(&mut self, channel: ChannelId, seq: Seq) {
        if let Some(progress) = self.channels.get_mut(&channel) {
            progress.cursor = progress.cursor.min(seq);
        }
    }
}
