//! What is kept beside the log: members, and the entries that name a message.
//!
//! Written by plain writes behind the batch, each with a timestamp from (generation, seq): any order and any repetition ends
//! in the same rows. One number a channel, `through`, says up to where all of it is written, whoever appended it. Readers
//! read it before the rows, and merge the log behind it.

use std::collections::BTreeMap;

use chat_core::ports::PortError;
use chat_core::rows::role_number;
use chat_proto::channel::MemberChange;
use chat_proto::{ChannelId, Entry, Seq};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;

use crate::batch::{number, optional, set, text, uuid};
use crate::changes;
use crate::config::{CHUNK_ROWS, READS_IN_FLIGHT_MAX};
use crate::error::{corrupt, write_failed};
use crate::log::Part;
use crate::rows::LogRow;
use crate::store::{Bound, Db, bucket_column};

const OP: &str = "messages.views";
/// Rows in one plain batch.
const BATCH_ROWS_MAX: usize = 64;
/// Entries that `through` may lag behind where nothing but messages was appended, so that not each one costs a write.
const LAG_ENTRIES_MAX: u64 = 32;

/// Entries that a reader merges; where more are missing, it writes them.
const MERGED_ENTRIES_MAX: u64 = 512;

#[derive(DeserializeRow)]
struct ThroughRow {
    through: Option<i64>,
    generation: Option<i64>,
}

/// An entry without its body, with what it means for the members.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) entry: Entry,
    pub(crate) changes: Vec<MemberChange>,
}

impl Seen {
    fn of(op: &'static str, row: &LogRow) -> Result<Self, PortError> {
        Ok(Self {
            entry: row.entry(op)?,
            changes: changes::decode(op, row.changes.as_deref())?,
        })
    }
}

/// The message that an entry does something to, or in whose thread it is.
pub(crate) fn names(entry: &Entry) -> Option<Seq> {
    let thread = || entry.as_message().and_then(|message| message.thread);
    entry.target().or_else(thread)
}

/// Rows of one partition.
type Group<'a> = Vec<(&'a PreparedStatement, Vec<Bound>)>;

impl Db {
    /// Up to where the views are written.
    pub(crate) async fn through(
        &self,
        op: &'static str,
        channel: ChannelId,
    ) -> Result<Seq, PortError> {
        let statement = &self.statements.through;
        let rows: Vec<ThroughRow> = self.read(op, statement, (channel.as_uuid(),)).await?;
        let row = rows.first();
        let row = row.filter(|row| row.generation == Some(self.stamps.generation()));
        let through = row.and_then(|row| row.through).unwrap_or(0);
        Ok(Seq(through.cast_unsigned()))
    }

    /// Up to where the views are written, and the log's head; to be read before any row. Views that are far behind are
    /// written here: merging a long log again for every reader would take more than writing what it lacks once.
    pub(crate) async fn through_and_head(
        &self,
        op: &'static str,
        channel: ChannelId,
    ) -> Result<(Seq, Seq), PortError> {
        let (through, head) = tokio::try_join!(self.through(op, channel), self.head(op, channel))?;
        let head = head.seq;
        if head.0.saturating_sub(through.0) <= MERGED_ENTRIES_MAX {
            return Ok((through, head));
        }
        let mut raised = through;
        self.write_missed(channel, (through, head), &mut raised)
            .await?;
        Ok((head, head))
    }

    /// Each entry behind `after` up to `through`, a head that was read, in their order; a few in memory at a time.
    pub(crate) async fn each_behind(
        &self,
        op: &'static str,
        channel: ChannelId,
        (mut after, through): (Seq, Seq),
        mut each: impl FnMut(Seen) + Send,
    ) -> Result<(), PortError> {
        while after < through {
            let range = (after, through);
            let rows = self
                .oldest(op, channel, range, CHUNK_ROWS, Part::Skeleton)
                .await?;
            for row in &rows {
                each(Seen::of(op, row)?);
            }
            after = rows.last().map_or(through, LogRow::seq);
        }
        Ok(())
    }

    /// Brings the views from behind `before` up to what was appended there, and first from where they are up to `before`.
    pub(crate) async fn follow_views(
        &self,
        channel: ChannelId,
        before: Seq,
        appended: &[Seen],
    ) -> Result<(), PortError> {
        let known = self.known.of(channel);
        let (done, mut raised) = match known.done {
            Some(done) => (done, known.raised),
            None if before == Seq(0) => (Seq(0), Seq(0)),
            None => {
                let through = self.through(OP, channel).await?;
                (through, through)
            }
        };
        if done < before {
            self.write_missed(channel, (done, before), &mut raised)
                .await?;
        }
        let wrote = self.write_views(channel, appended).await?;
        let last = appended.last().map_or(before, |seen| seen.entry.seq);
        self.raise(channel, last, &mut raised, wrote).await
    }

    /// Writes what the log holds behind `done` up to `through`, a few entries at a time.
    async fn write_missed(
        &self,
        channel: ChannelId,
        (mut done, through): (Seq, Seq),
        raised: &mut Seq,
    ) -> Result<(), PortError> {
        while done < through {
            let range = (done, through);
            let rows = self
                .oldest(OP, channel, range, CHUNK_ROWS, Part::Skeleton)
                .await?;
            let missed: Result<Vec<Seen>, PortError> =
                rows.iter().map(|row| Seen::of(OP, row)).collect();
            let wrote = self.write_views(channel, &missed?).await?;
            done = rows.last().map_or(through, LogRow::seq);
            self.raise(channel, done, raised, wrote).await?;
        }
        Ok(())
    }

    /// Notes that everything up to `done` is written: at once where rows were, otherwise once it is far enough.
    async fn raise(
        &self,
        channel: ChannelId,
        done: Seq,
        raised: &mut Seq,
        wrote: bool,
    ) -> Result<(), PortError> {
        if done > *raised && (wrote || done.0 - raised.0 >= LAG_ENTRIES_MAX) {
            let values = (
                channel.as_uuid(),
                done.0.cast_signed(),
                self.stamps.generation(),
                self.stamps.at(done),
            );
            self.write(OP, &self.statements.raise_through, values)
                .await?;
            *raised = done;
        }
        let raised = *raised;
        self.known.learn(channel, |known| {
            known.done = known.done.max(Some(done));
            known.raised = known.raised.max(raised);
        });
        Ok(())
    }

    /// Whether there was anything to write.
    async fn write_views(&self, channel: ChannelId, seen: &[Seen]) -> Result<bool, PortError> {
        let mut members: Group<'_> = Vec::new();
        let mut naming: BTreeMap<u64, Group<'_>> = BTreeMap::new();
        for Seen { entry, changes } in seen {
            for change in changes {
                members.push(self.member_write(channel, entry.seq, change));
            }
            if let Some(target) = names(entry) {
                let write = self.naming_write(channel, target, entry)?;
                naming
                    .entry(self.buckets.of(target))
                    .or_default()
                    .push(write);
            }
        }
        let groups: Vec<Group<'_>> = std::iter::once(members)
            .chain(naming.into_values())
            .collect();
        let writes: Vec<_> = groups
            .iter()
            .flat_map(|group| group.chunks(BATCH_ROWS_MAX))
            .map(|rows| self.write_rows(rows))
            .collect();
        let wrote = !writes.is_empty();
        stream::iter(writes)
            .buffer_unordered(READS_IN_FLIGHT_MAX)
            .try_collect::<()>()
            .await?;
        Ok(wrote)
    }

    async fn write_rows(&self, rows: &[(&PreparedStatement, Vec<Bound>)]) -> Result<(), PortError> {
        let mut batch = Batch::new(BatchType::Unlogged);
        for (statement, _) in rows {
            batch.append_statement((*statement).clone());
        }
        let values: Vec<&Vec<Bound>> = rows.iter().map(|(_, values)| values).collect();
        let done = self.session.batch(&batch, values).await;
        done.map(drop).map_err(|error| write_failed(OP, error))
    }

    fn member_write(
        &self,
        channel: ChannelId,
        seq: Seq,
        change: &MemberChange,
    ) -> (&PreparedStatement, Vec<Bound>) {
        let channel = uuid(channel.as_uuid());
        let stamp = set(CqlValue::BigInt(self.stamps.at(seq)));
        let user = text(change.user().as_str());
        let statements = &self.statements;
        match change {
            MemberChange::Joined {
                role,
                joined,
                visible_from,
                ..
            } => {
                let role = set(CqlValue::TinyInt(role_number(*role)));
                let (joined, visible_from) = (number(joined.0), number(visible_from.0));
                let values = vec![channel, user, role, joined, visible_from, stamp];
                (&statements.insert_member, values)
            }
            MemberChange::Left { .. } => (&statements.delete_member, vec![stamp, channel, user]),
            MemberChange::Role { role, .. } => {
                let role = set(CqlValue::TinyInt(role_number(*role)));
                (&statements.set_role, vec![stamp, role, channel, user])
            }
        }
    }

    fn naming_write(
        &self,
        channel: ChannelId,
        target: Seq,
        entry: &Entry,
    ) -> Result<(&PreparedStatement, Vec<Bound>), PortError> {
        let detail = entry.detail().map_err(|error| corrupt(OP, error))?;
        let client_id = entry.as_message().map(|message| message.client_id);
        let values = vec![
            uuid(channel.as_uuid()),
            set(CqlValue::Int(bucket_column(self.buckets.of(target)))),
            number(target.0),
            number(entry.seq.0),
            text(entry.from.as_str()),
            text(entry.kind.name()),
            optional(client_id.map(|id| CqlValue::Uuid(id.as_uuid()))),
            set(CqlValue::Blob(detail)),
            set(CqlValue::BigInt(self.stamps.at(entry.seq))),
        ];
        Ok((&self.statements.insert_naming, values))
    }
}
