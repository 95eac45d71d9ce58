//! What happens to commands and sessions on their way when something breaks, ends or fills up.

use std::sync::Arc;
use std::time::Duration;

use chat_core::decorators::{Chaos, ChaosConfig};
use chat_core::memory::{MemoryRouter, MemoryStore};
use chat_core::ports::{MessageStore, Router};
use chat_core::proto::entry::{MemberRole, MembersChange};
use chat_core::proto::wire::{Answer, ClientOp, Push, SendMessage, ServerFrame, Target};
use chat_core::proto::{Body, ChannelId, ClientId, Code, DeviceId, NodeId, Role, Seq, UserId};
use chat_core::{Caller, Draft, Engine, EngineSettings, NewChannel, Outgoing, Session};

mod script;

use script::{Script, Step};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const APPEND: &str = "messages.append";

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(number))
}

fn key(number: u128) -> ClientId {
    ClientId::from_uuid(uuid::Uuid::from_u128(number))
}

fn direct(number: u128) -> Draft {
    Draft::direct(&user("bob"), format!("number {number}")).client_id(key(number))
}

fn op(number: u128) -> ClientOp {
    ClientOp::Send(SendMessage {
        to: Target::User(user("bob")),
        client_id: key(number),
        after: None,
        retry: false,
        body: Body::text(format!("number {number}")),
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    })
}

fn scripted(settings: EngineSettings) -> Result<(Engine, Script, MemoryStore)> {
    let (script, store) = (Script::default(), MemoryStore::new());
    let engine = Engine::builder()
        .stores(script.store(&store), Arc::new(store.clone()))
        .settings(settings)
        .build()?;
    Ok((engine, script, store))
}

/// Until everything that can go on has done so.
async fn standstill() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The answer to this request: the place of a message, or a code.
async fn answer(session: &mut Session, id: u32) -> std::result::Result<Seq, Code> {
    let answered = async {
        loop {
            let Outgoing::Frame(frame) = session.next().await else {
                continue;
            };
            match *frame {
                ServerFrame::Ok {
                    id: of,
                    answer: Answer::Send(sent),
                } if of == id => return Ok(sent.seq),
                ServerFrame::Error { id: of, rejection } if of == id => return Err(rejection.code),
                other => panic!("answers come in order, not {other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), answered)
        .await
        .expect("it is answered")
}

/// Entries that have come and the heads that were told, as places in a log.
async fn heard(session: &mut Session) -> Vec<u64> {
    standstill().await;
    let mut heard = Vec::new();
    while let Some(outgoing) = session.try_next() {
        match outgoing {
            Outgoing::Shared(push) => {
                if let Push::Entry(push) = push.push() {
                    heard.push(push.entry.seq.0);
                }
            }
            Outgoing::Frame(frame) => {
                if let ServerFrame::Push(Push::Heads(heads)) = *frame {
                    heard.extend(heads.channels.iter().map(|told| told.head.seq.0));
                }
            }
            Outgoing::Close(close) => panic!("nobody ends it: {close:?}"),
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_on_when_nobody_waits_for_it() -> Result {
    let (engine, script, store) = scripted(EngineSettings::default())?;
    script.plan(APPEND, &[Step::Wait]);
    let alice = user("alice");
    let sending = engine.send(&alice, direct(1));
    let dropped = tokio::time::timeout(Duration::from_millis(1), sending).await;
    assert!(dropped.is_err(), "it is still under way");
    script.let_on();
    engine.shutdown().await;
    let heads = store
        .heads(&[ChannelId::direct(&alice, &user("bob"))])
        .await?;
    assert_eq!((heads[0].seq.0, heads[0].n.0), (2, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_everybody() -> Result {
    let (engine, script, _store) = scripted(EngineSettings::default())?;
    script.plan(APPEND, &[Step::Wait]);
    let sends: Vec<_> = (1..=20)
        .map(|number| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.send(&user("alice"), direct(number)).await })
        })
        .collect();
    standstill().await;
    let stopping = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown().await }
    });
    standstill().await;
    assert!(!stopping.is_finished(), "what was begun is finished first");
    let late = engine.send(&user("alice"), direct(99)).await;
    assert_eq!(late.map_err(|of| of.code), Err(Code::Unavailable));
    script.let_on();
    stopping.await?;
    for (send, expected) in sends.into_iter().zip(2..) {
        assert_eq!(send.await??.seq, Seq(expected));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_port_leaves_the_channel_usable() -> Result {
    let (engine, script, _store) = scripted(EngineSettings::default())?;
    let mut session = engine.connect(&user("alice"), device(1)).await?;
    script.plan(APPEND, &[Step::Wait, Step::Panic]);
    session.submit(1, op(1), 10);
    standstill().await;
    // The first is under way; these are in the batch that panics, and one waits behind it.
    session.submit(2, op(2), 10);
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.send(&user("alice"), direct(3)).await }
    });
    standstill().await;
    script.let_on();
    assert_eq!(answer(&mut session, 1).await, Ok(Seq(2)));
    assert_eq!(answer(&mut session, 2).await, Err(Code::UnknownOutcome));
    let waited = waiting.await?;
    assert_eq!(waited.map_err(|of| of.code), Err(Code::UnknownOutcome));
    // Whoever's outcome is unknown must come again first, also after a panic.
    session.submit(4, op(4), 10);
    assert_eq!(answer(&mut session, 4).await, Err(Code::Unavailable));
    session.submit(5, op(2), 10);
    session.submit(6, op(4), 10);
    assert_eq!(answer(&mut session, 5).await, Ok(Seq(3)));
    assert_eq!(answer(&mut session, 6).await, Ok(Seq(4)));
    drop(session);
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_does_not_stop_those_before() -> Result {
    let mut settings = EngineSettings::default();
    settings.channel_queue_max = 2;
    let (engine, script, _store) = scripted(settings)?;
    let mut session = engine.connect(&user("alice"), device(1)).await?;
    script.plan(APPEND, &[Step::Wait]);
    session.submit(1, op(1), 10);
    standstill().await;
    for number in 2..=4 {
        session.submit(number, op(u128::from(number)), 10);
    }
    assert_eq!(answer(&mut session, 4).await, Err(Code::Unavailable));
    script.let_on();
    for number in 1..=3 {
        assert_eq!(
            answer(&mut session, number).await,
            Ok(Seq(u64::from(number) + 1))
        );
    }
    session.submit(5, op(5), 10);
    assert_eq!(answer(&mut session, 5).await, Err(Code::Unavailable));
    session.submit(6, op(4), 10);
    assert_eq!(answer(&mut session, 6).await, Ok(Seq(5)));
    drop(session);
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn later_commands_wait_until_the_failed_one_comes_again_or_thirty_seconds() -> Result {
    let (engine, script, _store) = scripted(EngineSettings::default())?;
    let mut session = engine.connect(&user("alice"), device(1)).await?;
    let mut other = engine.connect(&user("alice"), device(2)).await?;
    script.plan(APPEND, &[Step::Fail]);
    session.submit(1, op(1), 10);
    session.submit(2, op(2), 10);
    assert_eq!(answer(&mut session, 1).await, Err(Code::Unavailable));
    assert_eq!(answer(&mut session, 2).await, Err(Code::Unavailable));
    session.submit(3, op(2), 10);
    assert_eq!(answer(&mut session, 3).await, Err(Code::Unavailable));
    // Another connection is another order.
    other.submit(1, op(10), 10);
    assert_eq!(answer(&mut other, 1).await, Ok(Seq(2)));
    session.submit(4, op(1), 10);
    session.submit(5, op(2), 10);
    assert_eq!(answer(&mut session, 4).await, Ok(Seq(3)));
    assert_eq!(answer(&mut session, 5).await, Ok(Seq(4)));
    // Whoever never sends it again may go on after a while.
    script.plan(APPEND, &[Step::Fail]);
    session.submit(6, op(6), 10);
    assert_eq!(answer(&mut session, 6).await, Err(Code::Unavailable));
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(15)).await;
        session.heard();
    }
    session.submit(7, op(7), 10);
    assert_eq!(answer(&mut session, 7).await, Ok(Seq(5)));
    drop((session, other));
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_may_be_in_the_log_is_never_said_to_be_surely_not() -> Result {
    let (engine, script, _store) = scripted(EngineSettings::default())?;
    engine.send(&user("alice"), direct(1)).await?;
    // It is stored, nobody is told, and where it is cannot be found out.
    script.plan(APPEND, &[Step::LoseAnswer]);
    script.plan("messages.entries", &[Step::Fail]);
    let sent = engine.send(&user("alice"), direct(2)).await;
    assert_eq!(sent.map_err(|of| of.code), Err(Code::UnknownOutcome));
    let again = engine.send(&user("alice"), direct(2)).await?;
    assert_eq!((again.seq, again.duplicate), (Seq(3), true));
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_append_that_was_carried_out_unheard_is_told_to_everybody() -> Result {
    let (engine, script, _store) = scripted(EngineSettings::default())?;
    let mut bobs = engine.connect(&user("bob"), device(1)).await?;
    let created = engine.create_channel(&owner(), group(1, &["bob"])).await?;
    assert_eq!(heard(&mut bobs).await, [1]);
    script.plan(APPEND, &[Step::LoseAnswer]);
    let removed = engine
        .change_members(&owner(), created.channel, None, removing("bob"))
        .await?;
    assert_eq!((removed.seq, removed.duplicate), (Seq(2), false));
    assert_eq!(heard(&mut bobs).await, [2]);
    drop(bobs);
    engine.shutdown().await;
    Ok(())
}

/// Two engines over one store, the first with a script around its router and losing its envelopes if wished.
struct Pair {
    here: Engine,
    there: Engine,
    script: Script,
}

impl Pair {
    async fn start(drop_envelopes_here: f64) -> Result<Self> {
        let (script, store) = (Script::default(), MemoryStore::new());
        let router: Arc<dyn Router> = Arc::new(MemoryRouter::new());
        let config = ChaosConfig {
            drop_envelope: drop_envelopes_here,
            ..ChaosConfig::default()
        };
        let lossy: Arc<dyn Router> =
            Arc::new(Chaos::<dyn Router>::new(Arc::clone(&router), config, 1));
        let node = |name: &'static str, router| {
            Engine::builder()
                .messages(store.clone())
                .node(NodeId::new(name))
                .router(router)
                .build()
        };
        let here = node("here", script.router(&lossy))?;
        let there = node("there", router)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Self {
            here,
            there,
            script,
        })
    }

    async fn stop(self) {
        self.here.shutdown().await;
        self.there.shutdown().await;
    }
}

fn owner() -> Caller {
    Caller::user(user("owner"))
}

fn group(silent: usize, also: &[&str]) -> NewChannel {
    let members = (0..silent).map(|number| user(&format!("m{number}")));
    NewChannel::group("g").members(members.chain(also.iter().map(|name| user(name))).collect())
}

fn adding(names: impl IntoIterator<Item = UserId>) -> MembersChange {
    let role = |user| MemberRole {
        user,
        role: Role::Member,
    };
    MembersChange {
        add: names.into_iter().map(role).collect(),
        ..MembersChange::default()
    }
}

fn removing(name: &str) -> MembersChange {
    MembersChange {
        remove: vec![user(name)],
        ..MembersChange::default()
    }
}

#[tokio::test(start_paused = true)]
async fn members_elsewhere_hear_of_a_channel_that_has_grown_large() -> Result {
    let pair = Pair::start(0.0).await?;
    let mut session = pair.here.connect(&user("bob"), device(1)).await?;
    let created = pair
        .there
        .create_channel(&owner(), group(80, &["bob"]))
        .await?;
    let more = adding((80..130).map(|number| user(&format!("m{number}"))));
    pair.there
        .change_members(&owner(), created.channel, None, more)
        .await?;
    heard(&mut session).await;
    let said = Draft::channel(created.channel, "large now");
    let said = pair.there.send(&user("owner"), said).await?;
    assert_eq!(heard(&mut session).await, [said.seq.0]);
    drop(session);
    pair.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_added_to_a_large_channel_hears_it_on_a_node_that_had_nobody_in_it() -> Result {
    let pair = Pair::start(0.0).await?;
    let mut session = pair.here.connect(&user("bob"), device(1)).await?;
    let created = pair.there.create_channel(&owner(), group(120, &[])).await?;
    pair.there
        .change_members(&owner(), created.channel, None, adding([user("bob")]))
        .await?;
    assert!(heard(&mut session).await.contains(&2));
    let said = Draft::channel(created.channel, "welcome");
    let said = pair.there.send(&user("owner"), said).await?;
    assert_eq!(heard(&mut session).await, [said.seq.0]);
    drop(session);
    pair.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_was_removed_elsewhere_does_not_hear_what_this_node_appends() -> Result {
    // This node never hears of the removal.
    let pair = Pair::start(1.0).await?;
    let mut session = pair.here.connect(&user("bob"), device(1)).await?;
    let created = pair
        .here
        .create_channel(&owner(), group(120, &["bob"]))
        .await?;
    let said = Draft::channel(created.channel, "everybody hears it");
    pair.here.send(&user("owner"), said).await?;
    assert!(heard(&mut session).await.contains(&2));
    pair.there
        .change_members(&owner(), created.channel, None, removing("bob"))
        .await?;
    let said = Draft::channel(created.channel, "bob does not");
    pair.here.send(&user("owner"), said).await?;
    assert_eq!(heard(&mut session).await, [0_u64; 0]);
    drop(session);
    pair.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_connection_given_up_half_way_leaves_no_session() -> Result {
    let pair = Pair::start(0.0).await?;
    pair.script.plan("router.attach", &[Step::Wait]);
    let bob = user("bob");
    let connecting = pair.here.connect(&bob, device(1));
    let given_up = tokio::time::timeout(Duration::from_millis(1), connecting).await;
    assert!(given_up.is_err(), "it is still under way");
    pair.script.let_on();
    standstill().await;
    assert_eq!(pair.here.session_count(), 0);
    pair.stop().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_session_that_replaces_one_whose_attachment_fails_is_attached() -> Result {
    let pair = Pair::start(0.0).await?;
    pair.script
        .plan("router.attach", &[Step::WaitAndFail, Step::Pass]);
    let first = tokio::spawn({
        let engine = pair.here.clone();
        async move { engine.connect(&user("bob"), device(1)).await }
    });
    standstill().await;
    let mut second = pair.here.connect(&user("bob"), device(1)).await?;
    pair.script.let_on();
    drop(first.await?);
    standstill().await;
    pair.there.send(&user("alice"), direct(1)).await?;
    assert_eq!(heard(&mut second).await, [1, 2]);
    assert_eq!(pair.here.session_count(), 1);
    drop(second);
    pair.stop().await;
    Ok(())
}
