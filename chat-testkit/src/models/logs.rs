//! What channels are: for each one a plain list of records, folded with the functions of `chat_proto`, and beside it where
//! its members stand.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{Append, AppendOutcome, AppendRecord, BodyNote, MarkRise, SetBody};
use chat_core::proto::channel::{Action, MemberChange, NewBody, NewChannel, NewMessage, Reception};
use chat_core::proto::entry::{Delete, MemberRole, MembersChange, MetaChange, Pin, React};
use chat_core::proto::{
    Body, ChannelId, ChannelType, ClientId, Command, DeviceId, Entry, EntryKind, Head, History,
    Limits, Record, Role, Seq, Timestamp, UserId,
};
use serde_json::{Map, json};

use super::log_steps::{Deed, LogStep, Rise};
use super::standing::Standing;
use crate::log_writer::{Folded, START, TICK_MS, sets_of};
use crate::message_store::found;
use crate::names::{fresh_channel, fresh_client_id, fresh_device, fresh_users, next_message_id};

/// Users, few enough to meet.
pub(super) const USERS: usize = 4;
/// Two groups, a direct channel and one with oneself.
pub(super) const CHANNELS: usize = 4;

/// Steps at one time: rows of the same activity have an order too.
const STEPS_AT_ONCE: u64 = 3;
/// More members than each one's inbox holds a copy for.
const CROWD: usize = Limits::INBOX_COPY_MEMBERS_MAX as usize + 4;
/// Characters of two bytes each, together more than 65,535.
const LONG_CHARS: usize = 33_000;

/// All that was done so far.
#[derive(Clone, Debug)]
pub struct Logs {
    pub(super) users: Vec<UserId>,
    pub(super) logs: Vec<Log>,
    /// What the last step asks of the store.
    pub(super) attempt: Attempt,
    pub(super) steps: u64,
    crowd: Vec<UserId>,
    device: DeviceId,
    limits: Limits,
}

/// One channel.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) folded: Folded,
    pub(super) standings: BTreeMap<UserId, Standing>,
    /// Who went and did not return, and when.
    pub(super) left: BTreeMap<UserId, Timestamp>,
    pub(super) notes: BTreeMap<Seq, BTreeSet<Seq>>,
    /// What edits and deletions set, oldest first.
    sets: Vec<SetBody>,
    begins: Begins,
}

/// How a channel begins.
#[derive(Clone, Copy, Debug)]
enum Begins {
    Group(History),
    Direct(usize, usize),
}

/// Something to ask of a store.
#[derive(Clone, Debug)]
pub(super) enum Attempt {
    Nothing,
    /// An append on top of this log, which succeeds.
    Append(Box<Folded>, Append),
    /// An append that is refused.
    Refused {
        append: Append,
        /// What a store answers that does not; none where the head is the right one.
        by_head: Option<AppendOutcome>,
        /// What a store answers that searches keys.
        by_key: Option<AppendOutcome>,
    },
    SetBody(SetBody),
    Raise(Vec<MarkRise>),
    KeepNote(BodyNote),
    DropNote(ChannelId, Seq),
}

impl Logs {
    pub(super) fn fresh() -> Self {
        let users = fresh_users("model", USERS);
        let begins = [
            Begins::Group(History::All),
            Begins::Group(History::Joined),
            Begins::Direct(0, 1),
            Begins::Direct(2, 2),
        ];
        Self {
            logs: begins.map(|begins| Log::fresh(&users, begins)).into(),
            users,
            attempt: Attempt::Nothing,
            steps: 0,
            crowd: fresh_users("crowd", CROWD),
            device: fresh_device(),
            limits: Limits::default(),
        }
    }

    pub(super) fn apply(&mut self, step: &LogStep) {
        self.steps += 1;
        self.attempt = match step {
            LogStep::Append {
                channel,
                deeds,
                unordered,
            } => {
                let append = self.prepare(*channel, deeds, *unordered);
                self.accept(*channel, append)
            }
            LogStep::Fill { channel, user } => {
                let deeds = vec![(*user, say("full")); Limits::APPEND_ENTRIES_MAX];
                let append = self.prepare(*channel, &deeds, false);
                self.accept(*channel, append)
            }
            LogStep::Misplaced {
                channel,
                user,
                above,
            } => {
                let append = self.prepare(*channel, &[(*user, say("misplaced"))], false);
                let log = &self.logs[*channel];
                log.misplaced(append, *above, None)
            }
            LogStep::Again {
                channel,
                back,
                before,
                above,
            } => self.again(*channel, *back, *before, *above),
            LogStep::SetBody { channel, back } => {
                let set = from_newest(&self.logs[*channel].sets, *back);
                set.map_or(Attempt::Nothing, |set| Attempt::SetBody(set.clone()))
            }
            LogStep::Raise { channel, rises } => self.raise(*channel, rises),
            LogStep::Block { channel, blocks } => {
                let blocks = *blocks;
                let reception = &mut self.logs[*channel].folded.reception;
                *reception = Reception {
                    blocks,
                    ..*reception
                };
                Attempt::Nothing
            }
            LogStep::Note {
                channel,
                after,
                target,
                drop,
            } => self.logs[*channel].note(Seq(*after), Seq(*target), *drop),
            LogStep::Page(_) | LogStep::Reopen => Attempt::Nothing,
        };
    }

    fn now(&self) -> Timestamp {
        Timestamp(START.0 + self.steps / STEPS_AT_ONCE * TICK_MS)
    }

    fn accept(&mut self, channel: usize, append: Append) -> Attempt {
        if append.records.is_empty() {
            return Attempt::Nothing;
        }
        let log = &mut self.logs[channel];
        let before = Box::new(log.folded.clone());
        log.accept(&append);
        Attempt::Append(before, append)
    }

    /// What the engine would append; see [`LogStep::Append`].
    fn prepare(&self, channel: usize, deeds: &[(usize, Deed)], unordered: bool) -> Append {
        let wishes = deeds.iter().map(|(user, deed)| (None, *user, deed));
        let mut append = self.prepare_keyed(channel, wishes);
        let only_messages = append.state.is_none();
        if unordered && only_messages {
            let names: Vec<_> = append
                .records
                .iter()
                .map(|of| of.record.entry.message)
                .collect();
            for (appended, name) in append.records.iter_mut().zip(names.into_iter().rev()) {
                appended.record.entry.message = name;
            }
        }
        append
    }

    fn prepare_keyed<'a>(
        &self,
        channel: usize,
        deeds: impl IntoIterator<Item = (Option<ClientId>, usize, &'a Deed)>,
    ) -> Append {
        let log = &self.logs[channel];
        let (mut ahead, mut records) = (log.folded.clone(), Vec::new());
        for (client_id, user, deed) in deeds {
            for record in self.decide(log, &ahead, client_id, user, deed) {
                if records.len() < Limits::APPEND_ENTRIES_MAX {
                    records.push(ahead.fold(record));
                }
            }
        }
        log.folded.append(&ahead, records)
    }

    fn decide(
        &self,
        log: &Log,
        ahead: &Folded,
        client_id: Option<ClientId>,
        user: usize,
        deed: &Deed,
    ) -> Vec<Record> {
        if matches!(deed, Deed::Unknown) {
            return self.unknown(ahead).into_iter().collect();
        }
        let wish = if ahead.state.head() == Head::EMPTY {
            Some(self.creation(log.begins, user))
        } else {
            self.wish(ahead, user, deed)
        };
        let Some((from, action)) = wish else {
            return Vec::new();
        };
        let client_id = client_id.unwrap_or_else(fresh_client_id);
        let command = Command::of_device(from, self.device, Some(client_id), action);
        let decided = ahead.try_decide(&command, &self.limits, self.now());
        decided.unwrap_or_default()
    }

    fn creation(&self, begins: Begins, user: usize) -> (UserId, Action) {
        match begins {
            Begins::Group(history) => {
                let channel = NewChannel {
                    channel_type: ChannelType::Group,
                    title: Some("a group".into()),
                    members: vec![self.users[1].clone()],
                    history,
                    data: None,
                    external_id: None,
                };
                (self.users[0].clone(), Action::Create(channel))
            }
            Begins::Direct(one, other) => {
                let (from, to) = if user == other {
                    (other, one)
                } else {
                    (one, other)
                };
                let mut message = NewMessage::new(Body::text("first"));
                message.direct_to = Some(self.users[to].clone());
                (self.users[from].clone(), Action::Send(message))
            }
        }
    }

    /// What a deed is for somebody who knows this log; none where it has no target.
    fn wish(&self, ahead: &Folded, user: usize, deed: &Deed) -> Option<(UserId, Action)> {
        let from = self.users[user].clone();
        let target = |back: &usize| message_from_newest(ahead, *back);
        Some(match deed {
            Deed::Say {
                text,
                mentions,
                reply_to,
                thread,
            } => {
                let mut message = NewMessage::new(Body::text(text));
                let mentions = mentions.iter().map(|user| self.users[*user].clone());
                message.mentions = mentions.collect();
                message.reply_to = reply_to.as_ref().and_then(target).map(|entry| entry.seq);
                message.thread = thread.as_ref().and_then(target).map(|entry| entry.seq);
                (from, Action::Send(message))
            }
            Deed::SayLong => {
                let body = Body::text("\u{df}".repeat(LONG_CHARS));
                (from, Action::Send(NewMessage::new(body)))
            }
            Deed::Edit(back, text) => {
                let (message, body) = (target(back)?, Body::text(text));
                let target = message.seq;
                (message.from.clone(), Action::Edit(NewBody { target, body }))
            }
            Deed::Delete(back) => {
                let message = target(back)?;
                let target = message.seq;
                (message.from.clone(), Action::Delete(Delete { target }))
            }
            Deed::React(back, emoji, remove) => {
                let react = React {
                    target: target(back)?.seq,
                    emoji: (*emoji).to_owned(),
                    remove: *remove,
                };
                (from, Action::React(react))
            }
            Deed::Pin(back, remove) => {
                let (target, remove) = (target(back)?.seq, *remove);
                (lead(ahead, from), Action::Pin(Pin { target, remove }))
            }
            Deed::Title(title) => {
                let change = MetaChange {
                    title: Some(title.clone()),
                    ..MetaChange::default()
                };
                (lead(ahead, from), Action::Meta(change))
            }
            Deed::Add(..) | Deed::Remove(_) | Deed::Role(..) | Deed::Crowd => {
                let change = self.members_change(ahead, deed);
                (lead(ahead, from), Action::Members(change))
            }
            Deed::Unknown => return None,
        })
    }

    fn members_change(&self, ahead: &Folded, deed: &Deed) -> MembersChange {
        let with = |user: &UserId, role: Role| MemberRole {
            user: user.clone(),
            role,
        };
        let mut change = MembersChange::default();
        match deed {
            Deed::Add(user, role) => change.add.push(with(&self.users[*user], *role)),
            Deed::Remove(user) => change.remove.push(self.users[*user].clone()),
            Deed::Role(user, role) => change.role.push(with(&self.users[*user], *role)),
            Deed::Crowd if ahead.members.contains_key(&self.crowd[0]) => {
                change.remove.clone_from(&self.crowd);
            }
            Deed::Crowd => {
                let crowd = self.crowd.iter().map(|user| with(user, Role::Member));
                change.add.extend(crowd);
            }
            _ => {}
        }
        change
    }

    /// An entry of a kind that this version does not know, by whoever wrote last.
    fn unknown(&self, ahead: &Folded) -> Option<Record> {
        let last = ahead.records.last()?;
        let mut fields = Map::new();
        fields.insert("deep".into(), json!({ "list": [1, "two", null] }));
        let entry = Entry {
            seq: last.entry.seq.next(),
            message: next_message_id(),
            at: last.entry.at,
            withheld: false,
            kind: EntryKind::Unknown {
                kind: "later".into(),
                fields,
            },
            ..last.entry.clone()
        };
        Some(Record {
            channel: last.channel,
            entry,
            key: None,
        })
    }

    fn again(&self, channel: usize, back: usize, before: usize, above: i64) -> Attempt {
        let log = &self.logs[channel];
        let keyed: Vec<&Record> = log
            .folded
            .records
            .iter()
            .filter(|record| record.key.is_some())
            .collect();
        let Some(first) = from_newest(&keyed, back) else {
            return Attempt::Nothing;
        };
        let Some(user) = self.users.iter().position(|user| *user == first.entry.from) else {
            return Attempt::Nothing;
        };
        let (new, known) = (say("new"), say("known"));
        let mut deeds: Vec<_> = (0..before).map(|_| (None, user, &new)).collect();
        deeds.push((first.key.map(|key| key.client_id), user, &known));
        deeds.push((None, user, &new));
        let append = self.prepare_keyed(channel, deeds);
        let by_key = AppendOutcome::KeyExists {
            index: before,
            found: found(first),
        };
        log.misplaced(append, above, Some(by_key))
    }

    fn raise(&mut self, channel: usize, rises: &[Rise]) -> Attempt {
        let (at, log) = (self.now(), &mut self.logs[channel]);
        let mut raised = Vec::new();
        for rise in rises {
            let user = &self.users[rise.user];
            let Some(record) = from_newest(&log.folded.records, rise.back) else {
                return Attempt::Nothing;
            };
            raised.push(MarkRise {
                channel: log.folded.state.id(),
                user: user.clone(),
                kind: rise.kind,
                to: record.entry.head(),
                at,
                private: rise.private,
            });
        }
        for rise in &raised {
            if let Some(standing) = log.standings.get_mut(&rise.user) {
                standing.raise(rise);
            }
        }
        Attempt::Raise(raised)
    }
}

impl Log {
    fn fresh(users: &[UserId], begins: Begins) -> Self {
        let channel = match begins {
            Begins::Group(_) => fresh_channel(),
            Begins::Direct(one, other) => ChannelId::direct(&users[one], &users[other]),
        };
        Self {
            folded: Folded::empty(channel),
            standings: BTreeMap::new(),
            left: BTreeMap::new(),
            notes: BTreeMap::new(),
            sets: Vec::new(),
            begins,
        }
    }

    fn accept(&mut self, append: &Append) {
        for appended in &append.records {
            let folded = self.folded.fold(appended.record.clone());
            self.follow(&folded);
        }
        self.sets.extend(sets_of(append));
    }

    fn follow(&mut self, appended: &AppendRecord) {
        let entry = &appended.record.entry;
        for change in &appended.changes {
            match change {
                MemberChange::Joined { user, .. } => {
                    let standing = Standing::of_new(entry.head());
                    self.standings.insert(user.clone(), standing);
                    self.left.remove(user);
                }
                MemberChange::Left { user } => {
                    self.standings.remove(user);
                    self.left.insert(user.clone(), entry.at);
                }
                MemberChange::Role { .. } => {}
            }
        }
        if let Some(standing) = self.standings.get_mut(&entry.from) {
            standing.wrote(entry);
        }
    }

    /// The append so far above the head, which is refused.
    fn misplaced(&self, mut append: Append, above: i64, by_key: Option<AppendOutcome>) -> Attempt {
        let head = self.folded.state.head().seq;
        let Some(expected) = head.0.checked_add_signed(above) else {
            return Attempt::Nothing;
        };
        let was_decided = append.records.len()
            > match &by_key {
                Some(AppendOutcome::KeyExists { index, .. }) => *index,
                _ => 0,
            };
        if !was_decided {
            return Attempt::Nothing;
        }
        append.expected_head = Seq(expected);
        for (appended, seq) in append.records.iter_mut().zip(expected + 1..) {
            appended.record.entry.seq = Seq(seq);
        }
        Attempt::Refused {
            append,
            by_head: (above != 0).then_some(AppendOutcome::HeadMoved { head }),
            by_key,
        }
    }

    fn note(&mut self, after: Seq, target: Seq, drop: bool) -> Attempt {
        let channel = self.folded.state.id();
        if drop {
            self.notes.remove(&after);
            return Attempt::DropNote(channel, after);
        }
        self.notes.entry(after).or_default().insert(target);
        Attempt::KeepNote(BodyNote {
            channel,
            after,
            targets: [target].into(),
        })
    }
}

fn say(text: &str) -> Deed {
    Deed::Say {
        text: text.to_owned(),
        mentions: Vec::new(),
        reply_to: None,
        thread: None,
    }
}

/// Whoever may do most: an owner, else the one who wishes it.
fn lead(ahead: &Folded, wishes: UserId) -> UserId {
    let mut members = ahead.members.iter();
    let owner = members.find(|(_, member)| member.role == Role::Owner);
    owner.map_or(wishes, |(user, _)| user.clone())
}

fn message_from_newest(log: &Folded, back: usize) -> Option<&Entry> {
    let entries = log.records.iter().rev().map(|record| &record.entry);
    let mut messages = entries.filter(|entry| entry.kind.is_message());
    messages.nth(back)
}

/// The item so far from the end, round and round.
fn from_newest<T>(items: &[T], back: usize) -> Option<&T> {
    let back = back.checked_rem(items.len())?;
    items.iter().rev().nth(back)
}
