//! Appending: one conditional batch, and what becomes of it.
//!
//! | what | then |
//! |---|---|
//! | the batch applies | entries, keys and head are there at once; the views follow |
//! | no answer comes, or a time-out | `Unknown`: it may still apply, until the head has moved. Sent again at the same head it either applies, and the first can never, or hears of another head |
//! | too few replicas, overloaded, not sent | `Safe`: nothing has begun |
//! | the process dies behind the batch | whoever appends next completes the views from the log; whoever reads them merges the log |
//! | a view cannot be written | the append stands; the next one completes it |
//! | the process dies before the batch | long bodies of it stay where nobody refers to them |
//! | the batch loses its race | its long bodies are deleted, unless the winner is the same append, sent before |
//! | a bucket is full | the rest of the append is not tried: its prefix is durable, the caller goes on behind it |
//! | two at once begin a bucket | its head is null for one of them only |

use chat_core::ports::{Append, AppendOutcome, FoundKey, PortError, PortErrorKind, Retry};
use chat_proto::{ChannelId, Seq};
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::value::{CqlValue, Row};

use crate::batch::{LogBatch, LongBody};
use crate::error::write_failed;
use crate::log::Part;
use crate::store::Db;
use crate::views::Seen;

const OP: &str = "messages.append";

/// What Cassandra answered to a batch.
enum Answer {
    Applied,
    /// Not applied, and where the bucket's head is.
    Refused(Option<Seq>),
}

impl Db {
    pub(crate) async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        append.check(OP)?;
        let _lane = self.lanes.enter(append.channel).await;
        let outcome = self.append_to_log(&append).await?;
        if let AppendOutcome::Appended { durable } = outcome {
            self.follow(append, durable).await;
        }
        Ok(outcome)
    }

    /// The append without what follows from it. The caller is in the channel's lane.
    async fn append_to_log(&self, append: &Append) -> Result<AppendOutcome, PortError> {
        let batch = LogBatch::of(OP, append, &self.statements, self.buckets)?;
        if batch.expected.is_none() && !self.may_begin(append, batch.bucket).await? {
            let head = self.head(OP, append.channel).await?.seq;
            return Ok(AppendOutcome::HeadMoved { head });
        }
        for body in &batch.long_bodies {
            self.write_long_body(append.channel, body)
                .await
                .map_err(before_the_batch)?;
        }
        let permit = self.lanes.batch().await;
        let answer = self.session.batch(&batch.batch, &batch.values).await;
        drop(permit);
        match answer_of(answer)? {
            Answer::Applied => {
                self.known.learn(append.channel, |known| {
                    known.bucket = known.bucket.max(Some(batch.bucket));
                });
                Ok(AppendOutcome::Appended {
                    durable: batch.records,
                })
            }
            Answer::Refused(head) if head == batch.expected => {
                self.known_key(append, batch.records).await
            }
            Answer::Refused(head) => {
                let head = match head {
                    Some(head) if head < self.buckets.last(batch.bucket) => head,
                    None if batch.bucket == 0 => Seq(0),
                    Some(_) | None => self.head(OP, append.channel).await?.seq,
                };
                self.drop_orphans(append, &batch.long_bodies, head).await;
                Ok(AppendOutcome::HeadMoved { head })
            }
        }
    }

    /// A bucket begins when the former is full. A full one stays full, so that one look suffices; it completes what is
    /// under way there.
    async fn may_begin(&self, append: &Append, bucket: u64) -> Result<bool, PortError> {
        let Some(former) = bucket.checked_sub(1) else {
            return Ok(true);
        };
        if self.known.of(append.channel).bucket >= Some(bucket) {
            return Ok(true);
        }
        let head = self
            .settled_head_of_bucket(OP, append.channel, former)
            .await?;
        Ok(head.is_some_and(|head| head.seq == append.expected_head))
    }

    async fn write_long_body(&self, channel: ChannelId, body: &LongBody) -> Result<(), PortError> {
        let statement = &self.statements.insert_long_body;
        let values = (channel.as_uuid(), body.seq, body.message, &body.bytes);
        self.write(OP, statement, values).await
    }

    /// The head is the expected one and yet nothing was appended: a key is there.
    async fn known_key(&self, append: &Append, records: usize) -> Result<AppendOutcome, PortError> {
        for (index, appended) in append.records[..records].iter().enumerate() {
            let record = &appended.record;
            let Some(key) = record.key else { continue };
            let bucket = self.buckets.of(record.entry.seq);
            let from = &record.entry.from;
            let found: Option<FoundKey> = self
                .key_in_bucket(OP, append.channel, bucket, (from, key.client_id), true)
                .await?;
            if let Some(found) = found {
                return Ok(AppendOutcome::KeyExists { index, found });
            }
        }
        let why = "the batch was refused without a reason";
        Err(PortError::unavailable(OP, Retry::Unknown).with_source(why))
    }

    /// Deletes bodies of an append that can never be in the log: another entry has its first place.
    async fn drop_orphans(&self, append: &Append, long_bodies: &[LongBody], head: Seq) {
        let first = &append.records[0].record.entry;
        if long_bodies.is_empty() || head < first.seq {
            return;
        }
        let dropped = async {
            let range = (first.seq.previous(), first.seq);
            let rows = self
                .oldest(OP, append.channel, range, 1, Part::Skeleton)
                .await?;
            let is_ours = |message: i64| message.cast_unsigned() == first.message.0;
            if rows.first().is_none_or(|row| is_ours(row.message)) {
                return Ok(());
            }
            for body in long_bodies {
                self.delete_long_body(OP, append.channel, body.seq, body.message)
                    .await?;
            }
            Ok::<_, PortError>(())
        };
        if let Err(error) = dropped.await {
            tracing::debug!(channel = %append.channel, %error, "bodies that nobody refers to stay");
        }
    }

    /// Brings everything beside the log up to what was appended. What fails here is completed by the next append, and
    /// until then merged by whoever reads.
    async fn follow(&self, append: Append, durable: usize) {
        let (channel, before) = (append.channel, append.expected_head);
        let records = append.records.into_iter().take(durable);
        let seen: Vec<Seen> = records
            .map(|appended| Seen {
                entry: appended.record.entry,
                changes: appended.changes,
            })
            .collect();
        let last = Seq(before.0 + durable as u64);
        if let Err(error) = self.follow_views(channel, before, &seen).await {
            metrics::counter!("chat_cassandra_view_writes_failed_total").increment(1);
            tracing::warn!(%channel, %error, "what follows from an append is not written yet; the next one completes it");
        }
        if let Err(error) = self.follow_snapshot(channel, before, last).await {
            metrics::counter!("chat_cassandra_view_writes_failed_total").increment(1);
            tracing::warn!(%channel, %error, "a snapshot is not written; the next load makes one");
        }
    }
}

fn answer_of(answer: Result<QueryResult, ExecutionError>) -> Result<Answer, PortError> {
    let result = answer.map_err(|error| write_failed(OP, error))?;
    read_answer(result).map_err(|source| {
        // Whatever it says, the batch was carried out or not.
        PortError::new(PortErrorKind::Corrupt, Retry::Unknown, OP).with_source(source)
    })
}

/// Columns are found by their names: which ones there are, and in which order, depends on the conditions and the outcome.
fn read_answer(result: QueryResult) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let rows = result.into_rows_result()?;
    let specs = rows.column_specs();
    let applied = specs.get_by_name("[applied]").map(|(place, _)| place);
    let head = specs.get_by_name("head").map(|(place, _)| place);
    let applied = applied.ok_or("the answer does not tell whether the batch applied")?;
    let mut found = None;
    for row in rows.rows::<Row>()? {
        let columns = row?.columns;
        let column = |place: usize| columns.get(place).and_then(Option::as_ref);
        if let Some(CqlValue::Boolean(true)) = column(applied) {
            return Ok(Answer::Applied);
        }
        if let Some(CqlValue::BigInt(seq)) = head.and_then(column) {
            found = Some(Seq(seq.cast_unsigned()));
        }
    }
    Ok(Answer::Refused(found))
}

/// Bodies lie apart: whatever became of them, the append was not begun.
fn before_the_batch(error: PortError) -> PortError {
    PortError::new(error.kind(), Retry::Safe, OP).with_source(error)
}
