//! What the appends of one transaction do to messages: bodies, signs, pins, threads, and what is withheld.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::append::{PreparedEntry, PreparedKind, PreparedSet};
use super::body::PreparedBody;
use super::numbers::bound;

/// Collected entry by entry, so that each row is written once.
#[derive(Default)]
pub struct TargetRows<'a> {
    sets: BTreeMap<TargetKey, SetRow<'a>>,
    /// Signs that were taken back, also where they were set again.
    reactions_gone: BTreeSet<ReactionKey<'a>>,
    reactions: BTreeMap<ReactionKey<'a>, ReactionRow<'a>>,
    pins: BTreeMap<(TargetKey, Arc<str>), PinRow>,
    replies: BTreeMap<(TargetKey, Arc<str>), RepliesRow>,
    withheld: BTreeMap<(i64, Arc<str>), WithheldRow>,
}

/// The rows, table by table.
pub struct TakenRows<'a> {
    /// Bodies.
    pub sets: Vec<SetRow<'a>>,
    /// Signs that were taken back, also where they were set again.
    pub reactions_gone: Vec<ReactionKey<'a>>,
    /// Signs; one that is there already stays from when it was set first.
    pub reactions: Vec<ReactionRow<'a>>,
    /// Pins.
    pub pins: Vec<PinRow>,
    /// Messages that came to threads.
    pub replies: Vec<RepliesRow>,
    /// What senders alone see.
    pub withheld: Vec<WithheldRow>,
}

impl<'a> TargetRows<'a> {
    /// Takes in the next entry of a log.
    pub fn take(&mut self, channel: i64, entry: &'a PreparedEntry) {
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

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
            && self.reactions_gone.is_empty()
            && self.reactions.is_empty()
            && self.pins.is_empty()
            && self.replies.is_empty()
            && self.withheld.is_empty()
    }

    /// All of it; nothing is left.
    pub fn take_rows(&mut self) -> TakenRows<'a> {
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

/// A message, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The store's short name of its channel.
    pub channel: i64,
    /// Its place.
    pub seq: i64,
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
pub struct SetRow<'a> {
    /// Of which message.
    pub target: TargetKey,
    /// The entry that sets it.
    pub rev: i64,
    /// The body; none: erased.
    pub body: Option<&'a PreparedBody>,
    /// For ever.
    pub erases: bool,
}

impl<'a> SetRow<'a> {
    /// The row of one change.
    pub fn of(channel: i64, set: &'a PreparedSet) -> Self {
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
pub struct ReactionKey<'a> {
    /// On which message.
    pub target: TargetKey,
    /// The sign.
    pub emoji: &'a str,
    /// Whose.
    pub user: Arc<str>,
}

/// A sign, and since when.
pub struct ReactionRow<'a> {
    /// Whose sign on what.
    pub key: ReactionKey<'a>,
    /// Since which entry.
    pub seq: i64,
    /// Only the user sees it.
    pub withheld: bool,
}

/// The last entry that pinned a message, or took the pin away.
pub struct PinRow {
    /// Which message.
    pub target: TargetKey,
    /// For whom alone it did; '' for everybody.
    pub only_for: Arc<str>,
    /// The entry.
    pub seq: i64,
    /// Which of the two.
    pub pinned: bool,
}

/// Messages that came to a thread.
pub struct RepliesRow {
    /// The message that began it.
    pub target: TargetKey,
    /// Who alone sees them; '' for everybody.
    pub only_for: Arc<str>,
    /// How many.
    pub replies: i64,
}

/// What a sender alone sees of a channel's news.
pub struct WithheldRow {
    /// The store's short name of the channel.
    pub channel: i64,
    /// Whose.
    pub user: Arc<str>,
    /// The newest message; 0: none.
    pub seq: i64,
    /// When the newest of it came.
    pub at: i64,
}
