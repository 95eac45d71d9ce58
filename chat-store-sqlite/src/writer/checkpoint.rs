//! Copying the write-ahead log into the database.
//!
//! The bulk is copied by a second connection while the writer goes on. When it is done, the writer copies the little
//! that came meanwhile between two transactions; then the whole log is copied, and the next write begins at its start.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor, Row};
use tokio::task::JoinHandle;

use crate::config::{
    CHECKPOINT_LOOK_BYTES, CHECKPOINT_LOOK_COMMITS, CHECKPOINT_PAGES, CHECKPOINT_PAGES_MAX,
};
use crate::sql::meta;

/// When the log was last looked at, and who copies it.
pub(super) struct Checkpoints {
    commits: u32,
    bytes: usize,
    copier: Copier,
}

/// The second connection, at rest or at work.
enum Copier {
    Resting(SqliteConnection),
    Copying(JoinHandle<(SqliteConnection, Result<i64, sqlx::Error>)>),
    /// Lost with a task that panicked: the writer copies by itself.
    Gone,
}

impl Checkpoints {
    pub(super) fn new(copier: SqliteConnection) -> Self {
        Self {
            commits: 0,
            bytes: 0,
            copier: Copier::Resting(copier),
        }
    }

    /// A commit of so many bytes was made.
    pub(super) fn count(&mut self, bytes: usize) {
        self.commits += 1;
        self.bytes += bytes;
    }

    /// Sees to it that a long log is copied; called between two transactions.
    pub(super) async fn keep_up(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.has_copied() {
            self.rest().await?;
            pages(db, meta::CHECKPOINT_PASSIVE).await?;
        }
        if self.commits < CHECKPOINT_LOOK_COMMITS && self.bytes < CHECKPOINT_LOOK_BYTES {
            return Ok(());
        }
        (self.commits, self.bytes) = (0, 0);
        let length = pages(db, meta::CHECKPOINT_LOOK).await?;
        if length >= CHECKPOINT_PAGES_MAX {
            // Readers that follow each other closely keep the log from starting over; now the writer waits for them.
            self.rest().await?;
            pages(db, meta::CHECKPOINT_RESTART).await?;
        } else if length >= CHECKPOINT_PAGES {
            self.copy(db).await?;
        }
        Ok(())
    }

    /// Copies everything, leaves an empty log, and lets go of the second connection.
    pub(super) async fn finish(mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let rested = self.rest().await;
        if let Copier::Resting(copier) = self.copier {
            copier.close().await?;
        }
        pages(db, meta::CHECKPOINT_TRUNCATE).await?;
        rested
    }

    /// Begins to copy beside the writer, if that is not going on.
    async fn copy(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match std::mem::replace(&mut self.copier, Copier::Gone) {
            Copier::Resting(mut copier) => {
                self.copier = Copier::Copying(tokio::spawn(async move {
                    let copied = pages(&mut copier, meta::CHECKPOINT_PASSIVE).await;
                    (copier, copied)
                }));
            }
            Copier::Copying(task) => self.copier = Copier::Copying(task),
            Copier::Gone => drop(pages(db, meta::CHECKPOINT_PASSIVE).await?),
        }
        Ok(())
    }

    fn has_copied(&self) -> bool {
        match &self.copier {
            Copier::Copying(task) => task.is_finished(),
            Copier::Resting(_) | Copier::Gone => false,
        }
    }

    /// Waits for the second connection, and hears how it went.
    async fn rest(&mut self) -> Result<(), sqlx::Error> {
        match std::mem::replace(&mut self.copier, Copier::Gone) {
            Copier::Copying(task) => {
                let (copier, copied) = task.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
                self.copier = Copier::Resting(copier);
                copied.map(drop)
            }
            resting @ Copier::Resting(_) => {
                self.copier = resting;
                Ok(())
            }
            Copier::Gone => Ok(()),
        }
    }
}

async fn pages(db: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    db.fetch_one(sql).await?.try_get("log")
}
