//! Heads and ranges of entries.
//!
//! Plain quorum reads see everything that was acknowledged, but an append that was not yet acknowledged may show in parts:
//! a read that met one replica which has it repairs the rows that it read, not the others of the batch. So a range is read
//! only up to a head that was read before, and must be complete; where it is not, it is read again serially, which first
//! completes the append. That happens after a fault only, so that pages cost no consensus.

use chat_core::ports::{PortError, Retry};
use chat_proto::{ChannelId, Head, Seq};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use crate::config::READS_IN_FLIGHT_MAX;
use crate::rows::LogRow;
use crate::store::{Db, bucket_column, column, serial};

/// How much of the rows is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything.
    Whole,
    /// Everything but the bodies.
    Skeleton,
}

#[derive(DeserializeRow)]
struct HeadRow {
    #[expect(dead_code, reason = "a selection of statics names the partition")]
    channel: Uuid,
    #[expect(dead_code, reason = "a selection of statics names the partition")]
    bucket: i32,
    head: Option<i64>,
    head_n: Option<i64>,
}

impl Db {
    /// The log's head.
    pub(crate) async fn head(
        &self,
        op: &'static str,
        channel: ChannelId,
    ) -> Result<Head, PortError> {
        let known = self.known.of(channel).bucket;
        let mut bucket = match known {
            Some(bucket) => bucket,
            None => self.buckets.of(self.through(op, channel).await?),
        };
        let mut head = Head::EMPTY;
        loop {
            match self.head_of_bucket(op, channel, bucket).await? {
                Some(found) => {
                    head = found;
                    if found.seq < self.buckets.last(bucket) {
                        break;
                    }
                    bucket += 1;
                }
                // What we started from is of a former life of the keyspace.
                None if head == Head::EMPTY && bucket > 0 => bucket -= 1,
                None => break,
            }
        }
        if head != Head::EMPTY {
            let bucket = self.buckets.of(head.seq);
            self.known.learn(channel, |known| {
                known.bucket = known.bucket.max(Some(bucket))
            });
        }
        Ok(head)
    }

    /// The heads of these channels, in the order asked.
    pub(crate) async fn heads(
        &self,
        op: &'static str,
        channels: &[ChannelId],
    ) -> Result<Vec<Head>, PortError> {
        let reads: Vec<_> = channels
            .iter()
            .map(|channel| self.head(op, *channel))
            .collect();
        stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await
    }

    /// Where a bucket ends; none while it is empty.
    async fn head_of_bucket(
        &self,
        op: &'static str,
        channel: ChannelId,
        bucket: u64,
    ) -> Result<Option<Head>, PortError> {
        let values = (channel.as_uuid(), bucket_column(bucket));
        let rows: Vec<HeadRow> = self.read(op, &self.statements.head, values).await?;
        Ok(head_in(&rows))
    }

    /// The same, behind whatever append is under way in the bucket.
    pub(crate) async fn settled_head_of_bucket(
        &self,
        op: &'static str,
        channel: ChannelId,
        bucket: u64,
    ) -> Result<Option<Head>, PortError> {
        let values = (channel.as_uuid(), bucket_column(bucket));
        let statement = serial(&self.statements.head);
        let rows: Vec<HeadRow> = self.read(op, &statement, values).await?;
        Ok(head_in(&rows))
    }

    /// Rows from `after` on: up to `through`, which must not be behind a head that was read, and `rows_max`, and not beyond
    /// the end of the bucket. At least one where `through` is behind `after`.
    pub(crate) async fn oldest(
        &self,
        op: &'static str,
        channel: ChannelId,
        (after, through): (Seq, Seq),
        rows_max: usize,
        part: Part,
    ) -> Result<Vec<LogRow>, PortError> {
        let bucket = self.buckets.of(after.next());
        let end = through.min(self.buckets.last(bucket));
        let expected = end.0.saturating_sub(after.0).min(rows_max as u64);
        if expected == 0 {
            return Ok(Vec::new());
        }
        let statement = match part {
            Part::Whole => &self.statements.entries,
            Part::Skeleton => &self.statements.skeletons,
        };
        let limit = i32::try_from(expected).unwrap_or(i32::MAX);
        let place = (channel.as_uuid(), bucket_column(bucket));
        let values = (place.0, place.1, column(after.0), column(end.0), limit);
        let complete = |rows: &[LogRow]| {
            let places = rows.iter().zip(after.0 + 1..);
            rows.len() as u64 == expected && places.into_iter().all(|(row, seq)| row.seq().0 == seq)
        };
        self.complete(op, statement, values, complete).await
    }

    /// Rows of which none may be missing: what a quorum has not agreed on yet is agreed on first.
    async fn complete(
        &self,
        op: &'static str,
        statement: &PreparedStatement,
        values: impl SerializeRow + Copy,
        complete: impl Fn(&[LogRow]) -> bool,
    ) -> Result<Vec<LogRow>, PortError> {
        let rows = self.read(op, statement, values).await?;
        if complete(&rows) {
            return Ok(rows);
        }
        metrics::counter!("chat_cassandra_serial_reads_total").increment(1);
        let rows = self.read(op, &serial(statement), values).await?;
        if complete(&rows) {
            return Ok(rows);
        }
        Err(incomplete(op))
    }

    /// Rows down from `through` to behind `after`, the newest first, otherwise as [`oldest`](Self::oldest).
    pub(crate) async fn newest(
        &self,
        op: &'static str,
        channel: ChannelId,
        (after, through): (Seq, Seq),
        rows_max: usize,
    ) -> Result<Vec<LogRow>, PortError> {
        let bucket = self.buckets.of(through);
        let begin = match bucket.checked_sub(1) {
            Some(former) => after.max(self.buckets.last(former)),
            None => after,
        };
        let expected = through.0.saturating_sub(begin.0).min(rows_max as u64);
        if expected == 0 {
            return Ok(Vec::new());
        }
        let limit = i32::try_from(expected).unwrap_or(i32::MAX);
        let place = (channel.as_uuid(), bucket_column(bucket));
        let values = (place.0, place.1, column(begin.0), column(through.0), limit);
        let complete = |rows: &[LogRow]| {
            let places = rows.iter().zip((1..=through.0).rev());
            rows.len() as u64 == expected && places.into_iter().all(|(row, seq)| row.seq().0 == seq)
        };
        let statement = &self.statements.newest_entries;
        self.complete(op, statement, values, complete).await
    }
}

fn head_in(rows: &[HeadRow]) -> Option<Head> {
    let row = rows.first()?;
    let (seq, n) = (row.head?, row.head_n?);
    Some(Head::new(seq.cast_unsigned(), n.cast_unsigned()))
}

fn incomplete(op: &'static str) -> PortError {
    PortError::unavailable(op, Retry::Safe)
        .with_source("entries below the head cannot be read: run a repair if this lasts")
}
