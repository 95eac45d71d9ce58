//! A server as the protocol describes it: a log for each channel, one user's membership and marks.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chat_proto::channel::mark_after_own_message;
use chat_proto::entry::{Created, MemberRole, MembersChange, Message};
use chat_proto::people::{ProfileChange, UserEntry, UserEntryKind};
use chat_proto::wire::{
    Answer, ChangeAnswer, ChannelHead, ClientFrame, ClientOp, EntryPush, Gap, HeadsPush,
    HelloAnswer, Mark, PullAnswer, PullQuery, Push, React, SendAnswer, SendMessage, ServerFrame,
    Summary, SyncAnswer, SyncQuery, UserPush,
};
use chat_proto::{
    Body, ChannelId, ChannelType, ClientId, Code, DeviceId, Entry, EntryKind, Epoch, Head, History,
    Limits, MessageId, NodeId, Ordinal, Rejection, Role, Seq, Timestamp, UserId,
};
use uuid::Uuid;

pub(crate) const CHANNELS: usize = 4;
/// The last channel is the direct one with bob; it begins with the first message.
pub(crate) const DIRECT: usize = CHANNELS - 1;
const PULL_ENTRIES_MAX: usize = 3;
const SYNC_CHANNELS_MAX: usize = 2;
const SYNC_CURSORS_MAX: usize = 2;
const SYNC_OWN_MAX: usize = 2;

pub(crate) fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

pub(crate) fn alice() -> UserId {
    user("alice")
}

pub(crate) fn device() -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(1))
}

pub(crate) fn channel_id(index: usize) -> ChannelId {
    if index == DIRECT {
        ChannelId::direct(&alice(), &user("bob"))
    } else {
        ChannelId::external(&index.to_string())
    }
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
    pub(crate) is_member: bool,
    pub(crate) visible_from: Seq,
    pub(crate) read: Head,
    changed_at: u64,
    left_at: Option<u64>,
}

pub(crate) struct Server {
    pub(crate) epoch: Epoch,
    pub(crate) logs: Vec<Log>,
    /// The user's own log.
    pub(crate) own: Vec<UserEntry>,
    clock: u64,
    names: u64,
    /// How the next requests that can fail for now do.
    pub(crate) refusals: VecDeque<Refusal>,
    /// The session's lane rule: after a send failed for now, others wait for it.
    blocked: Vec<Option<ClientId>>,
    attached: bool,
    /// Commands that were refused for good at least once. A refusal is not remembered: where its answer was lost, the
    /// retry is decided anew, behind what came later.
    pub(crate) turned_away: BTreeSet<ClientId>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Unavailable,
    UnknownButDone,
    UnknownAndNotDone,
    RateLimited,
}

impl Log {
    pub(crate) fn head(&self) -> Head {
        self.entries.last().map_or(Head::EMPTY, Entry::head)
    }

    pub(crate) fn visible(&self) -> &[Entry] {
        let from = usize::try_from(self.visible_from.0.max(1)).expect("small") - 1;
        &self.entries[from.min(self.entries.len())..]
    }

    fn point(&self, seq: Seq) -> Head {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.seq <= seq)
            .map_or(Head::EMPTY, Entry::head)
    }
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Epoch::from_uuid(Uuid::from_u128(1)),
            logs: (0..CHANNELS).map(|_| Log::default()).collect(),
            own: Vec::new(),
            clock: 0,
            names: 0,
            refusals: VecDeque::new(),
            blocked: vec![None; CHANNELS],
            attached: false,
            turned_away: BTreeSet::new(),
        }
    }

    pub(crate) fn cut(&mut self) {
        self.attached = false;
        self.blocked = vec![None; CHANNELS];
    }

    /// A backup is restored: the newest entries are gone, and the epoch is another.
    pub(crate) fn restore_backup(&mut self, lost: usize) {
        self.epoch = Epoch::from_uuid(Uuid::from_u128(self.epoch.as_uuid().as_u128() + 1));
        self.tick();
        self.own.truncate(self.own.len().saturating_sub(lost));
        for log in &mut self.logs {
            let kept = log.entries.len().saturating_sub(lost);
            log.entries.truncate(kept);
            log.changed_at = self.clock;
            let joined_at = log.entries.iter().rposition(adds_alice);
            let left_at = log.entries.iter().rposition(removes_alice);
            log.is_member = joined_at > left_at;
            log.visible_from = Seq(log.visible_from.0.min(kept as u64).max(1));
            log.read = log.read.min(log.head());
            log.left_at = None;
        }
    }

    /// Something happened to the user outside of channels.
    pub(crate) fn note(&mut self) -> Option<Push> {
        self.tick();
        let entry = UserEntry {
            seq: Seq(self.own.len() as u64 + 1),
            at: Timestamp(self.clock),
            kind: UserEntryKind::Profile(ProfileChange {
                name: Some(self.clock.to_string()),
                direct: None,
            }),
        };
        self.own.push(entry.clone());
        self.attached.then_some(Push::User(UserPush { entry }))
    }

    pub(crate) fn post(&mut self, index: usize) -> Vec<Push> {
        let mut pushes = Vec::new();
        if self.logs[index].entries.is_empty() {
            pushes.extend(self.create(index, &user("bob")));
        }
        let body = Body::text(format!("from bob {}", self.names));
        let key = ClientId::from_uuid(Uuid::from_u128(u128::from(self.names) << 64));
        let message = message(key, body);
        pushes.extend(self.append(index, user("bob"), None, EntryKind::Message(message)));
        pushes
    }

    pub(crate) fn remove(&mut self, index: usize) -> Vec<Push> {
        if index == DIRECT || !self.logs[index].is_member {
            return Vec::new();
        }
        let change = MembersChange {
            remove: vec![alice()],
            ..MembersChange::default()
        };
        let pushes = self.append(index, user("bob"), None, EntryKind::Members(change));
        let clock = self.clock;
        let log = &mut self.logs[index];
        log.is_member = false;
        log.left_at = Some(clock);
        pushes
    }

    pub(crate) fn add(&mut self, index: usize, all: bool) -> Vec<Push> {
        if index == DIRECT || self.logs[index].is_member {
            return Vec::new();
        }
        if self.logs[index].entries.is_empty() {
            self.create(index, &user("bob"));
        }
        let member = MemberRole {
            user: alice(),
            role: Role::Member,
        };
        let change = MembersChange {
            add: vec![member],
            ..MembersChange::default()
        };
        self.logs[index].is_member = true;
        let pushes = self.append(index, user("bob"), None, EntryKind::Members(change));
        let log = &mut self.logs[index];
        log.visible_from = if all { Seq(1) } else { log.head().seq };
        log.read = log.head();
        log.left_at = None;
        pushes
    }

    pub(crate) fn heads(&self) -> Option<Push> {
        let channels = (0..CHANNELS)
            .filter(|index| self.logs[*index].is_member)
            .map(|index| ChannelHead {
                channel: channel_id(index),
                head: self.logs[index].head(),
            })
            .collect();
        self.attached.then_some(Push::Heads(HeadsPush { channels }))
    }

    /// The answer to a frame.
    pub(crate) fn serve(&mut self, frame: ClientFrame) -> Option<ServerFrame> {
        let (id, op) = match frame {
            ClientFrame::Hello { id, .. } => {
                self.attached = true;
                let answer = Answer::Hello(self.hello());
                return Some(ServerFrame::Ok { id, answer });
            }
            ClientFrame::Ping => return Some(ServerFrame::Pong),
            ClientFrame::Typing(_) => return None,
            ClientFrame::Command { id, op } => (id, op),
        };
        let result = match op {
            ClientOp::Send(SendMessage {
                to,
                client_id,
                after,
                body,
                ..
            }) => {
                let kind = EntryKind::Message(message(client_id, body));
                self.command(to.channel(&alice()), client_id, after, kind)
            }
            ClientOp::React(React {
                channel,
                client_id,
                after,
                ..
            }) => self.command(channel, client_id, after, change(client_id)),
            ClientOp::Sync(query) => self.or_refuse(|server| Ok(server.sync(&query))),
            ClientOp::Pull(query) => self.or_refuse(|server| server.pull(&query)),
            ClientOp::Read(mark) => self.or_refuse(|server| server.read(mark)),
            ClientOp::Delivered(_) => Ok(Answer::Done),
            ClientOp::History(_)
            | ClientOp::Edit(_)
            | ClientOp::Delete(_)
            | ClientOp::Pin(_)
            | ClientOp::Prefs(_)
            | ClientOp::Receipts(_)
            | ClientOp::Watch(_)
            | ClientOp::Unwatch(_)
            | ClientOp::Status(_) => Err(Rejection::unsupported("not here")),
        };
        Some(match result {
            Ok(answer) => ServerFrame::Ok { id, answer },
            Err(rejection) => ServerFrame::Error { id, rejection },
        })
    }

    fn hello(&self) -> HelloAnswer {
        let mut limits = Limits::default();
        limits.sync_cursors_max = SYNC_CURSORS_MAX;
        HelloAnswer {
            user: alice(),
            device: device(),
            node: NodeId::new("model"),
            epoch: self.epoch,
            server_time_ms: Timestamp(self.clock),
            heartbeat_ms: 10_000,
            limits,
        }
    }

    fn or_refuse(
        &mut self,
        serve: impl FnOnce(&mut Self) -> Result<Answer, Rejection>,
    ) -> Result<Answer, Rejection> {
        match self.refusals.pop_front() {
            None => serve(self),
            Some(Refusal::RateLimited) => {
                Err(Rejection::new(Code::RateLimited, "slow down").retry_after_ms(700))
            }
            Some(Refusal::Unavailable | Refusal::UnknownButDone | Refusal::UnknownAndNotDone) => {
                Err(Rejection::unavailable("try again"))
            }
        }
    }

    fn command(
        &mut self,
        channel: ChannelId,
        client_id: ClientId,
        after: Option<Seq>,
        kind: EntryKind,
    ) -> Result<Answer, Rejection> {
        let index = (0..CHANNELS)
            .find(|index| channel_id(*index) == channel)
            .ok_or_else(|| Rejection::not_found("no such channel"))?;
        if self.blocked[index].is_some_and(|key| key != client_id) {
            return Err(Rejection::unavailable("an earlier one comes first"));
        }
        let refusal = self.refusals.pop_front();
        let result = match refusal {
            Some(Refusal::UnknownButDone) => match self.accept(index, client_id, after, kind) {
                Ok(_) => Err(Rejection::unknown_outcome("perhaps")),
                refused @ Err(_) => refused,
            },
            Some(Refusal::UnknownAndNotDone) => Err(Rejection::unknown_outcome("perhaps")),
            Some(Refusal::Unavailable) => Err(Rejection::unavailable("surely not")),
            Some(Refusal::RateLimited) => {
                Err(Rejection::new(Code::RateLimited, "slow down").retry_after_ms(300))
            }
            None => self.accept(index, client_id, after, kind),
        };
        if matches!(&result, Err(rejection) if !rejection.code.is_transient()) {
            self.turned_away.insert(client_id);
        }
        self.blocked[index] = match &result {
            Err(rejection) if rejection.code.is_transient() => Some(client_id),
            Ok(_) | Err(_) => None,
        };
        result
    }

    fn accept(
        &mut self,
        index: usize,
        client_id: ClientId,
        after: Option<Seq>,
        kind: EntryKind,
    ) -> Result<Answer, Rejection> {
        let channel = channel_id(index);
        // No more is searched than must be: a wrong `after` shows as a command that is there twice.
        let after = after.unwrap_or(Seq(0));
        let stored = self.logs[index]
            .entries
            .iter()
            .filter(|entry| entry.seq > after && entry.from == alice())
            .find(|entry| key_of(entry) == Some(client_id));
        if let Some(stored) = stored {
            return Ok(answer(channel, stored, true));
        }
        if self.logs[index].entries.is_empty() && index == DIRECT {
            self.create(index, &alice());
        }
        if !self.logs[index].is_member {
            return Err(Rejection::not_found("no such channel"));
        }
        self.append(index, alice(), Some(device()), kind);
        let log = &mut self.logs[index];
        let entry = log.entries.last().expect("just appended");
        if let Some(read) = mark_after_own_message(log.read, entry) {
            log.read = read;
        }
        Ok(answer(channel, entry, false))
    }

    fn sync(&mut self, query: &SyncQuery) -> Answer {
        self.tick();
        assert!(
            query.cursors.len() <= SYNC_CURSORS_MAX,
            "the server's limit"
        );
        let since = query
            .since
            .as_ref()
            .map(|since| since.parse::<u64>().expect("ours"));
        let reset = query.epoch.is_some_and(|epoch| epoch != self.epoch);
        let page = query.page.as_ref().map(|page| {
            let (from, own) = page.split_once('.').expect("ours");
            let number = |text: &str| text.parse::<usize>().expect("ours");
            (number(from), number(own))
        });
        let known = query.user_seq.filter(|_| !reset).unwrap_or_default();
        let known = usize::try_from(known.0).expect("small");
        let (from, known) = page.unwrap_or((0, known));
        let following = self.own.get(known..).unwrap_or_default();
        let user_entries: Vec<UserEntry> = following.iter().take(SYNC_OWN_MAX).cloned().collect();
        let told = known + user_entries.len();
        let mut channels = Vec::new();
        let mut left = Vec::new();
        let mut next = CHANNELS;
        for index in from..CHANNELS {
            let (channel, log) = (channel_id(index), &self.logs[index]);
            let cursor = query.cursors.get(&channel);
            let changed = match cursor {
                Some((cursor, read)) => *cursor != log.head().seq || *read != log.read.seq,
                None => since.is_none_or(|since| log.changed_at >= since),
            };
            if !log.is_member {
                let lately = since.is_some_and(|since| log.left_at.is_some_and(|at| at >= since));
                if cursor.is_some() || lately {
                    left.push(channel);
                }
            } else if changed {
                if channels.len() == SYNC_CHANNELS_MAX {
                    next = index;
                    break;
                }
                let cursor = cursor.map_or(Seq(0), |(cursor, _)| *cursor);
                channels.push(summary(channel, log, cursor, query.entries as usize));
            }
        }
        let more = next < CHANNELS || told < self.own.len();
        let page = more.then(|| format!("{next}.{told}"));
        Answer::Sync(SyncAnswer {
            channels,
            left,
            user_entries,
            user_seq: Seq(told as u64),
            since: self.clock.to_string(),
            page,
            reset,
        })
    }

    fn pull(&mut self, query: &PullQuery) -> Result<Answer, Rejection> {
        let log = self.member_log(query.channel)?;
        let entries = log
            .visible()
            .iter()
            .filter(|entry| entry.seq > query.after)
            .take(PULL_ENTRIES_MAX)
            .cloned()
            .collect();
        Ok(Answer::Pull(PullAnswer {
            entries,
            head: log.head(),
        }))
    }

    fn read(&mut self, mark: Mark) -> Result<Answer, Rejection> {
        let log = self.member_log(mark.channel)?;
        log.read = log.read.max(log.point(mark.seq));
        Ok(Answer::Done)
    }

    fn member_log(&mut self, channel: ChannelId) -> Result<&mut Log, Rejection> {
        (0..CHANNELS)
            .find(|index| channel_id(*index) == channel)
            .map(|index| &mut self.logs[index])
            .filter(|log| log.is_member)
            .ok_or_else(|| Rejection::not_found("no such channel"))
    }

    fn create(&mut self, index: usize, by: &UserId) -> Vec<Push> {
        let mut members = vec![MemberRole {
            user: user("bob"),
            role: Role::Owner,
        }];
        if index == DIRECT {
            members.push(MemberRole {
                user: alice(),
                role: Role::Owner,
            });
        }
        let created = Created {
            channel_type: if index == DIRECT {
                ChannelType::Direct
            } else {
                ChannelType::Group
            },
            title: None,
            members,
            history: History::All,
            data: None,
            external_id: None,
        };
        self.logs[index].is_member = index == DIRECT;
        self.logs[index].visible_from = Seq(1);
        self.append(index, by.clone(), None, EntryKind::Created(created))
    }

    fn append(
        &mut self,
        index: usize,
        from: UserId,
        device: Option<DeviceId>,
        kind: EntryKind,
    ) -> Vec<Push> {
        self.tick();
        self.names += 1;
        let log = &mut self.logs[index];
        let head = log.head();
        let entry = Entry {
            seq: head.seq.next(),
            n: Ordinal(head.n.0 + u64::from(kind.is_message())),
            message: MessageId(self.names),
            at: Timestamp(self.clock),
            from,
            device,
            withheld: false,
            kind,
        };
        log.entries.push(entry.clone());
        log.changed_at = self.clock;
        if log.is_member && self.attached {
            vec![Push::Entry(EntryPush {
                channel: channel_id(index),
                entry: Arc::new(entry),
            })]
        } else {
            Vec::new()
        }
    }

    fn tick(&mut self) {
        self.clock += 1;
    }
}

fn message(client_id: ClientId, body: Body) -> Message {
    Message {
        client_id,
        body: Some(body),
        erased: false,
        rev: None,
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    }
}

/// What is done to a message, as an entry: of a kind that no version knows, so that this model needs no rules for it.
fn change(client_id: ClientId) -> EntryKind {
    let key = serde_json::to_value(client_id).expect("plain data");
    EntryKind::Unknown {
        kind: "changed".into(),
        fields: [("key".to_owned(), key)].into_iter().collect(),
    }
}

/// The key of the command that became this entry.
pub(crate) fn key_of(entry: &Entry) -> Option<ClientId> {
    match &entry.kind {
        EntryKind::Message(message) => Some(message.client_id),
        EntryKind::Unknown { fields, .. } => {
            let key = fields["key"].as_str().expect("text");
            Some(key.parse().expect("as it was written"))
        }
        _ => None,
    }
}

fn answer(channel: ChannelId, entry: &Entry, duplicate: bool) -> Answer {
    let seq = entry.seq;
    if entry.as_message().is_none() {
        return Answer::Change(ChangeAnswer { seq, duplicate });
    }
    Answer::Send(SendAnswer {
        channel,
        seq: entry.seq,
        n: entry.n,
        message: entry.message,
        at: entry.at,
        duplicate,
    })
}

fn summary(channel: ChannelId, log: &Log, cursor: Seq, wanted: usize) -> Summary {
    let first = cursor.next().max(log.visible_from);
    let after: Vec<Entry> = log
        .visible()
        .iter()
        .filter(|entry| entry.seq >= first)
        .cloned()
        .collect();
    let entries = after[after.len().saturating_sub(wanted)..].to_vec();
    let gap = (wanted > 0 && entries.len() < after.len()).then(|| Gap {
        from: first,
        to: entries[0].seq.previous(),
    });
    Summary {
        channel,
        channel_type: ChannelType::Group,
        title: None,
        peer: None,
        members: 2,
        role: Role::Member,
        visible_from: log.visible_from,
        head: log.head(),
        read: log.read,
        unread: log.head().n.0.saturating_sub(log.read.n.0),
        mentions: 0,
        last: None,
        mute_until_ms: None,
        archived: false,
        marked_unread: false,
        draft: None,
        data: None,
        entries,
        gap,
    }
}

fn adds_alice(entry: &Entry) -> bool {
    let adds = |members: &[MemberRole]| members.iter().any(|member| member.user == alice());
    match &entry.kind {
        EntryKind::Created(created) => adds(&created.members),
        EntryKind::Members(change) => adds(&change.add),
        _ => false,
    }
}

fn removes_alice(entry: &Entry) -> bool {
    matches!(&entry.kind, EntryKind::Members(change) if change.remove.contains(&alice()))
}
