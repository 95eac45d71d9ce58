//! Writers while nodes stand still: whatever they heard, the log holds what was acknowledged, once and at its place.
//!
//! Runs where `CHAT_TEST_CASSANDRA_NODES` names the folder of a cluster of three that `scripts/set-up-cassandra` started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_core::ports::{
    Append, AppendOutcome, EntriesQuery, MessageStore, MessagesQuery, PageLimit, PortError, Retry,
};
use chat_proto::channel::{Action, Annotations, NewMessage};
use chat_proto::{Body, Entry, MessageId, Seq, UserId};
use chat_testkit::names::{fresh_user, fresh_users};
use chat_testkit::{LogWriter, Skip};

mod cluster;

const VARIABLE: &str = "CHAT_TEST_CASSANDRA_NODES";
/// Freezes, one node after the other.
const FREEZES: usize = 9;
/// Longer than a node waits for others in every second one of them.
const FREEZE_MS: [u64; 2] = [1_500, 6_500];
/// Between them everything is well.
const THAW_MS: u64 = 1_500;
const WRITERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster of three, named by CHAT_TEST_CASSANDRA_NODES"]
async fn frozen_nodes_lose_and_repeat_nothing() {
    let (config, folder) = match (cluster::fresh().await, std::env::var(VARIABLE)) {
        (Ok(config), Ok(folder)) => (config, PathBuf::from(folder)),
        (Err(skip), _) => return skip.announce(),
        (_, Err(_)) => return Skip("cassandra-nodes").announce(),
    };
    let mut config = config;
    config.bucket_entries = 50;
    let stores = [
        cluster::store(&config).await,
        cluster::open(&config).await.expect("a second store opens"),
    ];
    let people = fresh_users("people", WRITERS);
    let logs = |number: usize| -> Arc<dyn MessageStore> { Arc::new(stores[number % 2].clone()) };
    let start = LogWriter::group(&logs(0), &people[0], &people[1..]).await;
    let mut start = start;
    let thread = start.say(&people[0], "a thread").await.seq;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = people
        .iter()
        .cloned()
        .enumerate()
        .map(|(number, user)| {
            let log = start.clone().in_store(&logs(number));
            let (store, stop) = (logs(number), Arc::clone(&stop));
            tokio::spawn(write(log, store, user, thread, stop))
        })
        .collect();
    for freeze in 0..FREEZES {
        let pid = std::fs::read_to_string(folder.join(format!("{}/pid", freeze % 3 + 1)));
        let pid = pid.expect("the node has a pid");
        signal("STOP", &pid);
        tokio::time::sleep(Duration::from_millis(FREEZE_MS[freeze % 2])).await;
        signal("CONT", &pid);
        tokio::time::sleep(Duration::from_millis(THAW_MS)).await;
    }
    stop.store(true, Ordering::Release);
    let (mut acknowledged, mut refused, mut unknowns) = (BTreeMap::new(), BTreeSet::new(), 0);
    for writer in writers {
        let written = writer.await.expect("a writer ends");
        for (seq, message) in written.acknowledged {
            assert_eq!(
                acknowledged.insert(seq, message),
                None,
                "two have one place"
            );
        }
        refused.extend(written.refused);
        unknowns += written.unknowns;
    }
    for store in &stores {
        let log = whole_log(store, &start).await;
        let places: BTreeMap<Seq, MessageId> =
            log.iter().map(|entry| (entry.seq, entry.message)).collect();
        for (seq, message) in &acknowledged {
            assert_eq!(places.get(seq), Some(message), "acknowledged at {seq}");
        }
        let known = acknowledged.len() + start.entries().len();
        assert_eq!(log.len(), known, "and nothing else is in the log");
        let surely_not = log.iter().filter(|entry| refused.contains(&entry.message));
        assert_eq!(surely_not.count(), 0, "what was refused is in the log");
        assert_annotated(store, &start, &log).await;
    }
    eprintln!(
        "{} acknowledged, {} surely not written, {unknowns} unknown and settled",
        acknowledged.len(),
        refused.len()
    );
}

#[derive(Default)]
struct Written {
    acknowledged: Vec<(Seq, MessageId)>,
    refused: Vec<MessageId>,
    unknowns: usize,
}

/// Writes as the engine does: an unknown append is sent again at the same head until it is settled.
async fn write(
    mut log: LogWriter,
    store: Arc<dyn MessageStore>,
    user: UserId,
    thread: Seq,
    stop: Arc<AtomicBool>,
) -> Written {
    let mut written = Written::default();
    let mut turn = 0;
    while !stop.load(Ordering::Acquire) {
        turn += 1;
        let commands: Vec<_> = (0..1 + turn % 4)
            .map(|part| {
                let mut message = NewMessage::new(Body::text(format!("{turn}/{part}")));
                message.thread = (turn % 3 == 0).then_some(thread);
                log.command(&user, Action::Send(message))
            })
            .collect();
        let append = log.prepare(&commands);
        let names = |append: &Append| -> Vec<(Seq, MessageId)> {
            let entries = append.records.iter().map(|of| &of.record.entry);
            entries.map(|entry| (entry.seq, entry.message)).collect()
        };
        let mut unknown = false;
        let durable = loop {
            match store.append(append.clone()).await {
                Ok(AppendOutcome::Appended { durable }) => break durable,
                Ok(AppendOutcome::HeadMoved { .. }) if unknown => {
                    break durable_of(&store, &append).await;
                }
                Ok(AppendOutcome::HeadMoved { .. }) => break 0,
                Ok(AppendOutcome::KeyExists { index, .. }) => {
                    panic!("a key that is new is known: {index}");
                }
                Err(error) if error.retry() == Retry::Unknown => {
                    unknown = true;
                    written.unknowns += 1;
                }
                Err(error) => {
                    assert_eq!(error.retry(), Retry::Safe, "{error}");
                    if !unknown {
                        break 0;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        written.acknowledged.extend(&names(&append)[..durable]);
        written
            .refused
            .extend(names(&append)[durable..].iter().map(|(_, name)| name));
        while log.catch_up().await.is_err() {}
    }
    written
}

async fn durable_of(store: &Arc<dyn MessageStore>, append: &Append) -> usize {
    let query = EntriesQuery {
        channel: append.channel,
        after: append.expected_head,
        limit: PageLimit {
            entries: append.records.len(),
            bytes: usize::MAX,
        },
    };
    let page = until(|| store.entries(query.clone())).await;
    let places = append.records.iter().zip(&page.entries);
    places
        .take_while(|(of, entry)| of.record.entry.message == entry.message)
        .count()
}

/// Asks until there is an answer.
async fn until<T, F: Future<Output = Result<T, PortError>>>(ask: impl Fn() -> F) -> T {
    loop {
        if let Ok(answer) = ask().await {
            return answer;
        }
    }
}

async fn whole_log(store: &impl MessageStore, writer: &LogWriter) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    loop {
        let query = EntriesQuery {
            channel: writer.channel(),
            after: Seq(log.len() as u64),
            limit: PageLimit {
                entries: 500,
                bytes: usize::MAX,
            },
        };
        let page = until(|| store.entries(query.clone())).await;
        if page.entries.is_empty() {
            return log;
        }
        log.extend(page.entries);
    }
}

async fn assert_annotated(store: &impl MessageStore, writer: &LogWriter, log: &[Entry]) {
    let viewer = fresh_user("viewer");
    let query = MessagesQuery {
        channel: writer.channel(),
        viewer: viewer.clone(),
        after: Seq(0),
        before: Seq(10),
        newest: false,
        limit: PageLimit {
            entries: 10,
            bytes: usize::MAX,
        },
    };
    let page = until(|| store.messages(query.clone())).await;
    for of in page.messages {
        let expected = Annotations::fold(of.entry.seq, log, &viewer);
        assert_eq!(of.annotations, expected, "at {}", of.entry.seq);
    }
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, pid.trim()])
        .status()
        .expect("kill runs");
    assert!(sent.success(), "the node with pid {pid} is gone");
}
