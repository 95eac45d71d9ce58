//! An honest client: it shows what is pushed in order, pulls what it lacks, syncs when it comes back, and keeps an outbox
//! that it sends again in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_core::proto::wire::{
    Answer, ClientOp, Mark, PullAnswer, PullQuery, Push, SendAnswer, SendMessage, ServerFrame,
    SyncAnswer, SyncQuery, Target,
};
use chat_core::proto::{
    Body, ChannelId, ClientId, Code, DeviceId, Entry, EntryKind, Seq, UserId, entry,
};
use chat_core::{Engine, Outgoing, Session};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use uuid::Uuid;

use super::held::Held;
use super::journal::{CommandNumber, Journal};
use super::scenario::Channel;
use super::verdict::{Breach, Rule};
use crate::history::Digest;

/// Commands that a device has under way at the most.
const WINDOW: usize = 8;
/// What is missing this long is pulled.
const GAP_PATIENCE: Duration = Duration::from_millis(200);
/// A device looks around at least this often.
const TICK_MS_MAX: u64 = 40;
/// Bytes that a command counts: they play no part here.
const FRAME_BYTES: usize = 100;

/// What a device does of its own accord.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// Messages that it sends.
    pub(super) messages: u32,
    /// Times that it drops off and comes back, to whichever engine.
    pub(super) reconnects: u32,
    /// Times that it gives up a connection that is being opened.
    pub(super) hasty_connects: u32,
}

pub(super) struct Device {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) logs: BTreeMap<ChannelId, Held>,
    pub(super) breaches: Vec<Breach>,
    /// Nothing is left to do, as far as the device knows.
    pub(super) settled: Arc<AtomicBool>,
    channel: Channel,
    engines: Vec<Engine>,
    habits: Habits,
    rng: SmallRng,
    journal: Journal,
    session: Option<Session>,
    outbox: VecDeque<Unsent>,
    requests: BTreeMap<u32, Request>,
    wants: BTreeSet<Want>,
    next_id: u32,
    since: Option<String>,
}

struct Unsent {
    number: CommandNumber,
    message: SendMessage,
    under_way: bool,
}

enum Request {
    Send(ClientId),
    Sync,
    Pull(ChannelId),
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    Sync,
    Pull(ChannelId),
    Read(ChannelId),
}

impl Device {
    pub(super) fn new(
        user: UserId,
        number: u64,
        channel: Channel,
        habits: Habits,
        journal: Journal,
        seed: u64,
    ) -> Self {
        let device = DeviceId::from_uuid(Uuid::from_u128(u128::from(number) + 1));
        Self {
            user,
            device,
            logs: BTreeMap::new(),
            breaches: Vec::new(),
            settled: Arc::default(),
            channel,
            engines: Vec::new(),
            habits,
            rng: SmallRng::seed_from_u64(seed ^ (number << 40)),
            journal,
            session: None,
            outbox: VecDeque::new(),
            requests: BTreeMap::new(),
            wants: BTreeSet::new(),
            next_id: 0,
            since: None,
        }
    }

    /// Lives with these engines until `stop` says so.
    pub(super) async fn live(mut self, engines: Vec<Engine>, stop: Arc<AtomicBool>) -> Self {
        self.engines = engines;
        while !stop.load(Ordering::Relaxed) {
            self.act().await;
            let is_settled = self.is_settled();
            self.settled.store(is_settled, Ordering::Relaxed);
            let tick = Duration::from_millis(self.rng.random_range(1..=TICK_MS_MAX));
            let wake = Instant::now() + tick;
            while let Some(session) = &mut self.session {
                match tokio::time::timeout_at(wake, session.next()).await {
                    Ok(outgoing) => self.take(outgoing),
                    Err(_) => break,
                }
            }
            tokio::time::sleep_until(wake).await;
        }
        self.session = None;
        self
    }

    fn is_settled(&self) -> bool {
        self.habits.messages == 0
            && self.habits.reconnects == 0
            && self.outbox.is_empty()
            && self.wants.is_empty()
            && self.requests.is_empty()
            && self.session.is_some()
            && self.logs.values().all(|held| !held.lacks())
    }

    async fn act(&mut self) {
        if self.session.is_some() && self.habits.reconnects > 0 && self.rng.random_bool(0.02) {
            self.habits.reconnects -= 1;
            self.session = None;
            return;
        }
        if self.session.is_none() {
            self.connect().await;
        }
        if let Some(session) = &self.session {
            session.heard();
        }
        self.compose();
        self.wish();
        self.submit();
    }

    async fn connect(&mut self) {
        let engine = self.engines[self.rng.random_range(0..self.engines.len())].clone();
        let connecting = engine.connect(&self.user, self.device);
        let session = if self.habits.hasty_connects > 0 && self.rng.random_bool(0.5) {
            self.habits.hasty_connects -= 1;
            let patience = Duration::from_millis(self.rng.random_range(0..10));
            match tokio::time::timeout(patience, connecting).await {
                Ok(connected) => connected.ok(),
                Err(_) => None,
            }
        } else {
            connecting.await.ok()
        };
        self.requests.clear();
        for unsent in &mut self.outbox {
            // Of an answer that got lost nobody knows whether it was final: then those behind it went on without it.
            if unsent.under_way && self.channel.direct.is_none() {
                let label = DeviceId::from_uuid(Uuid::from_u128(self.rng.random()));
                self.journal.leaves_order(unsent.number, label);
            }
            unsent.under_way = false;
        }
        self.wants = BTreeSet::from([Want::Sync]);
        self.session = session;
    }

    fn compose(&mut self) {
        while self.habits.messages > 0 && self.outbox.len() < WINDOW && self.rng.random_bool(0.5) {
            self.habits.messages -= 1;
            let id = self.channel.id;
            let client_id = ClientId::from_uuid(Uuid::from_u128(self.rng.random()));
            let text = format!("{} of {}", self.habits.messages, self.device);
            let known = self.logs.get(&id).map(Held::cursor);
            let message = SendMessage {
                to: self.channel.target_of(&self.user),
                client_id,
                after: known.filter(|_| self.rng.random_bool(0.8)),
                retry: false,
                body: Body::text(text.clone()),
                reply_to: None,
                thread: None,
                mentions: Vec::new(),
            };
            let digest = Some(Digest::of_text(&text));
            let number = self
                .journal
                .begin(&self.user, self.device, id, client_id, digest);
            self.outbox.push_back(Unsent {
                number,
                message,
                under_way: false,
            });
        }
    }

    fn wish(&mut self) {
        for (channel, held) in &self.logs {
            let overdue = held
                .gap_since
                .is_some_and(|since| since.elapsed() >= GAP_PATIENCE);
            if held.lacks() && overdue {
                self.wants.insert(Want::Pull(*channel));
            }
        }
        if self.habits.messages > 0 && self.rng.random_bool(0.05) {
            self.wants.insert(Want::Read(self.channel.id));
        }
    }

    fn submit(&mut self) {
        while let Some(session) = &mut self.session
            && session.accepts()
        {
            let (request, op) = if let Some(want) = self.wants.pop_first() {
                match asked(want, &self.logs, &self.since) {
                    Some(asked) => asked,
                    None => continue,
                }
            } else {
                let under_way = self.outbox.iter().filter(|unsent| unsent.under_way).count();
                let next = self.outbox.iter_mut().find(|unsent| !unsent.under_way);
                let Some(unsent) = next.filter(|_| under_way < WINDOW) else {
                    return;
                };
                unsent.under_way = true;
                self.journal.tries(unsent.number);
                let message = unsent.message.clone();
                unsent.message.retry = true;
                (Request::Send(message.client_id), ClientOp::Send(message))
            };
            self.next_id += 1;
            self.requests.insert(self.next_id, request);
            session.submit(self.next_id, op, FRAME_BYTES);
        }
    }

    fn take(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Shared(push) => self.take_push(push.push()),
            Outgoing::Frame(frame) => match *frame {
                ServerFrame::Push(push) => self.take_push(&push),
                ServerFrame::Ok { id, answer } => {
                    let request = self.requests.remove(&id);
                    self.take_answer(request, Ok(answer));
                }
                ServerFrame::Error { id, rejection } => {
                    let request = self.requests.remove(&id);
                    self.take_answer(request, Err(rejection.code));
                }
                ServerFrame::Pong => {}
            },
            Outgoing::Close(_) => self.session = None,
        }
    }

    fn take_push(&mut self, push: &Push) {
        match push {
            Push::Entry(push) => self.take_live(push.channel, &push.entry),
            Push::Heads(heads) => {
                for told in &heads.channels {
                    match self.logs.get_mut(&told.channel) {
                        Some(held) if !held.left => held.reaches(told.head.seq),
                        Some(_) | None => drop(self.wants.insert(Want::Sync)),
                    }
                }
            }
            Push::Read(_)
            | Push::Delivered(_)
            | Push::User(_)
            | Push::Presence(_)
            | Push::Typing(_)
            | Push::GoAway(_) => {}
        }
    }

    fn take_live(&mut self, channel: ChannelId, entry: &Entry) {
        let is_new = !self.logs.contains_key(&channel);
        let held = self
            .logs
            .entry(channel)
            .or_insert_with(|| Held::new(entry.seq));
        // Where it begins and whether it is the user's at all is the server's to say.
        if is_new || held.left || names(entry, &self.user) {
            self.wants.insert(Want::Sync);
        }
        held.take(entry);
    }

    fn take_answer(&mut self, request: Option<Request>, answer: Result<Answer, Code>) {
        match (request, answer) {
            (Some(Request::Send(client_id)), Ok(Answer::Send(sent))) => {
                self.sent(client_id, &sent);
            }
            (Some(Request::Send(client_id)), Err(code)) => self.not_sent(client_id, code),
            (Some(Request::Sync), Ok(Answer::Sync(sync))) => self.synced(sync),
            (Some(Request::Sync), Err(_)) => drop(self.wants.insert(Want::Sync)),
            (Some(Request::Pull(channel)), Ok(Answer::Pull(page))) => self.pulled(channel, &page),
            (Some(Request::Pull(channel)), Err(code)) => {
                // Who was removed meanwhile learns of it by a sync.
                self.wants.insert(if code == Code::NotFound {
                    Want::Sync
                } else {
                    Want::Pull(channel)
                });
            }
            // A mark that was not raised is raised by the next one.
            (Some(Request::Read), _) => {}
            (request, answer) => {
                let is_known = request.is_some();
                let detail = format!("{answer:?}, to a known request: {is_known}");
                self.breaches
                    .push(Breach::new(Rule::AnswersFitRequests, detail));
            }
        }
    }

    fn sent(&mut self, client_id: ClientId, sent: &SendAnswer) {
        let Some(unsent) = self.remove(client_id) else {
            return;
        };
        let head = chat_core::proto::Head {
            seq: sent.seq,
            n: sent.n,
        };
        self.journal
            .answered(unsent.number, Ok((head, sent.message)));
        let Some(held) = self.logs.get_mut(&sent.channel) else {
            self.wants.insert(Want::Sync);
            return;
        };
        if sent.duplicate || held.left {
            // Perhaps sent by another way, or seen from another place: the log tells.
            held.reaches(sent.seq);
            return;
        }
        held.take(&Entry {
            seq: sent.seq,
            n: sent.n,
            message: sent.message,
            at: sent.at,
            from: self.user.clone(),
            device: Some(self.device),
            withheld: false,
            kind: EntryKind::Message(entry::Message {
                client_id,
                body: Some(unsent.message.body),
                erased: false,
                rev: None,
                reply_to: None,
                thread: None,
                mentions: Vec::new(),
            }),
        });
    }

    fn not_sent(&mut self, client_id: ClientId, code: Code) {
        let place = self
            .outbox
            .iter_mut()
            .find(|of| of.message.client_id == client_id);
        let Some(unsent) = place else { return };
        self.journal.answered(unsent.number, Err(code));
        unsent.under_way = false;
        if !code.is_transient() {
            self.remove(client_id);
        }
    }

    fn remove(&mut self, client_id: ClientId) -> Option<Unsent> {
        let index = self
            .outbox
            .iter()
            .position(|of| of.message.client_id == client_id)?;
        self.outbox.remove(index)
    }

    fn synced(&mut self, sync: SyncAnswer) {
        for summary in sync.channels {
            let held = self
                .logs
                .entry(summary.channel)
                .or_insert_with(|| Held::new(summary.visible_from));
            held.see_from(summary.visible_from);
            for entry in &summary.entries {
                held.take(entry);
            }
            held.reaches(summary.head.seq);
            if held.lacks() {
                self.wants.insert(Want::Pull(summary.channel));
            }
        }
        for channel in sync.left {
            if let Some(held) = self.logs.get_mut(&channel) {
                held.left = true;
            }
        }
        self.since = Some(sync.since);
    }

    fn pulled(&mut self, channel: ChannelId, page: &PullAnswer) {
        let pairs = page.entries.iter().zip(page.entries.iter().skip(1));
        if let Some((one, other)) = pairs
            .into_iter()
            .find(|(one, other)| one.seq.next() != other.seq)
        {
            let detail = format!("{} is followed by {}", one.seq, other.seq);
            self.breaches
                .push(Breach::new(Rule::PagesAreContiguous, detail));
        }
        let Some(held) = self.logs.get_mut(&channel) else {
            return;
        };
        for entry in &page.entries {
            held.take(entry);
        }
        held.reaches(page.head.seq);
        if held.lacks() {
            self.wants.insert(Want::Pull(channel));
        }
    }
}

/// The request for what is wanted, unless it has become pointless.
fn asked(
    want: Want,
    logs: &BTreeMap<ChannelId, Held>,
    since: &Option<String>,
) -> Option<(Request, ClientOp)> {
    match want {
        Want::Sync => {
            let cursors = logs
                .iter()
                .filter(|(_, held)| !held.left)
                .map(|(channel, held)| (*channel, (held.cursor(), Seq(0))));
            let query = SyncQuery {
                cursors: cursors.collect(),
                since: since.clone(),
                entries: 3,
                ..SyncQuery::default()
            };
            Some((Request::Sync, ClientOp::Sync(query)))
        }
        Want::Pull(channel) => {
            let held = logs.get(&channel).filter(|held| held.lacks())?;
            let query = PullQuery {
                channel,
                after: held.cursor(),
                limit: None,
            };
            Some((Request::Pull(channel), ClientOp::Pull(query)))
        }
        Want::Read(channel) => {
            let seq = logs.get(&channel)?.cursor();
            Some((Request::Read, ClientOp::Read(Mark { channel, seq })))
        }
    }
}

/// Whether the entry changes this user's membership.
fn names(entry: &Entry, user: &UserId) -> bool {
    match &entry.kind {
        EntryKind::Members(change) => {
            change.add.iter().any(|member| member.user == *user) || change.remove.contains(user)
        }
        _ => false,
    }
}

impl Channel {
    /// How this user names it when sending.
    pub(super) fn target_of(&self, user: &UserId) -> Target {
        match &self.direct {
            Some((one, other)) if one == user => Target::User(other.clone()),
            Some((one, _)) => Target::User(one.clone()),
            None => Target::Channel(self.id),
        }
    }
}
