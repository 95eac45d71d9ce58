//! The store: open, close, health.

use std::path::Path;
use std::sync::Arc;

use chat_core::ports::PortError;
use chat_proto::Epoch;

use crate::config::Config;
use crate::error::OpenError;
use crate::health::{Health, HealthCell};
use crate::open::open;
use crate::readers::Readers;
use crate::writer::WriteQueue;

/// `MessageStore`, `InboxStore`, `UserStore` and `Accounts` in one SQLite file. Cheap to clone; all clones are the same
/// store.
///
/// # Cancellation
/// Dropping the future of a write leaves the write going on. Dropping the last clone lets the writer finish what is
/// queued in the background; [`close`](Self::close) waits for it.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(crate) readers: Readers,
    pub(crate) writer: WriteQueue,
    pub(crate) epoch: Epoch,
    health: Arc<HealthCell>,
}

impl SqliteStore {
    /// Opens the store in this file, or makes it.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(Config::new(path)).await
    }

    /// Opens a store with these settings. Must be called on a Tokio runtime, which then carries the writer.
    ///
    /// # Errors
    /// When the file is in use, cannot be read or written, is no store, was written by a newer version, or when SQLite
    /// would not wait for the disk before it says that something is written.
    pub async fn open_with(config: Config) -> Result<Self, OpenError> {
        let opened = open(&config).await?;
        let health = Arc::new(HealthCell::default());
        let writer = WriteQueue::start(opened.writer, Arc::clone(&health));
        Ok(Self {
            readers: Readers::new(opened.readers),
            writer,
            epoch: opened.epoch,
            health,
        })
    }

    /// Whether the store takes writes.
    pub fn health(&self) -> Health {
        self.health.read()
    }

    /// Writes what is queued, copies the write-ahead log into the database and lets go of the file. Reads and writes
    /// that come later are refused as unavailable. Closing again does nothing.
    ///
    /// # Errors
    /// When the last checkpoint failed: everything acknowledged is in the log beside the file all the same.
    pub async fn close(&self) -> Result<(), PortError> {
        self.readers.close().await;
        self.writer.close().await
    }
}
