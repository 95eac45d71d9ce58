//! How many messages a second the store makes durable, at what CPU, and how many share an fsync; beside it the floor:
//! the same rows by plain multi-row inserts, with no look at keys or heads.
//!
//! `cargo bench -p chat-store-sqlite [-- SECONDS [FOLDER]]`; the folder decides which disk is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat_core::ports::{Append, AppendOutcome, AppendRecord, MessageStore};
use chat_proto::channel::{
    Action, Context, Decision, NewMessage, Reception, decide, evolve, member_changes, stamp,
};
use chat_proto::{
    Body, ChannelId, ChannelState, ClientId, Command, DeviceId, Limits, MessageId, Timestamp,
    UserId,
};
use chat_store_sqlite::SqliteStore;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use uuid::Uuid;

/// Channels that each have one append in flight.
const CHANNELS: [usize; 4] = [1, 64, 200, 1_000];
const TEXT_BYTES: usize = 200;

fn main() -> Result<(), BenchError> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let seconds = arguments.next().map_or(Ok(3), |seconds| seconds.parse())?;
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let commits = Arc::new(Commits::default());
    metrics::set_global_recorder(OnlyCommits(Arc::clone(&commits)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!(
        "{:>9} {:>10} {:>12} {:>14} {:>9} {:>9}",
        "channels", "appends/s", "CPU us each", "messages/fsync", "p50 ms", "p99 ms"
    );
    for channels in CHANNELS {
        let folder = tempfile::tempdir_in(&folder)?;
        runtime.block_on(store(
            folder.path(),
            channels,
            Duration::from_secs(seconds),
            &commits,
        ))?;
    }
    println!("floor: plain inserts into messages and keys, so many rows a transaction");
    for rows in [1, 16, 64, 200] {
        let folder = tempfile::tempdir_in(&folder)?;
        runtime.block_on(floor(folder.path(), rows, Duration::from_secs(seconds)))?;
    }
    Ok(())
}

async fn store(
    folder: &Path,
    channels: usize,
    time: Duration,
    commits: &Commits,
) -> Result<(), BenchError> {
    let store = SqliteStore::open(folder.join("chat.db")).await?;
    let mut pairs = Vec::new();
    for number in 0..channels {
        let mut pair = Pair::new(number)?;
        pair.append(&store).await?;
        pairs.push(pair);
    }
    let (commits_before, cpu, started) = (commits.commits(), Cpu::now(), Instant::now());
    let tasks: Vec<_> = pairs
        .into_iter()
        .map(|mut pair| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while started.elapsed() < time {
                    let began = Instant::now();
                    pair.append(&store).await?;
                    waits.push(began.elapsed());
                }
                Ok::<_, BenchError>(waits)
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let (elapsed, cpu) = (started.elapsed(), cpu.elapsed());
    waits.sort_unstable();
    let count = waits.len();
    println!(
        "{channels:>9} {:>10.0} {:>12.1} {:>14.1} {:>9.2} {:>9.2}",
        count as f64 / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count as f64,
        count as f64 / (commits.commits() - commits_before) as f64,
        waits[count / 2].as_secs_f64() * 1e3,
        waits[count * 99 / 100].as_secs_f64() * 1e3,
    );
    store.close().await?;
    Ok(())
}

type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// A direct channel as the engine keeps it while it appends.
struct Pair {
    state: ChannelState,
    from: UserId,
    to: UserId,
    device: DeviceId,
    limits: Limits,
    next_id: u64,
}

impl Pair {
    fn new(number: usize) -> Result<Self, chat_proto::Rejection> {
        let (from, to): (UserId, UserId) = (
            format!("user{number:05}a").parse()?,
            format!("user{number:05}b").parse()?,
        );
        Ok(Self {
            state: ChannelState::empty(ChannelId::direct(&from, &to)),
            from,
            to,
            device: DeviceId::from_uuid(Uuid::new_v4()),
            limits: Limits::default(),
            next_id: 1,
        })
    }

    async fn append(&mut self, store: &SqliteStore) -> Result<(), BenchError> {
        let message = NewMessage {
            direct_to: self.state.meta().is_none().then(|| self.to.clone()),
            ..NewMessage::new(Body::text("m".repeat(TEXT_BYTES)))
        };
        let client_id = ClientId::from_uuid(Uuid::new_v4());
        let command = Command::of_device(
            self.from.clone(),
            self.device,
            Some(client_id),
            Action::Send(message),
        );
        let mut context = Context::new(&self.limits);
        context.reception = Some(Reception::default());
        let decision =
            decide(&self.state, &command, &context).map_err(|rejection| rejection.message)?;
        let Decision::Record(drafts) = decision else {
            return Err("a new message is always recorded".into());
        };
        let ids: Vec<MessageId> = drafts.iter().map(|_| self.name()).collect();
        let expected_head = self.state.head().seq;
        let mut records = Vec::new();
        for record in stamp(
            &self.state,
            &command,
            drafts,
            &ids,
            Timestamp(1_700_000_000_000),
        ) {
            let changes = member_changes(&self.state, &record.entry);
            evolve(&mut self.state, &record.entry, record.key.as_ref());
            records.push(AppendRecord { record, changes });
        }
        let state = (expected_head.0 == 0).then(|| self.state.to_snapshot());
        let append = Append {
            channel: self.state.id(),
            expected_head,
            records,
            state,
        };
        match store.append(append).await? {
            AppendOutcome::Appended { .. } => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    }

    fn name(&mut self) -> MessageId {
        self.next_id += 1;
        MessageId(self.next_id)
    }
}

async fn floor(folder: &Path, rows: usize, time: Duration) -> Result<(), BenchError> {
    let mut db = SqliteConnectOptions::new()
        .filename(folder.join("floor.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "16000")
        .disable_statement_logging()
        .connect()
        .await?;
    db.execute(sqlx::raw_sql(include_str!(
        "../migrations/0001_initial.sql"
    )))
    .await?;
    let statement = |head: &str, row: &str| -> Arc<str> {
        format!("{head} VALUES {}", vec![row; rows].join(", ")).into()
    };
    let messages = statement(
        "INSERT INTO messages (channel, seq, n, message, at, sender, device, client_id, content, detail, form, body)",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let keys = statement(
        "INSERT INTO keys (channel, sender, client_id, seq)",
        "(?, ?, ?, ?)",
    );
    let (cpu, started) = (Cpu::now(), Instant::now());
    let mut seq: i64 = 0;
    while started.elapsed() < time {
        seq += 1;
        let (mut message, mut key) = (
            sqlx::query(AssertSqlSafe(Arc::clone(&messages))),
            sqlx::query(AssertSqlSafe(Arc::clone(&keys))),
        );
        for channel in 0..rows as i64 {
            let (id, sender) = (
                Uuid::new_v4().as_bytes().to_vec(),
                format!("user{channel:05}a"),
            );
            message = message
                .bind(channel)
                .bind(seq)
                .bind(seq)
                .bind(seq)
                .bind(seq)
                .bind(sender.clone());
            message = message.bind(id.clone()).bind(id.clone()).bind(id.clone());
            message = message
                .bind(None::<Vec<u8>>)
                .bind(0_i64)
                .bind(vec![b'm'; TEXT_BYTES]);
            key = key.bind(channel).bind(sender).bind(id).bind(seq);
        }
        db.execute("BEGIN IMMEDIATE").await?;
        db.execute(key).await?;
        db.execute(message).await?;
        db.execute("COMMIT").await?;
    }
    let (elapsed, cpu) = (started.elapsed(), cpu.elapsed());
    let count = seq as f64 * rows as f64;
    println!(
        "{rows:>9} {:>10.0} {:>12.1} {rows:>14}",
        count / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count
    );
    Ok(())
}

/// The CPU time of this process, all threads, kernel included; in the ticks of /proc.
struct Cpu(Duration);

impl Cpu {
    fn now() -> Self {
        const TICKS_PER_SECOND: u64 = 100;
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks: u64 = stat
            .rsplit(") ")
            .next()
            .into_iter()
            .flat_map(|fields| fields.split(' ').skip(11).take(2))
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Self(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// Counts commits, and nothing else.
#[derive(Default)]
struct Commits(AtomicU64);

impl Commits {
    fn commits(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CounterFn for Commits {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

struct OnlyCommits(Arc<Commits>);

impl metrics::Recorder for OnlyCommits {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == "chat_store_commits_total" {
            Counter::from_arc(Arc::clone(&self.0))
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
