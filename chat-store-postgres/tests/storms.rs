//! Two and three engines over one database, with chaos between them and it: eight senders at once in one channel, members
//! removed and added, devices that come and go, answers that are lost; and writers over two stores, as two processes have them.

use std::sync::Arc;

use chat_core::ports::MessageStore;
use chat_store_postgres::{Config, PostgresStore};
use chat_testkit::Skip;
use chat_testkit::endurance::Endurance;
use chat_testkit::engine::{Ports, Scenario, seeds};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// Each takes some fifteen seconds.
const SEEDS: u64 = 2;

fn hold(scenario: Scenario) {
    let Some(url) = url() else { return };
    for seed in seeds(SEEDS) {
        for engines in [2, 3] {
            let schema = Schema::fresh(&url);
            let scenario = scenario.engines(engines);
            let verdict = scenario.run_in_real_time(seed, || async { Ports::over(schema.open().await) });
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
    let Some(url) = url() else { return };
    let schema = Schema::fresh(&url);
    let stores: [Arc<dyn MessageStore>; 2] =
        [Arc::new(schema.open().await), Arc::new(schema.open().await)];
    let writers = Endurance::over(stores.to_vec(), 1, 8).begin().await;
    writers.more(400).await;
    let endured = writers.end().await;
    assert_eq!(endured.breaches, [] as [String; 0]);
}

fn url() -> Option<String> {
    let url = std::env::var("CHAT_TEST_POSTGRES").ok();
    if url.is_none() {
        Skip("postgres").announce();
    }
    url
}

/// Tables of a run's own, which go with it.
struct Schema {
    url: String,
    name: String,
}

impl Schema {
    fn fresh(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: format!("storm_{}", Uuid::new_v4().simple()),
        }
    }

    async fn open(&self) -> PostgresStore {
        let config = Config::new(&self.url).schema(&self.name).expect("a good name");
        let store = PostgresStore::open_with(config.readers(4).writers(2)).await;
        store.expect("the store opens")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A run's runtime is gone, or is busy with dropping this.
        let (url, name) = (self.url.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a test may start a runtime");
            runtime.block_on(async {
                let mut db = PgConnection::connect(&url).await?;
                // A name made of letters and digits.
                let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE");
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await
            })
        });
        assert!(dropped.join().is_ok_and(|dropped| dropped.is_ok()));
    }
}
