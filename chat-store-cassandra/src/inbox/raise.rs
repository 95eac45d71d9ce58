//! Marks that rise, and where members stand. A mark is read before it is raised, so that one that does not rise is no
//! activity; two that rise at once merge by maximum.

use std::collections::BTreeMap;

use chat_core::ports::{Mark, MarkRise, PortError};
use chat_proto::{ChannelId, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::row::MarksRow;
use super::writes::RowWrites;
use crate::config::{INBOX_WRITES_IN_FLIGHT_MAX, READS_IN_FLIGHT_MAX};
use crate::store::Db;

impl Db {
    pub(crate) async fn raise_marks(
        &self,
        op: &'static str,
        rises: Vec<MarkRise>,
    ) -> Result<(), PortError> {
        let mut by_row: BTreeMap<(UserId, ChannelId), Vec<MarkRise>> = BTreeMap::new();
        for rise in rises {
            let place = (rise.user.clone(), rise.channel);
            by_row.entry(place).or_default().push(rise);
        }
        let raised: Vec<_> = by_row
            .into_iter()
            .map(|((user, channel), rises)| self.raise_row(op, user, channel, rises))
            .collect();
        stream::iter(raised)
            .buffer_unordered(INBOX_WRITES_IN_FLIGHT_MAX)
            .try_collect()
            .await
    }

    async fn raise_row(
        &self,
        op: &'static str,
        user: UserId,
        channel: ChannelId,
        rises: Vec<MarkRise>,
    ) -> Result<(), PortError> {
        let row = self.marks_row(op, &user, channel).await?;
        let Some(member) = row.member(op)? else {
            return Ok(());
        };
        let stored = row.marks();
        let mut known = stored.clone();
        known.follow();
        let mut marks = known.clone();
        rises.iter().for_each(|rise| marks.raise(rise));
        if marks == known {
            return Ok(());
        }
        let mut writes = RowWrites::of(self, &user, channel);
        writes.marks(&stored, &marks, member.joined);
        writes.run(op).await
    }

    /// Where these members stand, as others are shown it.
    pub(crate) async fn shown_marks(
        &self,
        op: &'static str,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        let reads: Vec<_> = users
            .iter()
            .map(|user| self.shown_mark(op, channel, user))
            .collect();
        let marks: Vec<Option<(UserId, Mark)>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        Ok(marks.into_iter().flatten().collect())
    }

    async fn shown_mark(
        &self,
        op: &'static str,
        channel: ChannelId,
        user: &UserId,
    ) -> Result<Option<(UserId, Mark)>, PortError> {
        let row = self.marks_row(op, user, channel).await?;
        if row.member(op)?.is_none() {
            return Ok(None);
        }
        let mut marks = row.marks();
        marks.follow();
        Ok(Some((user.clone(), marks.mark())))
    }

    /// Where the user stands, also one of whom nothing is known.
    pub(super) async fn marks_row(
        &self,
        op: &'static str,
        user: &UserId,
        channel: ChannelId,
    ) -> Result<MarksRow, PortError> {
        let values = (user.as_str(), channel.as_uuid());
        let rows: Vec<MarksRow> = self.read(op, &self.statements.inbox_marks, values).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}
