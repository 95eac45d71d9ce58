//! The same rows by plain statements: no key is unique, no head is compared, nobody waits for anybody. What is left is what
//! the database and its driver cost.

use std::time::{Duration, Instant};

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::appends::Rate;
use super::channel::{TEXT_BYTES, WRITERS};
use crate::cpu::cpu_time;
use crate::error::Error;
use crate::places::{Place, failed, is_postgres};

/// Connections that write at once, as many as the PostgreSQL store has.
const POSTGRES_WRITERS: usize = 4;
/// Appends in a transaction, and conditional batches in flight, of the stores that are compared.
const APPENDS_MAX: usize = 512;
const BATCHES_MAX: usize = 64;
/// Rows in one statement of SQLite.
const SQLITE_ROWS: usize = 64;

const SQLITE_TABLE: &str = "CREATE TABLE floor (channel INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, \
    message INTEGER NOT NULL, at INTEGER NOT NULL, sender TEXT NOT NULL, device BLOB, client_id BLOB NOT NULL, content BLOB, \
    body BLOB, PRIMARY KEY (channel, seq)) STRICT, WITHOUT ROWID";
const SQLITE_ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SQLITE_INSERT: &str = "INSERT INTO floor (channel, seq, n, message, at, sender, device, client_id, content, body) VALUES ";

const POSTGRES_DROP: &str = "DROP TABLE IF EXISTS chat_bench_floor";
const POSTGRES_TABLE: &str = "CREATE TABLE chat_bench_floor (channel bigint NOT NULL, seq bigint NOT NULL, n bigint NOT NULL, \
    message bigint NOT NULL, at bigint NOT NULL, sender text COLLATE \"C\" NOT NULL, device bytea, client_id bytea NOT NULL, \
    content bytea, body bytea, PRIMARY KEY (channel, seq))";
const POSTGRES_INSERT: &str = "INSERT INTO chat_bench_floor (channel, seq, n, message, at, sender, device, client_id, content, body) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], \
    $8::bytea[], $9::bytea[], $10::bytea[])";

const CASSANDRA_DROP: &str = "DROP TABLE IF EXISTS chat_bench_floor";
const CASSANDRA_TABLE: &str = "CREATE TABLE chat_bench_floor (channel bigint, seq bigint, n bigint, message bigint, at bigint, \
    sender text, device blob, client_id blob, content blob, body blob, PRIMARY KEY (channel, seq))";
const CASSANDRA_INSERT: &str = "INSERT INTO chat_bench_floor (channel, seq, n, message, at, sender, device, client_id, content, body) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// As many rows at a time as the store can group from so many channels.
pub(super) async fn measure(place: &Place, channels: usize, time: Duration) -> Result<Rate, Error> {
    if place.file().is_some() {
        sqlite(place, channels, time).await
    } else if is_postgres(&place.url) {
        postgres(place, channels, time).await
    } else {
        cassandra(place, channels, time).await
    }
}

/// What a row says besides its place.
struct Words {
    sender: String,
    id: Vec<u8>,
    body: Vec<u8>,
}

impl Words {
    fn new(writer: usize) -> Self {
        Self {
            sender: format!("writer-{writer:016}"),
            id: Uuid::new_v4().as_bytes().to_vec(),
            body: vec![b'm'; TEXT_BYTES],
        }
    }
}

async fn sqlite(place: &Place, channels: usize, time: Duration) -> Result<Rate, Error> {
    let beside = place.file().unwrap_or_default().with_extension("floor");
    let mut db = sqlite_database(&beside).await.map_err(floor_failed)?;
    let appends = channels.min(APPENDS_MAX);
    let statement: Arc<str> = format!(
        "{SQLITE_INSERT}{}",
        vec![SQLITE_ROW; SQLITE_ROWS.min(appends * WRITERS)].join(", ")
    )
    .into();
    let mut run = Run::begin(time)?;
    while run.goes_on() {
        let sent = Instant::now();
        let written = sqlite_transaction(&mut db, &statement, appends, run.entries).await;
        run.count(written.map_err(floor_failed)?, sent);
    }
    let rate = run.end();
    // Best closed before its files are removed; that fails only with the disk.
    let _ = db.close().await;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = beside.clone().into_os_string();
        file.push(suffix);
        // Some of them need not be there.
        let _ = std::fs::remove_file(file);
    }
    rate
}

async fn sqlite_database(path: &std::path::Path) -> Result<SqliteConnection, sqlx::Error> {
    let mut db = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "16000")
        .disable_statement_logging()
        .connect()
        .await?;
    db.execute("DROP TABLE IF EXISTS floor").await?;
    db.execute(SQLITE_TABLE).await?;
    Ok(db)
}

/// Whole statements of rows for so many appends; how many rows.
async fn sqlite_transaction(
    db: &mut SqliteConnection,
    statement: &Arc<str>,
    appends: usize,
    before: usize,
) -> Result<usize, sqlx::Error> {
    let rows = SQLITE_ROWS.min(appends * WRITERS);
    let statements = (appends * WRITERS / rows).max(1);
    db.execute("BEGIN IMMEDIATE").await?;
    for number in 0..statements {
        let mut insert = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
        for row in 0..rows {
            let (channel, words) = ((number * rows + row) / WRITERS, Words::new(row % WRITERS));
            let seq = (before + number * rows + row) as i64;
            insert = insert
                .bind(channel as i64)
                .bind(seq)
                .bind(seq)
                .bind(seq)
                .bind(seq)
                .bind(words.sender)
                .bind(words.id.clone())
                .bind(words.id.clone())
                .bind(words.id)
                .bind(words.body);
        }
        db.execute(insert).await?;
    }
    db.execute("COMMIT").await?;
    Ok(rows * statements)
}

async fn postgres(place: &Place, channels: usize, time: Duration) -> Result<Rate, Error> {
    let options: PgConnectOptions = place.url.parse().map_err(floor_failed)?;
    let options = options.disable_statement_logging();
    let mut db = options.connect().await.map_err(floor_failed)?;
    for sql in [POSTGRES_DROP, POSTGRES_TABLE] {
        db.execute(sql).await.map_err(floor_failed)?;
    }
    let writers = channels.min(POSTGRES_WRITERS);
    let appends = (channels / writers).clamp(1, APPENDS_MAX);
    let mut connections = Vec::new();
    for _ in 0..writers {
        connections.push(options.connect().await.map_err(floor_failed)?);
    }
    let run = Run::begin(time)?;
    let mut loops = JoinSet::new();
    for (writer, mut db) in connections.into_iter().enumerate() {
        let mut own = run.part();
        loops.spawn(async move {
            while own.goes_on() {
                let sent = Instant::now();
                let written = postgres_statement(&mut db, writer, appends, own.entries).await;
                own.count(written?, sent);
            }
            Ok::<_, sqlx::Error>(own)
        });
    }
    let rate = run.end_with(loops).await;
    db.execute(POSTGRES_DROP).await.map_err(floor_failed)?;
    rate
}

/// One statement, which is its own transaction; how many rows.
async fn postgres_statement(
    db: &mut PgConnection,
    writer: usize,
    appends: usize,
    before: usize,
) -> Result<usize, sqlx::Error> {
    let rows = appends * WRITERS;
    let channels: Vec<i64> = (0..rows)
        .map(|row| (writer * APPENDS_MAX + row / WRITERS) as i64)
        .collect();
    let seqs: Vec<i64> = (0..rows).map(|row| (before + row) as i64).collect();
    let (mut senders, mut ids, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let words = Words::new(row % WRITERS);
        senders.push(words.sender);
        ids.push(words.id);
        bodies.push(words.body);
    }
    let insert = sqlx::query(POSTGRES_INSERT)
        .bind(channels)
        .bind(seqs.clone())
        .bind(seqs.clone())
        .bind(seqs.clone())
        .bind(seqs)
        .bind(senders)
        .bind(ids.clone())
        .bind(ids.clone())
        .bind(ids)
        .bind(bodies);
    insert.execute(db).await?;
    Ok(rows)
}

/// Unconditional batches of one partition each, at the same consistency.
async fn cassandra(place: &Place, channels: usize, time: Duration) -> Result<Rate, Error> {
    let config = place.cassandra()?;
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.contact_points)
        .default_execution_profile_handle(profile.into_handle())
        .use_keyspace(config.keyspace.as_str(), false);
    if let Some((user, password)) = &config.login {
        builder = builder.user(user, password);
    }
    let session = builder.build().await.map_err(floor_failed)?;
    for cql in [CASSANDRA_DROP, CASSANDRA_TABLE] {
        session.query_unpaged(cql, ()).await.map_err(floor_failed)?;
    }
    let prepared = session.prepare(CASSANDRA_INSERT).await;
    let prepared = prepared.map_err(floor_failed)?;
    let mut batch = Batch::new(BatchType::Unlogged);
    for _ in 0..WRITERS {
        batch.append_statement(prepared.clone());
    }
    let (session, batch) = (Arc::new(session), Arc::new(batch));
    let run = Run::begin(time)?;
    let mut loops = JoinSet::new();
    for channel in 0..channels.min(BATCHES_MAX) {
        let (session, batch, mut own) = (Arc::clone(&session), Arc::clone(&batch), run.part());
        loops.spawn(async move {
            while own.goes_on() {
                let sent = Instant::now();
                cassandra_batch(&session, &batch, channel, own.entries).await?;
                own.count(WRITERS, sent);
            }
            Ok::<_, scylla::errors::ExecutionError>(own)
        });
    }
    let rate = run.end_with(loops).await;
    session
        .query_unpaged(CASSANDRA_DROP, ())
        .await
        .map_err(floor_failed)?;
    rate
}

async fn cassandra_batch(
    session: &Session,
    batch: &Batch,
    channel: usize,
    before: usize,
) -> Result<(), scylla::errors::ExecutionError> {
    let rows: Vec<_> = (0..WRITERS)
        .map(|row| {
            let (seq, words) = ((before + row) as i64, Words::new(row));
            let ids = [words.id.clone(), words.id.clone(), words.id];
            let [device, client_id, content] = ids;
            (
                channel as i64,
                seq,
                seq,
                seq,
                seq,
                words.sender,
                device,
                client_id,
                content,
                words.body,
            )
        })
        .collect();
    session.batch(batch, rows).await.map(drop)
}

/// What is counted while a floor runs.
struct Run {
    time: Duration,
    began: Instant,
    cpu: Duration,
    entries: usize,
    waits: Vec<Duration>,
}

impl Run {
    fn begin(time: Duration) -> Result<Self, Error> {
        Ok(Self {
            time,
            cpu: cpu_time(std::process::id())?,
            began: Instant::now(),
            entries: 0,
            waits: Vec::new(),
        })
    }

    /// What one of several counts for itself.
    fn part(&self) -> Self {
        Self {
            entries: 0,
            waits: Vec::new(),
            ..*self
        }
    }

    fn goes_on(&self) -> bool {
        self.began.elapsed() < self.time
    }

    fn count(&mut self, rows: usize, sent: Instant) {
        self.entries += rows;
        self.waits.push(sent.elapsed());
    }

    fn end(self) -> Result<Rate, Error> {
        Rate::since(self.began, self.cpu, self.entries, self.waits)
    }

    async fn end_with<E: std::fmt::Display + 'static>(
        mut self,
        mut parts: JoinSet<Result<Self, E>>,
    ) -> Result<Rate, Error> {
        while let Some(ended) = parts.join_next().await {
            let part = ended.map_err(floor_failed)?.map_err(floor_failed)?;
            self.entries += part.entries;
            self.waits.extend(part.waits);
        }
        self.end()
    }
}

fn floor_failed(error: impl std::fmt::Display) -> Error {
    failed("the floor", error)
}
