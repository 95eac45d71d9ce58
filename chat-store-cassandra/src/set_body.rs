//! Setting bodies: the overlay first, then nothing of a former body is left.
//!
//! The body of an edit is in the log with its entry, durable with the append, until it is set: then it is in the overlay of
//! its message, and leaves the log together with what it replaced. Every step may be repeated, in any order.
//!
//! | what | then |
//! |---|---|
//! | the process dies before the overlay is written | the entry still carries its body; whoever finds the note sets it |
//! | it dies behind that | the entry carries the body of the overlay as long as it is the current one; whoever finds the note, or sets the next body of the message, cleans up |
//! | a later body is set meanwhile | the overlay keeps the higher `rev`, by timestamps; both clean up what they replaced |
//! | a body comes behind an erasure | the erasure has the highest timestamp of all: nothing is seen of the body, and it is cleaned up |
//! | a conditional erasure in the log times out | `Unknown`: the caller sets the same again |
//! | a late repetition writes a long body again | its deletion has the higher timestamp |
//! | a reader is between the steps | it reads the log before the overlay: a body gone from the one is in the other |

use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{PortError, SetBody};
use chat_proto::{ChannelId, EntryKind, Seq};
use scylla::statement::batch::{Batch, BatchType};

use crate::bodies::OverlayRow;
use crate::error::write_failed;
use crate::log::Part;
use crate::rows::{LogRow, StoredBody};
use crate::store::{Db, bucket_column, column};

const OP: &str = "messages.set_body";

impl Db {
    pub(crate) async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        let (through, head) = self.through_and_head(OP, set.channel).await?;
        let target = self.skeleton(set.channel, set.target, head).await?;
        let Some(target) = target.filter(LogRow::is_message) else {
            return Ok(());
        };
        let former = self.overlay(set.channel, set.target).await?;
        let clean = former.as_ref().map_or(Seq(0), OverlayRow::clean);
        self.write_overlay(&set, head).await?;
        // The entry up to which all is clean may have its own body in the overlay, and be replaced now.
        let edits = self
            .edits(set.channel, set.target, (clean, set.rev), (through, head))
            .await?;
        self.clean_up(set.channel, target, &edits, head).await?;
        if set.rev > head {
            // Of the entries up to there not all are known yet.
            return Ok(());
        }
        let stamp = self.stamps.at(set.rev);
        let (bucket, place) = self.overlay_place(set.target);
        let values = (
            stamp,
            column(set.rev.0),
            set.channel.as_uuid(),
            bucket,
            place,
        );
        self.write(OP, &self.statements.set_clean, values).await
    }

    async fn write_overlay(&self, set: &SetBody, head: Seq) -> Result<(), PortError> {
        let channel = set.channel.as_uuid();
        let (bucket, target) = self.overlay_place(set.target);
        let rev = column(set.rev.0);
        let Some(body) = &set.body else {
            let values = (self.stamps.last(), rev, channel, bucket, target);
            return self.write(OP, &self.statements.erase_overlay, values).await;
        };
        let body = StoredBody::of(OP, body)?;
        let stamp = self.stamps.at(set.rev);
        let (form, inline, message) = if body.is_long() {
            let edit = self.skeleton(set.channel, set.rev, head).await?;
            let message = edit.map_or(0, |row| row.message);
            let values = (channel, rev, message, &body.bytes);
            let statement = &self.statements.insert_long_body;
            self.write(OP, statement, values).await?;
            (body.long_form(), None, Some(message))
        } else {
            (body.form, Some(body.bytes), None)
        };
        let values = (stamp, rev, form, inline, message, channel, bucket, target);
        self.write(OP, &self.statements.set_overlay, values).await
    }

    /// Edits of a message from one entry to another, both included.
    async fn edits(
        &self,
        channel: ChannelId,
        target: Seq,
        (first, last): (Seq, Seq),
        range: (Seq, Seq),
    ) -> Result<BTreeSet<Seq>, PortError> {
        let targets = BTreeSet::from([target]);
        let naming = self.naming(OP, channel, &targets, range).await?;
        let entries = naming.into_values().flatten();
        let edits = entries
            .filter(|(seq, entry)| {
                (first..=last).contains(seq) && matches!(entry.kind, EntryKind::Edit(_))
            })
            .map(|(seq, _)| seq);
        Ok(edits.collect())
    }

    /// Takes the bodies of these out of the log, and those that the overlay does not refer to out of the table of long ones.
    async fn clean_up(
        &self,
        channel: ChannelId,
        target: LogRow,
        edits: &BTreeSet<Seq>,
        head: Seq,
    ) -> Result<(), PortError> {
        let now = self.overlay(channel, target.seq()).await?;
        let current = now.as_ref().filter(|overlay| !overlay.is_erased());
        let current = current.and_then(OverlayRow::rev);
        let mut erase: BTreeMap<u64, Vec<Seq>> = BTreeMap::new();
        if target.has_long_body() {
            self.delete_long_body(OP, channel, target.seq, target.message)
                .await?;
        }
        if target.has_body() {
            let bucket = self.buckets.of(target.seq());
            erase.entry(bucket).or_default().push(target.seq());
        }
        for seq in edits {
            let Some(edit) = self.skeleton(channel, *seq, head).await? else {
                continue;
            };
            // Also where the log no longer tells of one: the overlay may have referred to it until now.
            if current != Some(*seq) {
                self.delete_long_body(OP, channel, edit.seq, edit.message)
                    .await?;
            }
            if edit.has_body() {
                erase.entry(self.buckets.of(*seq)).or_default().push(*seq);
            }
        }
        for (bucket, seqs) in erase {
            self.erase_in_log(channel, bucket, &seqs).await?;
        }
        Ok(())
    }

    async fn erase_in_log(
        &self,
        channel: ChannelId,
        bucket: u64,
        seqs: &[Seq],
    ) -> Result<(), PortError> {
        let mut batch = Batch::new(BatchType::Unlogged);
        let mut values = Vec::with_capacity(seqs.len());
        for seq in seqs {
            batch.append_statement(self.statements.erase_body.clone());
            values.push((channel.as_uuid(), bucket_column(bucket), column(seq.0)));
        }
        let _lane = self.lanes.enter(channel).await;
        let permit = self.lanes.batch().await;
        let done = self.session.batch(&batch, &values).await;
        drop(permit);
        done.map(drop).map_err(|error| write_failed(OP, error))
    }

    pub(crate) async fn delete_long_body(
        &self,
        op: &'static str,
        channel: ChannelId,
        seq: i64,
        message: i64,
    ) -> Result<(), PortError> {
        let values = (channel.as_uuid(), seq, message);
        self.write(op, &self.statements.delete_long_body, values)
            .await
    }

    async fn overlay(
        &self,
        channel: ChannelId,
        target: Seq,
    ) -> Result<Option<OverlayRow>, PortError> {
        let overlays = self.overlays(OP, channel, target, target).await?;
        Ok(overlays.into_values().next())
    }

    fn overlay_place(&self, target: Seq) -> (i32, i64) {
        let bucket = bucket_column(self.buckets.of(target));
        (bucket, column(target.0))
    }

    async fn skeleton(
        &self,
        channel: ChannelId,
        seq: Seq,
        head: Seq,
    ) -> Result<Option<LogRow>, PortError> {
        if !(Seq(1)..=head).contains(&seq) {
            return Ok(None);
        }
        let range = (seq.previous(), seq);
        let rows = self.oldest(OP, channel, range, 1, Part::Skeleton).await?;
        Ok(rows.into_iter().next())
    }
}
