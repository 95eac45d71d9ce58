//! Appends that go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chat_core::ports::{
    Append, AppendOutcome, EntriesPage, EntriesQuery, MessageStore, PortError, PortErrorKind, Retry,
};
use chat_core::proto::channel::MemberChange;
use chat_core::proto::{Body, ChannelId, EntryKind, Head, Limits, Seq};

use super::messages::MessagesTwist;
use crate::log_writer::WHOLE_PAGE;

/// Counts the next number up before it knows whether the append happens: a refused append leaves a hole.
#[derive(Default)]
pub struct NumberGivenOutBeforeCommit {
    given_out: Mutex<BTreeMap<ChannelId, Seq>>,
}

#[async_trait]
impl MessagesTwist for NumberGivenOutBeforeCommit {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let channel = append.channel;
        let last = Seq(append.expected_head.0 + append.records.len() as u64);
        let outcome = inner.append(append).await;
        let mut given_out = lock(&self.given_out);
        let counter = given_out.entry(channel).or_default();
        *counter = last.max(*counter);
        outcome
    }

    async fn heads(
        &self,
        inner: &dyn MessageStore,
        channels: &[ChannelId],
    ) -> Result<Vec<Head>, PortError> {
        let mut heads = inner.heads(channels).await?;
        let given_out = lock(&self.given_out);
        for (head, channel) in heads.iter_mut().zip(channels) {
            head.seq = head
                .seq
                .max(given_out.get(channel).copied().unwrap_or_default());
        }
        Ok(heads)
    }
}

/// Settles an append that had no answer by looking whether it is there. What is not there yet may still come.
#[derive(Default)]
pub struct ResolvesByReading;

const READ_TRIES_MAX: usize = 100;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(50);

#[async_trait]
impl MessagesTwist for ResolvesByReading {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let (channel, after) = (append.channel, append.expected_head);
        let names: Vec<_> = append
            .records
            .iter()
            .map(|of| of.record.entry.message)
            .collect();
        let error = match inner.append(append).await {
            Err(error) if error.retry() == Retry::Unknown => error,
            outcome => return outcome,
        };
        let query = EntriesQuery {
            channel,
            after,
            limit: WHOLE_PAGE,
        };
        let mut tries = 0;
        let page = loop {
            match inner.entries(query.clone()).await {
                Ok(page) => break page,
                Err(_) if tries < READ_TRIES_MAX => tokio::time::sleep(READ_AGAIN_AFTER).await,
                Err(_) => return Err(error),
            }
            tries += 1;
        };
        let there = page.entries.iter().zip(&names);
        let durable = there
            .take_while(|(entry, name)| entry.message == **name)
            .count();
        match durable {
            0 => Err(PortError::unavailable("messages.append", Retry::Safe).with_source(error)),
            durable => Ok(AppendOutcome::Appended { durable }),
        }
    }
}

/// Says of every seventh append that it timed out and was surely not applied; it was.
#[derive(Default)]
pub struct NotWrittenClaimedAfterTimeout {
    appends: AtomicUsize,
}

#[async_trait]
impl MessagesTwist for NotWrittenClaimedAfterTimeout {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let outcome = inner.append(append).await?;
        let applied = matches!(outcome, AppendOutcome::Appended { .. });
        if applied && self.appends.fetch_add(1, Ordering::Relaxed) % 7 == 6 {
            let (kind, retry) = (PortErrorKind::Timeout, Retry::Safe);
            return Err(PortError::new(kind, retry, "messages.append"));
        }
        Ok(outcome)
    }
}

/// Tells the writer who lost a race that it won: a last write that wins, without a condition.
#[derive(Default)]
pub struct AcknowledgesTheLoser;

#[async_trait]
impl MessagesTwist for AcknowledgesTheLoser {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let durable = append.records.len();
        match inner.append(append).await? {
            AppendOutcome::HeadMoved { .. } => Ok(AppendOutcome::Appended { durable }),
            outcome => Ok(outcome),
        }
    }
}

/// Writes half of a large append and acknowledges all of it.
#[derive(Default)]
pub struct ClaimsMoreThanIsDurable;

#[async_trait]
impl MessagesTwist for ClaimsMoreThanIsDurable {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let durable = append.records.len();
        if durable < Limits::APPEND_ENTRIES_MAX - 1 {
            return inner.append(append).await;
        }
        append.records.truncate(durable / 2);
        inner.append(append).await?;
        Ok(AppendOutcome::Appended { durable })
    }
}

/// Writes a channel's creation on its own and leaves its first message to another append.
#[derive(Default)]
pub struct TearsCreationFromFirstMessage;

#[async_trait]
impl MessagesTwist for TearsCreationFromFirstMessage {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        if append.expected_head == Seq(0) {
            append.records.truncate(1);
        }
        inner.append(append).await
    }
}

/// Appends a known key as if the record had none: an index that was dropped.
#[derive(Default)]
pub struct KnownKeyAppendedAgain;

#[async_trait]
impl MessagesTwist for KnownKeyAppendedAgain {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let outcome = inner.append(append.clone()).await?;
        let AppendOutcome::KeyExists { .. } = outcome else {
            return Ok(outcome);
        };
        for appended in &mut append.records {
            appended.record.key = None;
            if let EntryKind::Message(message) = &mut appended.record.entry.kind {
                message.client_id = crate::names::fresh_client_id();
            }
        }
        inner.append(append).await
    }
}

/// Shows the later entries of an append before its first one.
#[derive(Default)]
pub struct VisibleOutOfOrder {
    hidden: Mutex<BTreeSet<(ChannelId, Seq)>>,
    reads: AtomicU64,
}

/// Reads that must end while an entry is hidden: one may have begun before.
const READS: u64 = 2;
/// How long an append waits for them.
const WAIT_SECONDS_MAX: u64 = 1;

impl VisibleOutOfOrder {
    async fn let_readers_see(&self) {
        let enough = self.reads.load(Ordering::Acquire) + READS;
        let reading = async {
            while self.reads.load(Ordering::Acquire) < enough {
                tokio::task::yield_now().await;
            }
        };
        // Where nobody reads any more there is nobody to show it to.
        let deadline = Duration::from_secs(WAIT_SECONDS_MAX);
        drop(tokio::time::timeout(deadline, reading).await);
    }
}

#[async_trait]
impl MessagesTwist for VisibleOutOfOrder {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let first = (append.channel, append.expected_head.next());
        if append.records.len() == 1 {
            return inner.append(append).await;
        }
        lock(&self.hidden).insert(first);
        let outcome = inner.append(append).await;
        self.let_readers_see().await;
        lock(&self.hidden).remove(&first);
        outcome
    }

    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.entries(query).await?;
        let hidden = lock(&self.hidden);
        page.entries
            .retain(|entry| !hidden.contains(&(channel, entry.seq)));
        self.reads.fetch_add(1, Ordering::Release);
        Ok(page)
    }
}

/// Cuts a text at 65,535 bytes, as a column of that width does.
#[derive(Default)]
pub struct CutsLongBodies;

#[async_trait]
impl MessagesTwist for CutsLongBodies {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        change_texts(&mut append, |text| {
            text.truncate(text.floor_char_boundary(usize::from(u16::MAX)));
        });
        inner.append(append).await
    }
}

/// Ends a text at U+0000, as an interface with terminated strings does.
#[derive(Default)]
pub struct EndsTextAtZero;

#[async_trait]
impl MessagesTwist for EndsTextAtZero {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        change_texts(&mut append, |text| {
            text.truncate(text.find('\0').unwrap_or(text.len()));
        });
        inner.append(append).await
    }
}

/// Keeps the name of an unknown kind and forgets what came with it.
#[derive(Default)]
pub struct ForgetsUnknownFields;

#[async_trait]
impl MessagesTwist for ForgetsUnknownFields {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        for appended in &mut append.records {
            if let EntryKind::Unknown { fields, .. } = &mut appended.record.entry.kind {
                fields.clear();
            }
        }
        inner.append(append).await
    }
}

/// Writes who came and who changed, not who went.
#[derive(Default)]
pub struct ForgetsDepartures;

#[async_trait]
impl MessagesTwist for ForgetsDepartures {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        for appended in &mut append.records {
            appended
                .changes
                .retain(|change| !matches!(change, MemberChange::Left { .. }));
        }
        inner.append(append).await
    }
}

fn change_texts(append: &mut Append, change: fn(&mut String)) {
    for appended in &mut append.records {
        if let EntryKind::Message(message) = &mut appended.record.entry.kind
            && let Some(Body::Text { text, .. }) = &mut message.body
        {
            change(text);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
