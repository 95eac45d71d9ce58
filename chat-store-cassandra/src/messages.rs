//! Messages with what was done to them: their rows, and the entries that name them up to exactly the head that is told.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{
    AnnotatedMessage, MessagesPage, MessagesQuery, PortError, Retry, Targets, TargetsQuery,
};
use chat_core::rows::Page;
use chat_proto::channel::{Annotations, Target};
use chat_proto::entry::StoredKind;
use chat_proto::{ChannelId, ClientId, Entry, MessageId, Ordinal, Seq, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;
use uuid::Uuid;

use crate::config::{CHUNK_ROWS, CHUNK_ROWS_MIN, READS_IN_FLIGHT_MAX};
use crate::error::corrupt;
use crate::log::Part;
use crate::rows::{LogRow, user};
use crate::store::{Db, bucket_column, column};
use crate::views::names;

/// An entry that names a message, as far as that matters.
#[derive(Debug, DeserializeRow)]
struct NamingRow {
    target: i64,
    seq: i64,
    sender: String,
    kind: String,
    client_id: Option<Uuid>,
    detail: Vec<u8>,
}

/// Messages, and the entries that name them in the order of the log.
pub(crate) type Naming = BTreeMap<Seq, BTreeMap<Seq, Entry>>;

impl Db {
    pub(crate) async fn messages(
        &self,
        op: &'static str,
        query: &MessagesQuery,
    ) -> Result<MessagesPage, PortError> {
        let (through, head) = self.through_and_head(op, query.channel).await?;
        let (mut after, mut last) = (query.after, query.before.previous().min(head));
        let chunk = query.limit.entries.saturating_add(1);
        let chunk = chunk.clamp(CHUNK_ROWS_MIN, CHUNK_ROWS);
        let mut page = Page::new(query.limit);
        while after < last && !page.full {
            let range = (after, last);
            let mut rows = if query.newest {
                self.newest(op, query.channel, range, chunk).await?
            } else {
                self.oldest(op, query.channel, range, chunk, Part::Whole)
                    .await?
            };
            let end = rows.last().map(LogRow::seq);
            if query.newest {
                last = end.map_or(after, Seq::previous);
            } else {
                after = end.unwrap_or(last);
            }
            rows.retain(LogRow::is_message);
            for drawn in self.draw(op, query.channel, rows).await? {
                let entry = self.finish(op, query.channel, drawn).await?;
                let bytes = entry.size_bytes();
                if !page.take(entry, bytes) {
                    break;
                }
            }
        }
        let (mut entries, more) = (page.items, page.full);
        if query.newest {
            entries.reverse();
        }
        let targets = entries.iter().map(|entry| entry.seq).collect();
        let naming = self
            .naming(op, query.channel, &targets, (through, head))
            .await?;
        let annotated = |entry: Entry| {
            let later = naming
                .get(&entry.seq)
                .into_iter()
                .flat_map(BTreeMap::values);
            AnnotatedMessage {
                annotations: Annotations::fold(entry.seq, later, &query.viewer),
                entry,
            }
        };
        Ok(MessagesPage {
            messages: entries.into_iter().map(annotated).collect(),
            as_of: head,
            more,
        })
    }

    pub(crate) async fn targets(
        &self,
        op: &'static str,
        query: &TargetsQuery,
    ) -> Result<Targets, PortError> {
        let (through, head) = self.through_and_head(op, query.channel).await?;
        let inside = query
            .seqs
            .iter()
            .filter(|seq| (Seq(1)..=head).contains(*seq));
        let reads: Vec<_> = inside
            .map(|seq| {
                let range = (seq.previous(), *seq);
                self.oldest(op, query.channel, range, 1, Part::Skeleton)
            })
            .collect();
        let rows: Vec<Vec<LogRow>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let mut found = BTreeMap::new();
        for row in rows.iter().flatten().filter(|row| row.is_message()) {
            let entry = row.entry(op)?;
            if let Some(target) = Target::of(&entry) {
                found.insert(entry.seq, target);
            }
        }
        let targets = found.keys().copied().collect();
        let naming = self
            .naming(op, query.channel, &targets, (through, head))
            .await?;
        for (seq, target) in &mut found {
            for entry in naming.get(seq).into_iter().flat_map(BTreeMap::values) {
                target.apply(*seq, entry, &query.caller);
            }
        }
        Ok(Targets {
            through: head,
            found,
        })
    }

    /// The entries up to `head` that name these messages: the rows, which hold all of them up to `through`, and the log
    /// behind that.
    pub(crate) async fn naming(
        &self,
        op: &'static str,
        channel: ChannelId,
        targets: &BTreeSet<Seq>,
        (through, head): (Seq, Seq),
    ) -> Result<Naming, PortError> {
        let mut naming = Naming::new();
        if targets.is_empty() {
            return Ok(naming);
        }
        let mut ranges: BTreeMap<u64, (Seq, Seq)> = BTreeMap::new();
        for target in targets {
            let range = ranges.entry(self.buckets.of(*target));
            range.or_insert((*target, *target)).1 = *target;
        }
        for (bucket, (first, last)) in ranges {
            let place = (channel.as_uuid(), bucket_column(bucket));
            let values = (place.0, place.1, column(first.0), column(last.0));
            let statement = self.statements.naming.clone();
            let rows = self.session.execute_iter(statement, values).await;
            let rows = rows.map_err(|error| lost(op, error))?;
            let mut rows = rows
                .rows_stream::<NamingRow>()
                .map_err(|error| corrupt(op, error))?;
            while let Some(row) = rows.try_next().await.map_err(|error| lost(op, error))? {
                let target = Seq(row.target.cast_unsigned());
                if targets.contains(&target) && row.seq.cast_unsigned() <= head.0 {
                    let entry = entry_of(op, &row)?;
                    naming.entry(target).or_default().insert(entry.seq, entry);
                }
            }
        }
        let each = |seen: crate::views::Seen| {
            if let Some(target) = names(&seen.entry).filter(|target| targets.contains(target)) {
                let of_target = naming.entry(target).or_default();
                of_target.insert(seen.entry.seq, seen.entry);
            }
        };
        self.each_behind(op, channel, (through, head), each).await?;
        Ok(naming)
    }
}

/// What the entry did to its target; when and under which name is not kept here.
fn entry_of(op: &'static str, row: &NamingRow) -> Result<Entry, PortError> {
    let client_id = row.client_id.map(ClientId::from_uuid);
    let stored = StoredKind::read(&row.kind, client_id, None, &row.detail);
    let stored = stored.map_err(|error| corrupt(op, error))?;
    Ok(Entry {
        seq: Seq(row.seq.cast_unsigned()),
        n: Ordinal(0),
        message: MessageId(0),
        at: Timestamp(0),
        from: user(op, &row.sender)?,
        device: None,
        withheld: stored.withheld,
        kind: stored.kind,
    })
}

/// A page of rows did not come.
fn lost(op: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::unavailable(op, Retry::Safe).with_source(error)
}
