//! Writers who go on while the servers of a store die, freeze and come back, and the proof of what is left.
//!
//! Each writer settles one message after the other by the contract: what has no answer is appended again at the same head,
//! until it is known what became of it. In the end every acknowledged message is in its log once, at the place that was
//! told, and what was said to be surely not written is nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chat_core::ports::{Append, AppendOutcome, EntriesQuery, MessageStore, PortError, Retry};
use chat_core::proto::{ChannelId, ClientId, Entry, EntryKind, Ordinal, Seq, UserId};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::case::join_all;
use crate::log_writer::{LogWriter, WHOLE_PAGE};
use crate::names::{fresh_user, fresh_users};

/// Between two tries of something that failed.
const PAUSE: Duration = Duration::from_millis(50);
/// How long anything may fail before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who writes what through which stores.
pub struct Endurance {
    stores: Vec<Arc<dyn MessageStore>>,
    calm: Arc<dyn MessageStore>,
    channels: usize,
    writers: usize,
}

/// Writers at work.
pub struct Enduring {
    verifier: Arc<dyn MessageStore>,
    channels: Vec<ChannelId>,
    tasks: Vec<JoinHandle<Written>>,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Endured {
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Appends without an answer, each of which was settled.
    pub unknown: u64,
    /// Appends that were refused as surely not applied.
    pub refused: u64,
    /// Whatever was not as it must be.
    pub breaches: Vec<String>,
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
}

/// What one writer was told.
struct Written {
    channel: ChannelId,
    acknowledged: Vec<(ClientId, Seq)>,
    /// Given up after the store said that they surely are not written.
    given_up: Vec<ClientId>,
}

impl Endurance {
    /// So many channels with so many writers each, spread over stores that share their data.
    ///
    /// # Panics
    /// Without a store.
    pub fn over(stores: Vec<Arc<dyn MessageStore>>, channels: usize, writers: usize) -> Self {
        let calm = stores.first().expect("writers need a store");
        Self {
            calm: Arc::clone(calm),
            stores,
            channels,
            writers,
        }
    }

    /// The same, but the channels are begun, and read in the end, through another store over the same data.
    #[must_use]
    pub fn begun_through(mut self, calm: Arc<dyn MessageStore>) -> Self {
        self.calm = calm;
        self
    }

    /// Begins the channels, in calm weather, and lets the writers go.
    pub async fn begin(self) -> Enduring {
        let (stop, counts) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Counts::default()),
        );
        let (mut tasks, mut channels) = (Vec::new(), Vec::new());
        let stores = self.stores.len();
        for number in 0..self.channels {
            let owner = fresh_user("owner");
            let members = fresh_users("writer", self.writers);
            let log = LogWriter::group(&self.calm, &owner, &members).await;
            channels.push(log.channel());
            for (index, user) in members.into_iter().enumerate() {
                let store = Arc::clone(&self.stores[(number + index) % stores]);
                let writer = Writer {
                    log: log.clone().in_store(&store),
                    store,
                    user,
                    stop: Arc::clone(&stop),
                    counts: Arc::clone(&counts),
                };
                tasks.push(tokio::spawn(writer.write()));
            }
        }
        Enduring {
            verifier: self.calm,
            channels,
            tasks,
            stop,
            counts,
        }
    }
}

impl Enduring {
    /// Messages that were acknowledged by now.
    pub fn acknowledged(&self) -> u64 {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more messages are acknowledged: proof that the store serves.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn more(&self, messages: u64) {
        let (from, began) = (self.acknowledged(), Instant::now());
        while self.acknowledged() < from + messages {
            assert!(
                began.elapsed() < PATIENCE,
                "the store does not serve again: {} acknowledged since",
                self.acknowledged() - from
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets every writer settle what it has begun, and reads the logs.
    ///
    /// # Panics
    /// When a writer did, or a log cannot be read.
    pub async fn end(self) -> Endured {
        self.stop.store(true, Ordering::Relaxed);
        let written = join_all(self.tasks).await;
        let mut endured = Endured {
            acknowledged: self.counts.acknowledged.load(Ordering::Relaxed),
            unknown: self.counts.unknown.load(Ordering::Relaxed),
            refused: self.counts.refused.load(Ordering::Relaxed),
            breaches: Vec::new(),
        };
        for channel in self.channels {
            let log = read(&*self.verifier, channel).await;
            let of_channel = written.iter().filter(|written| written.channel == channel);
            check(channel, &log, of_channel, &mut endured.breaches);
        }
        endured
    }
}

struct Writer {
    log: LogWriter,
    store: Arc<dyn MessageStore>,
    user: UserId,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

/// What became of one try.
enum Tried {
    /// It is in the log.
    At(Seq),
    /// It is not, and the head has moved.
    Moved,
    /// It surely is not, for what the store says.
    Refused,
}

impl Writer {
    async fn write(mut self) -> Written {
        let mut written = Written {
            channel: self.log.channel(),
            acknowledged: Vec::new(),
            given_up: Vec::new(),
        };
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            let command = self.log.text(&self.user, format!("{} {number}", self.user));
            let client_id = command.key.expect("a writer's command has a key").client_id;
            loop {
                let append = self.log.prepare(std::slice::from_ref(&command));
                match self.settle(&append, client_id).await {
                    Tried::At(seq) => {
                        self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                        written.acknowledged.push((client_id, seq));
                        break;
                    }
                    Tried::Moved => {}
                    Tried::Refused => {
                        // Never sent again: nothing of it may ever be seen.
                        self.counts.refused.fetch_add(1, Ordering::Relaxed);
                        written.given_up.push(client_id);
                        tokio::time::sleep(PAUSE).await;
                        break;
                    }
                }
            }
        }
        written
    }

    async fn settle(&mut self, append: &Append, client_id: ClientId) -> Tried {
        let began = Instant::now();
        let mut unanswered = false;
        loop {
            assert!(began.elapsed() < PATIENCE, "an append is not settled");
            match self.store.append(append.clone()).await {
                Ok(AppendOutcome::Appended { .. }) => {
                    self.log.accept(append);
                    return Tried::At(self.log.head().seq);
                }
                Ok(AppendOutcome::HeadMoved { .. } | AppendOutcome::KeyExists { .. }) => {
                    return match self.news_of(client_id).await {
                        Some(seq) => Tried::At(seq),
                        None => Tried::Moved,
                    };
                }
                // A refusal tells nothing of an earlier try that had no answer.
                Err(error) if error.retry() == Retry::Safe && !unanswered => {
                    return Tried::Refused;
                }
                Err(error) => {
                    if error.retry() == Retry::Unknown && !unanswered {
                        self.counts.unknown.fetch_add(1, Ordering::Relaxed);
                    }
                    unanswered |= error.retry() == Retry::Unknown;
                    assert!(
                        error.retry() != Retry::Never,
                        "a valid append is refused for ever: {error:?}"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Folds what came; where this writer's message is, if it is among it.
    async fn news_of(&mut self, client_id: ClientId) -> Option<Seq> {
        let (known, began) = (self.log.records().len(), Instant::now());
        while let Err(error) = self.log.catch_up().await {
            assert!(
                began.elapsed() < PATIENCE,
                "the log cannot be read: {error:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        let news = self.log.records()[known..].iter().map(|of| &of.entry);
        let mut own = news.filter(|entry| client_id_of(entry) == Some(client_id));
        own.next().map(|entry| entry.seq)
    }
}

fn client_id_of(entry: &Entry) -> Option<ClientId> {
    entry.as_message().map(|message| message.client_id)
}

async fn read(store: &dyn MessageStore, channel: ChannelId) -> Vec<Entry> {
    let began = Instant::now();
    let mut log: Vec<Entry> = Vec::new();
    loop {
        let query = EntriesQuery {
            channel,
            after: log.last().map_or(Seq(0), |entry| entry.seq),
            limit: WHOLE_PAGE,
        };
        let page: Result<_, PortError> = store.entries(query).await;
        match page {
            Ok(page) if page.entries.is_empty() => return log,
            Ok(page) => log.extend(page.entries),
            Err(error) => {
                assert!(
                    began.elapsed() < PATIENCE,
                    "the log cannot be read: {error:?}"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn check<'a>(
    channel: ChannelId,
    log: &[Entry],
    written: impl Iterator<Item = &'a Written>,
    breaches: &mut Vec<String>,
) {
    let mut n = Ordinal(0);
    for (entry, expected) in log.iter().zip(1..) {
        n.0 += u64::from(matches!(entry.kind, EntryKind::Message(_)));
        if entry.seq != Seq(expected) || entry.n != n {
            breaches.push(format!(
                "{channel}: {}/{} stands where {expected}/{n} belongs",
                entry.seq, entry.n
            ));
        }
    }
    let mut places: BTreeMap<ClientId, BTreeSet<Seq>> = BTreeMap::new();
    for entry in log {
        if let Some(client_id) = client_id_of(entry) {
            places.entry(client_id).or_default().insert(entry.seq);
        }
    }
    for (client_id, seqs) in places.iter().filter(|(_, seqs)| seqs.len() > 1) {
        breaches.push(format!("{channel}: {client_id} is in the log at {seqs:?}"));
    }
    for written in written {
        for (client_id, seq) in &written.acknowledged {
            if !places.get(client_id).is_some_and(|seqs| seqs.contains(seq)) {
                breaches.push(format!(
                    "{channel}: {client_id} was acknowledged at {seq}, and is at {:?}",
                    places.get(client_id)
                ));
            }
        }
        for client_id in &written.given_up {
            if let Some(seqs) = places.get(client_id) {
                breaches.push(format!(
                    "{channel}: {client_id} was said to be surely not written, and is at {seqs:?}"
                ));
            }
        }
    }
}
