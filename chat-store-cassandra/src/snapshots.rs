//! States to fold on from.
//!
//! The store folds by itself: an append tells a state only where something else than messages is in it, and without the
//! members. A snapshot is made whenever a log has grown by so many entries, from the former one; it loses nothing when it is
//! not written, for whoever loads folds what is missing.

use chat_core::ports::{Loaded, PortError};
use chat_proto::channel::{ChannelState, Snapshot, evolve};
use chat_proto::{ChannelId, Limits, Record, Seq};

use crate::config::CHUNK_ROWS;
use crate::error::corrupt;
use crate::log::Part;
use crate::rows::LogRow;
use crate::store::Db;

/// Entries between snapshots: half of what one may be behind, so that one that was not written does not matter.
const SNAPSHOT_EVERY_ENTRIES: u64 = Limits::SNAPSHOT_AGE_ENTRIES_MAX as u64 / 2;
/// Entries that an append folds for a snapshot.
const FOLDED_ENTRIES_MAX: u64 = 8 * SNAPSHOT_EVERY_ENTRIES;
/// Bytes of entries that are loaded beside a state; beyond, they are folded here.
const SINCE_BYTES_MAX: usize = 1024 * 1024;

impl Db {
    pub(crate) async fn load(
        &self,
        op: &'static str,
        channel: ChannelId,
        folded: Seq,
    ) -> Result<Loaded, PortError> {
        const AGE_MAX: u64 = Limits::SNAPSHOT_AGE_ENTRIES_MAX as u64;
        let head = self.head(op, channel).await?.seq;
        if head.0.saturating_sub(folded.0) <= AGE_MAX
            && let Some(since) = self.records(op, channel, (folded, head)).await?
        {
            return Ok(Loaded {
                snapshot: None,
                since,
            });
        }
        let kept = self.kept_snapshot(op, channel, head).await?;
        let mut state = match kept {
            Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
            None => ChannelState::empty(channel),
        };
        if head.0 - state.head().seq.0 > AGE_MAX {
            // The keys of the entries that are left to fold spare their senders a search.
            let until = Seq(head.0 - SNAPSHOT_EVERY_ENTRIES);
            self.fold(op, &mut state, until).await?;
            self.keep_snapshot(op, &state).await?;
        }
        let since = self.records(op, channel, (state.head().seq, head)).await?;
        let since = match since {
            Some(since) => since,
            None => {
                self.fold(op, &mut state, head).await?;
                Vec::new()
            }
        };
        Ok(Loaded {
            snapshot: Some(state.to_snapshot()),
            since,
        })
    }

    /// Makes a snapshot when an append from `before` to `last` has filled up the number of entries for one.
    pub(crate) async fn follow_snapshot(
        &self,
        channel: ChannelId,
        before: Seq,
        last: Seq,
    ) -> Result<(), PortError> {
        const OP: &str = "messages.snapshot";
        if before.0 / SNAPSHOT_EVERY_ENTRIES == last.0 / SNAPSHOT_EVERY_ENTRIES {
            return Ok(());
        }
        let kept = self.kept_snapshot(OP, channel, last).await?;
        let mut state = match kept {
            Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
            None => ChannelState::empty(channel),
        };
        if last.0 - state.head().seq.0 > FOLDED_ENTRIES_MAX {
            // Whoever loads must fold all of it; an append does not wait for that.
            return Ok(());
        }
        self.fold(OP, &mut state, last).await?;
        self.keep_snapshot(OP, &state).await
    }

    /// The newest snapshot, unless it is of a log that went further than this one.
    async fn kept_snapshot(
        &self,
        op: &'static str,
        channel: ChannelId,
        head: Seq,
    ) -> Result<Option<Snapshot>, PortError> {
        let statement = &self.statements.snapshot;
        let rows: Vec<(Option<Vec<u8>>,)> = self.read(op, statement, (channel.as_uuid(),)).await?;
        let Some(bytes) = rows.into_iter().next().and_then(|(bytes,)| bytes) else {
            return Ok(None);
        };
        let snapshot: Snapshot =
            serde_json::from_slice(&bytes).map_err(|error| corrupt(op, error))?;
        // A version that knows more folds what this one did not understand.
        Ok(Some(snapshot).filter(|snapshot| snapshot.head.seq <= head && snapshot.understood))
    }

    async fn keep_snapshot(&self, op: &'static str, state: &ChannelState) -> Result<(), PortError> {
        let snapshot =
            serde_json::to_vec(&state.to_snapshot()).map_err(|error| corrupt(op, error))?;
        let stamp = self.stamps.at(state.head().seq);
        let values = (state.id().as_uuid(), snapshot, stamp);
        self.write(op, &self.statements.insert_snapshot, values)
            .await
    }

    /// Folds the log up to `through`, a head that was read or an entry before it.
    async fn fold(
        &self,
        op: &'static str,
        state: &mut ChannelState,
        through: Seq,
    ) -> Result<(), PortError> {
        while state.head().seq < through {
            let range = (state.head().seq, through);
            let rows = self
                .oldest(op, state.id(), range, CHUNK_ROWS, Part::Skeleton)
                .await?;
            for row in &rows {
                evolve(state, &row.entry(op)?, row.key(op)?.as_ref());
            }
        }
        Ok(())
    }

    /// The records of this range with their bodies, unless they are too many bytes.
    async fn records(
        &self,
        op: &'static str,
        channel: ChannelId,
        (mut after, through): (Seq, Seq),
    ) -> Result<Option<Vec<Record>>, PortError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while after < through {
            let range = (after, through);
            let rows = self
                .oldest(op, channel, range, CHUNK_ROWS, Part::Whole)
                .await?;
            after = rows.last().map_or(through, LogRow::seq);
            let keys: Result<Vec<_>, PortError> = rows.iter().map(|row| row.key(op)).collect();
            let drawn = self.draw(op, channel, rows).await?;
            for (drawn, key) in drawn.into_iter().zip(keys?) {
                let entry = self.finish(op, channel, drawn).await?;
                bytes += entry.size_bytes();
                if bytes > SINCE_BYTES_MAX {
                    return Ok(None);
                }
                records.push(Record {
                    channel,
                    entry,
                    key,
                });
            }
        }
        Ok(Some(records))
    }
}
