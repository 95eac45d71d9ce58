//! What a device holds of one channel.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::proto::{Entry, Seq};
use tokio::time::Instant;

use crate::history::Seen;

/// A channel's log on a device.
#[derive(Debug)]
pub(super) struct Held {
    /// The first entry that the user may see, as the server said.
    pub(super) visible_from: Seq,
    /// Contiguous from there.
    entries: Vec<Seen>,
    /// What came before its turn.
    ahead: BTreeMap<Seq, Seen>,
    /// How far the log is known to go.
    head: Seq,
    /// Since when something is known to be missing.
    pub(super) gap_since: Option<Instant>,
    /// The user is no longer in the channel.
    pub(super) left: bool,
    /// Every entry that ever came, to whatever use.
    pub(super) sighted: BTreeSet<Seq>,
}

impl Held {
    /// Nothing of it yet.
    pub(super) fn new(visible_from: Seq) -> Self {
        Self {
            visible_from,
            entries: Vec::new(),
            ahead: BTreeMap::new(),
            head: Seq(0),
            gap_since: None,
            left: false,
            sighted: BTreeSet::new(),
        }
    }

    /// The last entry up to which nothing is missing.
    pub(super) fn cursor(&self) -> Seq {
        self.entries
            .last()
            .map_or(self.visible_from.previous(), |last| last.head.seq)
    }

    /// What is held, in order.
    pub(super) fn entries(&self) -> &[Seen] {
        &self.entries
    }

    /// The server says from where the user may see the log: what lies before goes, and what begins later than that is
    /// fetched again.
    pub(super) fn see_from(&mut self, visible_from: Seq) {
        self.left = false;
        if self.visible_from == visible_from {
            return;
        }
        let begins = self.entries.first().map(|first| first.head.seq);
        if begins.is_some_and(|begins| begins > visible_from) {
            for seen in std::mem::take(&mut self.entries) {
                self.ahead.insert(seen.head.seq, seen);
            }
        } else {
            self.entries.retain(|seen| seen.head.seq >= visible_from);
            if self
                .entries
                .first()
                .is_some_and(|first| first.head.seq != visible_from)
            {
                self.entries.clear();
            }
        }
        self.ahead.retain(|seq, _| *seq >= visible_from);
        self.visible_from = visible_from;
        self.settle();
    }

    /// An entry came, by whatever way.
    pub(super) fn take(&mut self, entry: &Entry) {
        let seq = entry.seq;
        self.sighted.insert(seq);
        self.head = self.head.max(seq);
        if seq > self.cursor() && seq >= self.visible_from {
            self.ahead.insert(seq, Seen::of(entry));
        }
        self.settle();
    }

    /// The log is known to go so far.
    pub(super) fn reaches(&mut self, head: Seq) {
        self.head = self.head.max(head);
        self.settle();
    }

    /// Whether something is known to be missing.
    pub(super) fn lacks(&self) -> bool {
        !self.left && self.cursor() < self.head
    }

    fn settle(&mut self) {
        while let Some(next) = self.ahead.remove(&self.cursor().next()) {
            self.entries.push(next);
        }
        if self.lacks() {
            self.gap_since.get_or_insert_with(Instant::now);
        } else {
            self.gap_since = None;
        }
    }
}
