//! The process that appends until it is stopped, and the check of what it leaves.
//!
//! The process is this test's own program, started again with [`FOLDER_VARIABLE`] set. It tells each acknowledgement
//! on its standard output, a line at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chat_core::ports::{
    Append, AppendOutcome, AppendRecord, EntriesQuery, MessageStore, PageLimit, PortError,
    PortErrorKind, Retry,
};
use chat_proto::channel::{
    Action, Context, Decision, NewChannel, NewMessage, decide, evolve, member_changes, stamp,
};
use chat_proto::{
    Body, ChannelId, ChannelState, ChannelType, ClientId, Command, History, Limits, MessageId, Seq,
    Timestamp, UserId,
};
use chat_store_sqlite::{Config, Health, SqliteStore};
use uuid::Uuid;

/// Where the appending process keeps its store.
const FOLDER_VARIABLE: &str = "CHAT_CRASH_CHILD";
/// Set: the process acknowledges without waiting for the disk.
const UNSAFE_VARIABLE: &str = "CHAT_CRASH_UNSAFE";
/// The test that is the process.
const APPENDER: &str = "append_if_started_to";
/// Channels that are appended to at the same time.
const CHANNELS: u128 = 6;
/// How long a process may take to say something.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How long the process goes on trying after a failure.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long it waits between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// What the process has said.
#[derive(Debug)]
pub(crate) enum Said {
    /// This is durable.
    Acknowledged(Acknowledged),
    /// An append failed.
    Failed {
        /// Whether because of the disk.
        storage: bool,
        /// Whether it is surely not applied.
        safe: bool,
    },
    /// The store takes no writes.
    Refusing,
    /// The store takes writes again after it did not.
    Recovered,
}

/// An entry that the store acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acknowledged {
    channel: ChannelId,
    seq: Seq,
    /// The message's key; absent for the entry that began the channel.
    client_id: Option<ClientId>,
}

/// The body of the test that is the process: appends for ever, or does nothing in a usual run of the tests.
pub(crate) fn append_if_child() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .expect("a runtime starts")
        .block_on(append(&PathBuf::from(folder)));
}

async fn append(folder: &Path) {
    let mut config = Config::new(file(folder));
    if std::env::var_os(UNSAFE_VARIABLE).is_some() {
        config = config.unsafe_for_production_loses_acknowledged_writes();
    }
    let store = SqliteStore::open_with(config)
        .await
        .expect("the store opens");
    let tasks: Vec<_> = channels()
        .map(|channel| tokio::spawn(append_to(store.clone(), channel)))
        .collect();
    for task in tasks {
        task.await.expect("appending does not panic");
    }
}

/// Appends to one channel until the process is stopped, or for a while after a failure.
async fn append_to(store: SqliteStore, channel: ChannelId) {
    let loaded = store
        .load(channel, Seq(0))
        .await
        .expect("the channel loads");
    let mut state = match loaded.snapshot {
        Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
        None => ChannelState::empty(channel),
    };
    let mut failed_at: Option<Instant> = None;
    while failed_at.is_none_or(|at| at.elapsed() < RETRY_MAX) {
        let (append, after) = next(&state);
        let appended = append.records[0].record.entry.clone();
        match store.append(append).await {
            Ok(AppendOutcome::Appended { .. }) => {
                if failed_at.is_some() {
                    say("recovered");
                }
                state = after;
                let key = appended
                    .as_message()
                    .map(|message| message.client_id.to_string());
                say(&format!(
                    "ack {channel} {} {}",
                    appended.seq,
                    key.unwrap_or_default()
                ));
            }
            Ok(outcome) => panic!("the only writer of a channel was refused: {outcome:?}"),
            Err(error) => {
                failed_at.get_or_insert_with(Instant::now);
                say_failure(&error);
                if store.health() != Health::Writable {
                    say("refusing");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The next entry of the channel, as the engine would append it, and the state after it.
fn next(state: &ChannelState) -> (Append, ChannelState) {
    let user: UserId = "ann".parse().expect("a good name");
    let action = if state.head().seq == Seq(0) {
        Action::Create(NewChannel {
            channel_type: ChannelType::Group,
            title: Some("a group".into()),
            members: Vec::new(),
            history: History::All,
            data: None,
            external_id: None,
        })
    } else {
        Action::Send(NewMessage::new(Body::text(format!(
            "text after {}",
            state.head().seq
        ))))
    };
    let client_id = ClientId::from_uuid(Uuid::new_v4());
    let command = Command::of_system(user, Some(client_id), action);
    let limits = Limits::default();
    let decision = decide(state, &command, &Context::new(&limits)).expect("the rules allow it");
    let Decision::Record(drafts) = decision else {
        panic!("a new text is always recorded");
    };
    let ids = [MessageId(state.last_message_id().0 + 1)];
    let mut after = state.clone();
    let stamped = stamp(state, &command, drafts, &ids, Timestamp(1_700_000_000_000));
    let records = stamped.into_iter().map(|record| {
        let changes = member_changes(&after, &record.entry);
        evolve(&mut after, &record.entry, record.key.as_ref());
        AppendRecord { record, changes }
    });
    let append = Append {
        channel: state.id(),
        expected_head: state.head().seq,
        records: records.collect(),
        state: Some(after.to_snapshot()),
    };
    (append, after)
}

fn say_failure(error: &PortError) {
    let storage = error.kind() == PortErrorKind::Storage;
    say(&format!(
        "failed {storage} {}",
        error.retry() == Retry::Safe
    ));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: the test is over.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// The process, from its parent's side. Stopped when dropped.
pub(crate) struct Appender {
    child: Child,
    lines: mpsc::Receiver<Said>,
}

impl Appender {
    /// Starts the process on this folder, under `wrapper` if one is given.
    pub(crate) fn start(folder: &Path, wrapper: &[&str], synced: bool) -> Self {
        let program = std::env::current_exe().expect("a test knows its program");
        let mut command = match wrapper {
            [] => Program::new(program),
            [first, rest @ ..] => {
                let mut command = Program::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args([APPENDER, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER_VARIABLE, folder).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        if !synced {
            command.env(UNSAFE_VARIABLE, "1");
        }
        let mut child = command.spawn().expect("the process starts");
        let out = child.stdout.take().expect("its output is a pipe");
        let (sender, lines) = mpsc::channel();
        // Ends with the pipe, and so with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(said) = parse(&line)
                    && sender.send(said).is_err()
                {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for so many acknowledgements.
    pub(crate) fn acknowledged(&self, count: usize) -> Vec<Acknowledged> {
        let mut acknowledged = Vec::new();
        while acknowledged.len() < count {
            match self
                .lines
                .recv_timeout(SILENCE_MAX)
                .expect("the process acknowledges")
            {
                Said::Acknowledged(entry) => acknowledged.push(entry),
                other => panic!("nothing fails on a good disk: {other:?}"),
            }
        }
        acknowledged
    }

    /// Kills the process, with a signal that it cannot catch; what else it had said.
    pub(crate) fn kill(mut self) -> Vec<Said> {
        self.stop();
        self.lines.iter().collect()
    }

    /// Waits until the process ends by itself; all that it said.
    pub(crate) fn finished(self) -> Vec<Said> {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(SILENCE_MAX) {
                Ok(next) => said.push(next),
                Err(mpsc::RecvTimeoutError::Disconnected) => return said,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the process is silent"),
            }
        }
    }

    fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A line of the process; nothing for those of the test harness around it.
fn parse(line: &str) -> Option<Said> {
    // The harness writes the test's name without a line end before the first of ours.
    let line = line
        .strip_prefix("test append_if_started_to ... ")
        .unwrap_or(line);
    let mut words = line.split(' ');
    match words.next()? {
        "ack" => Some(Said::Acknowledged(Acknowledged {
            channel: words.next()?.parse().ok()?,
            seq: Seq(words.next()?.parse().ok()?),
            client_id: words.next().and_then(|id| id.parse().ok()),
        })),
        "failed" => Some(Said::Failed {
            storage: words.next()? == "true",
            safe: words.next()? == "true",
        }),
        "refusing" => Some(Said::Refusing),
        "recovered" => Some(Said::Recovered),
        _ => None,
    }
}

/// The acknowledgements among what was said.
pub(crate) fn acknowledgements(said: &[Said]) -> impl Iterator<Item = Acknowledged> {
    said.iter().filter_map(|said| match said {
        Said::Acknowledged(entry) => Some(*entry),
        Said::Failed { .. } | Said::Refusing | Said::Recovered => None,
    })
}

/// Opens the store and finds how many of the acknowledged entries are not in it.
///
/// # Panics
/// When a log has a hole or a key twice, or the file is damaged: that no crash may do, synced or not.
pub(crate) fn lost(folder: &Path, acknowledged: &BTreeSet<Acknowledged>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime starts").block_on(async {
        let store = SqliteStore::open(file(folder))
            .await
            .expect("the store opens again");
        let mut found = BTreeSet::new();
        for channel in channels() {
            found.extend(log(&store, channel).await);
        }
        store.close().await.expect("the store closes");
        check_integrity(&file(folder)).await;
        acknowledged.difference(&found).count()
    })
}

/// A channel's log, contiguous and each key once.
async fn log(store: &SqliteStore, channel: ChannelId) -> Vec<Acknowledged> {
    let (mut entries, mut keys) = (Vec::new(), BTreeMap::new());
    loop {
        let after = Seq(entries.len() as u64);
        let limit = PageLimit {
            entries: 500,
            bytes: 1024 * 1024,
        };
        let page = store
            .entries(EntriesQuery {
                channel,
                after,
                limit,
            })
            .await
            .expect("a page");
        if page.entries.is_empty() {
            assert_eq!(after, page.head.seq, "the log reaches its head");
            return entries;
        }
        for entry in page.entries {
            assert_eq!(
                entry.seq,
                Seq(entries.len() as u64 + 1),
                "the log is contiguous"
            );
            let client_id = entry.as_message().map(|message| message.client_id);
            assert!(
                client_id.is_some() || entry.seq == Seq(1),
                "all but the first are messages"
            );
            assert_eq!(
                keys.insert(client_id, entry.seq),
                None,
                "a key is in the log once"
            );
            entries.push(Acknowledged {
                channel,
                seq: entry.seq,
                client_id,
            });
        }
    }
}

async fn check_integrity(path: &Path) {
    use sqlx::{ConnectOptions, Executor, Row};
    let mut db = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("the file opens");
    let row = db
        .fetch_one("PRAGMA integrity_check")
        .await
        .expect("a check");
    assert_eq!(row.get::<String, _>(0), "ok");
}

fn channels() -> impl Iterator<Item = ChannelId> {
    (1..=CHANNELS).map(|number| ChannelId::external(&format!("crash-{number}")))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("chat.db")
}
