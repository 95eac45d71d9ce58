//! A writer's loop: take what is queued, one transaction, answers; and a new connection where one was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::ports::{AppendOutcome, Retry};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::sync::{Notify, mpsc};

use super::queue::{Request, Work};
use super::transaction::{self, Outcome};
use crate::config::{
    AWAY_RETRY, BATCH_BYTES_MAX, BATCH_WRITES_MAX, COMMIT_TIME_MAX, CONNECT_TIME_MAX,
    TRANSACTION_TIME_MAX, TRANSACTION_TRIES_MAX,
};
use crate::error::{
    Cause, OpenError, WriteFailure, cause, is_surely_rolled_back, kind_of, retry_of_undone,
};
use crate::health::HealthCell;
use crate::open::Connector;
use crate::sql::meta;

/// How long a transaction that met another one waits before it begins anew, times the tries so far.
const CONFLICT_WAIT: Duration = Duration::from_millis(5);

/// A task that owns a connection which writes.
pub(super) struct Writer {
    /// Which of the writers.
    number: usize,
    connector: Connector,
    link: Link,
    requests: mpsc::Receiver<Request>,
    closing: Arc<Notify>,
    health: Arc<HealthCell>,
}

/// The writer's connection.
enum Link {
    Up(PgConnection),
    /// There is none, and the next transaction makes one.
    Cut,
    /// None could be made; the next try is due at `retry_at`, and waits `wait` for the one after it.
    Away {
        retry_at: Instant,
        wait: Duration,
    },
}

/// Why a transaction failed.
struct Failed {
    cause: Cause,
    retry: Retry,
    why: String,
    /// Beginning anew at once may help.
    again: bool,
}

impl Failed {
    /// It was surely not committed.
    fn undone(source: &sqlx::Error) -> Self {
        let cause = cause(source);
        Self {
            cause,
            retry: retry_of_undone(source),
            why: source.to_string(),
            again: matches!(cause, Cause::Conflict | Cause::Lost),
        }
    }

    /// Perhaps it was committed.
    fn in_doubt(cause: Cause, why: String) -> Self {
        Self {
            cause,
            retry: Retry::Unknown,
            why,
            again: false,
        }
    }

    /// It was surely not committed, and took too long.
    fn slow(why: &str) -> Self {
        Self {
            cause: Cause::Temporary,
            retry: Retry::Safe,
            why: why.into(),
            again: false,
        }
    }

    fn to_failure(&self) -> WriteFailure {
        WriteFailure {
            kind: kind_of(self.cause),
            retry: self.retry,
            why: self.why.clone(),
        }
    }
}

impl Writer {
    pub(super) fn new(
        number: usize,
        connector: Connector,
        requests: mpsc::Receiver<Request>,
        closing: Arc<Notify>,
        health: Arc<HealthCell>,
    ) -> Self {
        Self {
            number,
            connector,
            link: Link::Cut,
            requests,
            closing,
            health,
        }
    }

    /// Writes until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            if let Link::Away { retry_at, wait } = self.link {
                if !self.wait_to_return(retry_at, wait).await {
                    break;
                }
                continue;
            }
            let Some(batch) = self.next_batch().await else {
                break;
            };
            // A transaction holds locks of channels or of people.
            let (people, channels): (Vec<Request>, Vec<Request>) =
                batch.into_iter().partition(Request::is_about_people);
            self.write(channels).await;
            self.write(people).await;
        }
        if let Link::Up(db) = self.link {
            // A server that does not hear the farewell notices by itself.
            drop(tokio::time::timeout(CONNECT_TIME_MAX, db.close()).await);
        }
    }

    /// Everything that waits, within bounds; nothing when the queue is closed and empty.
    async fn next_batch(&mut self) -> Option<Vec<Request>> {
        let first = loop {
            tokio::select! {
                biased;
                () = self.closing.notified() => self.requests.close(),
                first = self.requests.recv() => break first?,
            }
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(request) = next {
            if request.claim() {
                bytes += request.bytes;
                batch.push(request);
            }
            let room = batch.len() < BATCH_WRITES_MAX && bytes < BATCH_BYTES_MAX;
            next = room.then(|| self.requests.try_recv().ok()).flatten();
        }
        Some(batch)
    }

    /// Refuses what comes until it is time to try again; false when the queue is closed and empty.
    async fn wait_to_return(&mut self, retry_at: Instant, wait: Duration) -> bool {
        let due = tokio::time::sleep_until(retry_at.into());
        tokio::pin!(due);
        loop {
            tokio::select! {
                biased;
                () = self.closing.notified() => self.requests.close(),
                request = self.requests.recv() => match request {
                    Some(request) if request.claim() => request.fail(&self.refusal()),
                    Some(_) => {}
                    None => return false,
                },
                () = &mut due => break,
            }
        }
        match self.connector.connect().await {
            Ok(db) => {
                self.link = Link::Up(db);
                self.health.recover(self.number);
            }
            Err(error) => self.go_away(&error, wait),
        }
        true
    }

    fn refusal(&self) -> WriteFailure {
        let refusal = self.health.refusal(self.number, Instant::now());
        refusal.unwrap_or_else(|| WriteFailure::away("the database does not answer"))
    }

    fn go_away(&mut self, error: &OpenError, wait: Duration) {
        let [_, wait_max] = AWAY_RETRY;
        self.health.away(self.number, error);
        self.link = Link::Away {
            retry_at: Instant::now() + wait,
            wait: (2 * wait).min(wait_max),
        };
    }

    /// Writes all of these in one transaction; each by itself where one of them makes it impossible.
    async fn write(&mut self, batch: Vec<Request>) {
        if batch.is_empty() {
            return;
        }
        if let Some(failure) = self.health.refusal(self.number, Instant::now()) {
            return batch.into_iter().for_each(|request| request.fail(&failure));
        }
        match self.commit(&batch).await {
            Ok(outcomes) => answer_all(batch, outcomes),
            Err(failed) if failed.cause == Cause::Damage && batch.len() > 1 => {
                for request in batch {
                    let alone = vec![request];
                    match self.commit(&alone).await {
                        Ok(outcomes) => answer_all(alone, outcomes),
                        Err(failed) => self.fail_all(alone, &failed),
                    }
                }
            }
            Err(failed) => self.fail_all(batch, &failed),
        }
    }

    fn fail_all(&self, batch: Vec<Request>, failed: &Failed) {
        if failed.cause == Cause::Full {
            self.health.full(self.number, &failed.why, Instant::now());
        }
        tracing::warn!(writes = batch.len(), retry = ?failed.retry, why = %failed.why, "a transaction of the store failed");
        let failure = failed.to_failure();
        batch.into_iter().for_each(|request| request.fail(&failure));
    }

    /// Begins anew, within bounds, where the transaction was surely rolled back and may succeed now.
    async fn commit(&mut self, batch: &[Request]) -> Result<Vec<Outcome>, Failed> {
        let started = Instant::now();
        let mut tries = 1;
        loop {
            let failed = match self.attempt(batch).await {
                Ok(outcomes) => {
                    if !matches!(self.link, Link::Away { .. }) {
                        self.health.recover(self.number);
                    }
                    measure(&outcomes, started);
                    return Ok(outcomes);
                }
                Err(failed) => failed,
            };
            let away = matches!(self.link, Link::Away { .. });
            if !failed.again || away || tries >= TRANSACTION_TRIES_MAX {
                return Err(failed);
            }
            if failed.cause == Cause::Conflict {
                tokio::time::sleep(tries * CONFLICT_WAIT).await;
            }
            tries += 1;
        }
    }

    /// One transaction. Wherever it is left, the connection goes with it unless the server has said that nothing is open.
    async fn attempt(&mut self, batch: &[Request]) -> Result<Vec<Outcome>, Failed> {
        let mut db = self.connection().await?;
        let written =
            tokio::time::timeout(TRANSACTION_TIME_MAX, transaction::begin(&mut db, batch)).await;
        let outcomes = match written {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(source)) => {
                if cause(&source) != Cause::Lost && rolled_back(&mut db).await {
                    self.link = Link::Up(db);
                }
                // COMMIT was never sent.
                return Err(Failed::undone(&source));
            }
            Err(_) => return Err(Failed::slow("the transaction took too long")),
        };
        match tokio::time::timeout(COMMIT_TIME_MAX, db.execute(meta::COMMIT)).await {
            Ok(Ok(_)) => {
                self.link = Link::Up(db);
                Ok(outcomes)
            }
            Ok(Err(source)) if is_surely_rolled_back(&source) => Err(Failed::undone(&source)),
            Ok(Err(source)) => Err(Failed::in_doubt(cause(&source), source.to_string())),
            Err(_) => Err(Failed::in_doubt(
                Cause::Lost,
                "the server did not say whether it committed".into(),
            )),
        }
    }

    async fn connection(&mut self) -> Result<PgConnection, Failed> {
        match std::mem::replace(&mut self.link, Link::Cut) {
            Link::Up(db) => Ok(db),
            Link::Cut | Link::Away { .. } => match self.connector.connect().await {
                Ok(db) => Ok(db),
                Err(error) => {
                    let [wait, _] = AWAY_RETRY;
                    self.go_away(&error, wait);
                    Err(Failed {
                        cause: Cause::Lost,
                        retry: Retry::Safe,
                        why: error.to_string(),
                        again: false,
                    })
                }
            },
        }
    }
}

async fn rolled_back(db: &mut PgConnection) -> bool {
    let rollback = tokio::time::timeout(CONNECT_TIME_MAX, db.execute(meta::ROLLBACK)).await;
    matches!(rollback, Ok(Ok(_)))
}

fn answer_all(batch: Vec<Request>, outcomes: Vec<Outcome>) {
    batch
        .into_iter()
        .zip(outcomes)
        .for_each(|(request, outcome)| answer(request, outcome));
}

fn answer(request: Request, outcome: Outcome) {
    // A caller who is gone does not want to know.
    match (request.work, outcome) {
        (Work::Append(_, reply), Outcome::Append(outcome)) => drop(reply.send(outcome)),
        (Work::Raise(_, reply) | Work::Body(_, reply) | Work::FanOut(_, reply), Outcome::Done) => {
            drop(reply.send(Ok(())))
        }
        (Work::Person(_, reply), Outcome::Person(done)) => drop(reply.send(Ok(done))),
        (
            Work::Append(..)
            | Work::Raise(..)
            | Work::Body(..)
            | Work::FanOut(..)
            | Work::Person(..),
            _,
        ) => {
            unreachable!("outcomes are made from the requests, in their order")
        }
    }
}

fn measure(outcomes: &[Outcome], started: Instant) {
    let entries: usize = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Append(Ok(AppendOutcome::Appended { durable })) => *durable,
            Outcome::Append(_) | Outcome::Done | Outcome::Person(_) => 0,
        })
        .sum();
    metrics::counter!("chat_store_commits_total").increment(1);
    metrics::counter!("chat_store_appended_entries_total").increment(entries as u64);
    metrics::histogram!("chat_store_commit_writes").record(outcomes.len() as f64);
    metrics::histogram!("chat_store_commit_seconds").record(started.elapsed().as_secs_f64());
}
