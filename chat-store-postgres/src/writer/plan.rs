//! Which appends of a batch may happen, and the rows that they make: decided in memory, in the order of the queue.

use std::collections::{BTreeMap, HashMap};

use chat_core::ports::AppendOutcome;
use chat_core::rows::{
    MemberChanges, MemberRows, NewHead, OwnMarks, PreparedAppend, PreparedEntry, PreparedKind,
    SeenKeys, TargetRows, bound,
};
use chat_proto::{ChannelId, Head};

use super::rows::{ChannelRow, EventRow, MentionRow, MessageRow, StateRow};

/// What a transaction writes for the appends of a batch.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) messages: Vec<MessageRow<'a>>,
    /// What is done to messages.
    pub(super) targets: TargetRows<'a>,
    pub(super) events: Vec<EventRow<'a>>,
    pub(super) mentions: Vec<MentionRow<'a>>,
    pub(super) own_marks: OwnMarks,
    channels: BTreeMap<i64, ChannelRow>,
    states: BTreeMap<i64, StateRow<'a>>,
    members: MemberChanges,
    /// The place in the batch and the outcome of those that happen.
    pub(super) done: Vec<(usize, AppendOutcome)>,
    /// Those that do not, unless their key is found: their expected head is not the log's.
    pub(super) late: Vec<usize>,
    /// Those that broke the contract.
    pub(super) misuse: Vec<usize>,
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
        let mut seen = SeenKeys::new();
        for (place, append) in appends {
            let known = heads.get_mut(&append.channel);
            let Some(known) = known.filter(|known| known.head.seq == append.expected_head) else {
                plan.late.push(place);
                continue;
            };
            if !append.continues(known.head) {
                plan.misuse.push(place);
                continue;
            }
            if append.repeats_a_key(&mut seen) {
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
                    self.own_marks.take(channel, entry);
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
            self.members.take(channel, entry);
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
        self.channels
            .entry(known.key)
            .and_modify(|row| row.new.take(entry))
            .or_insert_with(|| ChannelRow {
                key: known.key,
                expected: known.head.seq,
                new: NewHead::after(entry),
            });
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
        self.members.take_rows()
    }
}
