//! When users go: by silence, by log-out, and when they do not.

use std::time::Duration;

use chat_core::proto::people::Shown;
use tokio::time::Instant;

use crate::world::{Client, World, device, offline, pass, presence, seconds, settle, user};

/// Alice watches Bob, who is here with one device.
async fn alice_watches_bob() -> (World, chat_core::Engine, Client, Client) {
    let world = World::new();
    let engine = world.node("a");
    world.befriend("alice", &["bob"]).await;
    let bob = Client::silent(&engine, "bob", 1).await;
    let mut alice = Client::connect(&engine, "alice", 2).await;
    settle(&mut [&mut alice]).await;
    let answer = alice.watch(&["bob"]).await;
    assert_eq!(answer.presence, [presence("bob", Shown::Online, None)]);
    assert_eq!(answer.refused, []);
    (world, engine, alice, bob)
}

fn assert_thirty_seconds(silence: Duration) {
    assert!(
        (seconds(29)..=seconds(31)).contains(&silence),
        "offline 30 s after the last sign of life, give or take one: {silence:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_is_offline_thirty_seconds_after_the_last_frame() {
    // At every phase of the wheel, the connection open or dropped.
    for phase_ms in [0, 130, 499, 500, 777, 999] {
        for drops in [false, true] {
            let (world, _engine, mut alice, mut bob) = alice_watches_bob().await;
            pass(Duration::from_millis(7_000 + phase_ms), &mut [&mut alice]).await;
            bob.beat();
            let (heard_at, heard_ms) = (Instant::now(), world.now_ms());
            pass(seconds(3), &mut [&mut alice]).await;
            let mut kept = Some(bob);
            if drops {
                kept = None;
            }
            pass(seconds(60), &mut [&mut alice]).await;
            let told = alice.told();
            assert_eq!(told.len(), 1, "one push: {told:?}");
            assert_eq!(told[0].1, offline("bob", Some(heard_ms)));
            assert_thirty_seconds(told[0].0 - heard_at);
            drop(kept);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn log_out_is_seen_at_once() {
    let (world, engine, mut alice, bob) = alice_watches_bob().await;
    pass(seconds(5), &mut [&mut alice]).await;
    engine.revoke(&user("bob"), device(1)).await;
    let out_ms = world.now_ms();
    settle(&mut [&mut alice]).await;
    assert_eq!(
        alice.newest()[&user("bob")],
        offline("bob", Some(out_ms)),
        "though the session still says its last words"
    );
    drop(bob);
    pass(seconds(60), &mut [&mut alice]).await;
    assert_eq!(alice.states(), []);
}

#[tokio::test(start_paused = true)]
async fn log_out_after_the_connection_broke_is_seen_at_once() {
    let (_world, engine, mut alice, bob) = alice_watches_bob().await;
    drop(bob);
    pass(seconds(5), &mut [&mut alice]).await;
    assert_eq!(alice.states(), []);
    engine.revoke(&user("bob"), device(1)).await;
    settle(&mut [&mut alice]).await;
    assert_eq!(alice.states(), [Shown::Offline]);
}

#[tokio::test(start_paused = true)]
async fn who_is_back_within_thirty_seconds_was_never_away() {
    let (world, engine, mut alice, bob) = alice_watches_bob().await;
    world.bus.announced();
    drop(bob);
    pass(seconds(29), &mut [&mut alice]).await;
    let mut bob = Client::connect(&engine, "bob", 1).await;
    pass(seconds(90), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), []);
    assert_eq!(world.bus.announced(), [], "nor does the bus hear of it");
}

#[tokio::test(start_paused = true)]
async fn beats_never_reach_the_bus() {
    let (world, _engine, mut alice, mut bob) = alice_watches_bob().await;
    world.bus.announced();
    bob.beats = true;
    pass(seconds(300), &mut [&mut alice, &mut bob]).await;
    assert_eq!(world.bus.announced(), []);
    assert_eq!(alice.states(), []);
}

#[tokio::test(start_paused = true)]
async fn a_user_is_online_until_the_last_device_is_gone() {
    let (_world, engine, mut alice, bob) = alice_watches_bob().await;
    let mut phone = Client::connect(&engine, "bob", 3).await;
    drop(bob);
    pass(seconds(90), &mut [&mut alice, &mut phone]).await;
    assert_eq!(alice.states(), [], "the other device is still here");
    engine.revoke(&user("bob"), device(1)).await;
    pass(seconds(5), &mut [&mut alice, &mut phone]).await;
    assert_eq!(
        alice.states(),
        [],
        "nor does its log-out end more than itself"
    );
    engine.revoke(&user("bob"), device(3)).await;
    settle(&mut [&mut alice]).await;
    assert_eq!(alice.states(), [Shown::Offline]);
}

#[tokio::test(start_paused = true)]
async fn the_last_sign_of_life_of_any_device_counts() {
    let (world, engine, mut alice, mut bob) = alice_watches_bob().await;
    let phone = Client::silent(&engine, "bob", 3).await;
    pass(seconds(20), &mut [&mut alice]).await;
    // Heard last, gone first.
    bob.beat();
    let (heard_at, heard_ms) = (Instant::now(), world.now_ms());
    drop(bob);
    pass(seconds(2), &mut [&mut alice]).await;
    drop(phone);
    pass(seconds(60), &mut [&mut alice]).await;
    let told = alice.told();
    assert_eq!(told.len(), 1, "one push: {told:?}");
    assert_eq!(told[0].1, offline("bob", Some(heard_ms)));
    assert_thirty_seconds(told[0].0 - heard_at);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_while_another_logs_out_is_here() {
    let (_world, engine, mut alice, bob) = alice_watches_bob().await;
    engine.revoke(&user("bob"), device(1)).await;
    // The first session is told to go, and has not gone.
    let mut phone = Client::connect(&engine, "bob", 3).await;
    pass(seconds(3), &mut [&mut alice, &mut phone]).await;
    drop(bob);
    pass(seconds(60), &mut [&mut alice, &mut phone]).await;
    let states = alice.states();
    assert!(
        states.is_empty() || states.last() == Some(&Shown::Online),
        "whoever is here is seen so in the end: {states:?}"
    );
    assert_eq!(
        alice.watch(&["bob"]).await.presence,
        [presence("bob", Shown::Online, None)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_of_two_nodes_is_online_until_the_last_one_is_left() {
    let (world, near, mut alice, bob) = alice_watches_bob().await;
    let far = world.node("b");
    let mut phone = Client::connect(&far, "bob", 3).await;
    drop(bob);
    pass(seconds(90), &mut [&mut alice, &mut phone]).await;
    assert_eq!(alice.states(), []);
    // A log-out is told on any node.
    near.revoke(&user("bob"), device(3)).await;
    settle(&mut [&mut alice]).await;
    assert_eq!(alice.states(), [Shown::Offline]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_ends_takes_its_users_with_it() {
    let (world, near, mut alice, bob) = alice_watches_bob().await;
    let far = world.node("b");
    let mut carol = Client::connect(&far, "carol", 4).await;
    world.befriend("carol", &["bob"]).await;
    assert_eq!(carol.watch(&["bob"]).await.presence.len(), 1);
    settle(&mut [&mut alice, &mut carol]).await;
    near.shutdown().await;
    settle(&mut [&mut carol]).await;
    assert_eq!(carol.states(), [Shown::Offline]);
    drop((alice, bob));
}
