//! Inboxes held to the contract of their port, over logs that tell them what was appended.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{InboxStore, MessageStore};
use chat_store_cassandra::config::BUCKET_ENTRIES;
use chat_store_cassandra::{CassandraStore, Config};
use chat_testkit::{FannedOut, Guard, Opened, Skip, StoreFactory, Stores};
use tokio::sync::OnceCell;

mod cluster;

static CASES: OnceCell<Config> = OnceCell::const_new();
/// Engines work off whatever notes they find, also those that a case has just left.
static ENGINES: OnceCell<Config> = OnceCell::const_new();

static FEW: OnceCell<Config> = OnceCell::const_new();

/// Stores in a keyspace that several cases share: making one takes seconds.
struct Inboxes {
    keyspace: &'static OnceCell<Config>,
    bucket_entries: u32,
}

const CASES_OF_ALL: Inboxes = Inboxes {
    keyspace: &CASES,
    bucket_entries: BUCKET_ENTRIES,
};
const WITH_ENGINES: Inboxes = Inboxes {
    keyspace: &ENGINES,
    bucket_entries: BUCKET_ENTRIES,
};
/// With so few entries in a partition of a log that what is read of a large channel lies in several.
const WITH_FEW: Inboxes = Inboxes {
    keyspace: &FEW,
    bucket_entries: 7,
};

#[async_trait]
impl StoreFactory for Inboxes {
    async fn open(&self) -> Result<Opened, Skip> {
        let config = self.keyspace.get_or_try_init(|| async {
            let mut config = cluster::fresh().await?;
            config.bucket_entries = self.bucket_entries;
            drop(cluster::store(&config).await);
            Ok(config)
        });
        let config = config.await?.clone();
        Ok(Opened::new(stores(&config).await, Keyspace(config)))
    }
}

struct Keyspace(Config);

#[async_trait]
impl Guard for Keyspace {
    async fn reopen(&mut self) -> Stores {
        stores(&self.0).await
    }
}

async fn stores(config: &Config) -> Stores {
    let store = cluster::open(config).await.expect("the store opens");
    let store: Arc<CassandraStore> = Arc::new(store);
    let (messages, inbox): (Arc<dyn MessageStore>, Arc<dyn InboxStore>) = (store.clone(), store);
    let messages = FannedOut::over(messages, Arc::clone(&inbox));
    Stores::new(messages).with_inbox(inbox)
}

chat_testkit::inbox_store_suite!(CASES_OF_ALL);
chat_testkit::hostile_entries!(WITH_ENGINES);
chat_testkit::log_store_model!(CASES_OF_ALL);

mod few_entries {
    use super::WITH_FEW;

    chat_testkit::inbox_store_suite!(WITH_FEW);
}
