//! Which appends of a batch may happen, and the rows that they make: decided in memory, in the order of the queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chat_core::ports::AppendOutcome;
use chat_core::rows::{
    MemberChanges, MemberRows, NewHead, OwnMarks, PreparedAppend, PreparedEntry, PreparedKind,
    SeenKeys, TargetRows, bound,
};
use chat_proto::{ChannelId, Head};

use super::known::Known;
use super::rows::{BodyRow, ChannelRow, EventRow, KeyRow, MentionRow, MessageRow, StateRow};

/// What a transaction writes for the appends of a batch.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) keys: Vec<KeyRow>,
    pub(super) messages: Vec<MessageRow<'a>>,
    pub(super) bodies: Vec<BodyRow<'a>>,
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

/// What the writer knows of the channels that a batch touches, and the keys that new ones get.
pub(super) struct Heads {
    pub(super) known: HashMap<ChannelId, Known>,
    pub(super) next_channel: i64,
    pub(super) next_body: i64,
}

impl<'a> Plan<'a> {
    /// Sets the appends against the heads, which move as they go. With `distinct_keys`, an append that repeats the key
    /// of an earlier one in the batch is late.
    pub(super) fn new(
        appends: impl Iterator<Item = (usize, &'a PreparedAppend)>,
        heads: &mut Heads,
        distinct_keys: bool,
    ) -> Self {
        let mut plan = Self::default();
        let mut seen = SeenKeys::new();
        for (place, append) in appends {
            let known = heads.known.get(&append.channel).copied();
            let head = known.map_or(Head::EMPTY, |known| known.head);
            if head.seq != append.expected_head {
                plan.late.push(place);
                continue;
            }
            if !append.continues(head) {
                plan.misuse.push(place);
                continue;
            }
            if distinct_keys && append.repeats_a_key(&mut seen) {
                plan.late.push(place);
                continue;
            }
            let key = known.map_or_else(|| heads.new_key(), |known| known.key);
            let head = plan.write(key, append, heads);
            heads.known.insert(append.channel, Known { key, head });
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
    fn write(&mut self, channel: i64, append: &'a PreparedAppend, heads: &mut Heads) -> Head {
        let mut head = Head::EMPTY;
        for entry in &append.entries {
            head = entry.head;
            if let Some((client_id, _)) = entry.key {
                self.keys.push(KeyRow {
                    channel,
                    sender: Arc::clone(&entry.sender),
                    client_id,
                    seq: bound(head.seq.0),
                });
            }
            match &entry.kind {
                PreparedKind::Message { body, mentions, .. } => {
                    let body = body.as_ref().map(|body| BodyRow {
                        id: heads.new_body(),
                        body,
                    });
                    self.messages.extend(MessageRow::of(channel, entry, body));
                    self.bodies.extend(body);
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
            self.move_head(channel, append.channel, entry);
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

    fn move_head(&mut self, key: i64, channel: ChannelId, entry: &PreparedEntry) {
        self.channels
            .entry(key)
            .and_modify(|row| row.new.take(entry))
            .or_insert_with(|| ChannelRow {
                key,
                channel,
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

    /// Whether it is messages with keys and bodies, naming nobody, in no thread and withheld from nobody, and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.keys.len() == self.messages.len()
            && self.bodies.len() == self.messages.len()
            && self.targets.is_empty()
            && self.mentions.is_empty()
            && self.events.is_empty()
            && self.states.is_empty()
            && self.members.is_empty()
    }

    /// The members' rows.
    pub(super) fn take_members(&mut self) -> MemberRows {
        self.members.take_rows()
    }
}

impl Heads {
    pub(super) fn new_body(&mut self) -> i64 {
        self.next_body += 1;
        self.next_body
    }

    fn new_key(&mut self) -> i64 {
        self.next_channel += 1;
        self.next_channel
    }
}
