//! The server is stopped and killed under load, again and again: what was acknowledged is there, nothing is there twice, what
//! was surely not done is not there, and while the server is away everybody is told so within a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_core::ports::{AppendOutcome, MessageStore, PortError, PortErrorKind, Retry};
use chat_proto::{Entry, Seq, UserId};
use chat_store_postgres::{Config, Health, OpenError, PostgresStore};
use chat_testkit::LogWriter;
use chat_testkit::names::fresh_user;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::{Crash, Server};

mod server;
mod tls;

/// Crashes of one server, each way in turn.
const ROUNDS: usize = 8;
/// Logs that are written side by side, by two stores.
const LOGS: usize = 6;
/// Texts that are acknowledged between two crashes, at the least.
const TEXTS_A_ROUND: usize = 40;
/// How long any call may take, whatever happens to the server.
const CALL_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a call may take while the server refuses connections.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// Draws the moments of the crashes.
const SEED: u64 = 13;

/// The server, or a loud word that there is none.
fn server(settings: &[&str]) -> Option<Server> {
    match Server::start(settings) {
        Ok(server) => Some(server),
        Err(skip) => {
            skip.announce();
            None
        }
    }
}

async fn open(server: &Server) -> PostgresStore {
    let config = Config::new(server.url()).readers(4).writers(2);
    let opened = PostgresStore::open_with(config).await;
    opened.expect("a store opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_survives_crashes_of_the_server_and_nothing_is_there_twice() {
    let Some(server) = server(&[]) else { return };
    let stores = [open(&server).await, open(&server).await];
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..LOGS {
        let store = stores[number % 2].clone();
        let ann = fresh_user("ann");
        let logs: Arc<dyn MessageStore> = Arc::new(store.clone());
        let writer = LogWriter::group(&logs, &ann, &[]).await;
        tasks.push(tokio::spawn(write_until_over(
            store,
            writer,
            ann,
            Arc::clone(&acknowledged),
            Arc::clone(&over),
        )));
    }
    let mut moments = StdRng::seed_from_u64(SEED);
    for round in 0..ROUNDS {
        let wanted = acknowledged.load(Ordering::Relaxed) + TEXTS_A_ROUND;
        let started = Instant::now();
        while acknowledged.load(Ordering::Relaxed) < wanted {
            assert!(
                started.elapsed() < PATIENCE,
                "nothing is written in round {round}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(Duration::from_millis(moments.random_range(0..30))).await;
        let how = if round % 2 == 0 {
            Crash::Immediate
        } else {
            Crash::Kill
        };
        tokio::task::block_in_place(|| {
            server.crash(how);
            // Some of the load meets a server that is not there.
            std::thread::sleep(Duration::from_millis(moments.random_range(0..400)));
            server.start_again(&[]);
        });
    }
    over.store(true, Ordering::Relaxed);
    let fresh = open(&server).await;
    let (mut unknown, mut refused) = (0, 0);
    for task in tasks {
        let done = task.await.expect("a writer ends");
        unknown += done.unknown;
        refused += done.refused;
        let logs: Arc<dyn MessageStore> = Arc::new(fresh.clone());
        let mut reader = LogWriter::new(&logs, done.writer.channel());
        reader.catch_up().await.expect("the log is contiguous");
        assert_eq!(
            reader.entries(),
            done.writer.entries(),
            "what was acknowledged, once each"
        );
    }
    // Without any failure the crashes came at idle moments, and this test showed nothing.
    assert!(unknown + refused > 0);
    println!(
        "{} texts, {refused} refused, {unknown} unknown",
        acknowledged.load(Ordering::Relaxed)
    );
    for store in &stores {
        assert_eq!(store.health(), Health::Writable);
        store.close().await.expect("the store closes");
    }
}

/// What a writer has met.
struct Written {
    /// With the log as it must be.
    writer: LogWriter,
    unknown: usize,
    refused: usize,
}

/// Writes one text after the other, each until it is settled.
async fn write_until_over(
    store: PostgresStore,
    mut writer: LogWriter,
    ann: UserId,
    acknowledged: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
) -> Written {
    let (mut unknown, mut refused, mut number) = (0, 0, 0);
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let command = writer.text(&ann, format!("text {number}"));
        let append = writer.prepare(&[command]);
        let mut in_doubt = false;
        loop {
            let started = Instant::now();
            let outcome = store.append(append.clone()).await;
            assert!(
                started.elapsed() < CALL_TIME_MAX,
                "an append took {:?}",
                started.elapsed()
            );
            match outcome {
                Ok(AppendOutcome::Appended { durable: 1 }) => break,
                // Nobody else writes this log: it was the attempt that was in doubt.
                Ok(AppendOutcome::KeyExists { found, .. }) => {
                    assert!(in_doubt, "what surely was not written is there: {found:?}");
                    break;
                }
                Ok(other) => panic!("nobody else writes this log: {other:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), PortErrorKind::Unavailable, "{error}");
                    match error.retry() {
                        Retry::Safe => refused += 1,
                        Retry::Unknown => {
                            unknown += 1;
                            in_doubt = true;
                        }
                        Retry::Never => panic!("the server comes back: {error}"),
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        writer.accept(&append);
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Written {
        writer,
        unknown,
        refused,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_every_call_is_told_so_soon() {
    let Some(server) = server(&[]) else { return };
    let store = open(&server).await;
    let ann = fresh_user("ann");
    let logs: Arc<dyn MessageStore> = Arc::new(store.clone());
    let mut writer = LogWriter::group(&logs, &ann, &[]).await;
    tokio::task::block_in_place(|| server.crash(Crash::Immediate));
    let command = writer.text(&ann, "nobody is there");
    let append = writer.prepare(&[command]);
    for round in 0..20 {
        let refused = soon(store.append(append.clone())).await.map(drop);
        let error = refused.expect_err("nobody is there");
        // The first may have been under way; later ones are refused before anything is sent.
        assert!(round == 0 || error.retry() == Retry::Safe, "{error}");
        let refused = soon(store.heads(&[writer.channel()])).await;
        assert_eq!(
            refused.map_err(|error| error.kind()),
            Err(PortErrorKind::Unavailable)
        );
    }
    let Health::Refusing { why } = store.health() else {
        panic!("the store takes no writes");
    };
    assert!(why.contains("cannot be reached"), "{why}");
    // Everything that waits has an answer: a thousand more are as quick.
    let many = (0..1_000).map(|_| store.append(append.clone()));
    let started = Instant::now();
    let refused = futures_util::future::join_all(many).await;
    assert!(started.elapsed() < REFUSAL_TIME_MAX);
    assert!(refused.iter().all(Result::is_err));

    tokio::task::block_in_place(|| server.start_again(&[]));
    let started = Instant::now();
    loop {
        match store.append(append.clone()).await {
            Ok(AppendOutcome::Appended { .. }) => break,
            Ok(other) => panic!("it was refused before: {other:?}"),
            Err(_) => assert!(started.elapsed() < PATIENCE, "the store comes back"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    writer.accept(&append);
    assert_eq!(
        store.heads(&[writer.channel()]).await.ok(),
        Some(vec![writer.head()])
    );
    assert_eq!(texts(&writer).len(), 1);
    assert_eq!(store.health(), Health::Writable);

    // A store whose server is away closes all the same.
    tokio::task::block_in_place(|| server.crash(Crash::Kill));
    soon(store.close()).await.expect("the store closes");
}

async fn soon<T>(call: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
    let started = Instant::now();
    let answer = call.await;
    assert!(
        started.elapsed() < REFUSAL_TIME_MAX,
        "it took {:?}",
        started.elapsed()
    );
    answer
}

fn texts(writer: &LogWriter) -> Vec<Entry> {
    let entries = writer.entries().into_iter();
    entries.filter(|entry| entry.seq > Seq(1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_holds_nobody_and_what_is_in_doubt_is_settled_later() {
    let Some(server) = server(&[]) else { return };
    let store = open(&server).await;
    let ann = fresh_user("ann");
    let logs: Arc<dyn MessageStore> = Arc::new(store.clone());
    let mut writer = LogWriter::group(&logs, &ann, &[]).await;
    let heads = store.heads(&[writer.channel()]).await;
    assert_eq!(heads.ok(), Some(vec![writer.head()]));
    let command = writer.text(&ann, "into silence");
    let append = writer.prepare(&[command]);
    server.signal("STOP");
    let (mut slowest, mut in_doubt) = (Duration::ZERO, false);
    for _ in 0..3 {
        let started = Instant::now();
        let asked = [writer.channel()];
        let (written, read) = tokio::join!(store.append(append.clone()), store.heads(&asked));
        slowest = slowest.max(started.elapsed());
        let error = written.expect_err("nobody answers");
        in_doubt |= error.retry() == Retry::Unknown;
        assert!(read.is_err());
    }
    server.signal("CONT");
    assert!(slowest < CALL_TIME_MAX, "a call took {slowest:?}");
    let started = Instant::now();
    loop {
        match store.append(append.clone()).await {
            Ok(AppendOutcome::Appended { .. }) => break,
            Ok(AppendOutcome::KeyExists { .. }) if in_doubt => break,
            Ok(other) => panic!("it was refused before: {other:?}"),
            Err(error) => {
                in_doubt |= error.retry() == Retry::Unknown;
                assert!(started.elapsed() < PATIENCE, "the store comes back");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    writer.accept(&append);
    let heads = store.heads(&[writer.channel()]).await;
    assert_eq!(heads.ok(), Some(vec![writer.head()]));
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_refused() {
    let Some(server) = server(&["fsync=off"]) else {
        return;
    };
    for (setting, name) in [
        ("fsync=off", "fsync"),
        ("full_page_writes=off", "full_page_writes"),
    ] {
        server.crash(Crash::Immediate);
        server.start_again(&[setting]);
        let refused = PostgresStore::open(&server.url()).await.map(drop);
        let Err(OpenError::NotDurable { setting, .. }) = refused else {
            panic!("a crash would undo what was acknowledged: {refused:?}");
        };
        assert_eq!(setting, name);
    }
    server.crash(Crash::Immediate);
    server.start_again(&[]);
    let store = PostgresStore::open(&server.url()).await;
    store
        .expect("a durable server")
        .close()
        .await
        .expect("it closes");
}
