//! Channels in closed loops: one append of each is in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::ports::{AppendOutcome, MessageStore};
use chat_proto::UserId;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::task::JoinSet;

use super::channel::Channel;
use crate::cpu::cpu_time;
use crate::error::Error;
use crate::places::failed;

/// Channels that are made at a time.
const BEGINNINGS: usize = 32;

/// How fast, and what it cost this process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    pub(super) entries_per_s: f64,
    pub(super) cpu_us_per_entry: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Rate {
    /// Of what was done since then; the processor time is of this process as a whole.
    pub(super) fn since(
        began: Instant,
        cpu_before: Duration,
        entries: usize,
        mut waits: Vec<Duration>,
    ) -> Result<Self, Error> {
        let cpu = cpu_time(std::process::id())?.saturating_sub(cpu_before);
        if entries == 0 {
            return Err(Error::Invalid(
                "nothing was written in time; measure longer".to_owned(),
            ));
        }
        Ok(Self {
            entries_per_s: entries as f64 / began.elapsed().as_secs_f64(),
            cpu_us_per_entry: cpu.as_secs_f64() * 1e6 / entries as f64,
            p50_ms: percentile(&mut waits, 50).as_secs_f64() * 1e3,
            p99_ms: percentile(&mut waits, 99).as_secs_f64() * 1e3,
        })
    }
}

/// Of these waits, the one that so many of a hundred do not exceed.
pub(super) fn percentile(waits: &mut [Duration], percent: usize) -> Duration {
    waits.sort_unstable();
    let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
    waits.get(at).copied().unwrap_or_default()
}

/// So many new groups.
pub(super) async fn begin(
    messages: &Arc<dyn MessageStore>,
    count: usize,
    reader: &UserId,
) -> Result<Vec<Channel>, Error> {
    stream::iter(0..count)
        .map(|_| Channel::begin(messages, reader))
        .buffer_unordered(BEGINNINGS)
        .try_collect()
        .await
}

/// Appends to all of them for this time.
pub(super) async fn measure(
    messages: &Arc<dyn MessageStore>,
    channels: Vec<Channel>,
    time: Duration,
) -> Result<Rate, Error> {
    let (cpu, began) = (cpu_time(std::process::id())?, Instant::now());
    let mut loops = JoinSet::new();
    for mut channel in channels {
        let messages = Arc::clone(messages);
        loops.spawn(async move {
            let (mut entries, mut waits) = (0, Vec::new());
            while began.elapsed() < time {
                let sent = Instant::now();
                let durable = append_once(&messages, &mut channel).await?;
                waits.push(sent.elapsed());
                entries += durable;
            }
            Ok::<_, Error>((entries, waits))
        });
    }
    let (mut entries, mut waits) = (0, Vec::new());
    while let Some(ended) = loops.join_next().await {
        let (more, took) = ended.map_err(|panic| failed("a channel's loop", panic))??;
        entries += more;
        waits.extend(took);
    }
    Rate::since(began, cpu, entries, waits)
}

/// One append; how many of its entries are durable.
pub(super) async fn append_once(
    messages: &Arc<dyn MessageStore>,
    channel: &mut Channel,
) -> Result<usize, Error> {
    let outcome = messages.append(channel.next()).await;
    match outcome.map_err(|error| failed("an append", error))? {
        AppendOutcome::Appended { durable } => {
            channel.advance(durable);
            Ok(durable)
        }
        other => Err(Error::Invalid(format!(
            "an append that nobody races: {other:?}"
        ))),
    }
}
