//! How many conditional batches at once: one a log, and not too many of the process.

use chat_proto::ChannelId;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use crate::config::BATCHES_IN_FLIGHT_MAX;

/// Logs share lanes, so that there is nothing to clean up; two busy ones in the same lane wait for each other a little.
const LANES: usize = 4096;

/// Rounds of one partition that overlap make each other fail, which looks like a time-out: from one process they come one
/// after the other.
pub(crate) struct Lanes {
    lanes: Vec<Mutex<()>>,
    batches: Semaphore,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self {
            lanes: (0..LANES).map(|_| Mutex::new(())).collect(),
            batches: Semaphore::new(BATCHES_IN_FLIGHT_MAX),
        }
    }

    /// Waits until nobody else writes to this log.
    pub(crate) async fn enter(&self, channel: ChannelId) -> MutexGuard<'_, ()> {
        let bytes = channel.as_bytes();
        // The last bytes of a version 4 or 5 id are as good as random.
        let lane = usize::from(u16::from_be_bytes([bytes[14], bytes[15]])) % LANES;
        self.lanes[lane].lock().await
    }

    /// Waits until one more batch may be in flight.
    pub(crate) async fn batch(&self) -> SemaphorePermit<'_> {
        let permit = self.batches.acquire().await;
        permit.expect("the semaphore is never closed")
    }
}
