//! Fan-out marks and leases.
//!
//! A mark is a row that says its own timestamp, and dropping marks deletes the rows that were seen at theirs: a mark that its
//! owner keeps again meanwhile stays, whoever drops the former one and whatever their clock says. Timestamps of one process only rise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chat_core::ports::{FanOutMark, PortError};
use chat_proto::{ChannelId, NodeId, Seq, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::config::{INBOX_WRITES_IN_FLIGHT_MAX, READS_IN_FLIGHT_MAX};
use crate::store::{Db, column};

/// Partitions of one owner's marks, so that what was dropped does not lie in one.
const SHARDS: i32 = 16;
/// How often an owner is made known again that keeps marks. Less than half of what follows.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// An owner whose lease ended so long ago, and who has no marks, is forgotten.
const FORGOTTEN_AFTER_MS: u64 = 10 * 60 * 1000;
/// Owners that are remembered; a process has one.
const OWNERS_MAX: usize = 64;

/// What this process knows of its marks.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// Whom the table of leases names, as of when.
    owners: BTreeMap<NodeId, Instant>,
    last_stamp: i64,
}

impl Notes {
    /// Microseconds, as the database stamps its writes; later ones are higher.
    fn stamp(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.last_stamp = now.max(memory.last_stamp.saturating_add(1));
        memory.last_stamp
    }

    fn knows(&self, owner: &NodeId) -> bool {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.owners.get(owner);
        known.is_some_and(|since| since.elapsed() < KNOWN_FOR)
    }

    fn learn(&self, owner: NodeId, since: Instant) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.owners.len() >= OWNERS_MAX {
            memory.owners.clear();
        }
        memory.owners.insert(owner, since);
    }
}

impl Db {
    pub(crate) async fn keep_marks(
        &self,
        op: &'static str,
        marks: Vec<FanOutMark>,
    ) -> Result<(), PortError> {
        let owners: BTreeSet<&NodeId> = marks.iter().map(|mark| &mark.owner).collect();
        // Before the marks: one whose owner nobody knows is never found.
        for owner in owners {
            self.know_owner(op, owner).await?;
        }
        let writes: Vec<_> = marks.iter().map(|mark| self.keep_mark(op, mark)).collect();
        stream::iter(writes)
            .buffer_unordered(INBOX_WRITES_IN_FLIGHT_MAX)
            .try_collect()
            .await
    }

    async fn know_owner(&self, op: &'static str, owner: &NodeId) -> Result<(), PortError> {
        if self.notes.knows(owner) {
            return Ok(());
        }
        let (now, values) = (Instant::now(), (owner.as_str(), self.notes.stamp()));
        self.write(op, &self.statements.know_owner, values).await?;
        self.notes.learn(owner.clone(), now);
        Ok(())
    }

    async fn keep_mark(&self, op: &'static str, mark: &FanOutMark) -> Result<(), PortError> {
        let stamp = self.notes.stamp();
        let (owner, shard, channel) = place(&mark.owner, mark.channel);
        let values = (owner, shard, channel, column(mark.after.0), stamp, stamp);
        self.write(op, &self.statements.keep_mark, values).await
    }

    pub(crate) async fn drop_marks(
        &self,
        op: &'static str,
        owner: &NodeId,
        channels: &[ChannelId],
    ) -> Result<(), PortError> {
        let drops: Vec<_> = channels
            .iter()
            .map(|channel| self.drop_marks_of(op, owner, *channel))
            .collect();
        stream::iter(drops)
            .buffer_unordered(INBOX_WRITES_IN_FLIGHT_MAX)
            .try_collect()
            .await
    }

    async fn drop_marks_of(
        &self,
        op: &'static str,
        owner: &NodeId,
        channel: ChannelId,
    ) -> Result<(), PortError> {
        let (owner, shard, channel) = place(owner, channel);
        let values = (owner, shard, channel);
        let statement = &self.statements.marks_of_channel;
        // Only the part of a mark that its deletion takes has no stamp, and nothing is left of it.
        let seen: Vec<(i64, Option<i64>)> = self.read(op, statement, values).await?;
        for (after, stamp) in seen {
            if let Some(stamp) = stamp {
                let values = (stamp, owner, shard, channel, after);
                self.write(op, &self.statements.drop_mark, values).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn renew_lease(
        &self,
        op: &'static str,
        owner: &NodeId,
        until: Timestamp,
    ) -> Result<(), PortError> {
        let values = (owner.as_str(), column(until.0), lease_stamp(until.0));
        self.write(op, &self.statements.renew_lease, values).await
    }

    pub(crate) async fn orphaned_marks(
        &self,
        op: &'static str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        let leases: Vec<(String, Option<i64>)> = self.read(op, &self.statements.leases, ()).await?;
        let mut orphaned = Vec::new();
        for (owner, until) in leases {
            let until = until.map(i64::cast_unsigned);
            if until.is_some_and(|until| until > now.0) {
                continue;
            }
            let Some(rest) = limit.checked_sub(orphaned.len()).filter(|rest| *rest > 0) else {
                break;
            };
            let owner = NodeId::new(owner);
            let marks = self.marks_of_owner(op, &owner, rest).await?;
            let is_long_gone = |until: u64| until.saturating_add(FORGOTTEN_AFTER_MS) < now.0;
            if let Some(until) = until.filter(|until| marks.is_empty() && is_long_gone(*until)) {
                self.forget_owner(op, &owner, until).await?;
            }
            orphaned.extend(marks);
        }
        Ok(orphaned)
    }

    /// Of each channel the lowest place, `limit` at the most.
    async fn marks_of_owner(
        &self,
        op: &'static str,
        owner: &NodeId,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        let rows_max = i32::try_from(limit).unwrap_or(i32::MAX);
        let statement = &self.statements.marks_of_owner;
        let reads: Vec<_> = (0..SHARDS)
            .map(|shard| {
                let values = (owner.as_str(), shard, rows_max);
                self.read::<(Uuid, i64)>(op, statement, values)
            })
            .collect();
        let rows: Vec<Vec<(Uuid, i64)>> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let mut lowest: BTreeMap<ChannelId, Seq> = BTreeMap::new();
        for (channel, after) in rows.into_iter().flatten() {
            let after = Seq(after.cast_unsigned());
            let known = lowest.entry(ChannelId::from_uuid(channel)).or_insert(after);
            *known = after.min(*known);
        }
        let marks = lowest.into_iter().take(limit);
        Ok(marks
            .map(|(channel, after)| FanOutMark {
                owner: owner.clone(),
                channel,
                after,
            })
            .collect())
    }

    /// Below what the owner writes if it lives after all: a longer lease, and its name, which it writes every minute.
    async fn forget_owner(
        &self,
        op: &'static str,
        owner: &NodeId,
        until: u64,
    ) -> Result<(), PortError> {
        let stamp = lease_stamp(until.saturating_add(FORGOTTEN_AFTER_MS / 2));
        let values = (stamp, owner.as_str());
        self.write(op, &self.statements.forget_owner, values).await
    }
}

/// A lease is written at its own end, in the microseconds of other writes.
fn lease_stamp(until_ms: u64) -> i64 {
    column(until_ms.saturating_mul(1000)).min(i64::MAX - 1)
}

fn place(owner: &NodeId, channel: ChannelId) -> (&str, i32, Uuid) {
    // The last byte of a version 4 or 5 id is as good as random.
    let shard = i32::from(channel.as_bytes()[15]) % SHARDS;
    (owner.as_str(), shard, channel.as_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise() {
        let notes = Notes::default();
        let stamps: Vec<i64> = (0..1000).map(|_| notes.stamp()).collect();
        assert!(stamps.is_sorted_by(|one, next| one < next));
    }
}
