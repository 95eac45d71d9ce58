//! Finding the entry that a command left. A key lies in the bucket of its entry, so each bucket of the range is asked.

use chat_core::ports::{FoundKey, KeyQuery, PortError};
use chat_proto::{ChannelId, ClientId, MessageId, Ordinal, Seq, Timestamp, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;

use crate::batch::key_column;
use crate::config::READS_IN_FLIGHT_MAX;
use crate::rows::content_hash;
use crate::store::{Db, bucket_column, serial};

#[derive(DeserializeRow)]
struct KeyRow {
    entry: i64,
    n: i64,
    message: i64,
    at: i64,
    content: Vec<u8>,
}

impl Db {
    pub(crate) async fn find_key(
        &self,
        op: &'static str,
        query: &KeyQuery,
    ) -> Result<Option<FoundKey>, PortError> {
        let head = self.head(op, query.channel).await?.seq;
        let through = query.through.min(head);
        if through <= query.after {
            return Ok(None);
        }
        let key = (&query.sender, query.client_id);
        let buckets = self.buckets.of(query.after.next())..=self.buckets.of(through);
        let last = self.buckets.of(through);
        // An append behind `through` compares the keys of its own bucket. Where it begins the next one instead, nothing
        // has completed yet what was appended last to this one.
        let completes = self.buckets.is_last(through);
        let reads: Vec<_> = buckets
            .map(|bucket| {
                let completes = completes && bucket == last;
                self.key_in_bucket(op, query.channel, bucket, key, completes)
            })
            .collect();
        let found: Vec<Option<FoundKey>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let mut found = found.into_iter().flatten();
        Ok(found.find(|found| found.seq > query.after && found.seq <= through))
    }

    /// What one bucket holds under a key; if asked for, behind whatever append is under way in it.
    pub(crate) async fn key_in_bucket(
        &self,
        op: &'static str,
        channel: ChannelId,
        bucket: u64,
        (sender, client_id): (&UserId, ClientId),
        completes: bool,
    ) -> Result<Option<FoundKey>, PortError> {
        let key = key_column(sender, client_id);
        let values = (channel.as_uuid(), bucket_column(bucket), key);
        let statement = &self.statements.key;
        let rows: Vec<KeyRow> = if completes {
            self.read(op, &serial(statement), values).await?
        } else {
            self.read(op, statement, values).await?
        };
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(FoundKey {
            seq: Seq(row.entry.cast_unsigned()),
            n: Ordinal(row.n.cast_unsigned()),
            message: MessageId(row.message.cast_unsigned()),
            at: Timestamp(row.at.cast_unsigned()),
            content: content_hash(op, &row.content)?,
        }))
    }
}
