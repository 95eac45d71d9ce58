//! Two and three engines over one keyspace, with chaos between them and it: eight senders at once in one channel, members
//! removed and added, devices that come and go, answers that are lost; and writers over two stores, as two processes have them.

mod cluster;

use std::sync::Arc;

use chat_core::ports::MessageStore;
use chat_store_cassandra::Config;
use chat_testkit::endurance::Endurance;
use chat_testkit::engine::{Ports, Scenario, seeds};

/// Each takes some twenty seconds.
const SEEDS: u64 = 1;
/// So few entries in a partition that logs roll over all the time, also between a command and its retry.
const FEW: u32 = 7;

fn hold(scenario: Scenario, bucket_entries: Option<u32>) {
    for seed in seeds(SEEDS) {
        for engines in [2, 3] {
            let Some(config) = fresh(bucket_entries) else {
                return;
            };
            let scenario = scenario.engines(engines);
            let ports = || async { Ports::over(cluster::store(&config).await) };
            scenario.run_in_real_time(seed, ports).assert_clean();
        }
    }
}

#[test]
fn a_group_in_a_storm() {
    hold(Scenario::storm(), None);
}

#[test]
fn two_users_in_a_storm() {
    hold(Scenario::storm().direct(), None);
}

#[test]
fn a_large_channel_in_a_storm() {
    hold(Scenario::storm().large(), None);
}

#[test]
fn a_group_by_hints_alone() {
    hold(Scenario::pauses(), None);
}

#[test]
fn a_log_that_rolls_over_in_a_storm() {
    hold(Scenario::storm(), Some(FEW));
}

#[test]
fn eight_writers_over_two_stores_write_one_log() {
    for bucket_entries in [None, Some(FEW)] {
        let Some(config) = fresh(bucket_entries) else {
            return;
        };
        let endured = runtime().block_on(async {
            let mut stores: Vec<Arc<dyn MessageStore>> =
                vec![Arc::new(cluster::store(&config).await)];
            let other = cluster::open(&config).await.expect("the store opens");
            stores.push(Arc::new(other));
            let writers = Endurance::over(stores, 1, 8).begin().await;
            writers.more(200).await;
            writers.end().await
        });
        assert_eq!(endured.breaches, [] as [String; 0]);
    }
}

/// A keyspace of a run's own; nothing where there is no cluster.
fn fresh(bucket_entries: Option<u32>) -> Option<Config> {
    match runtime().block_on(cluster::fresh()) {
        Ok(mut config) => {
            config.bucket_entries = bucket_entries.unwrap_or(config.bucket_entries);
            Some(config)
        }
        Err(skip) => {
            skip.announce();
            None
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test may start a runtime")
}
