//! Nodes, users and their devices under one virtual clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chat_core::memory::{MemoryRouter, MemoryStore};
use chat_core::ports::{Clock, RelationWrite, UserStore};
use chat_core::proto::people::{Presence, RelationChange, Shown, Status};
use chat_core::proto::wire::{
    Answer, ClientOp, Push, ServerFrame, SetStatus, TypingPush, Unwatch, Watch, WatchAnswer,
};
use chat_core::proto::{Code, DeviceId, NodeId, Timestamp, UserId};
use chat_core::{Engine, EngineSettings, Outgoing, Session};
use tokio::time::Instant;
use uuid::Uuid;

use crate::bus::TestBus;

/// When the virtual clock starts.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
/// How often clients are looked at while time passes.
const STEP: Duration = Duration::from_millis(50);
/// How often a client says that it is alive.
const BEAT: Duration = Duration::from_secs(10);

/// The wall's clock, in step with the runtime's.
#[derive(Clone, Copy)]
pub(crate) struct WallClock(pub(crate) Instant);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp(START_MS + self.0.elapsed().as_millis() as u64)
    }
}

/// What all nodes share.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) bus: Arc<TestBus>,
    pub(crate) clock: WallClock,
    router: Arc<MemoryRouter>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            bus: Arc::new(TestBus::new()),
            clock: WallClock(Instant::now()),
            router: Arc::new(MemoryRouter::new()),
        }
    }

    pub(crate) fn node(&self, name: &'static str) -> Engine {
        self.node_with(name, EngineSettings::default())
    }

    pub(crate) fn node_with(&self, name: &'static str, settings: EngineSettings) -> Engine {
        Engine::builder()
            .messages(self.store.clone())
            .users(self.store.clone())
            .router(self.router.clone())
            .presence(self.bus.clone())
            .clock(self.clock)
            .settings(settings)
            .node(NodeId::new(name))
            .build()
            .expect("all parts are there")
    }

    /// Makes the first user and each of the others contacts.
    pub(crate) async fn befriend(&self, one: &str, others: &[&str]) {
        for other in others {
            self.relate(one, other, RelationChange::PutContact).await;
            self.relate(other, one, RelationChange::PutContact).await;
        }
    }

    pub(crate) async fn relate(&self, one: &str, other: &str, change: RelationChange) {
        let write = RelationWrite {
            user: user(one),
            other: user(other),
            change,
            at: self.clock.now(),
        };
        self.store.relate(write).await.expect("memory answers");
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().0 - START_MS
    }
}

/// Alice and Bob are contacts and here, on one node.
pub(crate) async fn two() -> (World, Engine, Client, Client) {
    let world = World::new();
    let engine = world.node("a");
    world.befriend("alice", &["bob"]).await;
    let mut bob = Client::connect(&engine, "bob", 1).await;
    let mut alice = Client::connect(&engine, "alice", 2).await;
    settle(&mut [&mut alice, &mut bob]).await;
    (world, engine, alice, bob)
}

pub(crate) fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

pub(crate) fn device(number: u128) -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(number))
}

/// A device that stays alive while time passes, and what it was told.
pub(crate) struct Client {
    pub(crate) session: Session,
    /// Whether it says that it is alive.
    pub(crate) beats: bool,
    /// Whether it reads what it is told.
    pub(crate) reads: bool,
    heard_at: Instant,
    next_id: u32,
    told: Vec<(Instant, Presence)>,
    typing: Vec<TypingPush>,
}

impl Client {
    pub(crate) async fn connect(engine: &Engine, name: &str, number: u128) -> Self {
        let session = engine.connect(&user(name), device(number)).await;
        Self {
            session: session.expect("the session opens"),
            beats: true,
            reads: true,
            heard_at: Instant::now(),
            next_id: 1,
            told: Vec::new(),
            typing: Vec::new(),
        }
    }

    /// A client that will say nothing more.
    pub(crate) async fn silent(engine: &Engine, name: &str, number: u128) -> Self {
        let mut client = Self::connect(engine, name, number).await;
        client.beats = false;
        client
    }

    pub(crate) fn beat(&mut self) {
        self.session.heard();
        self.heard_at = Instant::now();
    }

    pub(crate) async fn ask(&mut self, op: ClientOp) -> Result<Answer, Code> {
        let id = self.next_id;
        self.next_id += 1;
        self.beat();
        self.session.submit(id, op, 100);
        loop {
            match self.session.next().await {
                Outgoing::Frame(frame) => match *frame {
                    ServerFrame::Ok { id: of, answer } if of == id => return Ok(answer),
                    ServerFrame::Error { id: of, rejection } if of == id => {
                        return Err(rejection.code);
                    }
                    other => panic!("an answer, not {other:?}"),
                },
                Outgoing::Shared(push) => self.note(push.push()),
                Outgoing::Close(close) => panic!("an answer, not {close:?}"),
            }
        }
    }

    pub(crate) async fn watch(&mut self, names: &[&str]) -> WatchAnswer {
        let users = names.iter().map(|name| user(name)).collect();
        match self.ask(ClientOp::Watch(Watch::Users(users))).await {
            Ok(Answer::Watch(answer)) => answer,
            other => panic!("an answer to watch, not {other:?}"),
        }
    }

    pub(crate) async fn watch_contacts(&mut self) -> WatchAnswer {
        match self.ask(ClientOp::Watch(Watch::Contacts)).await {
            Ok(Answer::Watch(answer)) => answer,
            other => panic!("an answer to watch, not {other:?}"),
        }
    }

    pub(crate) async fn unwatch(&mut self, names: &[&str]) {
        let users = names.iter().map(|name| user(name)).collect();
        let answer = self.ask(ClientOp::Unwatch(Unwatch { users })).await;
        assert_eq!(answer, Ok(Answer::Done));
    }

    pub(crate) async fn say(&mut self, state: Status, text: Option<&str>) {
        let text = text.map(ToOwned::to_owned);
        let answer = self.ask(ClientOp::Status(SetStatus { state, text })).await;
        assert_eq!(answer, Ok(Answer::Done));
    }

    /// What it was told since it was asked last, with the time of each.
    pub(crate) fn told(&mut self) -> Vec<(Instant, Presence)> {
        self.take_all();
        std::mem::take(&mut self.told)
    }

    /// The states that it was told since it was asked last.
    pub(crate) fn states(&mut self) -> Vec<Shown> {
        self.told()
            .into_iter()
            .map(|(_, told)| told.state)
            .collect()
    }

    /// The last that it was told of each user since it was asked last.
    pub(crate) fn newest(&mut self) -> BTreeMap<UserId, Presence> {
        let told = self.told().into_iter();
        told.map(|(_, told)| (told.user.clone(), told)).collect()
    }

    /// How often it was told that somebody types, since it was asked last.
    pub(crate) fn typing(&mut self) -> usize {
        self.take_all();
        std::mem::take(&mut self.typing).len()
    }

    fn take_all(&mut self) {
        while let Some(next) = self.session.try_next() {
            match next {
                Outgoing::Shared(push) => self.note(push.push()),
                Outgoing::Frame(_) => {}
                Outgoing::Close(_) => return,
            }
        }
    }

    fn note(&mut self, push: &Push) {
        match push {
            Push::Presence(presence) => self.told.push((Instant::now(), presence.clone())),
            Push::Typing(typing) => self.typing.push(typing.clone()),
            _ => {}
        }
    }

    fn live(&mut self) {
        if self.beats && self.heard_at.elapsed() >= BEAT {
            self.beat();
        }
        if self.reads {
            self.take_all();
        }
    }
}

/// Time passes for these clients.
pub(crate) async fn pass(time: Duration, clients: &mut [&mut Client]) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::time::sleep(STEP.min(end - Instant::now())).await;
        clients.iter_mut().for_each(|client| client.live());
    }
}

/// What is under way arrives.
pub(crate) async fn settle(clients: &mut [&mut Client]) {
    pass(Duration::from_millis(200), clients).await;
}

pub(crate) fn presence(name: &str, state: Shown, text: Option<&str>) -> Presence {
    Presence {
        user: user(name),
        state,
        text: text.map(ToOwned::to_owned),
        last_seen_ms: None,
    }
}

pub(crate) fn offline(name: &str, last_seen_ms: Option<u64>) -> Presence {
    Presence {
        last_seen_ms: last_seen_ms.map(|ms| Timestamp(START_MS + ms)),
        ..presence(name, Shown::Offline, None)
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
