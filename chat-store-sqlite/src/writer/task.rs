//! The writer's loop: take what is queued, one transaction, answers.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use chat_core::ports::{AppendOutcome, PortErrorKind, Retry};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};
use tokio::sync::{Notify, mpsc};

use super::append::{AppendStep, Placed};
use super::checkpoint::Checkpoints;
use super::known::KnownChannels;
use super::marks::raise_all;
use super::people::PersonDone;
use super::plan::Heads;
use super::queue::{Request, Work};
use crate::config::{BATCH_BYTES_MAX, BATCH_WRITES_MAX};
use crate::error::{Cause, WriteFailure, cause};
use crate::health::HealthCell;
use crate::open::WriterFile;
use crate::sql::meta;

/// The task that owns the writing connection.
pub(super) struct Writer {
    db: SqliteConnection,
    requests: mpsc::Receiver<Request>,
    closing: Arc<Notify>,
    health: Arc<HealthCell>,
    known: KnownChannels,
    last_channel: i64,
    last_body: i64,
    checkpoints: Checkpoints,
    /// The file is ours until the connection is closed.
    lock: File,
}

/// What becomes of a request if the transaction commits.
enum Outcome {
    Append(Result<AppendOutcome, WriteFailure>),
    Done,
    Person(PersonDone),
}

/// Why a transaction failed.
struct Failed {
    source: sqlx::Error,
    /// Whether COMMIT was tried, so that it may have happened.
    committing: bool,
}

impl From<sqlx::Error> for Failed {
    fn from(source: sqlx::Error) -> Self {
        Self {
            source,
            committing: false,
        }
    }
}

impl Writer {
    pub(super) fn new(
        opened: WriterFile,
        requests: mpsc::Receiver<Request>,
        closing: Arc<Notify>,
        health: Arc<HealthCell>,
    ) -> Self {
        Self {
            db: opened.writer,
            requests,
            closing,
            health,
            known: KnownChannels::default(),
            last_channel: opened.last_channel,
            last_body: opened.last_body,
            checkpoints: Checkpoints::new(opened.copier),
            lock: opened.lock,
        }
    }

    /// Writes until the queue is closed and empty.
    pub(super) async fn run(mut self) -> Result<(), WriteFailure> {
        while let Some(batch) = self.next_batch().await {
            self.write(batch).await;
        }
        let checkpointed = self.checkpoints.finish(&mut self.db).await;
        let closed = self.db.close().await;
        drop(self.lock);
        checkpointed
            .and(closed)
            .map_err(|error| failure_of(&error, Retry::Safe))
    }

    async fn keep_up(&mut self) {
        if let Err(error) = self.checkpoints.keep_up(&mut self.db).await {
            self.note_failure(&error, false);
        }
    }

    /// Everything that waits, within bounds; nothing when the queue is closed and empty.
    async fn next_batch(&mut self) -> Option<Vec<Request>> {
        let first = loop {
            tokio::select! {
                biased;
                () = self.closing.notified() => self.requests.close(),
                first = self.requests.recv() => break first?,
                () = self.checkpoints.due() => self.keep_up().await,
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

    async fn write(&mut self, batch: Vec<Request>) {
        if batch.is_empty() {
            return;
        }
        if let Some(why) = self.health.refusal(Instant::now()) {
            let failure = WriteFailure {
                kind: PortErrorKind::Storage,
                retry: Retry::Safe,
                why,
            };
            return batch.into_iter().for_each(|request| request.fail(&failure));
        }
        let started = Instant::now();
        match self.transaction(&batch).await {
            Ok(outcomes) => {
                self.health.recover();
                measure(&outcomes, started);
                self.checkpoints.count(
                    batch.iter().map(|request| request.bytes).sum(),
                    batch.iter().any(Request::erases),
                );
                batch
                    .into_iter()
                    .zip(outcomes)
                    .for_each(|(request, outcome)| answer(request, outcome));
                self.keep_up().await;
            }
            Err(Failed { source, committing }) => {
                self.known.clear();
                // Where SQLite has rolled back by itself this finds no transaction, which is what it is for.
                let was_open = self.db.execute(meta::ROLLBACK).await.is_ok();
                // A transaction that was still open was not committed. Only a disk that fails leaves even this in doubt: its
                // record may have been written all the same.
                let surely_not = was_open && !matches!(cause(&source), Cause::Disk);
                let failure = self.note_failure(&source, committing && !surely_not);
                batch.into_iter().for_each(|request| request.fail(&failure));
            }
        }
    }

    /// What a failure means for the callers, and for the store.
    ///
    /// A full disk is known before the record that commits is whole, so the transaction surely did not happen. Any other
    /// failure of COMMIT leaves open whether the record reached the disk; then nothing more is written until the file
    /// is opened again, which settles it.
    fn note_failure(&self, error: &sqlx::Error, committing: bool) -> WriteFailure {
        let cause = cause(error);
        match cause {
            Cause::Full => self.health.full(&error.to_string(), Instant::now()),
            Cause::Disk => self.health.fail(&error.to_string()),
            Cause::Temporary | Cause::Damage if committing => self.health.fail(&error.to_string()),
            Cause::Temporary | Cause::Damage => {
                tracing::warn!(%error, "a transaction of the store failed and was rolled back");
            }
        }
        let retry = match cause {
            Cause::Full => Retry::Safe,
            Cause::Disk | Cause::Temporary | Cause::Damage if committing => Retry::Unknown,
            Cause::Disk | Cause::Temporary => Retry::Safe,
            Cause::Damage => Retry::Never,
        };
        failure_of(error, retry)
    }

    async fn transaction(&mut self, batch: &[Request]) -> Result<Vec<Outcome>, Failed> {
        let appends: Vec<Placed<'_>> = batch
            .iter()
            .enumerate()
            .filter_map(|(place, request)| match &request.work {
                Work::Append(append, _) => Some((place, append)),
                Work::Raise(..) | Work::Body(..) | Work::Person(..) => None,
            })
            .collect();
        if appends.len() == batch.len() {
            // Which statement of the journey failed cannot be told, so COMMIT may have been the one.
            let at_once = self.append_step().run_at_once(&appends).await;
            let appended = at_once.map_err(|source| Failed {
                source,
                committing: true,
            })?;
            if let Some(mut appended) = appended {
                self.remember(&appends, &appended.heads);
                let outcomes = (0..batch.len()).map(|place| appended.outcome(place));
                return Ok(outcomes.map(Outcome::Append).collect());
            }
        }
        self.db.execute(meta::BEGIN).await?;
        let mut appended = self.append_step().run(&appends).await?;
        raise_all(&mut self.db, batch).await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for (place, request) in batch.iter().enumerate() {
            outcomes.push(match &request.work {
                Work::Append(..) => Outcome::Append(appended.outcome(place)),
                Work::Raise(..) => Outcome::Done,
                Work::Body(write, _) => {
                    write.write(&mut self.db, &mut appended.heads).await?;
                    Outcome::Done
                }
                Work::Person(write, _) => Outcome::Person(write.write(&mut self.db).await?),
            });
        }
        let committed = self.db.execute(meta::COMMIT).await;
        committed.map_err(|source| Failed {
            source,
            committing: true,
        })?;
        self.remember(&appends, &appended.heads);
        Ok(outcomes)
    }

    fn append_step(&mut self) -> AppendStep<'_> {
        AppendStep {
            db: &mut self.db,
            known: &self.known,
            last_channel: self.last_channel,
            last_body: self.last_body,
        }
    }

    /// Keeps the heads that a committed transaction made.
    fn remember(&mut self, appends: &[Placed<'_>], heads: &Heads) {
        self.last_channel = heads.next_channel;
        self.last_body = heads.next_body;
        for (_, append) in appends {
            if let Some(known) = heads.known.get(&append.channel) {
                self.known.remember(append.channel, *known);
            }
        }
    }
}

fn answer(request: Request, outcome: Outcome) {
    // A caller who is gone does not want to know.
    match (request.work, outcome) {
        (Work::Append(_, reply), Outcome::Append(outcome)) => drop(reply.send(outcome)),
        (Work::Raise(_, reply) | Work::Body(_, reply), Outcome::Done) => drop(reply.send(Ok(()))),
        (Work::Person(_, reply), Outcome::Person(done)) => drop(reply.send(Ok(done))),
        (Work::Append(..) | Work::Raise(..) | Work::Body(..) | Work::Person(..), _) => {
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

fn failure_of(error: &sqlx::Error, retry: Retry) -> WriteFailure {
    let kind = match cause(error) {
        Cause::Full | Cause::Disk => PortErrorKind::Storage,
        Cause::Temporary => PortErrorKind::Unavailable,
        Cause::Damage => PortErrorKind::Corrupt,
    };
    WriteFailure {
        kind,
        retry,
        why: error.to_string(),
    }
}
