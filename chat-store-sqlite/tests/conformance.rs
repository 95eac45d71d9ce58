//! The store held to the contracts of its four ports, on real files.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chat_store_sqlite::SqliteStore;
use chat_testkit::{Guard, Opened, Skip, StoreFactory, Stores};
use tempfile::TempDir;

struct SqliteFiles;

#[async_trait]
impl StoreFactory for SqliteFiles {
    async fn open(&self) -> Result<Opened, Skip> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(path(&folder))
            .await
            .expect("a new store opens");
        Ok(Opened::new(stores(&store), File { folder, store }))
    }
}

/// A store's folder, which goes with the case.
struct File {
    folder: TempDir,
    store: SqliteStore,
}

#[async_trait]
impl Guard for File {
    async fn reopen(&mut self) -> Stores {
        self.store.close().await.expect("the store closes");
        self.store = SqliteStore::open(path(&self.folder))
            .await
            .expect("the store opens again");
        stores(&self.store)
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("chat.db")
}

fn stores(store: &SqliteStore) -> Stores {
    Stores::new(Arc::new(store.clone()))
        .with_inbox(Arc::new(store.clone()))
        .with_users(Arc::new(store.clone()))
        .with_accounts(Arc::new(store.clone()))
}

chat_testkit::message_store_suite!(SqliteFiles);
chat_testkit::inbox_store_suite!(SqliteFiles);
chat_testkit::user_store_suite!(SqliteFiles);
chat_testkit::accounts_suite!(SqliteFiles);
chat_testkit::user_store_model!(SqliteFiles);
chat_testkit::hostile_entries!(SqliteFiles);
chat_testkit::log_store_model!(SqliteFiles);
