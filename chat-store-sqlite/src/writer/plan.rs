//! Which appends of a batch may happen, and the rows that they make: decided in memory, in the order of the queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chat_core::ports::AppendOutcome;
use chat_proto::channel::MemberChange;
use chat_proto::{ChannelId, Head, UserId};

use super::known::Known;
use super::prepare::{PreparedAppend, PreparedEntry, PreparedKind};
use super::rows::{
    BodyRow, ChannelRow, EventRow, KeyRow, LeftKey, LeftRow, MemberKey, MemberRow, MentionRow,
    MessageRow, OwnMarkRow, RoleRow, StateRow,
};
use super::targets::TargetRows;
use crate::decode::{bound, role_number};

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
    Role(i64),
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
        let mut seen = BTreeSet::new();
        for (place, append) in appends {
            let known = heads.known.get(&append.channel).copied();
            let head = known.map_or(Head::EMPTY, |known| known.head);
            if head.seq != append.expected_head {
                plan.late.push(place);
                continue;
            }
            if !continues(head, append) {
                plan.misuse.push(place);
                continue;
            }
            if distinct_keys && repeats_a_key(append, &mut seen) {
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
        let row = self.channels.entry(key).or_insert_with(|| ChannelRow {
            key,
            channel,
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
                    rows.back.push(LeftKey { user, channel });
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
    pub(super) back: Vec<LeftKey>,
    pub(super) gone: Vec<MemberKey>,
    pub(super) left: Vec<LeftRow>,
    pub(super) roles: Vec<RoleRow>,
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

/// Whether the first record counts on from the head.
fn continues(head: Head, append: &PreparedAppend) -> bool {
    append.entries.first().is_some_and(|first| {
        let counted = u64::from(matches!(first.kind, PreparedKind::Message { .. }));
        first.head.n.0 == head.n.0 + counted
    })
}

fn repeats_a_key<'a>(
    append: &'a PreparedAppend,
    seen: &mut BTreeSet<(ChannelId, &'a str, [u8; 16])>,
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
