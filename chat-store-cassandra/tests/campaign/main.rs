//! Three real nodes that are killed, frozen and started again while writers go on: what was acknowledged is there once, at its
//! place, and whatever had no answer was settled. A store that settles by reading does not pass.

mod cluster;

use std::sync::Arc;
use std::time::Duration;

use chat_core::ports::MessageStore;
use chat_store_cassandra::{CassandraStore, apply_schema};
use chat_testkit::Skip;
use chat_testkit::broken::{ResolvesByReading, TwistedMessages};
use chat_testkit::endurance::{Endurance, Endured, Enduring};
use chat_testkit::engine::SEED_VARIABLE;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use cluster::Cluster;

/// Rounds that freeze nodes, of which every third freezes two.
const FREEZES: usize = 14;
/// Rounds that kill a node.
const KILLS: usize = 6;
/// Messages that are acknowledged between two rounds.
const BETWEEN: u64 = 40;
/// Around the time after which a node gives up waiting for the others, 5 s.
const FROZEN_MS: std::ops::Range<u64> = 1_500..6_500;
const CHANNELS: usize = 4;
/// Eight writers of a channel, half of them through each of two stores.
const WRITERS: usize = 8;

/// One thing that happens to the cluster.
#[derive(Clone, Copy, Debug)]
enum Round {
    Freeze { nodes: [Option<usize>; 2], ms: u64 },
    Kill { node: usize },
}

#[test]
#[ignore = "takes some ten minutes on an idle machine: scripts/campaign"]
fn acknowledged_messages_survive_nodes_that_die_and_freeze() {
    let Some(cluster) = started() else { return };
    let rounds = rounds(seed(), FREEZES, KILLS);
    let endured = run(&cluster, rounds, |store| store);
    println!("{endured:?}");
    assert_eq!(endured.breaches, [] as [String; 0]);
    assert!(endured.unknown > 0, "nothing was left without an answer");
}

/// The same writers, nodes and seed: until the first append that came after it was read to be absent.
#[test]
#[ignore = "takes as long: scripts/campaign"]
fn who_settles_by_reading_is_found_out() {
    let Some(cluster) = started() else { return };
    for try_number in 0..8 {
        let rounds = rounds(seed() + try_number, FREEZES, 0);
        let endured = run(&cluster, rounds, |inner| {
            Arc::new(TwistedMessages::new(inner, ResolvesByReading))
        });
        println!("{endured:?}");
        if !endured.breaches.is_empty() {
            return;
        }
    }
    panic!("a store that settles by reading passed");
}

/// One campaign at a time holds the cluster; where it cannot be started the test is skipped.
fn started() -> Option<Cluster> {
    match Cluster::start() {
        Ok(cluster) => Some(cluster),
        Err(why) => {
            eprintln!("{why}");
            Skip("cassandra").announce();
            None
        }
    }
}

fn seed() -> u64 {
    let seed = std::env::var(SEED_VARIABLE).ok();
    seed.map_or(1, |seed| seed.parse().expect("CHAT_SEED is a number"))
}

fn rounds(seed: u64, freezes: usize, kills: usize) -> Vec<Round> {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut rounds = Vec::new();
    for number in 0..freezes {
        let first = dice.random_range(1..=cluster::NODES);
        let second = first % cluster::NODES + 1;
        rounds.push(Round::Freeze {
            nodes: [Some(first), (number % 3 == 0).then_some(second)],
            ms: dice.random_range(FROZEN_MS),
        });
    }
    rounds.extend((0..kills).map(|_| Round::Kill {
        node: dice.random_range(1..=cluster::NODES),
    }));
    rounds.shuffle(&mut dice);
    rounds
}

async fn campaign(cluster: &Cluster, rounds: Vec<Round>, writers: &Enduring) {
    for round in rounds {
        writers.more(BETWEEN).await;
        println!("{round:?}, {} acknowledged", writers.acknowledged());
        match round {
            Round::Freeze { nodes, ms } => {
                for node in nodes.into_iter().flatten() {
                    cluster.signal(node, "STOP");
                }
                tokio::time::sleep(Duration::from_millis(ms)).await;
                for node in nodes.into_iter().flatten() {
                    cluster.signal(node, "CONT");
                }
            }
            Round::Kill { node } => {
                cluster.signal(node, "KILL");
                // The other two go on by themselves.
                writers.more(BETWEEN).await;
                cluster.bring_back();
            }
        }
    }
    writers.more(BETWEEN).await;
}

/// Lets writers go over two stores on the cluster until the rounds are over.
fn run(
    cluster: &Cluster,
    rounds: Vec<Round>,
    wrap: impl Fn(Arc<dyn MessageStore>) -> Arc<dyn MessageStore>,
) -> Endured {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test may start a runtime");
    runtime.block_on(async {
        let config = cluster.config();
        apply_schema(&config).await.expect("the schema is made");
        let mut stores = Vec::new();
        for _ in 0..2 {
            let store = CassandraStore::open_with(config.clone()).await;
            stores.push(Arc::new(store.expect("the store opens")) as Arc<dyn MessageStore>);
        }
        let calm = Arc::clone(&stores[0]);
        let stores = stores.into_iter().map(wrap).collect();
        let endurance = Endurance::over(stores, CHANNELS, WRITERS).begun_through(calm);
        let writers = endurance.begin().await;
        campaign(cluster, rounds, &writers).await;
        writers.end().await
    })
}
