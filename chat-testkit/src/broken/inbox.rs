//! An `InboxStore` that does what another does, but for one thing.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{
    FanOutMark, InboxCapabilities, InboxPage, InboxQuery, InboxRow, InboxStore, InboxUpdate,
    LeftChannel, Mark, MarkRise, PortError,
};
use chat_core::proto::{ChannelId, NodeId, Timestamp, UserId};

/// What a [`TwistedInbox`] does otherwise than its store; what is not overridden it does alike.
#[async_trait]
pub trait InboxTwist: Send + Sync + 'static {
    /// Instead of each row that [`InboxStore::list`] and [`InboxStore::rows`] answer.
    async fn row(&self, _user: &UserId, row: InboxRow) -> InboxRow {
        row
    }

    /// Instead of the query of [`InboxStore::list`].
    fn query(&self, query: InboxQuery) -> InboxQuery {
        query
    }

    /// Instead of what [`InboxStore::list`] answers, row by row.
    async fn listed(
        &self,
        _inner: &dyn InboxStore,
        _user: &UserId,
        rows: Vec<InboxRow>,
    ) -> Vec<InboxRow> {
        rows
    }

    /// Instead of [`InboxStore::left`].
    async fn left(
        &self,
        inner: &dyn InboxStore,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        inner.left(user, since, limit).await
    }

    /// Instead of [`InboxStore::fan_out`].
    async fn fan_out(&self, inner: &dyn InboxStore, update: InboxUpdate) -> Result<(), PortError> {
        inner.fan_out(update).await
    }

    /// Instead of [`InboxStore::orphaned_fan_out_marks`].
    async fn orphaned_fan_out_marks(
        &self,
        inner: &dyn InboxStore,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        inner.orphaned_fan_out_marks(now, limit).await
    }

    /// Instead of [`InboxStore::raise`].
    async fn raise(&self, inner: &dyn InboxStore, rises: Vec<MarkRise>) -> Result<(), PortError> {
        inner.raise(rises).await
    }

    /// Instead of [`InboxStore::marks`].
    async fn marks(
        &self,
        inner: &dyn InboxStore,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        inner.marks(channel, users).await
    }
}

/// A store with one twist.
pub struct TwistedInbox<T> {
    inner: Arc<dyn InboxStore>,
    twist: T,
}

impl<T: InboxTwist> TwistedInbox<T> {
    /// The store with this twist.
    pub fn new(inner: Arc<dyn InboxStore>, twist: T) -> Self {
        Self { inner, twist }
    }

    async fn twisted(&self, user: &UserId, rows: Vec<InboxRow>) -> Vec<InboxRow> {
        let mut twisted = Vec::with_capacity(rows.len());
        for row in rows {
            twisted.push(self.twist.row(user, row).await);
        }
        twisted
    }
}

#[async_trait]
impl<T: InboxTwist> InboxStore for TwistedInbox<T> {
    fn capabilities(&self) -> InboxCapabilities {
        self.inner.capabilities()
    }

    async fn fan_out(&self, update: InboxUpdate) -> Result<(), PortError> {
        self.twist.fan_out(&*self.inner, update).await
    }

    async fn keep_fan_out_marks(&self, marks: Vec<FanOutMark>) -> Result<(), PortError> {
        self.inner.keep_fan_out_marks(marks).await
    }

    async fn drop_fan_out_marks(
        &self,
        owner: &NodeId,
        channels: &[ChannelId],
    ) -> Result<(), PortError> {
        self.inner.drop_fan_out_marks(owner, channels).await
    }

    async fn renew_lease(&self, owner: &NodeId, until: Timestamp) -> Result<(), PortError> {
        self.inner.renew_lease(owner, until).await
    }

    async fn orphaned_fan_out_marks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        let twist = &self.twist;
        twist.orphaned_fan_out_marks(&*self.inner, now, limit).await
    }

    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError> {
        let user = query.user.clone();
        let page = self.inner.list(self.twist.query(query)).await?;
        let rows = self.twist.listed(&*self.inner, &user, page.rows).await;
        Ok(InboxPage {
            rows: self.twisted(&user, rows).await,
            more: page.more,
        })
    }

    async fn rows(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        let rows = self.inner.rows(user, channels).await?;
        Ok(self.twisted(user, rows).await)
    }

    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        self.twist.left(&*self.inner, user, since, limit).await
    }

    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError> {
        self.inner.large_channels(user).await
    }

    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        self.twist.raise(&*self.inner, rises).await
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        self.twist.marks(&*self.inner, channel, users).await
    }
}
