//! Which appends of a batch may happen, and the rows that they make: decided in memory, in the order of the queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chat_core::ports::AppendOutcome;
use chat_proto::channel::MemberChange;
use chat_proto::{ChannelId, Head, UserId};
use uuid::Uuid;

use super::prepare::{PreparedAppend, PreparedEntry, PreparedKind};
use super::rows::{
    ChannelRow, EventRow, LeftRow, MemberKey, MemberRow, MentionRow, MessageRow, OwnMarkRow,
    RoleRow, StateRow,
};
use super::targets::TargetRows;
use crate::decode::{bound, role_number};

/// What a transaction writes for the appends of a batch.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) messages: Vec<MessageRow<'a>>,
    /// What is done to messages.
    pub(super) targets: TargetRows<'a>,
    pub(super) events: Vec<EventRow<'a>>,
    pub(super) mentions: Vec<MentionRow<'a>>,
    pub(super) own_marks: Vec<OwnMarkRow>,
    channels: BTreeMap<i64, ChannelRow>,
    states: BTreeMap<i64, StateRow<'a>>,
    members: BTreeMap<(i64, UserId), MemberFate>,
    /// Where a (channel, sender)'s own mark row is, and the ordinal of its last message.
    own_runs: HashMap<(i64, Arc<str>), usize>,
    /// The place in the batch and the outcome of those that happen.
    pub(super) done: Vec<(usize, AppendOutcome)>,
    /// Those that do not, unless their key is found: their expected head is not the log's.
    pub(super) late: Vec<usize>,
    /// Those that broke the contract.
    pub(super) misuse: Vec<usize>,
}

/// What became of a user in a channel over the transaction.
enum MemberFate {
    In(MemberRow),
    Out(LeftRow),
    Role(i16),
}

/// A channel that the transaction has locked: its short name and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: i64,
    pub(super) head: Head,
}

/// The channels that the transaction has locked; those that are not there are in no row of it.
pub(super) type Heads = HashMap<ChannelId, Known>;

impl<'a> Plan<'a> {
    /// Sets the appends against the heads, which move as they go. An append that repeats the key of an earlier one in the
    /// batch is late.
    pub(super) fn new(
        appends: impl Iterator<Item = (usize, &'a PreparedAppend)>,
        heads: &mut Heads,
    ) -> Self {
        let mut plan = Self::default();
        let mut seen = BTreeSet::new();
        for (place, append) in appends {
            let known = heads.get_mut(&append.channel);
            let Some(known) = known.filter(|known| known.head.seq == append.expected_head) else {
                plan.late.push(place);
                continue;
            };
            if !continues(known.head, append) {
                plan.misuse.push(place);
                continue;
            }
            if repeats_a_key(append, &mut seen) {
                plan.late.push(place);
                continue;
            }
            known.head = plan.write(*known, append);
            plan.done.push((
                place,
                AppendOutcome::Appended {
                    durable: append.entries.len(),
                },
            ));
        }
        plan
    }

    /// Adds the rows of an append; the head that it makes.
    fn write(&mut self, known: Known, append: &'a PreparedAppend) -> Head {
        let channel = known.key;
        let mut head = known.head;
        for entry in &append.entries {
            self.move_head(known, entry);
            head = entry.head;
            match &entry.kind {
                PreparedKind::Message { mentions, .. } => {
                    self.messages.extend(MessageRow::of(channel, entry));
                    let told = mentions.iter().filter(|user| entry.is_for(user.as_str()));
                    self.mentions.extend(told.map(|user| MentionRow {
                        channel,
                        user,
                        seq: bound(head.seq.0),
                    }));
                    self.raise_own(channel, entry);
                }
                PreparedKind::React { detail, .. } => {
                    self.add_event(channel, entry, "react", detail);
                }
                PreparedKind::Pin { detail, .. } => self.add_event(channel, entry, "pin", detail),
                PreparedKind::Event { name, detail } => {
                    self.add_event(channel, entry, name, detail);
                }
            }
            self.targets.take(channel, entry);
            for change in &entry.changes {
                self.change_member(channel, entry, change);
            }
        }
        if let Some(state) = &append.state {
            self.states.insert(channel, StateRow { channel, state });
        }
        head
    }

    fn add_event(
        &mut self,
        channel: i64,
        entry: &'a PreparedEntry,
        name: &'a str,
        detail: &'a [u8],
    ) {
        self.events.push(EventRow {
            channel,
            entry,
            name,
            detail,
        });
    }

    fn move_head(&mut self, known: Known, entry: &PreparedEntry) {
        let row = self.channels.entry(known.key).or_insert(ChannelRow {
            key: known.key,
            expected: known.head.seq,
            head: entry.head,
            message: entry.message,
            at: entry.at,
            active_at: 0,
            last_message_seq: 0,
        });
        row.head = entry.head;
        row.message = row.message.max(entry.message);
        row.at = row.at.max(entry.at);
        if entry.withheld {
            return;
        }
        row.active_at = row.active_at.max(entry.at);
        if matches!(entry.kind, PreparedKind::Message { .. }) {
            row.last_message_seq = bound(entry.head.seq.0);
        }
    }

    /// The rule is `chat_proto::channel::mark_after_own_message`: the mark rises when it stands just before the message.
    /// Of a sender's messages in one transaction only the first can meet a mark, and those that follow it without
    /// another's between carry it on.
    fn raise_own(&mut self, channel: i64, entry: &PreparedEntry) {
        let run = (channel, Arc::clone(&entry.sender));
        match self.own_runs.get(&run) {
            None => {
                self.own_runs.insert(run, self.own_marks.len());
                self.own_marks.push(OwnMarkRow {
                    channel,
                    user: Arc::clone(&entry.sender),
                    read_before: bound(entry.head.n.0.saturating_sub(1)),
                    to: entry.head,
                });
            }
            Some(&row) => {
                if let Some(mark) = self.own_marks.get_mut(row)
                    && mark.to.n.0 + 1 == entry.head.n.0
                {
                    mark.to = entry.head;
                }
            }
        }
    }

    fn change_member(&mut self, channel: i64, entry: &PreparedEntry, change: &MemberChange) {
        let place = (channel, change.user().clone());
        match change {
            MemberChange::Joined {
                user,
                role,
                joined,
                visible_from,
            } => {
                let row = MemberRow {
                    channel,
                    user: user.clone(),
                    role: role_number(*role),
                    joined: bound(joined.0),
                    visible_from: bound(visible_from.0),
                    read: entry.head,
                };
                self.members.insert(place, MemberFate::In(row));
            }
            MemberChange::Left { user } => {
                let row = LeftRow {
                    user: user.clone(),
                    channel,
                    at: entry.at,
                };
                self.members.insert(place, MemberFate::Out(row));
            }
            MemberChange::Role { role, .. } => {
                let role = role_number(*role);
                match self.members.entry(place).or_insert(MemberFate::Role(role)) {
                    MemberFate::In(row) => row.role = role,
                    MemberFate::Role(known) => *known = role,
                    // Whoever has left has no role.
                    MemberFate::Out(_) => {}
                }
            }
        }
    }

    /// The channels' rows, by key.
    pub(super) fn take_channels(&mut self) -> Vec<ChannelRow> {
        std::mem::take(&mut self.channels).into_values().collect()
    }

    /// The channels' states, by key.
    pub(super) fn take_states(&mut self) -> Vec<StateRow<'a>> {
        std::mem::take(&mut self.states).into_values().collect()
    }

    /// The members' rows.
    pub(super) fn take_members(&mut self) -> MemberRows {
        let mut rows = MemberRows::default();
        for ((channel, user), fate) in std::mem::take(&mut self.members) {
            match fate {
                MemberFate::In(row) => {
                    rows.back.push(MemberKey { user, channel });
                    rows.joined.push(row);
                }
                MemberFate::Out(row) => {
                    rows.gone.push(MemberKey { channel, user });
                    rows.left.push(row);
                }
                MemberFate::Role(role) => rows.roles.push(RoleRow {
                    channel,
                    user,
                    role,
                }),
            }
        }
        rows
    }
}

/// What a transaction does to members.
#[derive(Default)]
pub(super) struct MemberRows {
    pub(super) joined: Vec<MemberRow>,
    pub(super) back: Vec<MemberKey>,
    pub(super) gone: Vec<MemberKey>,
    pub(super) left: Vec<LeftRow>,
    pub(super) roles: Vec<RoleRow>,
}

/// Whether the first record counts on from the head.
fn continues(head: Head, append: &PreparedAppend) -> bool {
    append.entries.first().is_some_and(|first| {
        let counted = u64::from(matches!(first.kind, PreparedKind::Message { .. }));
        first.head.n.0 == head.n.0 + counted
    })
}

fn repeats_a_key<'a>(
    append: &'a PreparedAppend,
    seen: &mut BTreeSet<(ChannelId, &'a str, Uuid)>,
) -> bool {
    let keys: Vec<_> = append
        .entries
        .iter()
        .filter_map(|entry| {
            entry
                .key
                .map(|(id, _)| (append.channel, &*entry.sender, id))
        })
        .collect();
    if keys.iter().any(|key| seen.contains(key)) {
        return true;
    }
    seen.extend(keys);
    false
}
