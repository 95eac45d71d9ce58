//! Reads of the log that go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use chat_core::ports::{
    Append, AppendOutcome, EntriesPage, EntriesQuery, FoundKey, KeyQuery, Loaded, MessageStore,
    MessagesPage, MessagesQuery, PageLimit, PortError,
};
use chat_core::proto::{ChannelId, Head, Limits, MessageId, Seq, UserId};

use super::appends::lock;
use super::messages::MessagesTwist;

/// A page that holds any log of a case.
const EVERYTHING: PageLimit = PageLimit {
    entries: 100_000,
    bytes: usize::MAX,
};

/// Begins a page with the entry that the reader has already: at or behind the cursor instead of behind it.
#[derive(Default)]
pub struct PagesOffByOne;

#[async_trait]
impl MessagesTwist for PagesOffByOne {
    async fn entries(
        &self,
        inner: &dyn MessageStore,
        mut query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        query.after = query.after.previous();
        inner.entries(query).await
    }
}

/// Takes the message id of the entry at the cursor and pages behind it, in the order of ids: an entry whose id was drawn
/// earlier than its predecessor's is skipped.
#[derive(Default)]
pub struct PagesByMessageId;

#[async_trait]
impl MessagesTwist for PagesByMessageId {
    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let (after, limit) = (query.after, query.limit);
        let whole = EntriesQuery {
            after: Seq(0),
            limit: EVERYTHING,
            ..query
        };
        let mut page = inner.entries(whole).await?;
        let mut entries = page.entries.iter();
        let cursor = entries.find(|entry| entry.seq == after);
        let cursor = cursor.map_or(MessageId(0), |entry| entry.message);
        page.entries.retain(|entry| entry.message > cursor);
        page.entries.sort_by_key(|entry| entry.message);
        page.entries.truncate(limit.entries);
        Ok(page)
    }
}

/// Tells the head that it knew before it read the entries.
#[derive(Default)]
pub struct HeadApartFromEntries {
    known: Mutex<BTreeMap<ChannelId, Head>>,
}

#[async_trait]
impl MessagesTwist for HeadApartFromEntries {
    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.entries(query).await?;
        if let Some(before) = lock(&self.known).insert(channel, page.head) {
            page.head = before;
        }
        Ok(page)
    }
}

/// Bounds a page in entries only.
#[derive(Default)]
pub struct BytesForgotten;

#[async_trait]
impl MessagesTwist for BytesForgotten {
    async fn entries(
        &self,
        inner: &dyn MessageStore,
        mut query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        query.limit.bytes = usize::MAX;
        inner.entries(query).await
    }
}

/// Never tells that more messages follow.
#[derive(Default)]
pub struct MoreForgotten;

#[async_trait]
impl MessagesTwist for MoreForgotten {
    async fn messages(
        &self,
        inner: &dyn MessageStore,
        query: MessagesQuery,
    ) -> Result<MessagesPage, PortError> {
        let mut page = inner.messages(query).await?;
        page.more = false;
        Ok(page)
    }
}

/// Loads all but the log's last entry: from a replica that lags.
#[derive(Default)]
pub struct StateBehindTheLog;

#[async_trait]
impl MessagesTwist for StateBehindTheLog {
    async fn load(
        &self,
        inner: &dyn MessageStore,
        channel: ChannelId,
        folded: Seq,
    ) -> Result<Loaded, PortError> {
        let mut loaded = inner.load(channel, folded).await?;
        loaded.since.pop();
        Ok(loaded)
    }
}

/// Loads entries without their keys: whoever folds them appends a retry again.
#[derive(Default)]
pub struct LoadsWithoutKeys;

#[async_trait]
impl MessagesTwist for LoadsWithoutKeys {
    async fn load(
        &self,
        inner: &dyn MessageStore,
        channel: ChannelId,
        folded: Seq,
    ) -> Result<Loaded, PortError> {
        let mut loaded = inner.load(channel, folded).await?;
        for record in &mut loaded.since {
            record.key = None;
        }
        Ok(loaded)
    }
}

/// Finds only the keys of the newest entries, as a cache does.
#[derive(Default)]
pub struct KeysForgotten;

#[async_trait]
impl MessagesTwist for KeysForgotten {
    async fn find_key(
        &self,
        inner: &dyn MessageStore,
        mut query: KeyQuery,
    ) -> Result<Option<FoundKey>, PortError> {
        let heads = inner.heads(&[query.channel]).await?;
        let head = heads.first().copied().unwrap_or_default();
        let oldest = head.seq.0.saturating_sub(Limits::RECENT_KEYS_MAX as u64);
        query.after = query.after.max(Seq(oldest));
        inner.find_key(query).await
    }
}

/// Searches from the entry at the lower end on, not behind it.
#[derive(Default)]
pub struct RangeOffByOne;

#[async_trait]
impl MessagesTwist for RangeOffByOne {
    async fn find_key(
        &self,
        inner: &dyn MessageStore,
        mut query: KeyQuery,
    ) -> Result<Option<FoundKey>, PortError> {
        query.after = query.after.previous();
        inner.find_key(query).await
    }
}

/// Finds a `client_id` whoever sent it.
#[derive(Default)]
pub struct KeysOfAnySender {
    senders: Mutex<BTreeSet<UserId>>,
}

#[async_trait]
impl MessagesTwist for KeysOfAnySender {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let senders = append
            .records
            .iter()
            .map(|appended| &appended.record.entry.from);
        lock(&self.senders).extend(senders.cloned());
        inner.append(append).await
    }

    async fn find_key(
        &self,
        inner: &dyn MessageStore,
        query: KeyQuery,
    ) -> Result<Option<FoundKey>, PortError> {
        let senders = lock(&self.senders).clone();
        for sender in senders {
            let query = KeyQuery {
                sender,
                ..query.clone()
            };
            if let Some(found) = inner.find_key(query).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Finds a key in whatever channel it is.
#[derive(Default)]
pub struct LeaksAcrossChannels {
    channels: Mutex<BTreeSet<ChannelId>>,
}

#[async_trait]
impl MessagesTwist for LeaksAcrossChannels {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        lock(&self.channels).insert(append.channel);
        inner.append(append).await
    }

    async fn find_key(
        &self,
        inner: &dyn MessageStore,
        query: KeyQuery,
    ) -> Result<Option<FoundKey>, PortError> {
        if let Some(found) = inner.find_key(query.clone()).await? {
            return Ok(Some(found));
        }
        let channels = lock(&self.channels).clone();
        for channel in channels
            .into_iter()
            .filter(|channel| *channel != query.channel)
        {
            let query = KeyQuery {
                channel,
                after: Seq(0),
                through: Seq(u64::MAX >> 1),
                ..query.clone()
            };
            if let Some(found) = inner.find_key(query).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
