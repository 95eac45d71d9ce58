//! What the appends of one transaction do to messages: bodies, signs, pins, threads, and what is withheld.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::prepare::{PreparedBody, PreparedEntry, PreparedKind, PreparedSet};
use crate::decode::bound;
use crate::sql::rows::{Binds, Rows};

/// Collected entry by entry, so that each row is written once.
#[derive(Default)]
pub(super) struct TargetRows<'a> {
    sets: BTreeMap<TargetKey, SetRow<'a>>,
    /// Signs that were taken back, also where they were set again.
    reactions_gone: BTreeSet<ReactionKey<'a>>,
    reactions: BTreeMap<ReactionKey<'a>, ReactionRow<'a>>,
    pins: BTreeMap<(TargetKey, Arc<str>), PinRow>,
    replies: BTreeMap<(TargetKey, Arc<str>), RepliesRow>,
    withheld: BTreeMap<(i64, Arc<str>), WithheldRow>,
}

/// The rows, table by table.
pub(super) struct TakenRows<'a> {
    pub(super) sets: Vec<SetRow<'a>>,
    pub(super) reactions_gone: Vec<ReactionKey<'a>>,
    pub(super) reactions: Vec<ReactionRow<'a>>,
    pub(super) pins: Vec<PinRow>,
    pub(super) replies: Vec<RepliesRow>,
    pub(super) withheld: Vec<WithheldRow>,
}

impl<'a> TargetRows<'a> {
    /// Takes in the next entry of a log.
    pub(super) fn take(&mut self, channel: i64, entry: &'a PreparedEntry) {
        if entry.withheld {
            self.withhold(channel, entry);
        }
        if let Some(set) = &entry.sets {
            let row = SetRow::of(channel, set);
            let known = self.sets.entry(row.target).or_insert(row);
            // Entries come in the order of their log: the later revision is the higher one.
            (known.rev, known.body) = (row.rev, row.body);
            known.erases |= row.erases;
        }
        match &entry.kind {
            PreparedKind::Message {
                thread: Some(thread),
                ..
            } => self.reply(channel, *thread, entry),
            PreparedKind::React { react, .. } => {
                let key = ReactionKey {
                    target: TargetKey::of(channel, react.target.0),
                    emoji: &react.emoji,
                    user: Arc::clone(&entry.sender),
                };
                if react.remove {
                    self.reactions.remove(&key);
                    self.reactions_gone.insert(key);
                } else {
                    let row = ReactionRow {
                        key: key.clone(),
                        seq: bound(entry.head.seq.0),
                        withheld: entry.withheld,
                    };
                    self.reactions.entry(key).or_insert(row);
                }
            }
            PreparedKind::Pin { pin, .. } => {
                let target = TargetKey::of(channel, pin.target.0);
                let row = PinRow {
                    target,
                    only_for: entry.only_for(),
                    seq: bound(entry.head.seq.0),
                    pinned: !pin.remove,
                };
                self.pins.insert((target, entry.only_for()), row);
            }
            PreparedKind::Message { thread: None, .. } | PreparedKind::Event { .. } => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
            && self.reactions_gone.is_empty()
            && self.reactions.is_empty()
            && self.pins.is_empty()
            && self.replies.is_empty()
            && self.withheld.is_empty()
    }

    /// All of it; nothing is left.
    pub(super) fn take_rows(&mut self) -> TakenRows<'a> {
        let taken = std::mem::take(self);
        TakenRows {
            sets: taken.sets.into_values().collect(),
            reactions_gone: taken.reactions_gone.into_iter().collect(),
            reactions: taken.reactions.into_values().collect(),
            pins: taken.pins.into_values().collect(),
            replies: taken.replies.into_values().collect(),
            withheld: taken.withheld.into_values().collect(),
        }
    }

    fn reply(&mut self, channel: i64, thread: i64, entry: &PreparedEntry) {
        let target = TargetKey {
            channel,
            seq: thread,
        };
        let key = (target, entry.only_for());
        let row = self.replies.entry(key).or_insert_with(|| RepliesRow {
            target,
            only_for: entry.only_for(),
            replies: 0,
        });
        row.replies += 1;
    }

    fn withhold(&mut self, channel: i64, entry: &PreparedEntry) {
        let key = (channel, Arc::clone(&entry.sender));
        let row = self.withheld.entry(key).or_insert_with(|| WithheldRow {
            channel,
            user: Arc::clone(&entry.sender),
            seq: 0,
            at: 0,
        });
        row.at = row.at.max(entry.at);
        if matches!(entry.kind, PreparedKind::Message { .. }) {
            row.seq = bound(entry.head.seq.0);
        }
    }
}

impl PreparedEntry {
    /// Who alone may see it; '' for everybody.
    fn only_for(&self) -> Arc<str> {
        if self.withheld {
            Arc::clone(&self.sender)
        } else {
            Arc::from("")
        }
    }

    /// Whether this user may see it.
    pub(super) fn is_for(&self, user: &str) -> bool {
        !self.withheld || *self.sender == *user
    }
}

/// A message, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TargetKey {
    pub(super) channel: i64,
    pub(super) seq: i64,
}

impl TargetKey {
    fn of(channel: i64, seq: u64) -> Self {
        Self {
            channel,
            seq: bound(seq),
        }
    }
}

/// What a message's body becomes.
#[derive(Clone, Copy)]
pub(super) struct SetRow<'a> {
    pub(super) target: TargetKey,
    pub(super) rev: i64,
    pub(super) body: Option<&'a PreparedBody>,
    pub(super) erases: bool,
}

impl<'a> SetRow<'a> {
    pub(super) fn of(channel: i64, set: &'a PreparedSet) -> Self {
        Self {
            target: TargetKey {
                channel,
                seq: set.target,
            },
            rev: set.rev,
            body: set.body.as_ref(),
            erases: set.body.is_none(),
        }
    }
}

/// One user's sign.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReactionKey<'a> {
    target: TargetKey,
    emoji: &'a str,
    user: Arc<str>,
}

pub(super) struct ReactionRow<'a> {
    key: ReactionKey<'a>,
    seq: i64,
    withheld: bool,
}

pub(super) struct PinRow {
    target: TargetKey,
    only_for: Arc<str>,
    seq: i64,
    pinned: bool,
}

/// Messages that came to a thread.
pub(super) struct RepliesRow {
    target: TargetKey,
    only_for: Arc<str>,
    replies: i64,
}

/// What a sender alone sees of a channel's news.
pub(super) struct WithheldRow {
    channel: i64,
    user: Arc<str>,
    /// The newest message; 0: none.
    seq: i64,
    at: i64,
}

impl Rows for TargetKey {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.seq);
    }
}

impl Rows for SetRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| row.rev)
            .column(rows, |row| row.erases)
            .column(rows, |row| row.body.map(|(form, _)| *form))
            .column(rows, |row| row.body.map(|(_, bytes)| bytes.as_slice()));
    }
}

impl Rows for ReactionKey<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| row.emoji.as_bytes())
            .column(rows, |row| &*row.user);
    }
}

impl Rows for ReactionRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.key.target.channel)
            .column(rows, |row| row.key.target.seq)
            .column(rows, |row| row.key.emoji.as_bytes())
            .column(rows, |row| &*row.key.user)
            .column(rows, |row| row.seq)
            .column(rows, |row| row.withheld);
    }
}

impl Rows for PinRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| &*row.only_for)
            .column(rows, |row| row.seq)
            .column(rows, |row| row.pinned);
    }
}

impl Rows for RepliesRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| &*row.only_for)
            .column(rows, |row| row.replies);
    }
}

impl Rows for WithheldRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| &*row.user)
            .column(rows, |row| row.seq)
            .column(rows, |row| row.at);
    }
}
