//! The keys of a log's newest entries, so that most retries are recognised without asking the store.

use std::collections::VecDeque;
use std::sync::Arc;

use super::command::{CommandKey, ContentHash};
use crate::entry::Entry;
use crate::id::{ClientId, MessageId, Ordinal, Seq, Timestamp, UserId};
use crate::limits::Limits;

/// The entry that a key stands on: all that a retry's answer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentKey {
    /// The entry.
    pub seq: Seq,
    /// Message entries up to and with it.
    pub n: Ordinal,
    /// Its name.
    pub message: MessageId,
    /// When the server took it.
    pub at: Timestamp,
    /// Of the command that made it.
    pub content: ContentHash,
}

/// Every keyed entry after `after`, in the order of the log.
#[derive(Clone, Debug)]
pub(super) struct RecentKeys {
    after: Seq,
    // Shared, because a state is cloned for every batch that is decided on top of it.
    keys: Arc<VecDeque<(UserId, ClientId, RecentKey)>>,
}

impl RecentKeys {
    /// Nothing known up to here.
    pub(super) fn since(after: Seq) -> Self {
        Self {
            after,
            keys: Arc::default(),
        }
    }

    pub(super) fn after(&self) -> Seq {
        self.after
    }

    pub(super) fn find(&self, from: &UserId, client_id: ClientId) -> Option<RecentKey> {
        self.keys
            .iter()
            .rev()
            .find(|(user, id, _)| *id == client_id && user == from)
            .map(|(.., key)| *key)
    }

    pub(super) fn remember(&mut self, entry: &Entry, key: Option<&CommandKey>) {
        let window = Limits::RECENT_KEYS_MAX as u64;
        self.after = self.after.max(Seq(entry.seq.0.saturating_sub(window)));
        let overdue = self
            .keys
            .front()
            .is_some_and(|(.., key)| key.seq <= self.after);
        if !overdue && key.is_none() {
            return;
        }
        let keys = Arc::make_mut(&mut self.keys);
        while keys.front().is_some_and(|(.., key)| key.seq <= self.after) {
            keys.pop_front();
        }
        if let Some(key) = key {
            let recent = RecentKey {
                seq: entry.seq,
                n: entry.n,
                message: entry.message,
                at: entry.at,
                content: key.content,
            };
            keys.push_back((entry.from.clone(), key.client_id, recent));
        }
    }
}
