//! A user's channels in order. All of a user's rows are read in pages, of each no more than what orders it, and only as many are
//! kept as are asked for; of large channels the newest entry is read besides. So a page costs as much as the user has channels:
//! some thousands are read in tens of milliseconds.

use std::collections::BTreeSet;

use chat_core::ports::{
    InboxPage, InboxPosition, InboxQuery, InboxRow, LeftChannel, PortError, Retry,
};
use chat_proto::{ChannelId, Timestamp, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::row::PlaceRow;
use crate::config::{INBOX_PAGE_ROWS, READS_IN_FLIGHT_MAX};
use crate::error::corrupt;
use crate::store::Db;

/// The newest places, as many as are asked for.
struct Newest {
    places: BTreeSet<(Timestamp, ChannelId)>,
    limit: usize,
}

impl Newest {
    fn of(limit: usize) -> Self {
        Self {
            places: BTreeSet::new(),
            limit,
        }
    }

    fn offer(&mut self, at: Timestamp, channel: ChannelId) {
        self.places.insert((at, channel));
        if self.places.len() > self.limit {
            self.places.pop_first();
        }
    }

    fn newest_first(self) -> impl Iterator<Item = (Timestamp, ChannelId)> {
        self.places.into_iter().rev()
    }
}

impl Db {
    pub(crate) async fn inbox_page(
        &self,
        op: &'static str,
        query: &InboxQuery,
    ) -> Result<InboxPage, PortError> {
        let mut behind = query.behind;
        loop {
            let mut places = self.places(op, query, behind).await?;
            let more = places.len() > query.limit;
            places.truncate(query.limit);
            let reads: Vec<_> = places
                .iter()
                .map(|(_, channel)| self.shown_row(op, &query.user, *channel))
                .collect();
            let found: Vec<Option<InboxRow>> = stream::iter(reads)
                .buffered(READS_IN_FLIGHT_MAX)
                .try_collect()
                .await?;
            let rows = places.iter().zip(found).filter_map(|((at, _), row)| {
                // What came meanwhile does not move a row: pages go on behind the place where it is.
                let activity = *at;
                row.map(|row| InboxRow { activity, ..row })
            });
            let rows: Vec<InboxRow> = rows.collect();
            match places.last() {
                // Whoever asks goes on behind the last row: there must be one. These the user left just now.
                Some((activity, channel)) if more && rows.is_empty() => {
                    behind = Some(InboxPosition {
                        activity: *activity,
                        channel: *channel,
                    });
                }
                Some(_) | None => return Ok(InboxPage { rows, more }),
            }
        }
    }

    /// The places of a page and of the row behind it, newest first.
    async fn places(
        &self,
        op: &'static str,
        query: &InboxQuery,
        behind: Option<InboxPosition>,
    ) -> Result<Vec<(Timestamp, ChannelId)>, PortError> {
        let mut newest = Newest::of(query.limit.saturating_add(1));
        let mut offer = |at: Timestamp, channel: ChannelId| {
            let is_behind =
                behind.is_none_or(|behind| (at, channel) < (behind.activity, behind.channel));
            if is_behind && query.since.is_none_or(|since| at >= since) {
                newest.offer(at, channel);
            }
        };
        let mut large = Vec::new();
        let each = |row: PlaceRow| {
            let channel = ChannelId::from_uuid(row.channel);
            if !row.is_of_member() {
                return;
            }
            if row.is_large() {
                large.push((channel, row.raised_at()));
            } else if let Some(at) = row.active_at() {
                offer(at.max(row.raised_at()), channel);
            }
        };
        self.each_place(op, &query.user, each).await?;
        let reads: Vec<_> = large
            .into_iter()
            .map(|(channel, raised_at)| self.large_place(op, channel, raised_at))
            .collect();
        let mut reads = stream::iter(reads).buffer_unordered(READS_IN_FLIGHT_MAX);
        while let Some((at, channel)) = reads.try_next().await? {
            offer(at, channel);
        }
        Ok(newest.newest_first().collect())
    }

    async fn large_place(
        &self,
        op: &'static str,
        channel: ChannelId,
        raised_at: Timestamp,
    ) -> Result<(Timestamp, ChannelId), PortError> {
        let head = self.head(op, channel).await?;
        let changed_at = self.changed_at(op, channel, head.seq).await?;
        Ok((changed_at.max(raised_at), channel))
    }

    /// The rows of those of these channels that the user is in.
    pub(crate) async fn inbox_rows(
        &self,
        op: &'static str,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        let channels: BTreeSet<ChannelId> = channels.iter().copied().collect();
        let reads: Vec<_> = channels
            .into_iter()
            .map(|channel| self.shown_row(op, user, channel))
            .collect();
        let rows: Vec<Option<InboxRow>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        Ok(rows.into_iter().flatten().collect())
    }

    pub(crate) async fn left(
        &self,
        op: &'static str,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        let mut newest = Newest::of(limit);
        let each = |row: PlaceRow| {
            if let Some(at) = row.left_at().filter(|at| *at >= since) {
                newest.offer(at, ChannelId::from_uuid(row.channel));
            }
        };
        self.each_place(op, user, each).await?;
        let left = newest.newest_first();
        Ok(left
            .map(|(at, channel)| LeftChannel { channel, at })
            .collect())
    }

    pub(crate) async fn large_channels(
        &self,
        op: &'static str,
        user: &UserId,
    ) -> Result<Vec<ChannelId>, PortError> {
        let mut channels = Vec::new();
        let each = |row: PlaceRow| {
            if row.is_of_member() && row.is_large() {
                channels.push(ChannelId::from_uuid(row.channel));
            }
        };
        self.each_place(op, user, each).await?;
        Ok(channels)
    }

    /// All rows of a user, page by page.
    async fn each_place(
        &self,
        op: &'static str,
        user: &UserId,
        mut each: impl FnMut(PlaceRow) + Send,
    ) -> Result<(), PortError> {
        let mut statement = self.statements.inbox_places.clone();
        statement.set_page_size(INBOX_PAGE_ROWS);
        let rows = self.session.execute_iter(statement, (user.as_str(),)).await;
        let rows = rows.map_err(|error| lost(op, error))?;
        let mut rows = rows
            .rows_stream::<PlaceRow>()
            .map_err(|error| corrupt(op, error))?;
        while let Some(row) = rows.try_next().await.map_err(|error| lost(op, error))? {
            each(row);
        }
        Ok(())
    }
}

/// A page of rows did not come.
fn lost(op: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::unavailable(op, Retry::Safe).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_places_are_kept_whatever_order_they_come_in() {
        let channels = ["a", "b", "c", "d"].map(ChannelId::external);
        let mut expected: Vec<_> = channels
            .iter()
            .zip([5, 9, 5, 7])
            .map(|(channel, at)| (Timestamp(at), *channel))
            .collect();
        for _ in 0..expected.len() {
            expected.rotate_left(1);
            let mut newest = Newest::of(3);
            expected
                .iter()
                .for_each(|(at, channel)| newest.offer(*at, *channel));
            let mut sorted = expected.clone();
            sorted.sort_by_key(|place| std::cmp::Reverse(*place));
            assert_eq!(newest.newest_first().collect::<Vec<_>>(), sorted[..3]);
        }
    }
}
