//! Two and three engines over one database, with chaos between them and it: eight senders at once in one channel, members
//! removed and added, devices that come and go, answers that are lost; and writers over two stores, as two processes have them.

mod common;

use std::sync::Arc;

use chat_core::ports::MessageStore;
use chat_testkit::endurance::Endurance;
use chat_testkit::engine::{Ports, Scenario, seeds};

use common::{Schema, url};

/// Each takes some fifteen seconds.
const SEEDS: u64 = 2;

fn hold(scenario: Scenario) {
    for seed in seeds(SEEDS) {
        for engines in [2, 3] {
            let Some(schema) = fresh() else { return };
            let scenario = scenario.engines(engines);
            let verdict =
                scenario.run_in_real_time(seed, || async { Ports::over(schema.open().await) });
            verdict.assert_clean();
        }
    }
}

#[test]
fn a_group_in_a_storm() {
    hold(Scenario::storm());
}

#[test]
fn two_users_in_a_storm() {
    hold(Scenario::storm().direct());
}

#[test]
fn a_large_channel_in_a_storm() {
    hold(Scenario::storm().large());
}

#[test]
fn a_group_by_hints_alone() {
    hold(Scenario::pauses());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_over_two_stores_write_one_log() {
    let Some(schema) = fresh() else { return };
    let stores: [Arc<dyn MessageStore>; 2] =
        [Arc::new(schema.open().await), Arc::new(schema.open().await)];
    let writers = Endurance::over(stores.to_vec(), 1, 8).begin().await;
    writers.more(400).await;
    let endured = writers.end().await;
    assert_eq!(endured.breaches, [] as [String; 0]);
}

/// Tables of a run's own; nothing where there is no server.
fn fresh() -> Option<Schema> {
    match url() {
        Ok(url) => Some(Schema::new(url)),
        Err(skip) => {
            skip.announce();
            None
        }
    }
}
