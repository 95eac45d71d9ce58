//! The connections that read. Every read is one statement, and so one state of the database; nothing needs a
//! transaction that a dropped future could leave open.

use std::sync::Arc;

use chat_core::ports::{PortError, PortErrorKind, Retry};
use sqlx::postgres::{PgPool, PgRow};

use crate::config::{READ_TIME_MAX, READ_TRIES_MAX};
use crate::error::{Cause, cause, read_error};
use crate::health::HealthCell;
use crate::sql::rows::Binds;

/// A pool of connections that read.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    pool: PgPool,
    health: Arc<HealthCell>,
}

impl Readers {
    pub(crate) fn new(pool: PgPool, health: Arc<HealthCell>) -> Self {
        Self { pool, health }
    }

    /// All rows of a statement whose size is bounded by its arguments. A connection that was lost since it was used last
    /// is replaced.
    pub(crate) async fn all(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
    ) -> Result<Vec<PgRow>, PortError> {
        let read = async {
            let mut tries = 1;
            loop {
                if let Some(why) = self.health.all_away() {
                    return Err(PortError::unavailable(op, Retry::Safe).with_source(why));
                }
                let query = sqlx::query_with(sql, binds.clone().finish());
                match query.fetch_all(&self.pool).await {
                    Ok(rows) => return Ok(rows),
                    Err(error) if tries < READ_TRIES_MAX && cause(&error) == Cause::Lost => {
                        tries += 1;
                    }
                    Err(error) => return Err(read_error(op, error)),
                }
            }
        };
        match tokio::time::timeout(READ_TIME_MAX, read).await {
            Ok(read) => read,
            Err(_) => Err(PortError::new(PortErrorKind::Timeout, Retry::Safe, op)),
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn first(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
    ) -> Result<Option<PgRow>, PortError> {
        let rows = self.all(op, sql, binds).await?;
        Ok(rows.into_iter().next())
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
