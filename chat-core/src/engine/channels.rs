//! The channels that are active on this node.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chat_proto::ChannelId;

use super::slot::Slot;
use crate::lock::lock;

const SHARDS: usize = 64;

/// Slots by channel, bounded: the longest unused go first, and a fold that went is loaded again.
pub(super) struct Channels {
    shards: Vec<Mutex<HashMap<ChannelId, Arc<Slot>>>>,
    hasher: RandomState,
    shard_max: usize,
    clock: AtomicU64,
}

impl Channels {
    pub(super) fn new(max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_max: (max / SHARDS).max(1),
            clock: AtomicU64::new(0),
        }
    }

    /// The channel's slot, a new one if there is none.
    pub(super) fn slot(&self, channel: ChannelId) -> Arc<Slot> {
        let used = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut shard = self.shard(channel);
        if let Some(slot) = shard.get(&channel) {
            slot.touch(used);
            return Arc::clone(slot);
        }
        if shard.len() >= self.shard_max {
            evict(&mut shard);
        }
        let slot = Arc::new(Slot::new(channel));
        slot.touch(used);
        shard.insert(channel, Arc::clone(&slot));
        slot
    }

    /// The channel's slot, if it is active.
    pub(super) fn peek(&self, channel: ChannelId) -> Option<Arc<Slot>> {
        self.shard(channel).get(&channel).cloned()
    }

    fn shard(&self, channel: ChannelId) -> MutexGuard<'_, HashMap<ChannelId, Arc<Slot>>> {
        let index = usize::try_from(self.hasher.hash_one(channel) % SHARDS as u64)
            .expect("a shard's index is small");
        lock(&self.shards[index])
    }
}

/// Drops the older half of the idle slots that nobody else holds. Rare, so that a table of this size needs no list in
/// order of use.
#[expect(
    clippy::iter_over_hash_type,
    reason = "which slots go depends on their age alone"
)]
fn evict(shard: &mut HashMap<ChannelId, Arc<Slot>>) {
    let mut idle: Vec<u64> = Vec::new();
    for slot in shard.values() {
        // A slot that somebody holds may be about to get a command: two slots of a channel would race each other.
        if Arc::strong_count(slot) == 1 {
            idle.extend(slot.idle_since());
        }
    }
    if idle.is_empty() {
        return;
    }
    let middle = idle.len() / 2;
    let (_, median, _) = idle.select_nth_unstable(middle);
    let median = *median;
    shard.retain(|_, slot| {
        Arc::strong_count(slot) > 1 || slot.idle_since().is_none_or(|used| used > median)
    });
}
