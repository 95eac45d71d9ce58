//! The engine over in-memory adapters, through its public face.

use std::time::Duration;

use chat_core::memory::MemoryStore;
use chat_core::proto::channel::ContentHash;
use chat_core::proto::entry::{MemberRole, MembersChange};
use chat_core::proto::wire::{
    Answer, ClientOp, Mark, PullQuery, Push, SendMessage, ServerFrame, SyncQuery, Target,
};
use chat_core::proto::{Body, ChannelId, ClientId, Code, DeviceId, Entry, Role, Seq, UserId};
use chat_core::{Caller, Draft, Engine, NewChannel, Outgoing, Session};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(number))
}

fn client_id(number: u128) -> ClientId {
    ClientId::from_uuid(uuid::Uuid::from_u128(number))
}

fn engines() -> [Engine; 2] {
    // Once the append searches keys, once the engine must.
    [MemoryStore::new(), MemoryStore::key_value()].map(|store| {
        Engine::builder()
            .messages(store.clone())
            .users(store)
            .build()
            .expect("all parts are there")
    })
}

async fn next(session: &mut Session) -> Outgoing {
    tokio::time::timeout(Duration::from_secs(5), session.next())
        .await
        .expect("something comes")
}

async fn next_entry(session: &mut Session) -> Entry {
    loop {
        match next(session).await {
            Outgoing::Shared(push) => match push.push() {
                Push::Entry(push) => return (*push.entry).clone(),
                other => panic!("an entry, not {other:?}"),
            },
            // How far a log goes may be said at any time.
            Outgoing::Frame(frame) if matches!(*frame, ServerFrame::Push(Push::Heads(_))) => {}
            other => panic!("an entry, not {other:?}"),
        }
    }
}

async fn answer(session: &mut Session, id: u32) -> std::result::Result<Answer, Code> {
    loop {
        if let Outgoing::Frame(frame) = next(session).await {
            match *frame {
                ServerFrame::Ok { id: of, answer } if of == id => return Ok(answer),
                ServerFrame::Error { id: of, rejection } if of == id => return Err(rejection.code),
                _ => {}
            }
        }
    }
}

fn message(to: Target, number: u128, text: &str) -> ClientOp {
    ClientOp::Send(SendMessage {
        to,
        client_id: client_id(number),
        after: None,
        retry: false,
        body: Body::text(text),
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    })
}

#[tokio::test]
async fn a_message_reaches_every_device_but_the_one_that_was_answered() -> Result {
    for engine in engines() {
        let (alice, bob) = (user("alice"), user("bob"));
        let mut phone = engine.connect(&alice, device(1)).await?;
        let mut laptop = engine.connect(&alice, device(2)).await?;
        let mut bobs = engine.connect(&bob, device(3)).await?;

        phone.submit(7, message(Target::User(bob.clone()), 1, "hello"), 100);
        let Ok(Answer::Send(sent)) = answer(&mut phone, 7).await else {
            panic!("it is stored")
        };
        assert_eq!((sent.seq.0, sent.n.0, sent.duplicate), (2, 1, false));
        assert_eq!(sent.channel, ChannelId::direct(&alice, &bob));
        for session in [&mut laptop, &mut bobs] {
            assert_eq!(next_entry(session).await.seq.0, 1);
            let entry = next_entry(session).await;
            assert_eq!((entry.seq.0, entry.message), (2, sent.message));
        }
        // The sender's connection hears of the creation, which no answer told, and of nothing twice.
        phone.submit(
            8,
            ClientOp::Pull(PullQuery {
                channel: sent.channel,
                after: Seq(0),
                limit: None,
            }),
            50,
        );
        let Ok(Answer::Pull(page)) = answer(&mut phone, 8).await else {
            panic!("a member may read")
        };
        assert_eq!(page.entries.len(), 2);
        assert_eq!(next_entry(&mut phone).await.seq.0, 1);
        assert!(phone.try_next().is_none());
        drop((phone, laptop, bobs));
        engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_command_again_is_the_first_result_and_another_content_a_conflict() -> Result {
    for engine in engines() {
        let (alice, bob) = (user("alice"), user("bob"));
        let draft = Draft::direct(&bob, "hello").client_id(client_id(9));
        let first = engine.send(&alice, draft.clone()).await?;
        // Far enough that the state no longer remembers the key by itself.
        for _ in 0..300 {
            engine.send(&alice, Draft::direct(&bob, "more")).await?;
        }
        let again = engine.send(&alice, draft).await?;
        assert_eq!(
            (again.seq, again.message, again.duplicate),
            (first.seq, first.message, true)
        );
        let other = engine
            .send(&alice, Draft::direct(&bob, "other").client_id(client_id(9)))
            .await;
        assert_eq!(
            other.map_err(|rejection| rejection.code),
            Err(Code::Conflict)
        );
        engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_retry_of_something_stored_is_never_forbidden() -> Result {
    for engine in engines() {
        let (owner, member) = (Caller::user(user("owner")), user("member"));
        let group = engine
            .create_channel(&owner, NewChannel::group("g").members(vec![member.clone()]))
            .await?;
        let draft = Draft::channel(group.channel, "before").client_id(client_id(4));
        let sent = engine.send(&member, draft.clone()).await?;
        let gone = MembersChange {
            remove: vec![member.clone()],
            ..MembersChange::default()
        };
        engine
            .change_members(&owner, group.channel, None, gone)
            .await?;

        let fresh = engine
            .send(&member, Draft::channel(group.channel, "after"))
            .await;
        assert_eq!(
            fresh.map_err(|rejection| rejection.code),
            Err(Code::NotFound)
        );
        let again = engine.send(&member, draft).await?;
        assert_eq!((again.seq, again.duplicate), (sent.seq, true));
        engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn the_removed_get_the_removing_entry_and_nothing_later() -> Result {
    for engine in engines() {
        let (owner, member) = (user("owner"), user("member"));
        let caller = Caller::user(owner.clone());
        let group = engine
            .create_channel(
                &caller,
                NewChannel::group("g").members(vec![member.clone()]),
            )
            .await?;
        let mut session = engine.connect(&member, device(1)).await?;
        let gone = MembersChange {
            remove: vec![member.clone()],
            ..MembersChange::default()
        };
        let removed = engine
            .change_members(&caller, group.channel, None, gone)
            .await?;
        engine
            .send(&owner, Draft::channel(group.channel, "they are gone"))
            .await?;
        assert_eq!(next_entry(&mut session).await.seq, removed.seq);
        session.submit(
            1,
            ClientOp::Pull(PullQuery {
                channel: group.channel,
                after: Seq(0),
                limit: None,
            }),
            50,
        );
        assert_eq!(answer(&mut session, 1).await, Err(Code::NotFound));
        assert!(session.try_next().is_none());

        session.submit(
            2,
            ClientOp::Sync(SyncQuery {
                cursors: [(group.channel, (Seq(1), Seq(1)))].into(),
                ..SyncQuery::default()
            }),
            50,
        );
        let Ok(Answer::Sync(sync)) = answer(&mut session, 2).await else {
            panic!("everybody may sync")
        };
        assert_eq!((sync.channels.len(), sync.left), (0, vec![group.channel]));
        drop(session);
        engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_channel_that_grows_large_and_small_again_loses_nobody() -> Result {
    for engine in engines() {
        let owner = Caller::user(user("owner"));
        let watcher = user("member-000");
        let mut session = engine.connect(&watcher, device(1)).await?;
        let names = |range: std::ops::Range<usize>| {
            range
                .map(|n| user(&format!("member-{n:03}")))
                .collect::<Vec<_>>()
        };
        let group = engine
            .create_channel(&owner, NewChannel::group("g").members(names(0..90)))
            .await?;
        let change = |change| engine.change_members(&owner, group.channel, None, change);
        let member = |user| MemberRole {
            user,
            role: Role::Member,
        };
        let mut expected = vec![1];
        let more = names(90..150).into_iter().map(member).collect();
        expected.push(
            change(MembersChange {
                add: more,
                ..MembersChange::default()
            })
            .await?
            .seq
            .0,
        );
        for round in 0..3 {
            expected.push(
                engine
                    .send(
                        &user("member-149"),
                        Draft::channel(group.channel, format!("large {round}")),
                    )
                    .await?
                    .seq
                    .0,
            );
        }
        // A newcomer to the large channel hears what comes after.
        let late = user("late");
        let mut lates = engine.connect(&late, device(2)).await?;
        expected.push(
            change(MembersChange {
                add: vec![member(late.clone())],
                ..MembersChange::default()
            })
            .await?
            .seq
            .0,
        );
        let joined = *expected.last().expect("just pushed");
        expected.push(
            engine
                .send(&late, Draft::channel(group.channel, "I am new"))
                .await?
                .seq
                .0,
        );
        expected.push(
            change(MembersChange {
                remove: names(80..150),
                ..MembersChange::default()
            })
            .await?
            .seq
            .0,
        );
        expected.push(
            engine
                .send(&late, Draft::channel(group.channel, "small again"))
                .await?
                .seq
                .0,
        );
        expected.push(
            change(MembersChange {
                remove: vec![late.clone()],
                ..MembersChange::default()
            })
            .await?
            .seq
            .0,
        );
        let after = engine
            .send(&watcher, Draft::channel(group.channel, "without late"))
            .await?
            .seq
            .0;
        let of_late: Vec<u64> = expected
            .iter()
            .copied()
            .filter(|seq| *seq >= joined)
            .collect();
        for seq in &of_late {
            assert_eq!(next_entry(&mut lates).await.seq.0, *seq);
        }
        assert!(lates.try_next().is_none());
        expected.push(after);
        for seq in expected {
            assert_eq!(next_entry(&mut session).await.seq.0, seq);
        }
        assert_eq!(engine.channel(&owner, group.channel).await?.members, 81);
        drop((session, lates));
        engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn marks_are_durable_monotone_and_told() -> Result {
    for engine in engines() {
        let (alice, bob) = (user("alice"), user("bob"));
        let channel = ChannelId::direct(&alice, &bob);
        for text in ["one", "two", "three"] {
            engine.send(&alice, Draft::direct(&bob, text)).await?;
        }
        let mut alices = engine.connect(&alice, device(1)).await?;
        let mut bobs = engine.connect(&bob, device(2)).await?;
        bobs.submit(
            1,
            ClientOp::Read(Mark {
                channel,
                seq: Seq(3),
            }),
            50,
        );
        assert_eq!(answer(&mut bobs, 1).await, Ok(Answer::Done));
        let Outgoing::Shared(push) = next(&mut alices).await else {
            panic!("a mark rose")
        };
        let Push::Read(mark) = push.push() else {
            panic!("a mark rose: {push:?}")
        };
        assert_eq!((&mark.user, mark.seq.0, mark.n.0), (&bob, 3, 2));
        assert_eq!(
            engine
                .channel(&Caller::user(bob.clone()), channel)
                .await?
                .unread,
            1
        );
        // Never back; beyond the head is the head.
        engine
            .run(
                &Caller::user(bob.clone()),
                ClientOp::Read(Mark {
                    channel,
                    seq: Seq(2),
                }),
            )
            .await?;
        assert_eq!(
            engine
                .channel(&Caller::user(bob.clone()), channel)
                .await?
                .read
                .seq
                .0,
            3
        );
        engine
            .run(
                &Caller::user(bob.clone()),
                ClientOp::Read(Mark {
                    channel,
                    seq: Seq(99),
                }),
            )
            .await?;
        assert_eq!(
            engine
                .channel(&Caller::user(bob.clone()), channel)
                .await?
                .unread,
            0
        );
        // The sender had read everything before their own messages.
        assert_eq!(
            engine
                .channel(&Caller::user(alice.clone()), channel)
                .await?
                .unread,
            0
        );
        drop((alices, bobs));
        engine.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_connection_of_a_device_replaces_the_first() -> Result {
    let [engine, _] = engines();
    let alice = user("alice");
    let mut first = engine.connect(&alice, device(1)).await?;
    let mut second = engine.connect(&alice, device(1)).await?;
    let Outgoing::Frame(frame) = next(&mut first).await else {
        panic!("it is told why")
    };
    assert!(matches!(*frame, ServerFrame::Push(Push::GoAway(_))));
    assert!(
        matches!(next(&mut first).await, Outgoing::Close(close) if close.code.number() == 4001)
    );
    drop(first);
    engine
        .send(&user("bob"), Draft::direct(&alice, "still here?"))
        .await?;
    assert_eq!(next_entry(&mut second).await.seq.0, 1);
    assert_eq!(engine.session_count(), 1);
    drop(second);
    engine.shutdown().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_ends_after_thirty_seconds_and_a_heard_one_does_not() -> Result {
    let [engine, _] = engines();
    let mut silent = engine.connect(&user("silent"), device(1)).await?;
    let mut alive = engine.connect(&user("alive"), device(2)).await?;
    let started = tokio::time::Instant::now();
    let close = loop {
        tokio::select! {
            outgoing = silent.next() => break outgoing,
            () = tokio::time::sleep(Duration::from_secs(10)) => alive.heard(),
        }
    };
    assert!(matches!(close, Outgoing::Close(close) if close.code.number() == 4009));
    let after = started.elapsed();
    assert!(
        (Duration::from_secs(30)..=Duration::from_secs(31)).contains(&after),
        "{after:?}"
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(alive.try_next().is_none());
    drop((silent, alive));
    engine.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn pipelined_commands_keep_their_order_and_reads_see_the_commands_before_them() -> Result {
    for engine in engines() {
        let bob = user("bob");
        let channel = ChannelId::direct(&user("alice"), &bob);
        let mut session = engine.connect(&user("alice"), device(1)).await?;
        for number in 0..100 {
            session.submit(
                number,
                message(
                    Target::User(bob.clone()),
                    u128::from(number) + 1,
                    "pipelined",
                ),
                10,
            );
        }
        session.submit(
            100,
            ClientOp::Pull(PullQuery {
                channel,
                after: Seq(0),
                limit: Some(500),
            }),
            10,
        );
        assert!(!session.accepts());
        for number in 0..100 {
            let Ok(Answer::Send(sent)) = answer(&mut session, number).await else {
                panic!("it is stored")
            };
            assert_eq!(sent.seq.0, u64::from(number) + 2);
        }
        let Ok(Answer::Pull(page)) = answer(&mut session, 100).await else {
            panic!("a member may read")
        };
        assert_eq!(page.entries.len(), 101);
        assert!(session.accepts());
        drop(session);
        engine.shutdown().await;
    }
    Ok(())
}

#[test]
fn an_engine_needs_a_store_and_a_runtime() {
    let error = Engine::builder()
        .build()
        .expect_err("nothing to keep messages in");
    assert!(error.to_string().contains("messages"), "{error}");
    let error = Engine::builder()
        .messages(MemoryStore::new())
        .build()
        .expect_err("no runtime");
    assert!(error.to_string().contains("runtime"), "{error}");
    // The hash that keys carry is of what was sent, whoever asks.
    let action = chat_core::proto::channel::Action::Send(
        chat_core::proto::channel::NewMessage::new(Body::text("x")),
    );
    assert_eq!(ContentHash::of(&action), ContentHash::of(&action.clone()));
}
