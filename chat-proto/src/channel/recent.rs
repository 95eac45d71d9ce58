//! The keys of a log's newest entries, so that most retries are recognised without asking the store.

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

/// Keys that a clone may have to copy: the newest few. The others are shared until so many have come that they join them.
const FRESH_MAX: usize = 16;

type Keyed = (UserId, ClientId, RecentKey);

/// Every keyed entry after `after`, in the order of the log.
///
/// A state is cloned for every batch that is decided on top of it, and the clone remembers a few keys more: so the bulk
/// is shared, and only what is fresh is copied.
#[derive(Clone, Debug)]
pub(super) struct RecentKeys {
    after: Seq,
    settled: Arc<[Keyed]>,
    fresh: Arc<Vec<Keyed>>,
}

impl RecentKeys {
    /// Nothing known up to here.
    pub(super) fn since(after: Seq) -> Self {
        Self {
            after,
            settled: Arc::default(),
            fresh: Arc::default(),
        }
    }

    pub(super) fn after(&self) -> Seq {
        self.after
    }

    pub(super) fn find(&self, from: &UserId, client_id: ClientId) -> Option<RecentKey> {
        let newest_first = self.fresh.iter().rev().chain(self.settled.iter().rev());
        newest_first
            .take_while(|(.., key)| key.seq > self.after)
            .find(|(user, id, _)| *id == client_id && user == from)
            .map(|(.., key)| *key)
    }

    pub(super) fn remember(&mut self, entry: &Entry, key: Option<&CommandKey>) {
        let window = Limits::RECENT_KEYS_MAX as u64;
        self.after = self.after.max(Seq(entry.seq.0.saturating_sub(window)));
        let Some(key) = key else { return };
        if self.fresh.len() >= FRESH_MAX {
            self.settle();
        }
        let recent = RecentKey {
            seq: entry.seq,
            n: entry.n,
            message: entry.message,
            at: entry.at,
            content: key.content,
        };
        Arc::make_mut(&mut self.fresh).push((entry.from.clone(), key.client_id, recent));
    }

    fn settle(&mut self) {
        let all = self.settled.iter().chain(self.fresh.iter());
        let kept: Vec<Keyed> = all
            .filter(|(.., key)| key.seq > self.after)
            .cloned()
            .collect();
        self.settled = kept.into();
        self.fresh = Arc::default();
    }
}
