//! Writes logs as the engine would, without an engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chat_core::ports::{
    Append, AppendOutcome, AppendRecord, EntriesQuery, MessageStore, PageLimit, PortError, Retry,
    SetBody,
};
use chat_core::proto::channel::{
    Action, ChannelState, Context, Decision, Member, NewBody, NewChannel, NewMessage, Reception,
    Target, decide, evolve, member_changes, needs, stamp, successor,
};
use chat_core::proto::entry::{BodySet, Delete, MemberRole, MembersChange, MetaChange, Pin, React};
use chat_core::proto::{
    Body, ChannelId, ChannelType, ClientId, Command, DeviceId, Entry, EntryKind, Head, History,
    Limits, Record, Rejection, Role, Seq, Timestamp, UserId,
};

use crate::names::{fresh_channel, fresh_client_id, fresh_device, next_message_id};

/// The first entry's time: any, but the same in every run.
pub const START: Timestamp = Timestamp(1_700_000_000_000);
/// Milliseconds that pass with each command.
pub const TICK_MS: u64 = 1_000;
/// Tries after which a racing writer is stuck rather than unlucky.
const TRIES_MAX: usize = 10_000;
/// Between two tries of an append that has no answer.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// A page that holds whatever a case wrote.
pub(crate) const WHOLE_PAGE: PageLimit = PageLimit {
    entries: 500,
    bytes: usize::MAX,
};

/// One writer of one channel's log. It decides, stamps and folds with the functions of the engine, so that records,
/// member changes and snapshots are what a store would get in service, and it knows the log that it wrote.
///
/// Several writers may share a log; then each one's view is as old as its last append or [`LogWriter::catch_up`].
#[derive(Clone)]
pub struct LogWriter {
    messages: Arc<dyn MessageStore>,
    device: DeviceId,
    now: Timestamp,
    limits: Limits,
    folded: Folded,
}

/// What became of one command in a race.
#[derive(Clone, Debug)]
pub enum Settled {
    /// It is in the log, once.
    Written(Box<Entry>),
    /// The store said that it surely is not, and never will be.
    NotWritten(ClientId),
}

/// A log as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    pub(crate) state: ChannelState,
    pub(crate) members: BTreeMap<UserId, Member>,
    pub(crate) records: Vec<Record>,
    /// How the other user of a direct channel takes messages.
    pub(crate) reception: Reception,
}

impl LogWriter {
    /// A writer of a log that is still empty.
    pub fn new(messages: &Arc<dyn MessageStore>, channel: ChannelId) -> Self {
        Self::of(messages, Folded::empty(channel))
    }

    /// A writer of a log that is known so far.
    pub(crate) fn of(messages: &Arc<dyn MessageStore>, folded: Folded) -> Self {
        Self {
            messages: Arc::clone(messages),
            device: fresh_device(),
            now: START,
            limits: Limits::default(),
            folded,
        }
    }

    /// A writer of a new group whose later members see all of the log.
    pub async fn group(
        messages: &Arc<dyn MessageStore>,
        owner: &UserId,
        members: &[UserId],
    ) -> Self {
        Self::group_with(messages, owner, members, History::All).await
    }

    /// A writer of a new group.
    pub async fn group_with(
        messages: &Arc<dyn MessageStore>,
        owner: &UserId,
        members: &[UserId],
        history: History,
    ) -> Self {
        let mut writer = Self::new(messages, fresh_channel());
        writer.create(owner, members, history).await;
        writer
    }

    /// The same log in the stores that were opened again.
    #[must_use]
    pub fn in_store(mut self, messages: &Arc<dyn MessageStore>) -> Self {
        self.messages = Arc::clone(messages);
        self
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        self.folded.state.id()
    }

    /// Its state.
    pub fn state(&self) -> &ChannelState {
        &self.folded.state
    }

    /// Where the log ends.
    pub fn head(&self) -> Head {
        self.folded.state.head()
    }

    /// All members, also of a large channel.
    pub fn members(&self) -> &BTreeMap<UserId, Member> {
        &self.folded.members
    }

    /// The log. What other writers appended has no keys here.
    pub fn records(&self) -> &[Record] {
        &self.folded.records
    }

    /// The log's entries, with bodies as they now are.
    pub fn entries(&self) -> Vec<Entry> {
        let entries = self.folded.records.iter();
        entries.map(|record| record.entry.clone()).collect()
    }

    /// The time of the next command; each one takes [`TICK_MS`].
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the time of the next command.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Begins the log with a group.
    pub async fn create(&mut self, owner: &UserId, members: &[UserId], history: History) -> Entry {
        let command = self.creation(owner, members, history);
        self.run_command(command).await
    }

    /// Appends a text.
    pub async fn say(&mut self, from: &UserId, text: impl Into<String>) -> Entry {
        self.send(from, NewMessage::new(Body::text(text))).await
    }

    /// Appends `count` texts in appends of the engine's size.
    pub async fn say_many(&mut self, from: &UserId, count: usize) {
        let texts: Vec<String> = (0..count).map(|number| format!("text {number}")).collect();
        for chunk in texts.chunks(Limits::APPEND_ENTRIES_MAX) {
            let commands: Vec<Command> = chunk.iter().map(|text| self.text(from, text)).collect();
            let append = self.prepare(&commands);
            self.commit(append).await;
        }
    }

    /// Appends a text that names these users.
    pub async fn mention(&mut self, from: &UserId, mentions: &[UserId]) -> Entry {
        let mut message = NewMessage::new(Body::text("you there"));
        message.mentions = mentions.to_vec();
        self.send(from, message).await
    }

    /// Appends a message.
    pub async fn send(&mut self, from: &UserId, message: NewMessage) -> Entry {
        self.run(from, Action::Send(message)).await
    }

    /// Adds members with one role.
    pub async fn add(&mut self, by: &UserId, users: &[UserId], role: Role) -> Entry {
        let add = users.iter().cloned().map(|user| MemberRole { user, role });
        let change = MembersChange {
            add: add.collect(),
            ..MembersChange::default()
        };
        self.run(by, Action::Members(change)).await
    }

    /// Removes members; oneself: leaves.
    pub async fn remove(&mut self, by: &UserId, users: &[UserId]) -> Entry {
        let change = MembersChange {
            remove: users.to_vec(),
            ..MembersChange::default()
        };
        self.run(by, Action::Members(change)).await
    }

    /// Gives a member another role.
    pub async fn promote(&mut self, by: &UserId, user: &UserId, role: Role) -> Entry {
        let user = user.clone();
        let change = MembersChange {
            role: vec![MemberRole { user, role }],
            ..MembersChange::default()
        };
        self.run(by, Action::Members(change)).await
    }

    /// Changes the title.
    pub async fn retitle(&mut self, by: &UserId, title: &str) -> Entry {
        let change = MetaChange {
            title: Some(title.into()),
            ..MetaChange::default()
        };
        self.run(by, Action::Meta(change)).await
    }

    /// Begins a direct channel with its first message.
    pub async fn direct(messages: &Arc<dyn MessageStore>, from: &UserId, to: &UserId) -> Self {
        let mut writer = Self::new(messages, ChannelId::direct(from, to));
        writer.begin_direct(from, to).await;
        writer
    }

    /// Begins the log as a direct channel, with a first message.
    pub async fn begin_direct(&mut self, from: &UserId, to: &UserId) -> Entry {
        let mut message = NewMessage::new(Body::text("first"));
        message.direct_to = Some(to.clone());
        self.send(from, message).await
    }

    /// From now on the other user of a direct channel blocks whoever writes, or no longer.
    pub fn set_blocked(&mut self, blocks: bool) {
        self.folded.reception = Reception {
            blocks,
            refuses: false,
        };
    }

    /// Has a message say something else.
    pub async fn edit(&mut self, by: &UserId, target: Seq, text: impl Into<String>) -> Entry {
        let body = Body::text(text);
        self.run(by, Action::Edit(NewBody { target, body })).await
    }

    /// Erases a message.
    pub async fn delete(&mut self, by: &UserId, target: Seq) -> Entry {
        self.run(by, Action::Delete(Delete { target })).await
    }

    /// Sets a sign on a message, or takes it back.
    pub async fn react(&mut self, by: &UserId, target: Seq, emoji: &str, remove: bool) -> Entry {
        let react = React {
            target,
            emoji: emoji.to_owned(),
            remove,
        };
        self.run(by, Action::React(react)).await
    }

    /// Pins a message, or no longer.
    pub async fn pin(&mut self, by: &UserId, target: Seq, remove: bool) -> Entry {
        self.run(by, Action::Pin(Pin { target, remove })).await
    }

    /// A command of this writer's device with a fresh key.
    pub fn command(&self, from: &UserId, action: Action) -> Command {
        Command::of_device(from.clone(), self.device, Some(fresh_client_id()), action)
    }

    /// A command to begin a group.
    pub fn creation(&self, owner: &UserId, members: &[UserId], history: History) -> Command {
        let channel = NewChannel {
            channel_type: ChannelType::Group,
            title: Some("a group".into()),
            members: members.to_vec(),
            history,
            data: None,
            external_id: None,
        };
        self.command(owner, Action::Create(channel))
    }

    /// A command to say a text.
    pub fn text(&self, from: &UserId, text: impl Into<String>) -> Command {
        self.command(from, Action::Send(NewMessage::new(Body::text(text))))
    }

    /// Decides and appends one action with a fresh key; see [`LogWriter::run_command`].
    ///
    /// # Panics
    /// As [`LogWriter::run_command`].
    pub async fn run(&mut self, from: &UserId, action: Action) -> Entry {
        let command = self.command(from, action);
        self.run_command(command).await
    }

    /// Decides and appends one command; answers its last entry.
    ///
    /// # Panics
    /// When the rules refuse it, or the store does not append it. A case that expects either calls
    /// [`LogWriter::prepare`] and the store itself.
    pub async fn run_command(&mut self, command: Command) -> Entry {
        let append = self.prepare(&[command]);
        self.commit(append).await;
        self.last_entry()
    }

    /// What the engine would append for these commands, taken one after the other on top of the known log. The writer's
    /// view stays; only its clock moves.
    ///
    /// # Panics
    /// When the rules refuse a command, or it changes nothing.
    pub fn prepare(&mut self, commands: &[Command]) -> Append {
        let mut ahead = self.folded.clone();
        let mut records = Vec::new();
        for command in commands {
            for record in ahead.decide(command, &self.limits, self.now) {
                records.push(ahead.fold(record));
            }
            self.now = Timestamp(self.now.0 + TICK_MS);
        }
        self.folded.append(&ahead, records)
    }

    /// What would be appended for these records, whatever the rules say; for entries that no command of this version
    /// leads to.
    pub fn prepare_records(&self, records: Vec<Record>) -> Append {
        let mut ahead = self.folded.clone();
        let records = records.into_iter().map(|record| ahead.fold(record));
        let records = records.collect();
        self.folded.append(&ahead, records)
    }

    /// Appends what was prepared and folds it.
    ///
    /// # Panics
    /// When the store does not append all of it.
    pub async fn commit(&mut self, append: Append) {
        let mut rest = append;
        loop {
            let outcome = self.messages.append(rest.clone()).await;
            let outcome = outcome.expect("the store takes a valid append");
            let AppendOutcome::Appended { durable } = outcome else {
                panic!("the store refused an append at the log's head with new keys: {outcome:?}");
            };
            assert!(
                (1..=rest.records.len()).contains(&durable),
                "{durable} records durable of {}",
                rest.records.len()
            );
            let begins = rest.expected_head == Seq(0);
            assert!(
                !begins || durable >= rest.records.len().min(2),
                "a channel's first two records are durable together, not {durable}"
            );
            let open = rest.records.split_off(durable);
            self.accept(&rest);
            self.set_bodies(&rest).await;
            if open.is_empty() {
                return;
            }
            rest.expected_head = self.head().seq;
            rest.records = open;
        }
    }

    /// Sets the bodies that an append to a store which does not do it by itself tells.
    async fn set_bodies(&self, append: &Append) {
        if self.messages.capabilities().append_sets_bodies {
            return;
        }
        for set in sets_of(append) {
            let done = self.messages.set_body(set).await;
            done.expect("the store sets a body");
        }
    }

    /// Folds what the store has appended.
    pub fn accept(&mut self, append: &Append) {
        for appended in &append.records {
            self.folded.fold(appended.record.clone());
        }
    }

    /// Appends a command against other writers: whenever the head has moved it folds what came and decides again; an
    /// unknown outcome it settles as the contract says.
    ///
    /// # Errors
    /// What the store answered when it does not serve at all.
    ///
    /// # Panics
    /// When the rules refuse the command, or it has no key.
    pub async fn race(&mut self, command: &Command) -> Result<Settled, PortError> {
        let key = command.key.expect("a racing command has a key");
        for _ in 0..TRIES_MAX {
            let append = self.prepare(std::slice::from_ref(command));
            let mut outcome = self.messages.append(append.clone()).await;
            let mut unanswered = false;
            // Either the same append at the same head succeeds, and the first attempt never will, or the head has moved.
            // That a later one is surely not applied says nothing of the first.
            while let Err(error) = &outcome
                && (error.retry() == Retry::Unknown || (unanswered && error.retry() == Retry::Safe))
            {
                unanswered = true;
                tokio::time::sleep(AGAIN_AFTER).await;
                outcome = self.messages.append(append.clone()).await;
            }
            match outcome {
                Ok(AppendOutcome::Appended { .. }) => {
                    self.accept(&append);
                    return Ok(Settled::Written(Box::new(self.last_entry())));
                }
                Ok(AppendOutcome::HeadMoved { .. } | AppendOutcome::KeyExists { .. }) => {
                    let known = self.folded.records.len();
                    self.catch_up().await?;
                    let news = &self.folded.records[known..];
                    let own = news.iter().find(|record| is_of(record, command));
                    if let Some(record) = own {
                        return Ok(Settled::Written(Box::new(record.entry.clone())));
                    }
                }
                Err(error) if error.retry() == Retry::Safe => {
                    return Ok(Settled::NotWritten(key.client_id));
                }
                Err(error) => return Err(error),
            }
        }
        panic!(
            "no append in {TRIES_MAX} tries: the store tells of a head that no writer can reach"
        );
    }

    /// Folds what others have appended.
    ///
    /// # Errors
    /// The store's.
    ///
    /// # Panics
    /// When a page is not contiguous.
    pub async fn catch_up(&mut self) -> Result<(), PortError> {
        loop {
            let query = EntriesQuery {
                channel: self.channel(),
                after: self.head().seq,
                limit: WHOLE_PAGE,
            };
            let page = self.messages.entries(query).await?;
            for entry in page.entries {
                assert_eq!(
                    entry.seq,
                    self.head().seq.next(),
                    "a page is contiguous from the place asked for"
                );
                let channel = self.channel();
                let key = None;
                self.folded.fold(Record {
                    channel,
                    entry,
                    key,
                });
            }
            if self.head().seq >= page.head.seq {
                return Ok(());
            }
        }
    }

    fn last_entry(&self) -> Entry {
        let last = self.folded.records.last();
        last.expect("something was appended").entry.clone()
    }
}

impl Folded {
    pub(crate) fn empty(channel: ChannelId) -> Self {
        Self {
            state: ChannelState::empty(channel),
            members: BTreeMap::new(),
            records: Vec::new(),
            reception: Reception::default(),
        }
    }

    fn decide(&self, command: &Command, limits: &Limits, now: Timestamp) -> Vec<Record> {
        let records = self.try_decide(command, limits, now);
        let records = records
            .unwrap_or_else(|rejection| panic!("the rules refuse a case's command: {rejection:?}"));
        assert!(
            !records.is_empty(),
            "a case's command changes something: {command:?}"
        );
        records
    }

    /// The records that a command makes; none when it changes nothing.
    pub(crate) fn try_decide(
        &self,
        command: &Command,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Vec<Record>, Rejection> {
        let context = self.context(command, limits);
        let drafts = match decide(&self.state, command, &context)? {
            Decision::Record(drafts) => drafts,
            Decision::AlreadySo => Vec::new(),
        };
        let ids: Vec<_> = drafts.iter().map(|_| next_message_id()).collect();
        Ok(stamp(&self.state, command, drafts, &ids, now))
    }

    fn context<'a>(&self, command: &Command, limits: &'a Limits) -> Context<'a> {
        let needs = needs(&self.state, command);
        let mut context = Context::new(limits);
        let memberships = needs.members.into_iter();
        context.memberships = memberships
            .map(|user| {
                let member = self.members.get(&user).copied();
                (user, member)
            })
            .collect();
        if let (true, Action::Members(change)) = (needs.successor, &command.action) {
            let staying = self.members.iter();
            let staying = staying.filter(|(user, _)| !change.remove.contains(user));
            context.successor = successor(staying.map(|(user, member)| (user, *member)));
        }
        let targets = needs.targets.into_iter();
        context.targets = targets
            .map(|seq| (seq, self.target(seq, &command.from)))
            .collect();
        context.reception = needs.reception.map(|_| self.reception);
        context
    }

    fn target(&self, seq: Seq, caller: &UserId) -> Option<Target> {
        let mut log = self.records.iter().map(|record| &record.entry);
        let message = log.find(|entry| entry.seq == seq)?;
        let mut target = Target::of(message)?;
        for later in log {
            target.apply(seq, later, caller);
        }
        Some(target)
    }

    pub(crate) fn fold(&mut self, record: Record) -> AppendRecord {
        let changes = member_changes(&self.state, &record.entry);
        evolve(&mut self.state, &record.entry, record.key.as_ref());
        changes
            .iter()
            .for_each(|change| change.apply_to(&mut self.members));
        if self.state.roster().is_none() && !self.state.is_large() {
            self.state.adopt_roster(self.members.clone());
        }
        self.records.push(record.clone());
        if let Some(set) = record.entry.sets_body() {
            self.set_body(set);
        }
        AppendRecord { record, changes }
    }

    /// Keeps the known log as it now is: a message with its last body, and only the edit that set it with a body.
    fn set_body(&mut self, set: BodySet<'_>) {
        let mut current = None;
        for record in &mut self.records {
            match &mut record.entry.kind {
                EntryKind::Message(message) if record.entry.seq == set.target => {
                    message.set_body(set);
                    current = message.rev;
                }
                EntryKind::Edit(edit)
                    if edit.target == set.target && current != Some(record.entry.seq) =>
                {
                    edit.body = None;
                }
                _ => {}
            }
        }
    }

    /// These records on top of this log, which together lead to `after`.
    pub(crate) fn append(&self, after: &Self, records: Vec<AppendRecord>) -> Append {
        let only_messages = records
            .iter()
            .all(|appended| appended.record.entry.kind.is_message());
        let state = (!only_messages).then(|| {
            let mut snapshot = after.state.to_snapshot();
            snapshot.members = None;
            snapshot
        });
        Append {
            channel: self.state.id(),
            expected_head: self.state.head().seq,
            records,
            state,
        }
    }
}

/// What an append leaves messages with.
pub(crate) fn sets_of(append: &Append) -> impl Iterator<Item = SetBody> {
    let entries = append.records.iter().map(|of| &of.record.entry);
    entries.filter_map(Entry::sets_body).map(|set| SetBody {
        channel: append.channel,
        target: set.target,
        rev: set.rev,
        body: set.body.cloned(),
    })
}

fn is_of(record: &Record, command: &Command) -> bool {
    let client_id = command.key.map(|key| key.client_id);
    record.entry.from == command.from
        && matches!(&record.entry.kind, EntryKind::Message(message) if Some(message.client_id) == client_id)
}
