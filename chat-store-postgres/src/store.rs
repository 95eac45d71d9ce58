//! The store: open, close, health.

use std::sync::{Arc, Mutex, PoisonError};

use chat_core::ports::{PortError, Retry};
use chat_proto::Epoch;
use sqlx::Connection;
use uuid::Uuid;

use crate::config::{CONNECT_TIME_MAX, Config};
use crate::error::{OpenError, read_error};
use crate::health::{Health, HealthCell};
use crate::open::{Connector, open};
use crate::readers::Readers;
use crate::sql::meta;
use crate::sql::rows::{Binds, run};
use crate::writer::WriteQueues;

/// `MessageStore`, `InboxStore`, `UserStore` and `Accounts` in a PostgreSQL database. Cheap to clone; all clones are the same
/// store, and any number of stores, in any number of processes, may be open on one database.
///
/// # Cancellation
/// Dropping the future of a write leaves the write going on. Dropping the last clone lets the writers finish what is
/// queued in the background; [`close`](Self::close) waits for it.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pub(crate) readers: Readers,
    pub(crate) writers: WriteQueues,
    pub(crate) epoch: EpochCell,
    connector: Connector,
    health: Arc<HealthCell>,
}

impl PostgresStore {
    /// Opens the store in the database with this URL, and makes its tables where they are missing; see [`Config::new`].
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_with(Config::new(url)).await
    }

    /// Opens a store with these settings. Must be called on a Tokio runtime, which then carries the writers.
    ///
    /// # Errors
    /// When the database cannot be reached, is too old, keeps no UTF-8, takes no writes, was written by a newer version, or
    /// when a crash would undo what it says it has committed.
    pub async fn open_with(config: Config) -> Result<Self, OpenError> {
        let opened = open(&config).await?;
        let writers = config.writers as usize;
        let health = Arc::new(HealthCell::new(writers));
        Ok(Self {
            readers: Readers::new(opened.readers, config.readers),
            writers: WriteQueues::start(&opened.writers, writers, &health),
            epoch: EpochCell(Arc::new(Mutex::new(opened.epoch))),
            connector: opened.writers,
            health,
        })
    }

    /// Whether the store takes writes.
    pub fn health(&self) -> Health {
        self.health.read()
    }

    /// Begins another life of the store, and answers its epoch: after an older state of the database was restored, what
    /// clients know may be more than what the logs hold, and a new epoch tells them to begin anew. The store's generation
    /// rises with it.
    ///
    /// Other servers go on with the epoch that they read when they opened the store: stop them before, and start them after.
    ///
    /// # Errors
    /// `unavailable` when the database cannot be reached. After `Retry::Unknown` it may be done; once more does no harm.
    pub async fn draw_new_epoch(&self) -> Result<Epoch, PortError> {
        const OP: &str = "store.draw_new_epoch";
        let unreached = |error| PortError::unavailable(OP, Retry::Safe).with_source(error);
        let mut db = self.connector.connect().await.map_err(unreached)?;
        let epoch = Uuid::new_v4();
        let mut binds = Binds::default();
        binds.add(epoch);
        let drawn = tokio::time::timeout(CONNECT_TIME_MAX, run(&mut db, meta::NEW_EPOCH, binds));
        match drawn.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let failure = read_error(OP, error);
                let in_doubt = PortError::new(failure.kind(), Retry::Unknown, OP);
                return Err(in_doubt.with_source(failure));
            }
            Err(_) => return Err(PortError::unavailable(OP, Retry::Unknown)),
        }
        drop(tokio::time::timeout(CONNECT_TIME_MAX, db.close()).await);
        let epoch = Epoch::from_uuid(epoch);
        self.epoch.set(epoch);
        Ok(epoch)
    }

    /// Writes what is queued and lets go of the database. Reads and writes that come later are refused as unavailable.
    /// Closing again does nothing.
    ///
    /// # Errors
    /// When a writer has ended before its time; what was acknowledged is in the database all the same.
    pub async fn close(&self) -> Result<(), PortError> {
        self.readers.close();
        self.writers.close().await
    }
}

/// The epoch as this store knows it, shared by its clones.
#[derive(Clone, Debug)]
pub(crate) struct EpochCell(Arc<Mutex<Epoch>>);

impl EpochCell {
    pub(crate) fn current(&self) -> Epoch {
        // An epoch is whole at any time.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, epoch: Epoch) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }
}
