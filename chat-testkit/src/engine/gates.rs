//! Every interleaving of a device's attachment with an append.
//!
//! The device connects to one engine and syncs; a message is sent through another. Both stop at a gate, before or after
//! one of their calls of a port, for every pair of gates, and go on in either order. Whatever the order, the device must
//! have the message in the end: by what it read, or by what it was told.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chat_core::decorators::{Decorated, Layer};
use chat_core::ports::{InboxStore, MessageStore, PortError, Router};
use chat_core::proto::wire::{Answer, ClientOp, Push, ServerFrame, SyncQuery};
use chat_core::proto::{ClientId, DeviceId, NodeId, Seq};
use chat_core::{Caller, Draft, Engine, NewChannel, Outgoing};
use tokio::sync::Notify;
use uuid::Uuid;

use super::fleet::{Ports, RuntimeClock};
use super::scenario::{run_paused, user};

/// By the run's clock: everything that can go on has done so.
const STANDSTILL: Duration = Duration::from_millis(5);
/// By then the device has heard whatever it will ever hear.
const END: Duration = Duration::from_secs(2);
/// No gate is behind it: more calls than any attachment or append makes.
const NEVER: usize = usize::MAX;
/// Calls that one makes only because of the other, at the most.
const MORE_CALLS: usize = 8;
/// Members that make a channel large.
const MANY: usize = 120;

/// In which channel the message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A group that exists.
    Group,
    /// A direct channel that the message creates.
    NewDirect,
    /// A channel with a topic.
    Large,
}

/// Which of the two goes on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Connect,
    Append,
}

/// A gate before and after each call of an engine's ports.
#[derive(Default)]
struct Gates {
    counts: AtomicBool,
    passed: AtomicUsize,
    stops_at: AtomicUsize,
    opened: Notify,
}

impl Gates {
    /// From now on calls are counted, and stopped at this one.
    fn arm(&self, stops_at: usize) {
        self.stops_at.store(stops_at, Ordering::SeqCst);
        self.counts.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        self.counts.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    async fn pass(&self) {
        if !self.counts.load(Ordering::SeqCst) {
            return;
        }
        let number = self.passed.fetch_add(1, Ordering::SeqCst);
        if number == self.stops_at.load(Ordering::SeqCst) {
            self.opened.notified().await;
        }
    }
}

struct GateLayer(Arc<Gates>);

impl Layer for GateLayer {
    async fn read<T: Send>(
        &self,
        _op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.0.pass().await;
        let result = call.await;
        self.0.pass().await;
        result
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.read(op, call).await
    }
}

/// Runs every interleaving over ports that are made anew for each, and names those in which the device lacks the message.
pub fn attach_meets_append(place: Place, ports: impl Fn() -> Ports) -> Vec<String> {
    let (calls_of_connect, calls_of_append) =
        run(place, &ports, NEVER, NEVER, First::Connect).calls;
    assert!(
        calls_of_connect > 8 && calls_of_append > 4,
        "the gates are passed: {calls_of_connect}, {calls_of_append}"
    );
    // Where they meet, each may make calls that it does not make alone.
    let calls_of_connect = calls_of_connect + MORE_CALLS;
    let calls_of_append = calls_of_append + MORE_CALLS;
    let mut lacking = Vec::new();
    for connect_at in 0..calls_of_connect {
        for append_at in 0..calls_of_append {
            for first in [First::Connect, First::Append] {
                let run = run(place, &ports, connect_at, append_at, first);
                if !run.has_message {
                    lacking.push(format!(
                        "{place:?}, connect stopped at {connect_at}, append at {append_at}, {first:?} went on first"
                    ));
                }
            }
        }
    }
    lacking
}

struct Ran {
    has_message: bool,
    /// Passed by the connect and by the append.
    calls: (usize, usize),
}

fn run(
    place: Place,
    ports: impl Fn() -> Ports,
    connect_at: usize,
    append_at: usize,
    first: First,
) -> Ran {
    run_paused(async {
        let ports = ports();
        let clock = RuntimeClock::start();
        let [of_connect, of_append] = [Arc::new(Gates::default()), Arc::new(Gates::default())];
        let connecting = engine(&ports, clock, "connects", &of_connect);
        let appending = engine(&ports, clock, "appends", &of_append);
        let draft = prepare(place, &ports, clock).await;
        tokio::time::sleep(END).await;

        of_connect.arm(connect_at);
        of_append.arm(append_at);
        let engine = connecting.clone();
        let device = tokio::spawn(async move { listen(engine).await });
        let engine = appending.clone();
        let sent = tokio::spawn(async move { engine.send(&user("ann"), draft).await });
        tokio::time::sleep(STANDSTILL).await;
        let (one, other) = match first {
            First::Connect => (&of_connect, &of_append),
            First::Append => (&of_append, &of_connect),
        };
        one.open();
        tokio::time::sleep(STANDSTILL).await;
        other.open();
        let receipt = sent.await.expect("it does not panic");
        let receipt = receipt.expect("nothing fails in this run");
        let heard = device.await.expect("it does not panic");
        connecting.shutdown().await;
        appending.shutdown().await;
        Ran {
            has_message: heard >= receipt.seq,
            calls: (
                of_connect.passed.load(Ordering::SeqCst),
                of_append.passed.load(Ordering::SeqCst),
            ),
        }
    })
}

fn engine(ports: &Ports, clock: RuntimeClock, node: &'static str, gates: &Arc<Gates>) -> Engine {
    let layer = || GateLayer(Arc::clone(gates));
    let messages =
        Decorated::<dyn MessageStore, _>::with_layer(Arc::clone(&ports.messages), layer());
    let inbox = Decorated::<dyn InboxStore, _>::with_layer(Arc::clone(&ports.inbox), layer());
    let router = Decorated::<dyn Router, _>::with_layer(Arc::clone(&ports.router), layer());
    Engine::builder()
        .stores(Arc::new(messages), Arc::new(inbox))
        .router(Arc::new(router))
        .clock(clock)
        .node(NodeId::new(node))
        .build()
        .expect("all parts are there, in a runtime")
}

/// Creates the channel, if it is to exist, and writes the message.
async fn prepare(place: Place, ports: &Ports, clock: RuntimeClock) -> Draft {
    let others = match place {
        Place::NewDirect => return Draft::direct(&user("bob"), "the message"),
        Place::Group => 0,
        Place::Large => MANY,
    };
    let mut members = vec![user("bob")];
    members.extend((0..others).map(|number| user(&format!("m{number}"))));
    let key = ClientId::from_uuid(Uuid::from_u128(1));
    let new = NewChannel::group("g").client_id(key).members(members);
    // By an engine of its own, so that the one that appends must load.
    let engine = engine(ports, clock, "prepares", &Arc::default());
    let created = engine
        .create_channel(&Caller::user(user("ann")), new)
        .await
        .expect("nothing fails in this run");
    engine.shutdown().await;
    Draft::channel(created.channel, "the message")
}

/// Connects, syncs, and listens; answers how far the device knows the log to go.
async fn listen(engine: Engine) -> Seq {
    let device = DeviceId::from_uuid(Uuid::from_u128(1));
    let mut session = engine
        .connect(&user("bob"), device)
        .await
        .expect("nothing fails in this run");
    session.submit(1, ClientOp::Sync(SyncQuery::default()), 10);
    let mut known = Seq(0);
    let mut is_synced = false;
    loop {
        match tokio::time::timeout(END, session.next()).await {
            Ok(outgoing) => {
                is_synced |= matches!(&outgoing, Outgoing::Frame(frame) if matches!(**frame, ServerFrame::Ok { .. }));
                known = known.max(head_in(outgoing));
            }
            Err(_) if is_synced => return known,
            // The gate is still shut.
            Err(_) => {}
        }
    }
}

fn head_in(outgoing: Outgoing) -> Seq {
    let of_push = |push: &Push| match push {
        Push::Entry(push) => push.entry.seq,
        Push::Heads(heads) => {
            let seqs = heads.channels.iter().map(|told| told.head.seq);
            seqs.max().unwrap_or_default()
        }
        Push::Read(_)
        | Push::Delivered(_)
        | Push::User(_)
        | Push::Presence(_)
        | Push::Typing(_)
        | Push::GoAway(_) => Seq(0),
    };
    match outgoing {
        Outgoing::Shared(push) => of_push(push.push()),
        Outgoing::Frame(frame) => match *frame {
            ServerFrame::Push(push) => of_push(&push),
            ServerFrame::Ok {
                answer: Answer::Sync(sync),
                ..
            } => {
                let seqs = sync.channels.iter().map(|summary| summary.head.seq);
                seqs.max().unwrap_or_default()
            }
            ServerFrame::Ok { .. } | ServerFrame::Error { .. } | ServerFrame::Pong => Seq(0),
        },
        Outgoing::Close(close) => panic!("nothing fails in this run: {close:?}"),
    }
}
