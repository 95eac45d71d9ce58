//! The port of inboxes: each call handed to whom it concerns.

use async_trait::async_trait;
use chat_core::ports::{
    FanOutMark, InboxCapabilities, InboxPage, InboxQuery, InboxRow, InboxStore, InboxUpdate,
    LeftChannel, Mark, MarkRise, PortError,
};
use chat_proto::{ChannelId, NodeId, Timestamp, UserId};

use crate::store::CassandraStore;

#[async_trait]
impl InboxStore for CassandraStore {
    fn capabilities(&self) -> InboxCapabilities {
        InboxCapabilities {
            derives_rows: false,
            is_shared: true,
        }
    }

    async fn fan_out(&self, update: InboxUpdate) -> Result<(), PortError> {
        self.db.fan_out(update).await
    }

    async fn keep_fan_out_marks(&self, marks: Vec<FanOutMark>) -> Result<(), PortError> {
        self.db.keep_marks("inbox.keep_fan_out_marks", marks).await
    }

    async fn drop_fan_out_marks(
        &self,
        owner: &NodeId,
        channels: &[ChannelId],
    ) -> Result<(), PortError> {
        const OP: &str = "inbox.drop_fan_out_marks";
        self.db.drop_marks(OP, owner, channels).await
    }

    async fn renew_lease(&self, owner: &NodeId, until: Timestamp) -> Result<(), PortError> {
        self.db.renew_lease("inbox.renew_lease", owner, until).await
    }

    async fn orphaned_fan_out_marks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        const OP: &str = "inbox.orphaned_fan_out_marks";
        self.db.orphaned_marks(OP, now, limit).await
    }

    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError> {
        self.db.inbox_page("inbox.list", &query).await
    }

    async fn rows(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        self.db.inbox_rows("inbox.rows", user, channels).await
    }

    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        self.db.left("inbox.left", user, since, limit).await
    }

    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError> {
        self.db.large_channels("inbox.large_channels", user).await
    }

    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        self.db.raise_marks("inbox.raise", rises).await
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        self.db.shown_marks("inbox.marks", channel, users).await
    }
}
