//! One channel: its cursor, and entries that wait for those before them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::settings::{HELD_BYTES_MAX, HELD_ENTRIES_MAX, RECENT_HEADS_MAX};
use super::snapshot::ChannelProgress;
use crate::channel::{mark_after_own_message, unread};
use crate::entry::Entry;
use crate::id::{Head, Seq, UserId};
use crate::wire::Summary;

/// A channel as the client knows it. The entries themselves are the application's to keep.
#[derive(Debug)]
pub(super) struct ChannelLog {
    cursor: Seq,
    visible_from: Seq,
    head: Head,
    read: Head,
    /// The head of the last summary: up to it the server's read mark is the whole truth.
    settled: Seq,
    held: Held,
    recent: VecDeque<Head>,
    /// A pull is on its way.
    pub(super) pulling: bool,
    /// Pulls in a row that brought nothing.
    pub(super) fruitless: u32,
}

/// What became of an entry that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// The application has it, or it got ahead of the cursor for nothing.
    Old,
    /// It was the next; with it go those that waited for it.
    Next,
    /// It waits for those before it.
    Held,
    /// There is no room to wait: it has to be pulled.
    NoRoom,
}

impl ChannelLog {
    /// A channel that the client has just heard of.
    pub(super) fn new(summary: &Summary) -> Self {
        Self {
            cursor: summary.visible_from.previous(),
            visible_from: summary.visible_from,
            head: summary.head,
            read: summary.read,
            settled: summary.head.seq,
            held: Held::default(),
            recent: VecDeque::new(),
            pulling: false,
            fruitless: 0,
        }
    }

    pub(super) fn restore(progress: &ChannelProgress) -> Self {
        Self {
            cursor: progress.cursor.max(progress.visible_from.previous()),
            visible_from: progress.visible_from,
            head: progress.head,
            read: progress.read,
            settled: progress.head.seq,
            held: Held::default(),
            recent: VecDeque::new(),
            pulling: false,
            fruitless: 0,
        }
    }

    pub(super) fn progress(&self) -> ChannelProgress {
        ChannelProgress {
            cursor: self.cursor,
            visible_from: self.visible_from,
            head: self.head,
            read: self.read,
        }
    }

    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    pub(super) fn visible_from(&self) -> Seq {
        self.visible_from
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn read(&self) -> Head {
        self.read
    }

    pub(super) fn unread(&self) -> u64 {
        unread(self.head, self.read)
    }

    /// Whether entries exist that the application has not got.
    pub(super) fn is_behind(&self) -> bool {
        self.cursor < self.head.seq
    }

    /// Takes over what a summary says; the cursor of what is no longer visible is for the caller to move.
    pub(super) fn summarized(&mut self, summary: &Summary) {
        self.visible_from = self.visible_from.max(summary.visible_from);
        self.raise_head(summary.head);
        self.settled = self.settled.max(summary.head.seq);
        self.raise_read(summary.read);
    }

    pub(super) fn raise_head(&mut self, head: Head) {
        self.head = self.head.max(head);
    }

    /// Whether the mark rose.
    pub(super) fn raise_read(&mut self, read: Head) -> bool {
        let rises = read > self.read;
        self.read = self.read.max(read);
        rises
    }

    /// The point in the log at this place, if the client knows how many messages it has up to there. Beyond the
    /// head means the head.
    pub(super) fn point(&self, seq: Seq) -> Option<Head> {
        if seq >= self.head.seq {
            return Some(self.head);
        }
        self.recent
            .iter()
            .rev()
            .find(|head| head.seq == seq)
            .copied()
    }

    /// Offers an entry; `next` gets what the application is to be told now.
    pub(super) fn offer(
        &mut self,
        entry: Arc<Entry>,
        budget: &mut HeldBudget,
        next: &mut Vec<Arc<Entry>>,
    ) -> Offered {
        if entry.seq <= self.cursor {
            return Offered::Old;
        }
        self.raise_head(entry.head());
        if entry.seq != self.cursor.next() {
            return if self.held.insert(entry, budget) {
                Offered::Held
            } else {
                self.held.clear(budget);
                Offered::NoRoom
            };
        }
        self.advance(entry, next);
        self.release(budget, next);
        Offered::Next
    }

    /// Moves the cursor past entries that will not come; `next` gets what waited for them.
    ///
    /// Returns the first and the last of them, unless there are none.
    pub(super) fn skip_to(
        &mut self,
        seq: Seq,
        budget: &mut HeldBudget,
        next: &mut Vec<Arc<Entry>>,
    ) -> Option<(Seq, Seq)> {
        if seq <= self.cursor {
            return None;
        }
        let skipped = (self.cursor.next(), seq);
        self.cursor = seq;
        self.held.forget_through(seq, budget);
        self.release(budget, next);
        Some(skipped)
    }

    /// The user's own read mark rises by a message of theirs, if they had read all before it. Entries that a summary
    /// covered are left alone: there the server has said where the mark is.
    pub(super) fn mark_after(&mut self, entry: &Entry, user: &UserId) -> Option<Head> {
        if entry.seq <= self.settled || entry.from != *user {
            return None;
        }
        let read = mark_after_own_message(self.read, entry)?;
        self.raise_read(read).then_some(read)
    }

    pub(super) fn drop_held(&mut self, budget: &mut HeldBudget) {
        self.held.clear(budget);
    }

    fn release(&mut self, budget: &mut HeldBudget, next: &mut Vec<Arc<Entry>>) {
        while let Some(entry) = self.held.take(self.cursor.next(), budget) {
            self.advance(entry, next);
        }
    }

    fn advance(&mut self, entry: Arc<Entry>, next: &mut Vec<Arc<Entry>>) {
        self.cursor = entry.seq;
        if self.recent.len() == RECENT_HEADS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(entry.head());
        next.push(entry);
    }
}

/// Entries of one channel that wait for those before them.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: BTreeMap<Seq, Arc<Entry>>,
}

/// The bytes that entries of all channels may occupy while they wait.
#[derive(Debug, Default)]
pub(super) struct HeldBudget {
    bytes: usize,
}

impl Held {
    /// Keeps the entry. `false` if there is no room.
    pub(super) fn insert(&mut self, entry: Arc<Entry>, budget: &mut HeldBudget) -> bool {
        if self.entries.contains_key(&entry.seq) {
            return true;
        }
        let size = entry.size_bytes();
        if self.entries.len() >= HELD_ENTRIES_MAX || budget.bytes + size > HELD_BYTES_MAX {
            return false;
        }
        budget.bytes += size;
        self.entries.insert(entry.seq, entry);
        true
    }

    pub(super) fn take(&mut self, seq: Seq, budget: &mut HeldBudget) -> Option<Arc<Entry>> {
        let entry = self.entries.remove(&seq)?;
        budget.bytes -= entry.size_bytes();
        Some(entry)
    }

    /// Takes all of them, in the order of the log.
    pub(super) fn take_all(&mut self, budget: &mut HeldBudget) -> Vec<Arc<Entry>> {
        let entries = std::mem::take(&mut self.entries);
        budget.bytes -= entries
            .values()
            .map(|entry| entry.size_bytes())
            .sum::<usize>();
        entries.into_values().collect()
    }

    fn forget_through(&mut self, seq: Seq, budget: &mut HeldBudget) {
        let kept = self.entries.split_off(&seq.next());
        self.clear(budget);
        self.entries = kept;
    }

    pub(super) fn clear(&mut self, budget: &mut HeldBudget) {
        self.take_all(budget);
    }
}
