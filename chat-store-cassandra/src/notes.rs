//! Notes of bodies that are to be set. A note that is dropped and comes back, or is dropped and kept again late, is harmless:
//! it says where to look, and a log that has gone on behind it is looked at again.

use std::collections::BTreeSet;

use chat_core::ports::{BodyNote, PortError};
use chat_proto::{ChannelId, Seq};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;

use crate::config::READS_IN_FLIGHT_MAX;
use crate::error::corrupt;
use crate::store::{Db, column};

/// Partitions, so that no single one takes all the notes of a fleet.
const SHARDS: i32 = 16;

#[derive(DeserializeRow)]
struct NoteRow {
    channel: Vec<u8>,
    after: i64,
    targets: Option<Vec<i64>>,
}

impl Db {
    pub(crate) async fn keep_note(
        &self,
        op: &'static str,
        note: &BodyNote,
    ) -> Result<(), PortError> {
        let targets: Vec<i64> = note.targets.iter().map(|seq| column(seq.0)).collect();
        let (shard, channel) = place(note.channel);
        let values = (targets, shard, channel, column(note.after.0));
        self.write(op, &self.statements.keep_note, values).await
    }

    pub(crate) async fn drop_note(
        &self,
        op: &'static str,
        channel: ChannelId,
        after: Seq,
    ) -> Result<(), PortError> {
        let (shard, channel) = place(channel);
        let values = (shard, channel, column(after.0));
        self.write(op, &self.statements.drop_note, values).await
    }

    pub(crate) async fn notes(
        &self,
        op: &'static str,
        limit: usize,
    ) -> Result<Vec<BodyNote>, PortError> {
        let rows_max = i32::try_from(limit.max(1)).unwrap_or(i32::MAX);
        let reads: Vec<_> = (0..SHARDS)
            .map(|shard| self.read::<NoteRow>(op, &self.statements.notes, (shard, rows_max)))
            .collect();
        let rows: Vec<Vec<NoteRow>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let notes: Result<BTreeSet<BodyNote>, PortError> =
            rows.iter().flatten().map(|row| note_of(op, row)).collect();
        Ok(notes?.into_iter().take(limit).collect())
    }
}

fn place(channel: ChannelId) -> (i32, Vec<u8>) {
    let bytes = channel.as_bytes();
    // The last byte of a version 4 or 5 id is as good as random.
    let shard = i32::from(bytes[15]) % SHARDS;
    (shard, bytes.to_vec())
}

fn note_of(op: &'static str, row: &NoteRow) -> Result<BodyNote, PortError> {
    let channel = ChannelId::from_slice(&row.channel);
    let targets = row.targets.iter().flatten();
    Ok(BodyNote {
        channel: channel.map_err(|rejection| corrupt(op, rejection.message))?,
        after: Seq(row.after.cast_unsigned()),
        targets: targets.map(|seq| Seq(seq.cast_unsigned())).collect(),
    })
}
