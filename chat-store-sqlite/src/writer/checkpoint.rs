//! Copying the write-ahead log into the database.
//!
//! The bulk is copied by a second connection while the writer goes on. When it is done, the writer copies the little
//! that came meanwhile between two transactions; then the whole log is copied, and the next write begins at its start.
//!
//! After a body was erased the log is emptied as well, soon: it holds pages as they were before.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor, Row};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{
    CHECKPOINT_LOOK_BYTES, CHECKPOINT_LOOK_COMMITS, CHECKPOINT_PAGES, CHECKPOINT_PAGES_MAX,
    ERASURE_WAIT_MAX,
};
use crate::sql::meta;

/// When the log was last looked at, and who copies it.
pub(super) struct Checkpoints {
    commits: u32,
    bytes: usize,
    /// Something was erased; the log is emptied then at the latest.
    erased: Option<Instant>,
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
            erased: None,
            copier: Copier::Resting(copier),
        }
    }

    /// A commit of so many bytes was made, which erased something or nothing.
    pub(super) fn count(&mut self, bytes: usize, erases: bool) {
        if erases {
            self.erased
                .get_or_insert_with(|| Instant::now() + ERASURE_WAIT_MAX);
        }
        self.commits += 1;
        self.bytes += bytes;
    }

    /// Sees to it that a long log is copied; called between two transactions.
    pub(super) async fn keep_up(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.has_copied() {
            self.rest().await?;
            self.finish_copy(db).await?;
        }
        if self.erased.is_some_and(|due| due <= Instant::now()) {
            self.rest().await?;
            return self.empty(db).await;
        }
        if self.commits < CHECKPOINT_LOOK_COMMITS && self.bytes < CHECKPOINT_LOOK_BYTES {
            return Ok(());
        }
        (self.commits, self.bytes) = (0, 0);
        let length = pages(db, meta::CHECKPOINT_LOOK).await?;
        if length >= CHECKPOINT_PAGES_MAX {
            // Readers that follow each other closely keep the log from starting over; now the writer waits for them.
            self.rest().await?;
            if self.erased.is_some() {
                self.empty(db).await?;
            } else {
                pages(db, meta::CHECKPOINT_RESTART).await?;
            }
        } else if length >= CHECKPOINT_PAGES {
            self.copy(db).await?;
        }
        Ok(())
    }

    /// Ends when it is time to keep up though nothing is written.
    pub(super) async fn due(&self) {
        match self.erased {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Copies what came while the bulk was copied.
    async fn finish_copy(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.erased.is_some() {
            self.empty(db).await
        } else {
            pages(db, meta::CHECKPOINT_PASSIVE).await.map(drop)
        }
    }

    /// Copies everything and leaves an empty log. Where a reader is in the way for too long it is tried again later.
    async fn empty(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        // Before anything else: a checkpoint that fails is no reason to try it at once and for ever.
        self.erased = Some(Instant::now() + ERASURE_WAIT_MAX);
        let row = db.fetch_one(meta::CHECKPOINT_TRUNCATE).await?;
        if row.try_get::<i64, _>("busy")? == 0 {
            self.erased = None;
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
