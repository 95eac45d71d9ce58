//! What users have beside channels, through the engine's public face: on two nodes over one store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chat_core::memory::{MemoryRouter, MemoryStore};
use chat_core::ports::{Directory, PortError};
use chat_core::proto::people::{
    ContactState, DirectFrom, Prefs, PrefsChange, ProfileChange, RelationChange, UserEntry,
    UserEntryKind,
};
use chat_core::proto::wire::{Answer, ClientOp, Push, ServerFrame, SyncAnswer, SyncQuery};
use chat_core::proto::{ChannelId, Code, DeviceId, Limits, NodeId, Seq, Timestamp, UserId};
use chat_core::{Caller, Draft, Engine, Outgoing, Session};
use futures_util::FutureExt;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Everybody but one.
struct WithoutNobody;

#[async_trait]
impl Directory for WithoutNobody {
    async fn existing(
        &self,
        users: &BTreeSet<UserId>,
    ) -> std::result::Result<BTreeSet<UserId>, PortError> {
        let existing = users.iter().filter(|user| user.as_str() != "nobody");
        Ok(existing.cloned().collect())
    }

    async fn may_talk(&self, from: &UserId, _to: &UserId) -> std::result::Result<bool, PortError> {
        Ok(from.as_str() != "mute")
    }
}

/// Two nodes of one fleet.
fn nodes(limits: Limits) -> [Engine; 2] {
    let (store, router) = (MemoryStore::new(), Arc::new(MemoryRouter::new()));
    ["one", "two"].map(|name| {
        Engine::builder()
            .messages(store.clone())
            .users(store.clone())
            .router(router.clone())
            .directory(WithoutNobody)
            .limits(limits.clone())
            .node(NodeId::new(name.to_owned()))
            .build()
            .expect("all parts are there")
    })
}

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(number))
}

async fn next(session: &mut Session) -> Outgoing {
    tokio::time::timeout(Duration::from_secs(5), session.next())
        .await
        .expect("something comes")
}

/// The next entry of the user's own log, past whatever else is said.
async fn own_entry(session: &mut Session) -> UserEntry {
    loop {
        match next(session).await {
            Outgoing::Shared(push) => {
                if let Push::User(push) = push.push() {
                    return push.entry.clone();
                }
            }
            Outgoing::Frame(_) => {}
            Outgoing::Close(close) => panic!("the session goes on: {close:?}"),
        }
    }
}

/// The answer, which is the next thing said of the user's own log.
async fn answer(session: &mut Session, id: u32) -> std::result::Result<Answer, Code> {
    loop {
        match next(session).await {
            Outgoing::Frame(frame) => match *frame {
                ServerFrame::Ok { id: of, answer } if of == id => return Ok(answer),
                ServerFrame::Error { id: of, rejection } if of == id => return Err(rejection.code),
                _ => {}
            },
            Outgoing::Shared(push) => {
                assert!(!matches!(push.push(), Push::User(_)), "told by the answer");
            }
            Outgoing::Close(close) => panic!("the session goes on: {close:?}"),
        }
    }
}

fn draft(text: &str) -> Prefs {
    Prefs {
        draft: Some(text.into()),
        ..Prefs::default()
    }
}

fn prefs_op(channel: ChannelId, prefs: Prefs) -> ClientOp {
    ClientOp::Prefs(PrefsChange { channel, prefs })
}

async fn sync(engine: &Engine, user: &UserId, query: SyncQuery) -> Result<SyncAnswer> {
    match engine
        .run(&Caller::user(user.clone()), ClientOp::Sync(query))
        .await?
    {
        Answer::Sync(answer) => Ok(answer),
        other => panic!("an answer to sync, not {other:?}"),
    }
}

#[tokio::test]
async fn preferences_reach_every_other_device() -> Result {
    let [one, two] = nodes(Limits::default());
    let (alice, bob) = (user("alice"), user("bob"));
    let channel = one
        .send(&alice, Draft::direct(&bob, "hello"))
        .await?
        .channel;
    let mut phone = one.connect(&alice, device(1)).await?;
    let mut laptop = one.connect(&alice, device(2)).await?;
    let mut tablet = two.connect(&alice, device(3)).await?;
    // Each device but the first heard of those that came after it.
    assert_eq!(own_entry(&mut phone).await.seq, Seq(2));
    for session in [&mut phone, &mut laptop] {
        assert_eq!(own_entry(session).await.seq, Seq(3));
    }

    // More than an envelope holds: the other node reads it.
    let long = "x".repeat(20_000);
    for (number, text) in [(4, "short"), (5, &long)] {
        phone.submit(number, prefs_op(channel, draft(text)), 100);
        let Ok(Answer::Prefs(told)) = answer(&mut phone, number).await else {
            panic!("it is kept")
        };
        assert_eq!(told.user_seq, Seq(u64::from(number)));
        let expected = UserEntryKind::Prefs(PrefsChange {
            channel,
            prefs: draft(text),
        });
        for session in [&mut laptop, &mut tablet] {
            let entry = own_entry(session).await;
            assert_eq!((entry.seq, &entry.kind), (told.user_seq, &expected));
        }
    }
    // What is so already makes no entry.
    phone.submit(9, prefs_op(channel, draft(&long)), 100);
    let again = answer(&mut phone, 9).await;
    assert!(matches!(again, Ok(Answer::Prefs(told)) if told.user_seq == Seq(5)));

    let muted = Prefs {
        mute_until_ms: Some(Timestamp(99)),
        archived: Some(true),
        draft: Some(String::new()),
        ..Prefs::default()
    };
    one.run(&Caller::user(alice.clone()), prefs_op(channel, muted))
        .await?;
    for session in [&mut phone, &mut laptop, &mut tablet] {
        assert_eq!(own_entry(session).await.seq, Seq(6));
    }
    let listed = sync(&two, &alice, SyncQuery::default()).await?.channels;
    let shown = two.channel(&Caller::user(alice), channel).await?;
    for summary in [&listed[0], &shown] {
        assert_eq!(
            (summary.mute_until_ms, summary.archived, &summary.draft),
            (Some(Timestamp(99)), true, &None)
        );
    }
    let bobs = sync(&two, &bob, SyncQuery::default()).await?.channels;
    assert_eq!((bobs[0].mute_until_ms, bobs[0].archived), (None, false));
    Ok(())
}

#[tokio::test]
async fn preferences_are_for_channels_that_one_is_in() -> Result {
    let [one, _] = nodes(Limits::default());
    let channel = one
        .send(&user("alice"), Draft::direct(&user("bob"), "hello"))
        .await?
        .channel;
    let refused = |user_name: &str, prefs: Prefs| {
        let (one, caller) = (one.clone(), Caller::user(user(user_name)));
        async move { one.run(&caller, prefs_op(channel, prefs)).await }
    };
    let code = |refused: std::result::Result<Answer, chat_core::proto::Rejection>| {
        refused.err().map(|rejection| rejection.code)
    };
    assert_eq!(
        code(refused("carol", draft("x")).await),
        Some(Code::NotFound)
    );
    assert_eq!(
        code(refused("alice", Prefs::default()).await),
        Some(Code::BadRequest)
    );
    let long = "x".repeat(one.limits().text_chars_max + 1);
    assert_eq!(
        code(refused("alice", draft(&long)).await),
        Some(Code::TooLarge)
    );
    assert_eq!(
        sync(&one, &user("carol"), SyncQuery::default())
            .await?
            .user_seq,
        Seq(0)
    );
    Ok(())
}

#[tokio::test]
async fn both_sides_hear_of_a_contact() -> Result {
    let [one, two] = nodes(Limits::default());
    let (alice, bob) = (user("alice"), user("bob"));
    let mut alices = one.connect(&alice, device(1)).await?;
    let mut bobs = two.connect(&bob, device(2)).await?;
    let asked = one.relate(&alice, &bob, RelationChange::PutContact).await?;
    assert_eq!(asked.shown_contact(), Some(ContactState::Asked));
    assert_eq!(
        contact(&own_entry(&mut alices).await),
        Some(ContactState::Asked)
    );
    assert_eq!(
        contact(&own_entry(&mut bobs).await),
        Some(ContactState::Asking)
    );
    let accepted = two.relate(&bob, &alice, RelationChange::PutContact).await?;
    assert_eq!(accepted.shown_contact(), Some(ContactState::Contact));
    for session in [&mut alices, &mut bobs] {
        assert_eq!(
            contact(&own_entry(session).await),
            Some(ContactState::Contact)
        );
    }
    let page = one.contacts(&bob, None, None).await?;
    assert_eq!(page.people, [(alice.clone(), ContactState::Contact)]);
    assert!(!page.more);

    // The blocked hears of nothing: the next that comes is what follows.
    two.relate(&bob, &alice, RelationChange::Block).await?;
    two.relate(&bob, &alice, RelationChange::RemoveContact)
        .await?;
    assert_eq!(contact(&own_entry(&mut alices).await), None);
    let blocked = two.blocks(&bob, None, Some(1)).await?.people;
    assert_eq!(blocked, std::slice::from_ref(&alice));
    assert!(two.blocks(&alice, None, None).await?.people.is_empty());
    Ok(())
}

fn contact(entry: &UserEntry) -> Option<ContactState> {
    match &entry.kind {
        UserEntryKind::Contact(change) => change.state,
        other => panic!("an entry about a contact, not {other:?}"),
    }
}

#[tokio::test]
async fn a_change_that_was_begun_is_told_though_nobody_waits_for_it() -> Result {
    let [one, _] = nodes(Limits::default());
    let (alice, bob) = (user("alice"), user("bob"));
    let mut bobs = one.connect(&bob, device(1)).await?;
    let asking = one.relate(&alice, &bob, RelationChange::PutContact);
    // Begun, and then dropped.
    assert!(asking.now_or_never().is_none());
    assert_eq!(
        contact(&own_entry(&mut bobs).await),
        Some(ContactState::Asking)
    );
    Ok(())
}

#[tokio::test]
async fn a_relation_is_to_somebody_else_who_exists() -> Result {
    let [one, _] = nodes(Limits::default());
    let cases = [
        (
            "alice",
            "alice",
            RelationChange::PutContact,
            Code::BadRequest,
        ),
        ("alice", "alice", RelationChange::Block, Code::BadRequest),
        (
            "alice",
            "nobody",
            RelationChange::PutContact,
            Code::NotFound,
        ),
        ("alice", "nobody", RelationChange::Unblock, Code::NotFound),
        ("mute", "alice", RelationChange::PutContact, Code::Forbidden),
    ];
    for (from, to, change, code) in cases {
        let refused = one.relate(&user(from), &user(to), change).await;
        assert_eq!(
            refused.err().map(|rejection| rejection.code),
            Some(code),
            "{from} {change:?} {to}"
        );
    }
    one.relate(&user("mute"), &user("alice"), RelationChange::Block)
        .await?;
    let page = one.contacts(&user("alice"), None, Some(0)).await;
    assert_eq!(
        page.err().map(|rejection| rejection.code),
        Some(Code::BadRequest)
    );
    Ok(())
}

#[tokio::test]
async fn a_profile_is_told_to_all_devices() -> Result {
    let [one, two] = nodes(Limits::default());
    let alice = user("alice");
    let mut phone = two.connect(&alice, device(1)).await?;
    let change = ProfileChange {
        name: Some("Alice".into()),
        direct: Some(DirectFrom::Contacts),
    };
    let profile = one.set_profile(&alice, change.clone()).await?;
    assert_eq!(
        (profile.name.as_deref(), profile.direct),
        (Some("Alice"), DirectFrom::Contacts)
    );
    assert_eq!(
        own_entry(&mut phone).await.kind,
        UserEntryKind::Profile(change)
    );
    for (name, code) in [
        ("x".repeat(101), Code::TooLarge),
        ("a\nb".into(), Code::BadRequest),
    ] {
        let change = ProfileChange {
            name: Some(name),
            direct: None,
        };
        let refused = one.set_profile(&alice, change).await;
        assert_eq!(refused.err().map(|rejection| rejection.code), Some(code));
    }
    Ok(())
}

#[tokio::test]
async fn a_sync_tells_the_users_own_log_page_by_page() -> Result {
    let mut limits = Limits::default();
    (limits.page_entries_max, limits.sync_channels_max) = (4, 2);
    let [one, _] = nodes(limits);
    let alice = user("alice");
    let mut channels = BTreeSet::new();
    for name in ["bob", "carol", "dan", "eve", "fay"] {
        let sent = one
            .send(&alice, Draft::direct(&user(name), "hello"))
            .await?;
        channels.insert(sent.channel);
    }
    let channel = *channels.first().expect("there are five");
    for number in 1..=10 {
        one.run(
            &Caller::user(alice.clone()),
            prefs_op(channel, draft(&number.to_string())),
        )
        .await?;
    }
    for (user_seq, channels_told) in [(None, 5), (Some(Seq(3)), 5), (Some(Seq(10)), 5)] {
        let mut query = SyncQuery {
            user_seq,
            ..SyncQuery::default()
        };
        let (mut told, mut listed) = (Vec::new(), BTreeSet::new());
        loop {
            let answer = sync(&one, &alice, query.clone()).await?;
            told.extend(answer.user_entries.iter().map(|entry| entry.seq.0));
            listed.extend(answer.channels.iter().map(|summary| summary.channel));
            let last = told.last().copied().unwrap_or(10);
            assert_eq!(answer.user_seq.0, last, "the last entry that was told");
            query.page = answer.page;
            if query.page.is_none() {
                break;
            }
        }
        let after = user_seq.unwrap_or_default().0;
        assert_eq!(told, (after + 1..=10).collect::<Vec<_>>());
        assert_eq!(listed.len(), channels_told);
    }
    Ok(())
}
