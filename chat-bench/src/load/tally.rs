//! What all connections of a measurement count together.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cpu::cpu_time;
use crate::error::Error;
use crate::figures::Figures;
use crate::server_process::ServerProcess;

/// Waits beyond this count as this.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Commits to disk, and entries in them, as the server's metrics call them.
const STORE_COUNTERS: [&str; 2] = [
    "chat_store_commits_total",
    "chat_store_appended_entries_total",
];

/// Counters of one thread, and the clock that its messages carry.
pub(crate) struct Tally {
    started: Instant,
    pub(crate) stopping: Cell<bool>,
    pub(crate) in_flight: Cell<u64>,
    pub(crate) acked: Cell<u64>,
    pub(crate) delivered: Cell<u64>,
    pub(crate) heads: Cell<u64>,
    ack_waits: RefCell<Histogram<u64>>,
    delivery_waits: RefCell<Histogram<u64>>,
}

/// The state of everything that is counted at one moment.
pub(crate) struct Snapshot {
    at: Instant,
    pub(crate) acked: u64,
    pub(crate) delivered: u64,
    pub(crate) heads: u64,
    cpu: Duration,
    store: Vec<Option<f64>>,
}

/// What was counted between two moments.
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) acked: f64,
    pub(crate) delivered: f64,
    pub(crate) heads: f64,
    pub(crate) cpu_us: f64,
    commits: Option<f64>,
    entries: Option<f64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let waits = || {
            let waits = Histogram::new_with_max(WAIT_MAX.as_nanos() as u64, 3);
            RefCell::new(
                waits.expect("three digits up to a minute are within the bounds of a histogram"),
            )
        };
        Self {
            started: Instant::now(),
            stopping: Cell::new(false),
            in_flight: Cell::new(0),
            acked: Cell::new(0),
            delivered: Cell::new(0),
            heads: Cell::new(0),
            ack_waits: waits(),
            delivery_waits: waits(),
        }
    }

    /// Nanoseconds since the measurement began: what a message carries.
    pub(crate) fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    pub(crate) fn count_ack(&self, sent_ns: u64) {
        self.acked.set(self.acked.get() + 1);
        self.ack_waits
            .borrow_mut()
            .saturating_record(self.now_ns().saturating_sub(sent_ns));
    }

    pub(crate) fn count_delivery(&self, sent_ns: Option<u64>) {
        self.delivered.set(self.delivered.get() + 1);
        if let Some(sent_ns) = sent_ns {
            self.delivery_waits
                .borrow_mut()
                .saturating_record(self.now_ns().saturating_sub(sent_ns));
        }
    }

    /// Forgets the waits so far and tells the counts, so that what is measured begins now.
    pub(crate) async fn begin(&self, server: &ServerProcess) -> Result<Snapshot, Error> {
        let snapshot = self.snapshot(server).await?;
        self.ack_waits.borrow_mut().reset();
        self.delivery_waits.borrow_mut().reset();
        Ok(snapshot)
    }

    /// What was counted since.
    pub(crate) async fn since(
        &self,
        begun: &Snapshot,
        server: &ServerProcess,
    ) -> Result<Window, Error> {
        let now = self.snapshot(server).await?;
        let counted = |at: usize| Some(now.store[at]? - begun.store[at]?);
        Ok(Window {
            seconds: (now.at - begun.at).as_secs_f64(),
            acked: (now.acked - begun.acked) as f64,
            delivered: (now.delivered - begun.delivered) as f64,
            heads: (now.heads - begun.heads) as f64,
            cpu_us: (now.cpu - begun.cpu).as_secs_f64() * 1e6,
            commits: counted(0),
            entries: counted(1),
        })
    }

    /// The waits for acknowledgements, in milliseconds.
    pub(crate) fn add_ack_waits(&self, figures: &mut Figures) {
        let waits = self.ack_waits.borrow();
        figures.add("ack_p50_ms", milliseconds(&waits, 50.0));
        figures.add("ack_p99_ms", milliseconds(&waits, 99.0));
    }

    /// The waits for messages of others, in milliseconds.
    pub(crate) fn add_delivery_waits(&self, figures: &mut Figures) {
        let waits = self.delivery_waits.borrow();
        if !waits.is_empty() {
            figures.add("delivery_p50_ms", milliseconds(&waits, 50.0));
            figures.add("delivery_p99_ms", milliseconds(&waits, 99.0));
        }
    }

    async fn snapshot(&self, server: &ServerProcess) -> Result<Snapshot, Error> {
        // The admin port first: its request costs time, which then is in neither the counts nor the window.
        let store = server.counters(&STORE_COUNTERS).await?;
        Ok(Snapshot {
            at: Instant::now(),
            acked: self.acked.get(),
            delivered: self.delivered.get(),
            heads: self.heads.get(),
            cpu: cpu_time(server.pid()?)?,
            store,
        })
    }
}

impl Window {
    /// How many messages one fsync made durable, where the server tells.
    pub(crate) fn add_commits(&self, figures: &mut Figures) {
        if let (Some(commits), Some(entries)) = (self.commits, self.entries)
            && commits > 0.0
        {
            figures.add("commits_per_s", commits / self.seconds);
            figures.add("messages_per_fsync", entries / commits);
        }
    }
}

fn milliseconds(waits: &Histogram<u64>, percentile: f64) -> f64 {
    waits.value_at_percentile(percentile) as f64 / 1e6
}
