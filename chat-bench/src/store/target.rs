//! Stores opened by their URLs.

use std::sync::Arc;

use chat_core::ports::{InboxStore, MessageStore};
use chat_store_cassandra::CassandraStore;
use chat_store_postgres::PostgresStore;
use chat_store_sqlite::SqliteStore;

use crate::error::Error;
use crate::places::{Place, failed, is_cassandra, is_postgres};

/// An opened store.
pub(super) struct Target {
    pub(super) messages: Arc<dyn MessageStore>,
    pub(super) inbox: Arc<dyn InboxStore>,
    opened: Opened,
}

enum Opened {
    Sqlite(SqliteStore),
    Postgres(Box<PostgresStore>),
    Cassandra,
}

impl Target {
    pub(super) async fn open(place: &Place) -> Result<Self, Error> {
        let unusable = |error: String| Error::Invalid(format!("{}: {error}", place.shown()));
        if let Some(path) = place.file() {
            let store = SqliteStore::open(path).await;
            let store = store.map_err(|error| unusable(error.to_string()))?;
            return Ok(Self {
                messages: Arc::new(store.clone()),
                inbox: Arc::new(store.clone()),
                opened: Opened::Sqlite(store),
            });
        }
        if is_postgres(&place.url) {
            let store = PostgresStore::open(&place.url).await;
            let store = store.map_err(|error| unusable(error.to_string()))?;
            return Ok(Self {
                messages: Arc::new(store.clone()),
                inbox: Arc::new(store.clone()),
                opened: Opened::Postgres(Box::new(store)),
            });
        }
        if is_cassandra(&place.url) {
            let store = Box::pin(CassandraStore::open_with(place.cassandra()?)).await;
            let store = store.map_err(|error| unusable(error.to_string()))?;
            return Ok(Self {
                messages: Arc::new(store.clone()),
                inbox: Arc::new(store),
                opened: Opened::Cassandra,
            });
        }
        Err(unusable(
            "write sqlite:PATH, postgres://… or cassandra://…".to_owned(),
        ))
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        let closed = match &self.opened {
            Opened::Sqlite(store) => store.close().await,
            Opened::Postgres(store) => store.close().await,
            // Its connections end with it.
            Opened::Cassandra => Ok(()),
        };
        closed.map_err(|error| failed("closing the store", error))
    }
}
