//! Copying the write-ahead log into the database, between two transactions.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};

use crate::config::{
    CHECKPOINT_LOOK_BYTES, CHECKPOINT_LOOK_COMMITS, CHECKPOINT_PAGES, CHECKPOINT_PAGES_MAX,
};
use crate::sql::meta;

/// How much was written since the log was looked at.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    commits: u32,
    bytes: usize,
}

impl Checkpoints {
    /// A commit of so many bytes was made.
    pub(super) fn count(&mut self, bytes: usize) {
        self.commits += 1;
        self.bytes += bytes;
    }

    /// Copies the log if it has grown long.
    pub(super) async fn keep_up(&mut self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.commits < CHECKPOINT_LOOK_COMMITS && self.bytes < CHECKPOINT_LOOK_BYTES {
            return Ok(());
        }
        *self = Self::default();
        let length = pages(db, meta::CHECKPOINT_LOOK).await?;
        if length >= CHECKPOINT_PAGES_MAX {
            // Readers that follow each other closely keep the log from starting over; now they wait for it once.
            pages(db, meta::CHECKPOINT_RESTART).await?;
        } else if length >= CHECKPOINT_PAGES {
            pages(db, meta::CHECKPOINT_PASSIVE).await?;
        }
        Ok(())
    }
}

/// Copies everything and leaves an empty log.
pub(super) async fn finish(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    pages(db, meta::CHECKPOINT_TRUNCATE).await.map(drop)
}

async fn pages(db: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    db.fetch_one(sql).await?.try_get("log")
}
