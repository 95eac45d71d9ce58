//! One opened store, whatever it is.

use std::error::Error;
use std::sync::Arc;

use chat_core::EngineBuilder;
use chat_core::ports::{Accounts, InboxStore, MessageStore, PortError};
#[cfg(feature = "cassandra")]
use chat_proto::ChannelId;
use chat_proto::Epoch;
#[cfg(feature = "cassandra")]
use chat_store_cassandra as cassandra;
#[cfg(feature = "postgres")]
use chat_store_postgres as postgres;
use chat_store_sqlite as sqlite;

use super::error::StoresError;
use super::url::StoreUrl;

/// How long a store that is asked whether it is there may take to answer.
#[cfg(feature = "cassandra")]
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// One opened store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub(super) enum Adapter {
    Sqlite(sqlite::SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::PostgresStore>),
    #[cfg(feature = "cassandra")]
    Cassandra(cassandra::CassandraStore),
}

/// One opened store that holds users and accounts.
#[derive(Clone)]
pub(super) enum People {
    Sqlite(sqlite::SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::PostgresStore>),
}

/// From a URL to a store.
impl Adapter {
    pub(super) async fn open(url: &StoreUrl) -> Result<Self, StoresError> {
        match url {
            StoreUrl::Sqlite(path) => Ok(Self::Sqlite(sqlite::SqliteStore::open(path).await?)),
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(network) => {
                let config = postgres::Config::new(network.whole());
                let opened = postgres::PostgresStore::open_with(config).await;
                let store = opened.map_err(failed(url))?;
                Ok(Self::Postgres(Box::new(store)))
            }
            #[cfg(feature = "cassandra")]
            StoreUrl::Cassandra(network) => {
                let config: cassandra::Config = network.whole().parse().map_err(failed(url))?;
                // A large future; only whoever opens such a store pays for it.
                let opened = Box::pin(cassandra::CassandraStore::open_with(config)).await;
                opened.map(Self::Cassandra).map_err(failed(url))
            }
            #[cfg(not(all(feature = "postgres", feature = "cassandra")))]
            left_out => Err(StoresError::left_out(left_out)),
        }
    }

    /// Makes what is missing of the store's schema.
    pub(super) async fn apply_schema(url: &StoreUrl) -> Result<(), StoresError> {
        match url {
            // These two bring their schema up to date whenever they are opened.
            StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => {
                let opened = Self::open(url).await?;
                opened.close().await.map_err(failed(url))
            }
            #[cfg(feature = "cassandra")]
            StoreUrl::Cassandra(network) => {
                let config: cassandra::Config = network.whole().parse().map_err(failed(url))?;
                let applied = cassandra::apply_schema(&config).await;
                applied.map(drop).map_err(failed(url))
            }
            #[cfg(not(feature = "cassandra"))]
            left_out => Err(StoresError::left_out(left_out)),
        }
    }

    /// Begins another life of the store.
    pub(super) async fn draw_new_epoch(url: &StoreUrl) -> Result<Epoch, StoresError> {
        match url {
            StoreUrl::Sqlite(path) => {
                let config = sqlite::Config::new(path);
                Ok(sqlite::draw_new_epoch(&config).await?)
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(network) => {
                let config = postgres::Config::new(network.whole());
                let store = postgres::PostgresStore::open_with(config).await;
                let store = store.map_err(failed(url))?;
                let drawn = store.draw_new_epoch().await;
                let closed = store.close().await;
                let epoch = drawn.map_err(failed(url))?;
                closed.map_err(failed(url))?;
                Ok(epoch)
            }
            #[cfg(feature = "cassandra")]
            StoreUrl::Cassandra(network) => {
                let config: cassandra::Config = network.whole().parse().map_err(failed(url))?;
                cassandra::draw_new_epoch(&config)
                    .await
                    .map_err(failed(url))
            }
            #[cfg(not(all(feature = "postgres", feature = "cassandra")))]
            left_out => Err(StoresError::left_out(left_out)),
        }
    }
}

impl Adapter {
    pub(super) fn messages(&self) -> Arc<dyn MessageStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            #[cfg(feature = "cassandra")]
            Self::Cassandra(store) => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new((**store).clone()),
        }
    }

    pub(super) fn inbox(&self) -> Arc<dyn InboxStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            #[cfg(feature = "cassandra")]
            Self::Cassandra(store) => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new((**store).clone()),
        }
    }

    /// The store as that of users and accounts, where it holds any.
    pub(super) fn people(&self) -> Option<People> {
        match self {
            Self::Sqlite(store) => Some(People::Sqlite(store.clone())),
            #[cfg(feature = "cassandra")]
            Self::Cassandra(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Some(People::Postgres(store.clone())),
        }
    }

    /// Why the store takes no writes, if it takes none.
    pub(super) async fn refusal(&self) -> Option<String> {
        match self {
            Self::Sqlite(store) => match store.health() {
                sqlite::Health::Writable => None,
                sqlite::Health::Refusing { why } => Some(why),
                other => Some(format!("the store is not writable: {other:?}")),
            },
            #[cfg(feature = "cassandra")]
            Self::Cassandra(store) => silence_of(store).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => match store.health() {
                postgres::Health::Writable => None,
                postgres::Health::Refusing { why } => Some(why),
                other => Some(format!("the store is not writable: {other:?}")),
            },
        }
    }

    pub(super) async fn close(&self) -> Result<(), PortError> {
        match self {
            Self::Sqlite(store) => store.close().await,
            #[cfg(feature = "cassandra")]
            Self::Cassandra(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.close().await,
        }
    }
}

impl People {
    /// The builder with this store as that of users.
    pub(super) fn give(&self, builder: EngineBuilder) -> EngineBuilder {
        match self {
            Self::Sqlite(store) => builder.users(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => builder.users((**store).clone()),
        }
    }

    pub(super) fn accounts(&self) -> Arc<dyn Accounts> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new((**store).clone()),
        }
    }
}

/// The driver keeps no account of whether enough nodes are there: a quorum is asked for a log that need not exist.
#[cfg(feature = "cassandra")]
async fn silence_of(store: &cassandra::CassandraStore) -> Option<String> {
    let asked = [ChannelId::external("is anybody there")];
    match tokio::time::timeout(ANSWER_MAX, store.heads(&asked)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("Cassandra does not answer: {error}")),
        Err(_) => Some(format!(
            "Cassandra does not answer within {} s",
            ANSWER_MAX.as_secs()
        )),
    }
}

/// For `map_err`: names the store.
fn failed<E: Into<Box<dyn Error + Send + Sync>>>(url: &StoreUrl) -> impl FnOnce(E) -> StoresError {
    let store = url.to_string();
    move |error| StoresError::Network {
        store,
        source: error.into(),
    }
}
