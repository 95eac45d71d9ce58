//! Pages of history, and inboxes: one after the other, as one client asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::ports::{EntriesQuery, InboxQuery, InboxStore, MessageStore, PageLimit};
use chat_proto::{Seq, UserId};
use chat_testkit::FannedOut;

use super::appends::{append_once, begin, percentile};
use super::channel::WRITERS;
use super::target::Target;
use crate::error::Error;
use crate::places::failed;

/// Messages on a page of history.
const PAGE: usize = 50;
const PAGE_BYTES: usize = 1024 * 1024;
/// Messages of the log whose pages are read.
const HISTORY: u64 = 800;
/// Channels of the inbox.
const INBOX: usize = 200;
const PAGES_READ: u64 = 400;
const INBOXES_READ: usize = 60;

/// How long reads take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    pub(super) history_p50_ms: f64,
    pub(super) history_p99_ms: f64,
    pub(super) inbox_p50_ms: f64,
    pub(super) inbox_p99_ms: f64,
}

pub(super) async fn measure(target: &Target, reader: &UserId) -> Result<Waits, Error> {
    let mut history = pages(&target.messages, reader).await?;
    let mut inbox = inboxes(&target.messages, &target.inbox, reader).await?;
    let ms = |waits: &mut [Duration], percent| percentile(waits, percent).as_secs_f64() * 1e3;
    Ok(Waits {
        history_p50_ms: ms(&mut history, 50),
        history_p99_ms: ms(&mut history, 99),
        inbox_p50_ms: ms(&mut inbox, 50),
        inbox_p99_ms: ms(&mut inbox, 99),
    })
}

async fn pages(messages: &Arc<dyn MessageStore>, reader: &UserId) -> Result<Vec<Duration>, Error> {
    let mut channels = begin(messages, 1, reader).await?;
    let channel = &mut channels[0];
    while channel.head.n.0 < HISTORY {
        append_once(messages, channel).await?;
    }
    let mut waits = Vec::new();
    for page in 0..PAGES_READ {
        // All over the log, in an order without pattern.
        let after = 1 + (page * 7_919) % (HISTORY - PAGE as u64);
        let query = EntriesQuery {
            channel: channel.id,
            after: Seq(after),
            limit: PageLimit {
                entries: PAGE,
                bytes: PAGE_BYTES,
            },
        };
        let asked = Instant::now();
        let read = messages.entries(query).await;
        waits.push(asked.elapsed());
        let read = read.map_err(|error| failed("a page", error))?;
        if read.entries.len() != PAGE {
            return Err(Error::Invalid(format!("a page of {}", read.entries.len())));
        }
    }
    Ok(waits)
}

async fn inboxes(
    messages: &Arc<dyn MessageStore>,
    inbox: &Arc<dyn InboxStore>,
    reader: &UserId,
) -> Result<Vec<Duration>, Error> {
    // Where rows are not derived from the logs, somebody tells them.
    let told = FannedOut::over(Arc::clone(messages), Arc::clone(inbox));
    let user: UserId = format!("{reader}-inbox")
        .parse()
        .map_err(|error| failed("a user", format!("{error:?}")))?;
    for mut channel in begin(&told, INBOX, &user).await? {
        append_once(&told, &mut channel).await?;
    }
    let mut waits = Vec::new();
    for _ in 0..INBOXES_READ {
        let query = InboxQuery {
            user: user.clone(),
            since: None,
            behind: None,
            limit: INBOX,
        };
        let asked = Instant::now();
        let read = inbox.list(query).await;
        waits.push(asked.elapsed());
        let read = read.map_err(|error| failed("an inbox", error))?;
        let whole = read.rows.iter().all(|row| row.head.n.0 == WRITERS as u64);
        if read.rows.len() != INBOX || !whole {
            return Err(Error::Invalid(format!(
                "an inbox of {} rows",
                read.rows.len()
            )));
        }
    }
    Ok(waits)
}
