//! The cluster that tests run against, and keyspaces of their own in it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use chat_store_cassandra::{CassandraStore, Config, OpenError, apply_schema};
use chat_testkit::{Guard, Opened, Skip, StoreFactory, Stores};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use tokio::sync::OnceCell;

/// Contact points of a running cluster, as `127.0.0.1:9042`.
const VARIABLE: &str = "CHAT_TEST_CASSANDRA";
/// How keyspaces of tests begin; the id of the process follows.
const PREFIX: &str = "chat_test_";

static SWEPT: OnceCell<()> = OnceCell::const_new();
static SHARED: OnceCell<Config> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A configuration for a keyspace that is not there yet.
pub async fn fresh() -> Result<Config, Skip> {
    let points = std::env::var(VARIABLE).map_err(|_| Skip("cassandra"))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let keyspace = format!("{PREFIX}{}_{number}", std::process::id());
    let mut config = Config::new(points.split(','), keyspace);
    config.allow_single_node = config.contact_points.len() < 3;
    SWEPT.get_or_init(|| sweep(config.clone())).await;
    Ok(config)
}

/// A configuration for the keyspace that all cases of this process share: making one takes seconds.
async fn shared(bucket_entries: Option<u32>) -> Result<Config, Skip> {
    let config = SHARED.get_or_try_init(|| async {
        let mut config = fresh().await?;
        config.bucket_entries = bucket_entries.unwrap_or(config.bucket_entries);
        applied(&config).await.expect("the schema is applied");
        Ok(config)
    });
    config.await.cloned()
}

/// Stores as they are in service.
pub struct UsualBuckets;

/// Stores with a prime number of entries in a partition, so that nothing in a case falls on its borders by itself.
pub struct SmallBuckets;

#[async_trait]
impl StoreFactory for UsualBuckets {
    async fn open(&self) -> Result<Opened, Skip> {
        opened(shared(None).await?).await
    }
}

#[async_trait]
impl StoreFactory for SmallBuckets {
    async fn open(&self) -> Result<Opened, Skip> {
        opened(shared(Some(7)).await?).await
    }
}

async fn opened(config: Config) -> Result<Opened, Skip> {
    let store = open(&config).await.expect("the store opens");
    Ok(Opened::new(stores(store), Keyspace(config)))
}

/// The keyspace, which outlives each session.
struct Keyspace(Config);

#[async_trait]
impl Guard for Keyspace {
    async fn reopen(&mut self) -> Stores {
        let store = open(&self.0).await;
        stores(store.expect("the store opens again"))
    }
}

fn stores(store: CassandraStore) -> Stores {
    Stores::new(Arc::new(store))
}

/// A store in a keyspace of its own.
pub async fn store(config: &Config) -> CassandraStore {
    applied(config).await.expect("the schema is applied");
    open(config).await.expect("the store opens")
}

pub async fn open(config: &Config) -> Result<CassandraStore, OpenError> {
    CassandraStore::open_with(config.clone()).await
}

async fn applied(config: &Config) -> Result<(), OpenError> {
    apply_schema(config).await.map(drop)
}

/// A session that goes behind the store's back.
pub async fn session(config: &Config) -> Session {
    let builder = SessionBuilder::new().known_nodes(&config.contact_points);
    builder.build().await.expect("the cluster answers")
}

pub async fn run(session: &Session, cql: String) {
    session
        .query_unpaged(cql.as_str(), ())
        .await
        .unwrap_or_else(|error| panic!("{cql}: {error}"));
}

/// Drops what test processes that are gone have left.
async fn sweep(config: Config) {
    let session = session(&config).await;
    let result = session
        .query_unpaged("SELECT keyspace_name FROM system_schema.keyspaces", ())
        .await;
    let rows = result.expect("the cluster answers").into_rows_result();
    let rows = rows.expect("there are keyspaces");
    let names = rows.rows::<(String,)>().expect("they have names");
    for name in names.filter_map(Result::ok).map(|(name,)| name) {
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('_').next());
        let is_left = process.is_some_and(|process| {
            Path::new("/proc").exists() && !Path::new("/proc").join(process).exists()
        });
        if is_left {
            run(&session, format!("DROP KEYSPACE IF EXISTS {name}")).await;
        }
    }
}
