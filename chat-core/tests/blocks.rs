//! Direct messages to somebody who blocks their sender, or takes those of contacts only.

use std::sync::Arc;
use std::time::Duration;

use chat_core::memory::{MemoryRouter, MemoryStore};
use chat_core::ports::Router;
use chat_core::proto::people::{DirectFrom, ProfileChange, RelationChange};
use chat_core::proto::wire::{
    Anchor, Answer, ClientOp, HistoryQuery, PullQuery, Push, React, Summary, SyncAnswer, SyncQuery,
};
use chat_core::proto::{ChannelId, ClientId, Code, DeviceId, Entry, NodeId, Seq, UserId};
use chat_core::{Caller, Draft, Engine, Outgoing, Session};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn engine_on(node: &'static str, store: &MemoryStore, router: &Arc<dyn Router>) -> Engine {
    Engine::builder()
        .node(NodeId::new(node))
        .messages(store.clone())
        .users(store.clone())
        .router(Arc::clone(router))
        .build()
        .expect("all parts are there")
}

fn new_router() -> Arc<dyn Router> {
    Arc::new(MemoryRouter::new())
}

fn engine() -> Engine {
    engine_on("one", &MemoryStore::new(), &new_router())
}

async fn say(engine: &Engine, from: &str, to: &str, text: &str) -> Result<Seq> {
    let draft = Draft::direct(&user(to), text);
    Ok(engine.send(&user(from), draft).await?.seq)
}

async fn log(engine: &Engine, viewer: &str, channel: ChannelId) -> Result<Vec<Entry>> {
    let query = PullQuery {
        channel,
        after: Seq(0),
        limit: None,
    };
    match engine
        .run(&Caller::user(user(viewer)), ClientOp::Pull(query))
        .await?
    {
        Answer::Pull(page) => Ok(page.entries),
        other => panic!("entries, not {other:?}"),
    }
}

async fn sync(engine: &Engine, viewer: &str) -> Result<SyncAnswer> {
    let query = SyncQuery {
        entries: 50,
        ..SyncQuery::default()
    };
    match engine
        .run(&Caller::user(user(viewer)), ClientOp::Sync(query))
        .await?
    {
        Answer::Sync(answer) => Ok(answer),
        other => panic!("an answer to sync, not {other:?}"),
    }
}

async fn summary(engine: &Engine, viewer: &str, channel: ChannelId) -> Result<Summary> {
    Ok(engine.channel(&Caller::user(user(viewer)), channel).await?)
}

async fn session(engine: &Engine, name: &str) -> Result<Session> {
    let device = DeviceId::from_uuid(uuid::Uuid::new_v4());
    Ok(engine.connect(&user(name), device).await?)
}

/// The next entry of a channel's log, within a moment.
async fn next_entry(session: &mut Session) -> Option<Entry> {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(1), session.next())
            .await
            .ok()?;
        if let Outgoing::Shared(push) = next
            && let Push::Entry(push) = push.push()
        {
            return Some((*push.entry).clone());
        }
    }
}

fn kinds(log: &[Entry]) -> Vec<&str> {
    log.iter().map(|entry| entry.kind.name()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_a_blocker_is_like_any_other_for_its_sender_and_a_stub_for_them() -> Result {
    let engine = engine();
    let (ann, bob) = (user("ann"), user("bob"));
    let channel = ChannelId::direct(&ann, &bob);
    say(&engine, "ann", "bob", "open").await?;
    let before = summary(&engine, "bob", channel).await?;
    engine.relate(&bob, &ann, RelationChange::Block).await?;
    let (mut anns, mut bobs) = (
        session(&engine, "ann").await?,
        session(&engine, "bob").await?,
    );

    let seq = say(&engine, "ann", "bob", "secret").await?;
    let react = ClientOp::React(React {
        channel,
        seq,
        client_id: ClientId::from_uuid(uuid::Uuid::new_v4()),
        after: None,
        retry: false,
        emoji: "+".into(),
        remove: false,
    });
    engine.run(&Caller::user(ann.clone()), react).await?;
    assert_eq!(
        next_entry(&mut anns).await.map(|entry| entry.seq),
        Some(seq)
    );
    assert!(
        next_entry(&mut bobs).await.is_none(),
        "no news for the blocker"
    );

    assert_eq!(
        kinds(&log(&engine, "ann", channel).await?),
        ["created", "message", "message", "react"]
    );
    let hidden = log(&engine, "bob", channel).await?;
    assert_eq!(
        kinds(&hidden),
        ["created", "message", "withheld", "withheld"]
    );
    assert_eq!(hidden[2].n.0, 2, "it counts as a message");
    let row = summary(&engine, "bob", channel).await?;
    assert_eq!((row.unread, row.mentions, row.last), (0, 0, before.last));
    let anns_row = summary(&engine, "ann", channel).await?;
    assert_eq!(anns_row.last.map(|entry| entry.seq), Some(seq));
    assert_eq!(anns_row.unread, 0);

    engine.relate(&bob, &ann, RelationChange::Unblock).await?;
    say(&engine, "ann", "bob", "open again").await?;
    let after = log(&engine, "bob", channel).await?;
    assert_eq!(
        kinds(&after)[2..],
        ["withheld", "withheld", "message"],
        "for ever"
    );
    let everything = format!(
        "{after:?} {:?} {:?}",
        sync(&engine, "bob").await?,
        history(&engine, "bob", channel).await?
    );
    assert!(!everything.contains("secret"));
    drop((anns, bobs));
    engine.shutdown().await;
    Ok(())
}

async fn history(engine: &Engine, viewer: &str, channel: ChannelId) -> Result<Answer> {
    let query = HistoryQuery {
        channel,
        anchor: Anchor::Newest,
        limit: None,
    };
    Ok(engine
        .run(&Caller::user(user(viewer)), ClientOp::History(query))
        .await?)
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_begins_with_what_is_withheld_is_not_listed_until_something_else_comes()
-> Result {
    let engine = engine();
    let (ann, bob) = (user("ann"), user("bob"));
    engine.relate(&bob, &ann, RelationChange::Block).await?;
    let mut bobs = session(&engine, "bob").await?;
    say(&engine, "ann", "bob", "secret").await?;
    assert!(next_entry(&mut bobs).await.is_none());
    assert_eq!(sync(&engine, "bob").await?.channels, []);
    assert_eq!(sync(&engine, "ann").await?.channels.len(), 1);
    say(&engine, "bob", "ann", "hello?").await?;
    let listed = sync(&engine, "bob").await?.channels;
    assert_eq!(
        kinds(&listed[0].entries),
        ["created", "withheld", "message"]
    );
    drop(bobs);
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_block_holds_from_its_answer_on_also_where_another_node_remembers_otherwise() -> Result {
    let (store, router) = (MemoryStore::new(), new_router());
    let (one, two) = (
        engine_on("one", &store, &router),
        engine_on("two", &store, &router),
    );
    let (ann, bob) = (user("ann"), user("bob"));
    let channel = ChannelId::direct(&ann, &bob);
    let anns = session(&one, "ann").await?;
    say(&one, "ann", "bob", "open").await?;
    for (change, expected) in [
        (RelationChange::Block, "withheld"),
        (RelationChange::Unblock, "message"),
        (RelationChange::Block, "withheld"),
    ] {
        two.relate(&bob, &ann, change).await?;
        // The envelope is on its way; nothing else is.
        tokio::time::sleep(Duration::from_millis(1)).await;
        say(&one, "ann", "bob", "text").await?;
        assert_eq!(
            kinds(&log(&one, "bob", channel).await?).last(),
            Some(&expected)
        );
    }
    drop(anns);
    one.shutdown().await;
    two.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_block_that_no_envelope_told_of_holds_within_30_seconds() -> Result {
    // Two routers: the nodes hear nothing of each other.
    let store = MemoryStore::new();
    let one = engine_on("one", &store, &new_router());
    let two = engine_on("two", &store, &new_router());
    let (ann, bob) = (user("ann"), user("bob"));
    let channel = ChannelId::direct(&ann, &bob);
    say(&one, "ann", "bob", "open").await?;
    two.relate(&bob, &ann, RelationChange::Block).await?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    say(&one, "ann", "bob", "secret").await?;
    assert_eq!(
        kinds(&log(&one, "bob", channel).await?).last(),
        Some(&"withheld")
    );
    one.shutdown().await;
    two.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_takes_messages_of_contacts_only_refuses_others_until_they_are() -> Result {
    let engine = engine();
    let (ann, bob) = (user("ann"), user("bob"));
    let only_contacts = ProfileChange {
        direct: Some(DirectFrom::Contacts),
        ..ProfileChange::default()
    };
    engine.set_profile(&bob, only_contacts).await?;
    let refused = engine.send(&ann, Draft::direct(&bob, "hello")).await;
    assert_eq!(refused.expect_err("no contact").code, Code::Forbidden);
    engine
        .relate(&ann, &bob, RelationChange::PutContact)
        .await?;
    let refused = engine.send(&ann, Draft::direct(&bob, "hello")).await;
    assert_eq!(refused.expect_err("only asked").code, Code::Forbidden);
    engine
        .relate(&bob, &ann, RelationChange::PutContact)
        .await?;
    say(&engine, "ann", "bob", "hello").await?;
    engine
        .relate(&ann, &bob, RelationChange::RemoveContact)
        .await?;
    let refused = engine.send(&ann, Draft::direct(&bob, "hello")).await;
    assert_eq!(
        refused.expect_err("no contact any more").code,
        Code::Forbidden
    );
    say(&engine, "bob", "ann", "the other way").await?;
    let system = engine
        .as_system()
        .send(Draft::channel(ChannelId::direct(&ann, &bob), "notice"))
        .await;
    assert!(system.is_ok(), "the program itself is nobody's contact");
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_blocked_user_is_not_seen_typing() -> Result {
    let engine = engine();
    let (ann, bob) = (user("ann"), user("bob"));
    let channel = ChannelId::direct(&ann, &bob);
    say(&engine, "ann", "bob", "open").await?;
    let mut bobs = session(&engine, "bob").await?;
    let typing = async |session: &mut Session| {
        let next = tokio::time::timeout(Duration::from_secs(1), session.next()).await;
        matches!(next, Ok(Outgoing::Shared(push)) if matches!(push.push(), Push::Typing(_)))
    };
    engine.typing(&Caller::user(ann.clone()), channel).await;
    assert!(typing(&mut bobs).await);
    engine.relate(&bob, &ann, RelationChange::Block).await?;
    while tokio::time::timeout(Duration::from_secs(1), bobs.next())
        .await
        .is_ok()
    {}
    engine.typing(&Caller::user(ann), channel).await;
    assert!(!typing(&mut bobs).await);
    drop(bobs);
    engine.shutdown().await;
    Ok(())
}
