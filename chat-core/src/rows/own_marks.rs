//! Senders' own read marks.

use std::collections::HashMap;
use std::sync::Arc;

use chat_proto::Head;

use super::append::PreparedEntry;
use super::numbers::bound;

/// A sender's own mark, which rises if it stands at `read_before`.
pub struct OwnMarkRow {
    /// The store's short name of the channel.
    pub channel: i64,
    /// Whose.
    pub user: Arc<str>,
    /// The ordinal of the message before.
    pub read_before: i64,
    /// Where it rises to.
    pub to: Head,
}

/// The rises of a transaction.
#[derive(Default)]
pub struct OwnMarks {
    rows: Vec<OwnMarkRow>,
    /// Where a (channel, sender)'s row is.
    runs: HashMap<(i64, Arc<str>), usize>,
}

impl OwnMarks {
    /// Takes in the next message of a log.
    ///
    /// The rule is [`mark_after_own_message`](chat_proto::channel::mark_after_own_message): the mark rises when it stands just
    /// before the message. Of a sender's messages in one transaction only the first can meet a mark, and those that follow it
    /// without another's between carry it on.
    pub fn take(&mut self, channel: i64, entry: &PreparedEntry) {
        let run = (channel, Arc::clone(&entry.sender));
        match self.runs.get(&run) {
            None => {
                self.runs.insert(run, self.rows.len());
                self.rows.push(OwnMarkRow {
                    channel,
                    user: Arc::clone(&entry.sender),
                    read_before: bound(entry.head.n.0.saturating_sub(1)),
                    to: entry.head,
                });
            }
            Some(&row) => {
                if let Some(mark) = self.rows.get_mut(row)
                    && mark.to.n.0 + 1 == entry.head.n.0
                {
                    mark.to = entry.head;
                }
            }
        }
    }

    /// The rows, in the order of their first messages.
    pub fn rows(&self) -> &[OwnMarkRow] {
        &self.rows
    }
}
