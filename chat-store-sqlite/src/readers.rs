//! The connections that read. Every read is one statement, and so one state of the database; nothing needs a
//! transaction that a dropped future could leave open.

use chat_core::ports::PortError;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use crate::error::read_error;
use crate::sql::rows::Binds;

/// A pool of connections that read.
#[derive(Clone, Debug)]
pub(crate) struct Readers(SqlitePool);

impl Readers {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self(pool)
    }

    /// All rows of a statement whose size is bounded by its arguments.
    pub(crate) async fn all(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
    ) -> Result<Vec<SqliteRow>, PortError> {
        let query = sqlx::query_with(sql, binds.finish());
        query
            .fetch_all(&self.0)
            .await
            .map_err(|error| read_error(op, error))
    }

    /// The first row, if there is one.
    pub(crate) async fn first(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
    ) -> Result<Option<SqliteRow>, PortError> {
        let query = sqlx::query_with::<_, SqliteArguments>(sql, binds.finish());
        query
            .fetch_optional(&self.0)
            .await
            .map_err(|error| read_error(op, error))
    }

    /// Takes rows for as long as `take` says so, and reads no further.
    pub(crate) async fn while_wanted(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
        mut take: impl FnMut(SqliteRow) -> Result<bool, PortError> + Send,
    ) -> Result<(), PortError> {
        use futures_util::TryStreamExt;
        let mut rows = sqlx::query_with::<_, SqliteArguments>(sql, binds.finish()).fetch(&self.0);
        while let Some(row) = rows
            .try_next()
            .await
            .map_err(|error| read_error(op, error))?
        {
            if !take(row)? {
                break;
            }
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}
