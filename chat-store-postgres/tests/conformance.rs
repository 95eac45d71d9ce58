//! The store held to the contracts of its four ports, on a real server.

use std::sync::Arc;

use async_trait::async_trait;
use chat_store_postgres::PostgresStore;
use chat_testkit::{Guard, Opened, Skip, StoreFactory, Stores};
use common::Schema;

mod common;

struct PostgresSchemas;

#[async_trait]
impl StoreFactory for PostgresSchemas {
    async fn open(&self) -> Result<Opened, Skip> {
        let schema = Schema::new(common::url()?);
        let store = schema.open().await;
        Ok(Opened::new(stores(&store), Case { schema, store }))
    }
}

/// A case's schema, which goes with it.
struct Case {
    schema: Schema,
    store: PostgresStore,
}

#[async_trait]
impl Guard for Case {
    async fn reopen(&mut self) -> Stores {
        self.store.close().await.expect("the store closes");
        self.store = self.schema.open().await;
        stores(&self.store)
    }
}

fn stores(store: &PostgresStore) -> Stores {
    Stores::new(Arc::new(store.clone()))
        .with_inbox(Arc::new(store.clone()))
        .with_users(Arc::new(store.clone()))
        .with_accounts(Arc::new(store.clone()))
}

chat_testkit::message_store_suite!(PostgresSchemas);
chat_testkit::inbox_store_suite!(PostgresSchemas);
chat_testkit::user_store_suite!(PostgresSchemas);
chat_testkit::accounts_suite!(PostgresSchemas);
chat_testkit::user_store_model!(PostgresSchemas);
chat_testkit::hostile_entries!(PostgresSchemas);
chat_testkit::log_store_model!(PostgresSchemas);
