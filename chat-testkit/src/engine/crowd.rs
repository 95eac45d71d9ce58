//! A channel of very many members, some of whom are online: it grows in bulk, talks, shrinks, and crosses the limit of
//! small channels both ways while people talk.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chat_core::decorators::{Decorated, Layer};
use chat_core::ports::{EntriesQuery, InboxStore, MessageStore, PageLimit, PortError};
use chat_core::proto::channel::evolve;
use chat_core::proto::entry::{MemberRole, MembersChange};
use chat_core::proto::wire::{Answer, ClientOp, PullQuery, Push, ServerFrame, SyncQuery};
use chat_core::proto::{
    ChannelId, ChannelState, ClientId, Code, DeviceId, Entry, Head, History as Visible, Role, Seq,
    UserId,
};
use chat_core::{Caller, Draft, Engine, NewChannel, Outgoing, Receipt, Session};
use uuid::Uuid;

use super::fleet::Ports;
use super::scenario::user;
use crate::history::{ChannelLog, DeviceLog, Digest, History, Outcome, Seen, Sent};

/// Members that one entry adds or removes.
const MEMBERS_AN_ENTRY: usize = 1_000;
/// Members behind the shrinking, and at the turns of the crossings: the limit of small channels lies between.
const FEW: usize = 90;
const MANY: usize = 150;
/// Times that the limit is crossed up and down again.
const CROSSINGS: usize = 3;
/// Messages while the channel is at its largest.
const MESSAGES: usize = 20;
/// A device that hears nothing for so long has been forgotten.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a large channel's fold, however many are in it.
const FOLD_BYTES_MAX: usize = 64 * 1024;

/// How many.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Members at the most, a multiple of a thousand.
    pub members: usize,
    /// Of these, how many are online.
    pub online: usize,
}

impl Crowd {
    /// Runs it over these ports.
    ///
    /// # Panics
    /// When a device misses, repeats or mixes up anything, when somebody sees what is not theirs, or when a message costs
    /// more the more members there are.
    pub async fn run(self, ports: Ports) {
        let mut room = Room::open(self, ports).await;
        room.grow().await;
        room.talk().await;
        room.look_up().await;
        room.shrink().await;
        room.cross().await;
        room.check().await;
    }

    fn name(number: usize) -> UserId {
        user(&format!("c{number:06}"))
    }

    fn is_online(&self, number: usize) -> bool {
        number.is_multiple_of(self.members / self.online)
    }
}

/// Counts the calls of the stores.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Counter {
    fn note(&self, op: &'static str) {
        *self.calls().entry(op).or_default() += 1;
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.0.lock().expect("nothing panics with it")
    }
}

impl Layer for Counter {
    async fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.note(op);
        call.await
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.note(op);
        call.await
    }
}

struct Room {
    crowd: Crowd,
    ports: Ports,
    engine: Engine,
    counter: Counter,
    channel: ChannelId,
    owner: Caller,
    devices: Vec<Listener>,
    seen: SeenOnce,
    sent: Vec<Sent>,
    members: BTreeSet<UserId>,
}

impl Room {
    async fn open(crowd: Crowd, ports: Ports) -> Self {
        let counter = Counter::default();
        let messages = Decorated::<dyn MessageStore, _>::with_layer(
            Arc::clone(&ports.messages),
            counter.clone(),
        );
        let inbox =
            Decorated::<dyn InboxStore, _>::with_layer(Arc::clone(&ports.inbox), counter.clone());
        let engine = Engine::builder()
            .stores(Arc::new(messages), Arc::new(inbox))
            .router(Arc::clone(&ports.router))
            .build()
            .expect("all parts are there");
        let owner = Caller::user(user("owner"));
        let group = NewChannel::group("crowd").history(Visible::Joined);
        let created = engine.create_channel(&owner, group).await;
        let mut room = Self {
            crowd,
            ports,
            engine,
            counter,
            channel: created.expect("a channel can be created").channel,
            owner,
            devices: Vec::new(),
            seen: SeenOnce::default(),
            sent: Vec::new(),
            members: BTreeSet::from([user("owner")]),
        };
        for number in (0..crowd.members).filter(|number| crowd.is_online(*number)) {
            room.connect(Crowd::name(number)).await;
        }
        room
    }

    async fn connect(&mut self, user: UserId) {
        let device = DeviceId::from_uuid(Uuid::from_u128(self.devices.len() as u128 + 1));
        let session = self.engine.connect(&user, device).await;
        self.devices.push(Listener {
            user,
            device,
            session: session.expect("there is room"),
            entries: Vec::new(),
            pulled: Seq(0),
            span: None,
        });
    }

    async fn grow(&mut self) {
        for first in (0..self.crowd.members).step_by(MEMBERS_AN_ENTRY) {
            let names = (first..first + MEMBERS_AN_ENTRY).map(Crowd::name);
            self.add(names.collect(), false).await;
        }
        self.catch_up().await;
        let summary = self.engine.channel(&self.owner, self.channel).await;
        let members = summary.expect("the owner may").members;
        assert_eq!(members, self.crowd.members as u64 + 1);
    }

    /// What a message costs does not depend on how many hear of it.
    async fn talk(&mut self) {
        self.counter.calls().clear();
        for number in 0..MESSAGES {
            self.say(Crowd::name(number * 7)).await;
        }
        self.catch_up().await;
        let calls = self.counter.calls().clone();
        let count = |op: &str| calls.get(op).copied().unwrap_or_default();
        assert_eq!(count("messages.append"), MESSAGES, "{calls:?}");
        assert_eq!(
            count("inbox.raise"),
            0,
            "no row of a member is written: {calls:?}"
        );
        assert_eq!(
            count("messages.members"),
            0,
            "nobody goes through the members: {calls:?}"
        );
        let all: usize = calls.values().sum();
        assert!(all <= 4 * MESSAGES, "{calls:?}");
    }

    /// Who is a member is looked up: others find nothing, and who is removed hears nothing more.
    async fn look_up(&mut self) {
        let stranger = Caller::user(user("stranger"));
        let pull = ClientOp::Pull(PullQuery {
            channel: self.channel,
            after: Seq(0),
            limit: None,
        });
        let refused = self.engine.run(&stranger, pull.clone()).await;
        assert_eq!(refused.map_err(|refused| refused.code), Err(Code::NotFound));
        let said = self
            .engine
            .send(&stranger.user, Draft::channel(self.channel, "let me in"))
            .await;
        assert_eq!(said.map_err(|refused| refused.code), Err(Code::NotFound));
        let member = Caller::user(Crowd::name(1));
        let sync = self
            .engine
            .run(&member, ClientOp::Sync(SyncQuery::default()))
            .await;
        let Ok(Answer::Sync(sync)) = sync else {
            panic!("everybody may sync: {sync:?}")
        };
        let heads: Vec<_> = sync
            .channels
            .iter()
            .map(|row| (row.head.seq, row.unread))
            .collect();
        let head = self.head().await;
        assert_eq!(
            heads,
            [(head, MESSAGES as u64)],
            "a large channel's head is shown on request"
        );
        let gone = self.devices[1].user.clone();
        self.remove(vec![gone.clone()], false).await;
        self.say(Crowd::name(0)).await;
        let refused = self.engine.run(&Caller::user(gone), pull).await;
        assert_eq!(refused.map_err(|refused| refused.code), Err(Code::NotFound));
    }

    async fn shrink(&mut self) {
        while self.members.len() > FEW {
            let most = MEMBERS_AN_ENTRY.min(self.members.len() - FEW);
            let gone: Vec<UserId> = self
                .members
                .iter()
                .filter(|user| user.as_str().starts_with('c'))
                .rev()
                .take(most)
                .cloned()
                .collect();
            self.remove(gone, true).await;
        }
        self.catch_up().await;
    }

    /// New people come and go, each some online.
    async fn cross(&mut self) {
        for round in 0..CROSSINGS {
            let names: Vec<UserId> = (FEW..MANY)
                .map(|number| user(&format!("g{round}-{number}")))
                .collect();
            for name in names.iter().step_by(20) {
                self.connect(name.clone()).await;
            }
            self.add(names.clone(), true).await;
            self.remove(names, true).await;
        }
        self.catch_up().await;
    }

    async fn add(&mut self, users: Vec<UserId>, talking: bool) {
        let add = users.iter().map(|user| MemberRole {
            user: user.clone(),
            role: Role::Member,
        });
        let change = MembersChange {
            add: add.collect(),
            ..MembersChange::default()
        };
        let seq = self.change(change, talking).await;
        let users: BTreeSet<UserId> = users.into_iter().collect();
        for device in self
            .devices
            .iter_mut()
            .filter(|device| users.contains(&device.user))
        {
            device.span = Some((seq, None));
        }
        self.members.extend(users);
        self.listen().await;
    }

    async fn remove(&mut self, users: Vec<UserId>, talking: bool) {
        let change = MembersChange {
            remove: users.clone(),
            ..MembersChange::default()
        };
        let seq = self.change(change, talking).await;
        let users: BTreeSet<UserId> = users.into_iter().collect();
        for device in self
            .devices
            .iter_mut()
            .filter(|device| users.contains(&device.user))
        {
            let (from, _) = device.span.expect("a member was added");
            device.span = Some((from, Some(seq)));
        }
        self.members.retain(|user| !users.contains(user));
        self.listen().await;
    }

    /// Changes members, while two of those who stay talk.
    async fn change(&mut self, change: MembersChange, talking: bool) -> Seq {
        let (engine, channel, owner) = (self.engine.clone(), self.channel, self.owner.clone());
        let changing = async { engine.change_members(&owner, channel, None, change).await };
        if !talking {
            return changing.await.expect("the owner may").seq;
        }
        let number = self.sent.len();
        let (one, other) = (Crowd::name(0), self.owner.user.clone());
        let (one_says, other_says) = (draft(channel, number), draft(channel, number + 1));
        let (changed, one_said, other_said) = tokio::join!(
            changing,
            engine.send(&one, one_says.clone()),
            engine.send(&other, other_says.clone()),
        );
        self.note(one, number, one_said.expect("a member may"));
        self.note(other, number + 1, other_said.expect("a member may"));
        changed.expect("the owner may").seq
    }

    async fn say(&mut self, from: UserId) {
        let number = self.sent.len();
        let said = self.engine.send(&from, draft(self.channel, number)).await;
        self.note(from, number, said.expect("a member may"));
        self.listen().await;
    }

    fn note(&mut self, from: UserId, number: usize, receipt: Receipt) {
        self.sent.push(Sent {
            user: from,
            device: DeviceId::from_uuid(Uuid::nil()),
            channel: self.channel,
            client_id: key(number),
            body: Some(Digest::of_text(&text(number))),
            outcome: Outcome::Acknowledged {
                head: Head::new(receipt.seq.0, receipt.n.0),
                message: receipt.message,
            },
        });
    }

    /// Everybody takes what has come.
    async fn listen(&mut self) {
        for device in &mut self.devices {
            device.session.heard();
            while let Some(outgoing) = device.session.try_next() {
                device
                    .take(outgoing, self.channel, &self.engine, &mut self.seen)
                    .await;
            }
        }
    }

    /// Everybody waits for what is theirs.
    async fn catch_up(&mut self) {
        let head = self.head().await;
        for device in &mut self.devices {
            let Some((_, through)) = device.span else {
                continue;
            };
            while device.cursor() < through.unwrap_or(head) {
                let next = tokio::time::timeout(PATIENCE, device.session.next()).await;
                let outgoing = next.unwrap_or_else(|_| {
                    panic!("{} was forgotten at {}", device.user, device.cursor())
                });
                device
                    .take(outgoing, self.channel, &self.engine, &mut self.seen)
                    .await;
            }
        }
    }

    async fn head(&self) -> Seq {
        let heads = self.ports.messages.heads(&[self.channel]).await;
        heads.expect("the store answers")[0].seq
    }

    async fn check(mut self) {
        // Everything that was to be told has been told then; who hears too much has heard it.
        self.engine.shutdown().await;
        self.listen().await;
        let log = self.whole_log().await;
        assert_fold_is_small(self.channel, &log, self.crowd.members);
        let devices = self.devices.into_iter().filter_map(|device| {
            let (visible_from, through) = device.span?;
            Some(DeviceLog {
                user: device.user,
                device: device.device,
                channel: self.channel,
                visible_from,
                through,
                entries: device.entries,
            })
        });
        let history = History {
            sent: self.sent,
            server: vec![ChannelLog::new(self.channel, &log)],
            devices: devices.collect(),
            every_message_is_recorded: true,
        };
        assert!(history.devices.len() > self.crowd.online);
        let report = history.check();
        assert!(report.is_clean(), "{report}");
    }

    async fn whole_log(&self) -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        loop {
            let query = EntriesQuery {
                channel: self.channel,
                after: log.last().map_or(Seq(0), |last| last.seq),
                limit: PageLimit {
                    entries: 500,
                    bytes: 1 << 20,
                },
            };
            let page = self.ports.messages.entries(query).await;
            let page = page.expect("the store answers");
            if page.entries.is_empty() {
                return log;
            }
            log.extend(page.entries);
        }
    }
}

/// What an engine keeps of a channel does not grow with its members.
fn assert_fold_is_small(channel: ChannelId, log: &[Entry], members: usize) {
    let (mut state, mut most) = (ChannelState::empty(channel), 0);
    for entry in log {
        evolve(&mut state, entry, None);
        if state.is_large() {
            assert!(
                state.roster().is_none(),
                "the members of a large channel are not kept"
            );
        }
        most = most.max(state.member_count());
        let bytes = serde_json::to_vec(&state.to_snapshot())
            .expect("it is data")
            .len();
        assert!(
            bytes <= FOLD_BYTES_MAX,
            "{bytes} bytes for {} members",
            state.member_count()
        );
    }
    assert_eq!(most, members as u64 + 1);
}

/// A device that only listens: what it is pushed it takes as it comes, and it pulls what it is told of.
struct Listener {
    user: UserId,
    device: DeviceId,
    session: Session,
    entries: Vec<Seen>,
    /// Up to here it has pulled, and may be told again.
    pulled: Seq,
    /// The entry that added its user, and the one that removed them.
    span: Option<(Seq, Option<Seq>)>,
}

impl Listener {
    fn cursor(&self) -> Seq {
        self.entries.last().map_or(Seq(0), |last| last.head.seq)
    }

    async fn take(
        &mut self,
        outgoing: Outgoing,
        channel: ChannelId,
        engine: &Engine,
        seen: &mut SeenOnce,
    ) {
        match outgoing {
            Outgoing::Shared(push) => {
                if let Push::Entry(push) = push.push()
                    && push.entry.seq > self.pulled
                {
                    self.entries.push(seen.of(&push.entry));
                }
            }
            Outgoing::Frame(frame) => {
                if let ServerFrame::Push(Push::Heads(heads)) = *frame {
                    for told in heads.channels {
                        self.pull(channel, told.head.seq, engine).await;
                    }
                }
            }
            Outgoing::Close(_) => {}
        }
    }

    async fn pull(&mut self, channel: ChannelId, to: Seq, engine: &Engine) {
        let caller = Caller::device(self.user.clone(), self.device);
        while self.cursor() < to {
            let query = PullQuery {
                channel,
                after: self.cursor(),
                limit: None,
            };
            // Who was removed meanwhile may not pull.
            let Ok(Answer::Pull(page)) = engine.run(&caller, ClientOp::Pull(query)).await else {
                return;
            };
            if page.entries.is_empty() {
                return;
            }
            self.entries.extend(page.entries.iter().map(Seen::of));
            self.pulled = self.cursor();
        }
    }
}

/// Sightings of entries that are shared by many, each computed once.
#[derive(Default)]
struct SeenOnce(BTreeMap<Seq, (Arc<Entry>, Seen)>);

impl SeenOnce {
    fn of(&mut self, entry: &Arc<Entry>) -> Seen {
        if let Some((known, seen)) = self.0.get(&entry.seq)
            && Arc::ptr_eq(known, entry)
        {
            return *seen;
        }
        let seen = Seen::of(entry);
        self.0.insert(entry.seq, (Arc::clone(entry), seen));
        seen
    }
}

fn draft(channel: ChannelId, number: usize) -> Draft {
    Draft::channel(channel, text(number)).client_id(key(number))
}

fn text(number: usize) -> String {
    format!("number {number}")
}

fn key(number: usize) -> ClientId {
    ClientId::from_uuid(Uuid::from_u128(number as u128 + 1))
}
