//! A schema of its own for each case, in a server that all of them share.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::time::Duration;

use chat_store_postgres::{Config, PostgresStore};
use chat_testkit::Skip;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use uuid::Uuid;

/// Names the server that the tests share.
pub(crate) const URL_VARIABLE: &str = "CHAT_TEST_POSTGRES";

/// The URL of the server that the tests share.
pub(crate) fn url() -> Result<String, Skip> {
    std::env::var(URL_VARIABLE).map_err(|_| Skip("postgres"))
}

/// A schema that nobody else uses, dropped with this.
pub(crate) struct Schema {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Schema {
    pub(crate) fn new(url: String) -> Self {
        let name = format!("case_{}", Uuid::new_v4().simple());
        Self { url, name }
    }

    /// Settings for few connections: many cases run side by side.
    pub(crate) fn config(&self) -> Config {
        let config = Config::new(self.url.as_str()).readers(2).writers(2);
        config.schema(&self.name).expect("a good name")
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        let opened = PostgresStore::open_with(self.config()).await;
        opened.expect("a store opens")
    }
}

impl Drop for Schema {
    /// On a thread of its own: the case's runtime may be about to end. What cannot be dropped stays behind.
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.expect("a test may start threads");
            runtime.block_on(async {
                let dropped = async {
                    let options: PgConnectOptions = url.parse().expect("a URL");
                    // Writers of this case may be in the middle of something, on threads that wait for this one.
                    let options = options.options([("lock_timeout", "2s")]);
                    let Ok(mut db) = options.connect().await else {
                        return;
                    };
                    let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE");
                    drop(db.execute(AssertSqlSafe(sql)).await);
                };
                drop(tokio::time::timeout(Duration::from_secs(10), dropped).await);
            });
        });
        drop(dropping.join());
    }
}
