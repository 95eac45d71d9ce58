//! Rows and marks that go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_core::ports::{
    Append, AppendOutcome, InboxPosition, InboxQuery, InboxRow, InboxStore, LeftChannel, Mark,
    MarkKind, MarkRise, MessageStore, MessagesQuery, PageLimit, PortError,
};
use chat_core::proto::{ChannelId, Head, Ordinal, Seq, Timestamp, UserId};
use uuid::Uuid;

use super::appends::lock;
use super::inbox::InboxTwist;
use super::messages::MessagesTwist;

/// Pages by activity alone: of rows with the same activity all but those of one page are skipped.
#[derive(Default)]
pub struct SkipsTies;

#[async_trait]
impl InboxTwist for SkipsTies {
    fn query(&self, query: InboxQuery) -> InboxQuery {
        let lowest = ChannelId::from_uuid(Uuid::nil());
        let behind = query.behind.map(|behind| InboxPosition {
            channel: lowest,
            ..behind
        });
        InboxQuery { behind, ..query }
    }
}

/// Shows the head that a row had when it was read the last time.
#[derive(Default)]
pub struct InboxBehindTheLog {
    heads: Mutex<BTreeMap<ChannelId, (Head, Head)>>,
}

#[async_trait]
impl InboxTwist for InboxBehindTheLog {
    async fn row(&self, _user: &UserId, mut row: InboxRow) -> InboxRow {
        let mut heads = lock(&self.heads);
        let (before, now) = heads.entry(row.channel).or_insert((row.head, row.head));
        if *now != row.head {
            (*before, *now) = (*now, row.head);
        }
        row.head = *before;
        row
    }
}

/// Stores whatever mark came last.
#[derive(Default)]
pub struct MarksFall {
    last: Mutex<BTreeMap<(ChannelId, UserId), Head>>,
}

#[async_trait]
impl InboxTwist for MarksFall {
    async fn raise(&self, inner: &dyn InboxStore, rises: Vec<MarkRise>) -> Result<(), PortError> {
        for rise in rises.iter().filter(|rise| rise.kind == MarkKind::Read) {
            lock(&self.last).insert((rise.channel, rise.user.clone()), rise.to);
        }
        inner.raise(rises).await
    }

    async fn marks(
        &self,
        inner: &dyn InboxStore,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        let mut marks = inner.marks(channel, users).await?;
        let last = lock(&self.last);
        for (user, mark) in &mut marks {
            if let Some(read) = last.get(&(channel, user.clone())) {
                mark.read = *read;
            }
        }
        Ok(marks)
    }
}

/// Takes the same rise, come again, for later than the first.
#[derive(Default)]
pub struct RaisingAddsUp {
    rises: AtomicU64,
}

#[async_trait]
impl InboxTwist for RaisingAddsUp {
    async fn raise(
        &self,
        inner: &dyn InboxStore,
        mut rises: Vec<MarkRise>,
    ) -> Result<(), PortError> {
        for rise in &mut rises {
            let earlier = self.rises.fetch_add(1, Ordering::Relaxed);
            rise.to.seq.0 += earlier;
            rise.to.n.0 += earlier;
        }
        inner.raise(rises).await
    }
}

/// Acknowledges rises that it keeps in memory and writes another time.
#[derive(Default)]
pub struct MarksLostOnReopen {
    unwritten: Mutex<Vec<MarkRise>>,
}

#[async_trait]
impl InboxTwist for MarksLostOnReopen {
    async fn raise(&self, _inner: &dyn InboxStore, rises: Vec<MarkRise>) -> Result<(), PortError> {
        lock(&self.unwritten).extend(rises);
        Ok(())
    }

    async fn marks(
        &self,
        inner: &dyn InboxStore,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        let mut marks = inner.marks(channel, users).await?;
        let unwritten = lock(&self.unwritten);
        for (user, mark) in &mut marks {
            let own = unwritten
                .iter()
                .filter(|rise| rise.channel == channel && rise.user == *user);
            for rise in own {
                let place = match rise.kind {
                    MarkKind::Read => &mut mark.read,
                    MarkKind::Delivered => &mut mark.delivered,
                };
                *place = rise.to.max(*place);
            }
        }
        Ok(marks)
    }
}

/// Calls everything up to an own message read, also what its sender has not seen.
pub struct OwnMessageAlwaysRead {
    inbox: Arc<dyn InboxStore>,
}

impl OwnMessageAlwaysRead {
    /// A twist of the logs that these inboxes show.
    pub fn new(inbox: Arc<dyn InboxStore>) -> Self {
        Self { inbox }
    }
}

#[async_trait]
impl MessagesTwist for OwnMessageAlwaysRead {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let outcome = inner.append(append.clone()).await?;
        let entries = append.records.iter().map(|appended| &appended.record.entry);
        let rises = entries
            .filter(|entry| entry.kind.is_message())
            .map(|entry| MarkRise {
                channel: append.channel,
                user: entry.from.clone(),
                kind: MarkKind::Read,
                to: entry.head(),
                at: entry.at,
                private: false,
            });
        self.inbox.raise(rises.collect()).await?;
        Ok(outcome)
    }
}

/// Counts every entry as a message.
#[derive(Default)]
pub struct CountsEntriesAsMessages;

#[async_trait]
impl InboxTwist for CountsEntriesAsMessages {
    async fn row(&self, _user: &UserId, mut row: InboxRow) -> InboxRow {
        row.head.n = Ordinal(row.head.seq.0);
        row
    }
}

/// Begins a new member's mark at nothing.
#[derive(Default)]
pub struct NewMembersHaveAllUnread;

#[async_trait]
impl InboxTwist for NewMembersHaveAllUnread {
    async fn row(&self, _user: &UserId, mut row: InboxRow) -> InboxRow {
        if row.read.seq == row.member.joined {
            row.read = Head::EMPTY;
        }
        row
    }
}

/// Counts a mention in the message and once more in its copy.
#[derive(Default)]
pub struct CountsMentionsTwice;

#[async_trait]
impl InboxTwist for CountsMentionsTwice {
    async fn row(&self, _user: &UserId, mut row: InboxRow) -> InboxRow {
        row.mentions *= 2;
        row
    }
}

/// Shows the newest message to whoever is a member.
pub struct ShowsWhatIsNotVisible {
    messages: Arc<dyn MessageStore>,
}

impl ShowsWhatIsNotVisible {
    /// A twist of the inboxes over these logs.
    pub fn new(messages: Arc<dyn MessageStore>) -> Self {
        Self { messages }
    }
}

#[async_trait]
impl InboxTwist for ShowsWhatIsNotVisible {
    async fn row(&self, user: &UserId, mut row: InboxRow) -> InboxRow {
        let query = MessagesQuery {
            channel: row.channel,
            viewer: user.clone(),
            after: Seq(0),
            before: row.head.seq.next(),
            newest: true,
            limit: PageLimit {
                entries: 1,
                bytes: usize::MAX,
            },
        };
        if let Ok(mut page) = self.messages.messages(query).await {
            row.last = page.messages.pop().map(|newest| newest.entry);
        }
        row
    }
}

/// Leaves out what was left at exactly the time asked for.
#[derive(Default)]
pub struct LeftSinceIsExclusive;

#[async_trait]
impl InboxTwist for LeftSinceIsExclusive {
    async fn left(
        &self,
        inner: &dyn InboxStore,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        inner.left(user, Timestamp(since.0 + 1), limit).await
    }
}

/// Lifts the channel for all its members when one of them reads.
#[derive(Default)]
pub struct MarksLiftEverybody {
    raised: Mutex<BTreeMap<ChannelId, Timestamp>>,
}

#[async_trait]
impl InboxTwist for MarksLiftEverybody {
    async fn row(&self, _user: &UserId, mut row: InboxRow) -> InboxRow {
        let raised = lock(&self.raised).get(&row.channel).copied();
        row.activity = row.activity.max(raised.unwrap_or_default());
        row
    }

    async fn raise(&self, inner: &dyn InboxStore, rises: Vec<MarkRise>) -> Result<(), PortError> {
        for rise in &rises {
            let mut raised = lock(&self.raised);
            let at = raised.entry(rise.channel).or_default();
            *at = rise.at.max(*at);
        }
        inner.raise(rises).await
    }
}

/// Shows others what was read in private.
#[derive(Default)]
pub(super) struct ShowsPrivateRises;

#[async_trait]
impl InboxTwist for ShowsPrivateRises {
    async fn raise(
        &self,
        inner: &dyn InboxStore,
        mut rises: Vec<MarkRise>,
    ) -> Result<(), PortError> {
        for rise in &mut rises {
            rise.private = false;
        }
        inner.raise(rises).await
    }
}

/// Keeps a private rise from its user as well.
#[derive(Default)]
pub(super) struct DropsPrivateRises;

#[async_trait]
impl InboxTwist for DropsPrivateRises {
    async fn raise(
        &self,
        inner: &dyn InboxStore,
        mut rises: Vec<MarkRise>,
    ) -> Result<(), PortError> {
        rises.retain(|rise| !rise.private);
        inner.raise(rises).await
    }
}

/// Shows nothing more of somebody who once read on in private.
#[derive(Default)]
pub(super) struct HidesForEver {
    hidden: Mutex<BTreeSet<(ChannelId, UserId)>>,
}

#[async_trait]
impl InboxTwist for HidesForEver {
    async fn raise(
        &self,
        inner: &dyn InboxStore,
        mut rises: Vec<MarkRise>,
    ) -> Result<(), PortError> {
        let mut hidden = lock(&self.hidden).clone();
        for rise in &mut rises {
            let whose = (rise.channel, rise.user.clone());
            if rise.private {
                hidden.insert(whose);
            } else if hidden.contains(&whose) {
                rise.private = true;
            }
        }
        *lock(&self.hidden) = hidden;
        inner.raise(rises).await
    }
}
