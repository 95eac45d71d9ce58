//! The writer's loop: take what is queued, one transaction, answers.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use chat_core::ports::{AppendOutcome, FoundKey, MarkKind, MarkRise, PortErrorKind, Retry};
use chat_proto::{ChannelId, Seq, UserId};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};
use tokio::sync::{Notify, mpsc};

use super::checkpoint::{Checkpoints, finish};
use super::known::{Known, KnownChannels};
use super::plan::{Heads, Plan};
use super::prepare::PreparedAppend;
use super::queue::{Request, Work};
use super::rows::WantedKey;
use crate::config::{BATCH_BYTES_MAX, BATCH_WRITES_MAX};
use crate::decode::Fields;
use crate::error::{Cause, WriteFailure, cause};
use crate::health::HealthCell;
use crate::sql::{inbox, messages, meta};

/// The task that owns the writing connection.
pub(super) struct Writer {
    db: SqliteConnection,
    requests: mpsc::Receiver<Request>,
    closing: Arc<Notify>,
    health: Arc<HealthCell>,
    known: KnownChannels,
    last_channel: i64,
    checkpoints: Checkpoints,
    /// The file is ours until the connection is closed.
    lock: File,
}

/// What becomes of a request if the transaction commits.
enum Outcome {
    Append(Result<AppendOutcome, WriteFailure>),
    Done(bool),
}

/// Why a transaction failed.
struct Failed {
    source: sqlx::Error,
    /// Whether COMMIT was tried, so that it may have happened.
    committing: bool,
}

impl From<sqlx::Error> for Failed {
    fn from(source: sqlx::Error) -> Self {
        Self { source, committing: false }
    }
}

impl Writer {
    pub(super) fn new(
        db: SqliteConnection,
        lock: File,
        last_channel: i64,
        requests: mpsc::Receiver<Request>,
        closing: Arc<Notify>,
        health: Arc<HealthCell>,
    ) -> Self {
        Self {
            db,
            requests,
            closing,
            health,
            known: KnownChannels::default(),
            last_channel,
            checkpoints: Checkpoints::default(),
            lock,
        }
    }

    /// Writes until the queue is closed and empty.
    pub(super) async fn run(mut self) -> Result<(), WriteFailure> {
        while let Some(batch) = self.next_batch().await {
            self.write(batch).await;
        }
        let checkpointed = finish(&mut self.db).await;
        let closed = self.db.close().await;
        drop(self.lock);
        checkpointed.and(closed).map_err(|error| failure_of(&error, Retry::Safe))
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

    async fn write(&mut self, batch: Vec<Request>) {
        if batch.is_empty() {
            return;
        }
        if let Some(why) = self.health.refusal(Instant::now()) {
            let failure = WriteFailure { kind: PortErrorKind::Storage, retry: Retry::Safe, why };
            return batch.into_iter().for_each(|request| request.fail(&failure));
        }
        let started = Instant::now();
        match self.transaction(&batch).await {
            Ok(outcomes) => {
                self.health.recover();
                measure(&outcomes, started);
                self.checkpoints.count(batch.iter().map(|request| request.bytes).sum());
                batch.into_iter().zip(outcomes).for_each(|(request, outcome)| answer(request, outcome));
                if let Err(error) = self.checkpoints.keep_up(&mut self.db).await {
                    self.note_failure(&error, false);
                }
            }
            Err(Failed { source, committing }) => {
                self.known.clear();
                // Where SQLite has rolled back by itself this finds no transaction, which is what it is for.
                drop(self.db.execute(meta::ROLLBACK).await);
                let failure = self.note_failure(&source, committing);
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
        self.db.execute(meta::BEGIN).await?;
        let appends: Vec<(usize, &PreparedAppend)> = batch
            .iter()
            .enumerate()
            .filter_map(|(place, request)| match &request.work {
                Work::Append(append, _) => Some((place, append)),
                Work::Raise(..) | Work::Person(..) => None,
            })
            .collect();
        let mut heads = self.heads_of(&appends).await?;
        let mut appended = self.append_all(&appends, &mut heads).await?;
        self.raise_all(batch).await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for (place, request) in batch.iter().enumerate() {
            outcomes.push(match &request.work {
                Work::Append(..) => Outcome::Append(
                    appended.remove(&place).expect("each append of the batch was decided"),
                ),
                Work::Raise(..) => Outcome::Done(true),
                Work::Person(write, _) => Outcome::Done(write.write(&mut self.db).await?),
            });
        }
        let committed = self.db.execute(meta::COMMIT).await;
        committed.map_err(|source| Failed { source, committing: true })?;
        self.last_channel = heads.next_channel;
        for (channel, known) in heads.known {
            self.known.remember(channel, known);
        }
        Ok(outcomes)
    }

    /// The keys and heads of the channels that are appended to.
    async fn heads_of(&mut self, appends: &[(usize, &PreparedAppend)]) -> Result<Heads, sqlx::Error> {
        let mut known = HashMap::with_capacity(appends.len());
        let mut unknown = Vec::new();
        for (_, append) in appends {
            match self.known.find(append.channel) {
                Some(found) => drop(known.insert(append.channel, found)),
                None => unknown.push(append.channel),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        for row in messages::FIND_CHANNELS.read(&mut self.db, &unknown).await? {
            let fields = Fields::new(&row, "writer.heads");
            let found = Known {
                key: fields.value("id").map_err(unreadable)?,
                head: fields.head("head_seq", "head_n").map_err(unreadable)?,
            };
            known.insert(fields.channel("uuid").map_err(unreadable)?, found);
        }
        Ok(Heads { known, next_channel: self.last_channel })
    }

    async fn append_all(
        &mut self,
        appends: &[(usize, &PreparedAppend)],
        heads: &mut Heads,
    ) -> Result<HashMap<usize, Result<AppendOutcome, WriteFailure>>, sqlx::Error> {
        let mut outcomes = HashMap::with_capacity(appends.len());
        let mut plan = Plan::new(appends.iter().copied(), heads, false);
        if !self.write_keys(&plan).await? {
            // A retry, or a key that comes twice in this batch: begin again without those that the log holds.
            self.db.execute(meta::ROLLBACK).await?;
            self.db.execute(meta::BEGIN).await?;
            *heads = self.heads_of(appends).await?;
            for (place, (index, found)) in self.find_keys(appends, heads).await? {
                outcomes.insert(place, Ok(AppendOutcome::KeyExists { index, found }));
            }
            let rest = appends.iter().copied().filter(|(place, _)| !outcomes.contains_key(place));
            plan = Plan::new(rest, heads, true);
            if !self.write_keys(&plan).await? {
                return Err(sqlx::Error::Protocol("a key is there that no search finds".into()));
            }
        }
        self.write_rows(&mut plan).await?;
        outcomes.extend(plan.done.into_iter().map(|(place, outcome)| (place, Ok(outcome))));
        outcomes.extend(plan.misuse.into_iter().map(|place| (place, Err(ordinals_do_not_follow()))));
        if !plan.late.is_empty() {
            let late: Vec<_> =
                appends.iter().copied().filter(|(place, _)| plan.late.contains(place)).collect();
            let mut found = self.find_keys(&late, heads).await?;
            for (place, append) in late {
                let outcome = match found.remove(&place) {
                    Some((index, found)) => AppendOutcome::KeyExists { index, found },
                    None => AppendOutcome::HeadMoved { head: head_of(heads, append.channel) },
                };
                outcomes.insert(place, Ok(outcome));
            }
        }
        Ok(outcomes)
    }

    /// Writes the keys; whether all of them were new.
    async fn write_keys(&mut self, plan: &Plan<'_>) -> Result<bool, sqlx::Error> {
        let written = messages::INSERT_KEYS.write(&mut self.db, &plan.keys).await?;
        Ok(written == plan.keys.len() as u64)
    }

    async fn write_rows(&mut self, plan: &mut Plan<'_>) -> Result<(), sqlx::Error> {
        let db = &mut self.db;
        messages::INSERT_MESSAGES.write(db, &plan.messages).await?;
        messages::INSERT_EVENTS.write(db, &plan.events).await?;
        messages::INSERT_MENTIONS.write(db, &plan.mentions).await?;
        messages::UPSERT_CHANNELS.write(db, &plan.take_channels()).await?;
        messages::UPSERT_STATES.write(db, &plan.take_states()).await?;
        let members = plan.take_members();
        messages::INSERT_MEMBERS.write(db, &members.joined).await?;
        messages::DELETE_LEFT.write(db, &members.back).await?;
        messages::DELETE_MEMBERS.write(db, &members.gone).await?;
        messages::INSERT_LEFT.write(db, &members.left).await?;
        messages::UPDATE_ROLES.write(db, &members.roles).await?;
        inbox::RAISE_OWN.write(db, &plan.own_marks).await?;
        Ok(())
    }

    /// For each append of which the log holds a key: the first such record, and what the log holds.
    async fn find_keys(
        &mut self,
        appends: &[(usize, &PreparedAppend)],
        heads: &Heads,
    ) -> Result<HashMap<usize, (usize, FoundKey)>, sqlx::Error> {
        let (mut wanted, mut origins) = (Vec::new(), Vec::new());
        for (place, append) in appends {
            let Some(known) = heads.known.get(&append.channel) else { continue };
            for (index, entry) in append.entries.iter().enumerate() {
                let Some((client_id, _)) = entry.key else { continue };
                wanted.push(WantedKey {
                    place: origins.len() as i64,
                    channel: known.key,
                    sender: Arc::clone(&entry.sender),
                    client_id,
                });
                origins.push((*place, index));
            }
        }
        let mut found: HashMap<usize, (usize, FoundKey)> = HashMap::new();
        for row in messages::FIND_KEYS.read(&mut self.db, &wanted).await? {
            let fields = Fields::new(&row, "writer.find_keys");
            let number = fields.number("place").map_err(unreadable)? as usize;
            let Some(&(place, index)) = origins.get(number) else { continue };
            let key = fields.found_key().map_err(unreadable)?;
            let first = found.entry(place).or_insert((index, key));
            if index < first.0 {
                *first = (index, key);
            }
        }
        Ok(found)
    }

    async fn raise_all(&mut self, batch: &[Request]) -> Result<(), sqlx::Error> {
        let (mut read, mut delivered) = (BTreeMap::new(), BTreeMap::new());
        for request in batch {
            let Work::Raise(rises, _) = &request.work else { continue };
            for rise in rises {
                match rise.kind {
                    MarkKind::Read => merge(&mut read, rise),
                    MarkKind::Delivered => merge(&mut delivered, rise),
                }
            }
        }
        let read: Vec<MarkRise> = read.into_values().collect();
        let delivered: Vec<MarkRise> = delivered.into_values().collect();
        inbox::RAISE_READ.write(&mut self.db, &read).await?;
        inbox::RAISE_DELIVERED.write(&mut self.db, &delivered).await?;
        Ok(())
    }
}

/// One rise a mark: an update that meets a row twice takes either.
fn merge(rises: &mut BTreeMap<(ChannelId, UserId), MarkRise>, rise: &MarkRise) {
    rises
        .entry((rise.channel, rise.user.clone()))
        .and_modify(|known| {
            known.to = known.to.max(rise.to);
            known.at = known.at.max(rise.at);
        })
        .or_insert_with(|| rise.clone());
}

fn head_of(heads: &Heads, channel: ChannelId) -> Seq {
    heads.known.get(&channel).map_or(Seq(0), |known| known.head.seq)
}

fn answer(request: Request, outcome: Outcome) {
    // A caller who is gone does not want to know.
    match (request.work, outcome) {
        (Work::Append(_, reply), Outcome::Append(outcome)) => drop(reply.send(outcome)),
        (Work::Raise(_, reply), Outcome::Done(_)) => drop(reply.send(Ok(()))),
        (Work::Person(_, reply), Outcome::Done(changed)) => drop(reply.send(Ok(changed))),
        (Work::Append(..), Outcome::Done(_)) | (Work::Raise(..) | Work::Person(..), Outcome::Append(_)) => {
            unreachable!("outcomes are made from the requests, in their order")
        }
    }
}

fn measure(outcomes: &[Outcome], started: Instant) {
    let entries: usize = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Append(Ok(AppendOutcome::Appended { durable })) => *durable,
            Outcome::Append(_) | Outcome::Done(_) => 0,
        })
        .sum();
    metrics::counter!("chat_store_commits_total").increment(1);
    metrics::counter!("chat_store_appended_entries_total").increment(entries as u64);
    metrics::histogram!("chat_store_commit_writes").record(outcomes.len() as f64);
    metrics::histogram!("chat_store_commit_seconds").record(started.elapsed().as_secs_f64());
}

fn ordinals_do_not_follow() -> WriteFailure {
    WriteFailure {
        kind: PortErrorKind::Misuse,
        retry: Retry::Never,
        why: "the first record's ordinal does not follow the head's".into(),
    }
}

fn failure_of(error: &sqlx::Error, retry: Retry) -> WriteFailure {
    let kind = match cause(error) {
        Cause::Full | Cause::Disk => PortErrorKind::Storage,
        Cause::Temporary => PortErrorKind::Unavailable,
        Cause::Damage => PortErrorKind::Corrupt,
    };
    WriteFailure { kind, retry, why: error.to_string() }
}

fn unreadable(error: chat_core::ports::PortError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
