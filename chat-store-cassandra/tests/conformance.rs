//! The store held to the contract of its port, on a real cluster.

use std::sync::Arc;

use async_trait::async_trait;
use chat_store_cassandra::{CassandraStore, Config};
use chat_testkit::{Guard, Opened, Skip, StoreFactory, Stores};

mod cluster;

struct Cluster;

#[async_trait]
impl StoreFactory for Cluster {
    async fn open(&self) -> Result<Opened, Skip> {
        let config = cluster::shared().await?;
        let store = cluster::open(&config).await.expect("the store opens");
        Ok(Opened::new(stores(store), Keyspace(config)))
    }
}

/// The keyspace, which outlives each session.
struct Keyspace(Config);

#[async_trait]
impl Guard for Keyspace {
    async fn reopen(&mut self) -> Stores {
        let store = cluster::open(&self.0).await;
        stores(store.expect("the store opens again"))
    }
}

fn stores(store: CassandraStore) -> Stores {
    Stores::new(Arc::new(store))
}

chat_testkit::message_store_suite!(Cluster);
