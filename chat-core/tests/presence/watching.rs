//! Who may watch whom, and what it costs.

use std::time::Duration;

use chat_core::proto::Code;
use chat_core::proto::people::{RelationChange, Shown, Status};
use chat_core::proto::wire::{Answer, ClientOp, Unwatch, Watch};
use chat_core::{Caller, Engine, EngineSettings};

use crate::world::{Client, World, offline, pass, presence, seconds, settle, two, user};

#[tokio::test(start_paused = true)]
async fn only_contacts_may_be_watched() {
    let world = World::new();
    let engine = world.node("a");
    world.befriend("alice", &["bob"]).await;
    world
        .relate("alice", "carol", RelationChange::PutContact)
        .await;
    world
        .relate("dave", "alice", RelationChange::PutContact)
        .await;
    let mut carol = Client::connect(&engine, "carol", 1).await;
    let mut alice = Client::connect(&engine, "alice", 2).await;
    settle(&mut [&mut carol, &mut alice]).await;
    let answer = alice
        .watch(&["bob", "carol", "dave", "erin", "alice", "bob"])
        .await;
    assert_eq!(answer.presence, [offline("bob", None)]);
    assert_eq!(
        answer.refused,
        ["alice", "carol", "dave", "erin"].map(user),
        "who was only asked, who only asks, strangers and oneself"
    );
    carol.say(Status::Busy, None).await;
    pass(seconds(5), &mut [&mut carol, &mut alice]).await;
    assert_eq!(alice.states(), [], "nobody hears of who is no contact");
    let all = alice.watch_contacts().await;
    assert_eq!((all.presence.len(), all.refused.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn contacts_are_watched_over_all_pages() {
    let world = World::new();
    let engine = world.node("a");
    let names: Vec<String> = (0..1_203)
        .map(|number| format!("friend-{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.befriend("alice", &names).await;
    let mut alice = Client::connect(&engine, "alice", 1).await;
    let answer = alice.watch_contacts().await;
    assert_eq!((answer.presence.len(), answer.refused.len()), (1_203, 0));
    let mut last = Client::connect(&engine, "friend-999", 2).await;
    settle(&mut [&mut alice, &mut last]).await;
    assert_eq!(
        alice.newest().into_values().collect::<Vec<_>>(),
        [presence("friend-999", Shown::Online, None)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_blocked_cannot_tell() {
    let world = World::new();
    let engine = world.node("a");
    world.befriend("alice", &["bob", "carol"]).await;
    world.relate("bob", "alice", RelationChange::Block).await;
    let mut bob = Client::connect(&engine, "bob", 1).await;
    let mut alice = Client::connect(&engine, "alice", 2).await;
    settle(&mut [&mut bob, &mut alice]).await;
    let answer = alice.watch(&["carol", "bob"]).await;
    assert_eq!(
        answer.presence,
        [offline("bob", None), offline("carol", None)]
    );
    assert_eq!(answer.refused, []);
    bob.say(Status::Busy, None).await;
    pass(seconds(5), &mut [&mut bob, &mut alice]).await;
    drop(bob);
    pass(seconds(60), &mut [&mut alice]).await;
    assert_eq!(alice.states(), []);
    assert_eq!(alice.watch(&["bob"]).await.presence, [offline("bob", None)]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_watches_so_many_and_no_more() {
    let world = World::new();
    let mut settings = EngineSettings::default();
    settings.watches_per_session_max = 3;
    let engine = world.node_with("a", settings);
    world
        .befriend("alice", &["bob", "carol", "dave", "erin"])
        .await;
    let mut alice = Client::connect(&engine, "alice", 1).await;
    assert_eq!(alice.watch(&["bob", "carol"]).await.presence.len(), 2);
    let watch = |names: [&str; 2]| ClientOp::Watch(Watch::Users(names.map(user).to_vec()));
    let refused = alice.ask(watch(["dave", "erin"])).await;
    assert_eq!(refused, Err(Code::TooLarge));
    let refused = alice.ask(ClientOp::Watch(Watch::Contacts)).await;
    assert_eq!(refused, Err(Code::TooLarge));
    // Who is watched already counts once.
    assert_eq!(alice.watch(&["bob", "dave"]).await.presence.len(), 2);
    alice.unwatch(&["bob"]).await;
    assert_eq!(alice.watch(&["erin"]).await.presence.len(), 1);
    let mut bob = Client::connect(&engine, "bob", 2).await;
    pass(seconds(3), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), []);
}

#[tokio::test(start_paused = true)]
async fn watching_needs_a_connection() {
    let world = World::new();
    let engine = world.node("a");
    for op in [
        ClientOp::Watch(Watch::Contacts),
        ClientOp::Unwatch(Unwatch { users: Vec::new() }),
    ] {
        let refused = engine.run(&Caller::user(user("alice")), op).await;
        assert_eq!(
            refused.map_err(|rejection| rejection.code),
            Err::<Answer, _>(Code::BadRequest)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_bus_hears_of_a_user_once_a_node_and_of_the_end() {
    let world = World::new();
    let engine = world.node("a");
    world.befriend("alice", &["bob", "carol"]).await;
    world.befriend("dave", &["bob"]).await;
    let mut alice = Client::connect(&engine, "alice", 1).await;
    let mut phone = Client::connect(&engine, "alice", 2).await;
    let mut dave = Client::connect(&engine, "dave", 3).await;
    settle(&mut [&mut alice]).await;
    for client in [&mut alice, &mut phone, &mut dave] {
        client.watch(&["bob"]).await;
    }
    phone.watch_contacts().await;
    assert_eq!(
        world.bus.watches(),
        (vec![user("bob"), user("carol")], Vec::new())
    );
    phone.unwatch(&["bob", "carol", "erin"]).await;
    settle(&mut [&mut alice]).await;
    assert_eq!(world.bus.watches(), (Vec::new(), vec![user("carol")]));
    drop((alice, phone));
    settle(&mut [&mut dave]).await;
    assert_eq!(world.bus.watches(), (Vec::new(), Vec::new()));
    drop(dave);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(world.bus.watches(), (Vec::new(), vec![user("bob")]));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_once_in_two_seconds_and_of_the_last_state() {
    let (_world, _engine, mut alice, mut bob) = two().await;
    alice.watch(&["bob"]).await;
    for round in 0..50 {
        let status = if round % 2 == 0 {
            Status::Away
        } else {
            Status::Busy
        };
        bob.say(status, Some(&round.to_string())).await;
        pass(Duration::from_millis(150), &mut [&mut alice, &mut bob]).await;
    }
    pass(seconds(3), &mut [&mut alice, &mut bob]).await;
    let told = alice.told();
    assert!(
        told.windows(2)
            .all(|pair| pair[1].0 - pair[0].0 >= seconds(2)),
        "at most one push in two seconds: {told:?}"
    );
    assert!((4..=5).contains(&told.len()), "and one in each: {told:?}");
    let last = told.last().map(|(_, told)| told.clone());
    assert_eq!(last, Some(presence("bob", Shown::Busy, Some("49"))));
    // Back to what was told before the interval is over: nothing to tell.
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    bob.say(Status::Away, None).await;
    settle(&mut [&mut alice, &mut bob]).await;
    bob.say(Status::Online, None).await;
    bob.say(Status::Away, None).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), [Shown::Away]);
}

#[tokio::test(start_paused = true)]
async fn after_unwatch_nothing_comes() {
    let (_world, _engine, mut alice, mut bob) = two().await;
    alice.watch(&["bob"]).await;
    bob.say(Status::Away, None).await;
    settle(&mut [&mut alice, &mut bob]).await;
    // One more is put off, and taken back.
    bob.say(Status::Busy, None).await;
    settle(&mut [&mut alice, &mut bob]).await;
    alice.unwatch(&["bob"]).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), [Shown::Away]);
}

/// Alice watches Bob from two nodes, and Bob is here.
async fn watched_from_two_nodes() -> (World, Engine, Client, Client, Client) {
    let world = World::new();
    let (near, far) = (world.node("a"), world.node("b"));
    world.befriend("alice", &["bob"]).await;
    let mut bob = Client::connect(&near, "bob", 1).await;
    let mut alice = Client::connect(&near, "alice", 2).await;
    let mut phone = Client::connect(&far, "alice", 3).await;
    settle(&mut [&mut bob, &mut alice, &mut phone]).await;
    for client in [&mut alice, &mut phone] {
        client.watch(&["bob"]).await;
    }
    (world, near, alice, phone, bob)
}

#[tokio::test(start_paused = true)]
async fn who_is_no_contact_any_more_is_seen_to_go() {
    for (who, whom) in [("alice", "bob"), ("bob", "alice")] {
        let (world, engine, mut alice, mut phone, mut bob) = watched_from_two_nodes().await;
        pass(seconds(9), &mut [&mut bob, &mut alice, &mut phone]).await;
        let now_ms = world.now_ms();
        engine
            .relate(&user(who), &user(whom), RelationChange::RemoveContact)
            .await
            .expect("the change is kept");
        settle(&mut [&mut bob, &mut alice, &mut phone]).await;
        bob.say(Status::Busy, None).await;
        pass(seconds(5), &mut [&mut bob, &mut alice, &mut phone]).await;
        for client in [&mut alice, &mut phone] {
            let told: Vec<_> = client.told().into_iter().map(|(_, told)| told).collect();
            assert_eq!(told, [offline("bob", Some(now_ms))]);
            assert_eq!(client.watch(&["bob"]).await.refused, [user("bob")]);
        }
        let (_, unwatched) = world.bus.watches();
        assert_eq!(unwatched, [user("bob"), user("bob")], "of both nodes");
    }
}

#[tokio::test(start_paused = true)]
async fn who_blocks_a_watcher_is_seen_to_go() {
    let (_world, engine, mut alice, mut phone, mut bob) = watched_from_two_nodes().await;
    bob.say(Status::Away, None).await;
    settle(&mut [&mut bob, &mut alice, &mut phone]).await;
    engine
        .relate(&user("bob"), &user("alice"), RelationChange::Block)
        .await
        .expect("the change is kept");
    settle(&mut [&mut bob, &mut alice, &mut phone]).await;
    bob.say(Status::Busy, None).await;
    pass(seconds(5), &mut [&mut bob, &mut alice, &mut phone]).await;
    for client in [&mut alice, &mut phone] {
        assert_eq!(client.states(), [Shown::Away, Shown::Offline]);
        let answer = client.watch(&["bob"]).await;
        assert_eq!(answer.presence, [offline("bob", None)]);
        assert_eq!(answer.refused, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocker_who_is_offline_already_is_not_seen_to_go_again() {
    let (_world, engine, mut alice, mut phone, bob) = watched_from_two_nodes().await;
    drop(bob);
    pass(seconds(40), &mut [&mut alice, &mut phone]).await;
    assert_eq!(alice.states(), [Shown::Offline]);
    engine
        .relate(&user("bob"), &user("alice"), RelationChange::Block)
        .await
        .expect("the change is kept");
    pass(seconds(5), &mut [&mut alice, &mut phone]).await;
    assert_eq!(alice.states(), []);
}
