//! One channel: its log and the views beside it.

use std::collections::{BTreeMap, HashMap};

use chat_proto::channel::{Member, MemberChange, Snapshot, evolve, mark_after_own_message};
use chat_proto::entry::BodySet;
use chat_proto::{
    ChannelId, ChannelState, ClientId, Entry, EntryKind, Head, Record, Seq, Timestamp, UserId,
};

use super::store::SNAPSHOT_EVERY_ENTRIES;
use crate::ports::{FoundKey, Mark, MarkKind, MarkRise};

pub(super) struct Log {
    /// The record at index i has seq i + 1.
    records: Vec<Record>,
    keys: HashMap<(UserId, ClientId), FoundKey>,
    /// The entries that name a message: what was done to it, and its thread.
    naming: HashMap<Seq, Vec<Seq>>,
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

    /// The user has become a member by the entry that made this head: nothing before it is unread, or hidden.
    pub(super) fn start_at(&mut self, joined: Head) {
        let shown = self.shown().read.max(joined);
        self.read = self.read.max(joined);
        self.shown_read = (shown < self.read).then_some(shown);
    }

    /// The user's own message made this head.
    pub(super) fn raise_over_own(&mut self, own: Head) {
        if Some(self.read.n.0) == own.n.0.checked_sub(1) {
            self.read = own;
        }
    }

    pub(super) fn raise(&mut self, rise: &MarkRise) {
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
            naming: HashMap::new(),
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
        let named = [record.entry.target(), thread_of(&record.entry)];
        for message in named.into_iter().flatten() {
            let naming = self.naming.entry(message).or_default();
            naming.push(record.entry.seq);
        }
        self.records.push(record);
        if self.head().seq.0.is_multiple_of(SNAPSHOT_EVERY_ENTRIES) {
            self.snapshot = Some(self.state.to_snapshot());
        }
    }

    /// The entry at this place.
    pub(super) fn entry(&self, seq: Seq) -> Option<&Entry> {
        let place = index(seq).checked_sub(1)?;
        self.records.get(place).map(|record| &record.entry)
    }

    /// The entries that name this message, in their order.
    pub(super) fn naming(&self, message: Seq) -> impl Iterator<Item = &Entry> {
        let seqs = self.naming.get(&message).into_iter().flatten();
        seqs.filter_map(|seq| self.entry(*seq))
    }

    /// Does to a message's body what an edit or a deletion does, and keeps no former one.
    pub(super) fn set_body(&mut self, set: BodySet<'_>) {
        let mut edits: Vec<Seq> = self.naming(set.target).map(|entry| entry.seq).collect();
        let Some(record) = index(set.target)
            .checked_sub(1)
            .and_then(|place| self.records.get_mut(place))
        else {
            return;
        };
        let EntryKind::Message(message) = &mut record.entry.kind else {
            return;
        };
        message.set_body(set);
        let rev = message.rev;
        edits.retain(|seq| Some(*seq) <= rev);
        for seq in edits {
            if let EntryKind::Edit(edit) = &mut self.records[index(seq) - 1].entry.kind {
                edit.body = None;
            }
        }
    }

    /// The entry as it now is: an edit with its body while that is the current one.
    pub(super) fn as_it_is(&self, entry: &Entry) -> Entry {
        let mut entry = entry.clone();
        if let EntryKind::Edit(edit) = &mut entry.kind
            && let Some(message) = self.entry(edit.target).and_then(Entry::as_message)
            && message.rev == Some(entry.seq)
        {
            edit.body.clone_from(&message.body);
        }
        entry
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

fn thread_of(entry: &Entry) -> Option<Seq> {
    entry.as_message().and_then(|message| message.thread)
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
