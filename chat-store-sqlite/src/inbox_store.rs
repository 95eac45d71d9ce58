//! A user's channels: a join over members, heads and marks, so that an append has nothing to fan out.

use async_trait::async_trait;
use chat_core::ports::{
    InboxCapabilities, InboxPage, InboxQuery, InboxRow, InboxStore, LeftChannel, Mark, MarkRise,
    PortError,
};
use chat_core::rows::bound;
use chat_proto::{ChannelId, Timestamp, UserId};

use crate::decode::Fields;
use crate::message_store::{json_of_channels, json_of_users};
use crate::sql::inbox as sql;
use crate::sql::rows::Binds;
use crate::store::SqliteStore;

#[async_trait]
impl InboxStore for SqliteStore {
    fn capabilities(&self) -> InboxCapabilities {
        InboxCapabilities {
            derives_rows: true,
            is_shared: false,
        }
    }

    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError> {
        const OP: &str = "inbox.list";
        let limit = query.limit.max(1);
        let behind = query.behind.as_ref();
        let mut binds = Binds::default();
        binds
            .add(query.user.as_str())
            .add(bound(query.since.map_or(0, |since| since.0)))
            .add(behind.map(|behind| bound(behind.activity.0)))
            .add(behind.map(|behind| behind.channel.as_bytes().as_slice()))
            .add(bound(limit as u64 + 1));
        let rows = self.readers.all(OP, sql::LIST, binds).await?;
        let more = rows.len() > limit;
        let rows: Result<_, PortError> = rows
            .iter()
            .take(limit)
            .map(|row| inbox_row(&Fields::new(row, OP)))
            .collect();
        Ok(InboxPage { rows: rows?, more })
    }

    async fn rows(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        const OP: &str = "inbox.rows";
        let mut binds = Binds::default();
        binds.add(user.as_str()).add(json_of_channels(channels));
        let rows = self.readers.all(OP, sql::ROWS, binds).await?;
        rows.iter()
            .map(|row| inbox_row(&Fields::new(row, OP)))
            .collect()
    }

    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        const OP: &str = "inbox.left";
        let mut binds = Binds::default();
        binds
            .add(user.as_str())
            .add(bound(since.0))
            .add(bound(limit as u64));
        let rows = self.readers.all(OP, sql::LEFT, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                Ok(LeftChannel {
                    channel: fields.channel("uuid")?,
                    at: Timestamp(fields.number("at")?),
                })
            })
            .collect()
    }

    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError> {
        const OP: &str = "inbox.large_channels";
        let mut binds = Binds::default();
        binds.add(user.as_str());
        let rows = self.readers.all(OP, sql::LARGE, binds).await?;
        rows.iter()
            .map(|row| Fields::new(row, OP).channel("uuid"))
            .collect()
    }

    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        self.writer.raise(rises).await
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        const OP: &str = "inbox.marks";
        let mut binds = Binds::default();
        binds
            .add(channel.as_bytes().as_slice())
            .add(json_of_users(users));
        let rows = self.readers.all(OP, sql::MARKS, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                let mark = Mark {
                    read: fields.head("read_seq", "read_n")?,
                    delivered: fields.head("delivered_seq", "delivered_n")?,
                };
                Ok((fields.user("user")?, mark))
            })
            .collect()
    }
}

fn inbox_row(fields: &Fields<'_>) -> Result<InboxRow, PortError> {
    let meta = fields
        .snapshot()?
        .meta
        .ok_or_else(|| fields.corrupt("a channel without settings"))?;
    let peer = match fields.value::<Option<&str>>("peer")? {
        Some(_) => Some(fields.user("peer")?),
        None => None,
    };
    let last = match fields.value::<Option<i64>>("seq")? {
        Some(_) => Some(fields.entry()?),
        None => None,
    };
    Ok(InboxRow {
        channel: fields.channel("uuid")?,
        meta,
        peer,
        member: fields.member()?,
        member_count: fields.number("member_count")?,
        head: fields.head("head_seq", "head_n")?,
        read: fields.head("read_seq", "read_n")?,
        mentions: fields.number("mentions")?,
        last,
        activity: Timestamp(fields.number("activity")?),
    })
}
