//! The connections that read. Every read is one statement, and so one state of the database; nothing needs a
//! transaction that a dropped future could leave open.
//!
//! A pool of our own, since sqlx's asks each connection that comes back how it is, without a bound on the answer: a server that
//! vanishes without a word would hold its places for as long as the system believes in the connection. Here a connection comes
//! back only when it has answered, and any other is closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_core::ports::{PortError, PortErrorKind, Retry};
use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::Semaphore;

use crate::config::{READ_TIME_MAX, READ_TRIES_MAX, READ_WAIT_MAX};
use crate::error::{Cause, OpenError, cause, read_error};
use crate::open::Connector;
use crate::sql::rows::Binds;

/// Connections that read. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    /// A permit a connection that may be in use.
    places: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

impl Readers {
    pub(crate) fn new(connector: Connector, places: u32) -> Self {
        Self(Arc::new(Inner {
            connector,
            places: Semaphore::new(places as usize),
            idle: Mutex::default(),
        }))
    }

    /// All rows of a statement whose size is bounded by its arguments. A connection that was lost since it was used last
    /// is replaced.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection that it used.
    pub(crate) async fn all(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
    ) -> Result<Vec<PgRow>, PortError> {
        match tokio::time::timeout(READ_TIME_MAX, self.read(op, sql, binds)).await {
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

    /// Closes what is idle, and lets nobody begin to read.
    pub(crate) fn close(&self) {
        self.0.places.close();
        self.0.idle().clear();
    }

    async fn read(
        &self,
        op: &'static str,
        sql: &'static str,
        binds: Binds,
    ) -> Result<Vec<PgRow>, PortError> {
        let refused = |why: &'static str| PortError::unavailable(op, Retry::Safe).with_source(why);
        let place = tokio::time::timeout(READ_WAIT_MAX, self.0.places.acquire()).await;
        let place = place.map_err(|_| refused("the reads before it took too long"))?;
        let _place = place.map_err(|_| refused("the store is closed"))?;
        let mut tries = 1;
        loop {
            let connected = self.0.connection().await;
            let mut db = connected
                .map_err(|error| PortError::unavailable(op, Retry::Safe).with_source(error))?;
            let query = sqlx::query_with(sql, binds.clone().finish());
            match query.fetch_all(&mut db).await {
                Ok(rows) => {
                    self.0.keep(db);
                    return Ok(rows);
                }
                Err(error) if cause(&error) == Cause::Lost && tries < READ_TRIES_MAX => {
                    // What took this one took the others.
                    self.0.idle().clear();
                    tries += 1;
                }
                Err(error) => return Err(read_error(op, error)),
            }
        }
    }
}

impl Inner {
    async fn connection(&self) -> Result<PgConnection, OpenError> {
        let idle = self.idle().pop();
        match idle {
            Some(db) => Ok(db),
            None => self.connector.connect().await,
        }
    }

    fn keep(&self, db: PgConnection) {
        if !self.places.is_closed() {
            self.idle().push(db);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        // A list is whole at any time.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
