//! A channel's head after a transaction.

use chat_proto::Head;

use super::append::{PreparedEntry, PreparedKind};
use super::numbers::bound;

/// What the entries of a transaction bring a channel's row to.
#[derive(Clone, Copy, Debug)]
pub struct NewHead {
    /// The log's end.
    pub head: Head,
    /// The highest name of them.
    pub message: i64,
    /// The latest time.
    pub at: i64,
    /// The time of the newest that is withheld from nobody; 0: none.
    pub active_at: i64,
    /// The newest message of those; 0: none.
    pub last_message_seq: i64,
}

impl NewHead {
    /// After one entry.
    pub fn after(entry: &PreparedEntry) -> Self {
        let mut new = Self {
            head: entry.head,
            message: entry.message,
            at: entry.at,
            active_at: 0,
            last_message_seq: 0,
        };
        new.take(entry);
        new
    }

    /// Takes in the next entry of the log.
    pub fn take(&mut self, entry: &PreparedEntry) {
        self.head = entry.head;
        self.message = self.message.max(entry.message);
        self.at = self.at.max(entry.at);
        if entry.withheld {
            return;
        }
        self.active_at = self.active_at.max(entry.at);
        if matches!(entry.kind, PreparedKind::Message { .. }) {
            self.last_message_seq = bound(entry.head.seq.0);
        }
    }
}
