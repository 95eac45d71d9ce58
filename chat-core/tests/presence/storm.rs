//! A thousand users who come and go, and watchers who cannot keep up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use chat_core::ports::{Clock, KeptStatus, PresenceBus, PresenceChange, PresenceStep};
use chat_core::proto::people::{Shown, Status};
use chat_core::proto::{NodeId, UserId};

use crate::world::{Client, World, pass, seconds, settle, user};

const USERS: usize = 1_000;

fn names() -> Vec<String> {
    (0..USERS)
        .map(|number| format!("user-{number:04}"))
        .collect()
}

/// All of them are seen otherwise in each round, on another node, `at_once` of them without anybody else getting to run.
async fn flap(world: &World, rounds: Range<u64>, at_once: usize) {
    let names = names();
    let change = |round: u64, name: &str| PresenceChange {
        user: user(name),
        node: NodeId::new("far"),
        node_epoch: 1,
        step: PresenceStep::Here(KeptStatus {
            state: if round.is_multiple_of(2) {
                Status::Away
            } else {
                Status::Busy
            },
            text: Some(round.to_string()),
            rev: round + 1,
        }),
        at: world.clock.now(),
    };
    let changes: Vec<PresenceChange> = rounds
        .flat_map(|round| names.iter().map(move |name| (round, name)))
        .map(|(round, name)| change(round, name))
        .collect();
    for part in changes.chunks(at_once) {
        let announced = world.bus.inner.announce(part).await;
        announced.expect("memory answers");
        tokio::task::yield_now().await;
    }
}

async fn watcher(world: &World) -> Client {
    let engine = world.node("a");
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.befriend("alice", &names).await;
    let mut alice = Client::connect(&engine, "alice", 1).await;
    settle(&mut [&mut alice]).await;
    assert_eq!(alice.watch_contacts().await.presence.len(), USERS);
    alice
}

#[tokio::test(start_paused = true)]
async fn a_storm_costs_each_watcher_one_push_of_each_user_in_two_seconds() {
    let world = World::new();
    let mut alice = watcher(&world).await;
    const ROUNDS: u64 = 50;
    let storm = Duration::from_millis(200);
    for round in 0..ROUNDS {
        flap(&world, round..round + 1, 250).await;
        pass(storm, &mut [&mut alice]).await;
    }
    pass(seconds(4), &mut [&mut alice]).await;
    let mut told: BTreeMap<UserId, Vec<_>> = BTreeMap::new();
    for (at, presence) in alice.told() {
        told.entry(presence.user.clone())
            .or_default()
            .push((at, presence));
    }
    assert_eq!(told.len(), USERS, "everybody was told");
    for pushes in told.values() {
        // The storm lasts ten seconds.
        assert!(pushes.len() <= 6, "{} pushes of one user", pushes.len());
        assert!(
            pushes
                .windows(2)
                .all(|pair| pair[1].0 - pair[0].0 >= seconds(2))
        );
        let last = &pushes.last().expect("there is one").1;
        assert_eq!(
            (last.state, last.text.as_deref()),
            (Shown::Busy, Some("49")),
            "the last state arrives"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_who_does_not_read_is_told_the_newest_of_each_user_once() {
    let world = World::new();
    let mut alice = watcher(&world).await;
    alice.reads = false;
    for round in 0..30 {
        flap(&world, round..round + 1, 250).await;
        pass(seconds(2), &mut [&mut alice]).await;
    }
    pass(seconds(4), &mut [&mut alice]).await;
    let told = alice.told();
    assert_eq!(
        told.len(),
        USERS,
        "one push a user waits, however many there were"
    );
    assert!(
        told.iter()
            .all(|(_, told)| told.text.as_deref() == Some("29"))
    );
    assert!(alice.session.closing().is_none(), "and the session goes on");
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_fills_the_feed_ends_with_the_last_states() {
    let world = World::new();
    let mut alice = watcher(&world).await;
    flap(&world, 0..5, 5 * USERS).await;
    pass(seconds(10), &mut [&mut alice]).await;
    let newest = alice.newest();
    assert_eq!(newest.len(), USERS);
    assert!(
        newest
            .values()
            .all(|told| told.text.as_deref() == Some("4"))
    );
}
