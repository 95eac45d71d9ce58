//! One channel: its log and the views beside it.

use std::collections::{BTreeMap, HashMap};

use chat_proto::channel::{Member, MemberChange, Snapshot, evolve, mark_after_own_message};
use chat_proto::{ChannelId, ChannelState, ClientId, Head, Record, Seq, Timestamp, UserId};

use super::store::SNAPSHOT_EVERY_ENTRIES;
use crate::ports::{FoundKey, Mark, MarkKind, MarkRise};

pub(super) struct Log {
    /// The record at index i has seq i + 1.
    records: Vec<Record>,
    keys: HashMap<(UserId, ClientId), FoundKey>,
    /// The fold of all records.
    pub(super) state: ChannelState,
    /// The fold as it was some entries ago.
    pub(super) snapshot: Option<Snapshot>,
    pub(super) members: BTreeMap<UserId, Member>,
    /// Of members only.
    pub(super) marks: HashMap<UserId, MarkRow>,
}

/// Where a member stands, and when they last moved.
#[derive(Clone, Debug, Default)]
pub(super) struct MarkRow {
    pub(super) read: Head,
    /// What others are shown instead, since the member read on in private.
    shown_read: Option<Head>,
    delivered: Head,
    pub(super) raised_at: Timestamp,
}

impl MarkRow {
    /// As others are shown it.
    pub(super) fn shown(&self) -> Mark {
        Mark {
            read: self.shown_read.unwrap_or(self.read),
            delivered: self.delivered,
        }
    }

    fn raise(&mut self, rise: &MarkRise) {
        let shown = self.shown().read;
        let own = match rise.kind {
            MarkKind::Read => &mut self.read,
            MarkKind::Delivered => &mut self.delivered,
        };
        if rise.to > *own {
            *own = rise.to;
            self.raised_at = self.raised_at.max(rise.at);
        }
        if rise.kind == MarkKind::Read {
            let shown = if rise.private {
                shown
            } else {
                shown.max(rise.to)
            };
            self.shown_read = (shown < self.read).then_some(shown);
        }
    }
}

impl Log {
    pub(super) fn empty(channel: ChannelId) -> Self {
        Self {
            records: Vec::new(),
            keys: HashMap::new(),
            state: ChannelState::empty(channel),
            snapshot: None,
            members: BTreeMap::new(),
            marks: HashMap::new(),
        }
    }

    pub(super) fn head(&self) -> Head {
        self.state.head()
    }

    /// The records after `after` up to and with `through`.
    pub(super) fn range(&self, after: Seq, through: Seq) -> &[Record] {
        let end = index(through).min(self.records.len());
        let start = index(after).min(end);
        &self.records[start..end]
    }

    /// The records after `after`.
    pub(super) fn since(&self, after: Seq) -> &[Record] {
        self.range(after, self.head().seq)
    }

    /// What the log holds under the record's key.
    pub(super) fn known_key(&self, record: &Record) -> Option<FoundKey> {
        let key = record.key?;
        self.keys
            .get(&(record.entry.from.clone(), key.client_id))
            .copied()
    }

    /// Appends the next record and brings every view up to it.
    pub(super) fn push(&mut self, record: Record, changes: &[MemberChange]) {
        evolve(&mut self.state, &record.entry, record.key.as_ref());
        for change in changes {
            self.change_member(change, record.entry.head());
        }
        let sender = &record.entry.from;
        if self.members.contains_key(sender) {
            let row = self.marks.entry(sender.clone()).or_default();
            if let Some(read) = mark_after_own_message(row.read, &record.entry) {
                row.read = read;
            }
        }
        if let Some(found) = found_key(&record) {
            let key = (sender.clone(), found.0);
            self.keys.entry(key).or_insert(found.1);
        }
        self.records.push(record);
        if self.head().seq.0.is_multiple_of(SNAPSHOT_EVERY_ENTRIES) {
            self.snapshot = Some(self.state.to_snapshot());
        }
    }

    fn change_member(&mut self, change: &MemberChange, head: Head) {
        change.apply_to(&mut self.members);
        match change {
            MemberChange::Joined { user, .. } => {
                let row = self.marks.entry(user.clone()).or_default();
                row.read = row.read.max(head);
            }
            MemberChange::Left { user } => drop(self.marks.remove(user)),
            MemberChange::Role { .. } => {}
        }
    }

    /// Raises a member's mark; without effect for others, and for a mark that stands higher.
    pub(super) fn raise(&mut self, rise: &MarkRise) {
        if self.members.contains_key(&rise.user) {
            self.marks.entry(rise.user.clone()).or_default().raise(rise);
        }
    }
}

/// A record's key and what a search for it finds.
pub(super) fn found_key(record: &Record) -> Option<(ClientId, FoundKey)> {
    let key = record.key?;
    let entry = &record.entry;
    let found = FoundKey {
        seq: entry.seq,
        n: entry.n,
        message: entry.message,
        at: entry.at,
        content: key.content,
    };
    Some((key.client_id, found))
}

/// How many records lie up to and with `seq`.
fn index(seq: Seq) -> usize {
    usize::try_from(seq.0).unwrap_or(usize::MAX)
}
