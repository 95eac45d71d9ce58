//! Message ids that sort by time and need no agreement between nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chat_proto::{MessageId, Timestamp};

use crate::ports::{Clock, IdGenerator, PortError, Retry};

/// 2025-01-01T00:00:00Z in milliseconds since 1970: where the ids' own time begins. 41 bits of milliseconds last until
/// September 2094.
pub const SNOWFLAKE_EPOCH: Timestamp = Timestamp(1_735_689_600_000);
/// How far ids may run ahead of the highest reading of the clock: the difference between two nodes' clocks that is
/// bridged, and the reserve when milliseconds are used up.
pub const CLOCK_LEAD_MS_MAX: u64 = 10_000;

const SEQUENCE_BITS: u32 = 12;
const WORKER_BITS: u32 = 10;
const MILLISECOND_MAX: u64 = (1 << 41) - 1;
const NO_LEASE: u64 = u64::MAX;
const OP: &str = "ids.next_after";

/// The number of a generator, 0 to 1023; no two that live may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerId(u16);

impl WorkerId {
    /// The worker with this number; `None` above 1023.
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1 << WORKER_BITS {
            Some(Self(number))
        } else {
            None
        }
    }
}

/// Makes ids of 41 bits of milliseconds since [`SNOWFLAKE_EPOCH`], 10 bits of worker and 12 bits of sequence.
///
/// Time is the highest reading of the clock so far, so a clock that steps back is waited for, in numbers: ids go on from
/// the last one. A millisecond that is used up borrows from the next, up to [`CLOCK_LEAD_MS_MAX`] ahead.
///
/// A generator that is made anew with the number of an earlier one must begin behind the earlier one's last id: either
/// the clock has moved on by then, or a lease has kept the earlier one below its end.
pub struct Snowflake {
    clock: Arc<dyn Clock>,
    worker: WorkerId,
    /// The last slot given out: milliseconds and sequence without the worker between them, so that adding one carries
    /// from an exhausted millisecond into the next.
    last_slot: AtomicU64,
    clock_high_ms: AtomicU64,
    lease_end_ms: AtomicU64,
}

impl Snowflake {
    /// A generator whose worker number is its own for as long as it lives.
    pub fn new(worker: WorkerId, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            worker,
            last_slot: AtomicU64::new(0),
            clock_high_ms: AtomicU64::new(0),
            lease_end_ms: AtomicU64::new(NO_LEASE),
        }
    }

    /// A generator whose worker number is its own only before `valid_until`, unless renewed.
    pub fn leased(worker: WorkerId, clock: Arc<dyn Clock>, valid_until: Timestamp) -> Self {
        let generator = Self::new(worker, clock);
        generator.renew(valid_until);
        generator
    }

    /// Moves the end of the lease.
    pub fn renew(&self, valid_until: Timestamp) {
        self.lease_end_ms
            .store(since_epoch(valid_until), Ordering::SeqCst);
    }

    /// Milliseconds that never fall, whatever the clock does.
    fn now_ms(&self) -> u64 {
        let reading = since_epoch(self.clock.now());
        self.clock_high_ms
            .fetch_max(reading, Ordering::SeqCst)
            .max(reading)
    }

    /// The lowest slot whose id with this worker is above `previous`.
    fn slot_above(&self, previous: MessageId) -> u64 {
        let slot = Slot::of(previous);
        let worker = u64::from(self.worker.0);
        match worker.cmp(&slot.worker) {
            std::cmp::Ordering::Greater => slot.ms << SEQUENCE_BITS,
            std::cmp::Ordering::Equal => (slot.ms << SEQUENCE_BITS | slot.sequence) + 1,
            std::cmp::Ordering::Less => (slot.ms + 1) << SEQUENCE_BITS,
        }
    }

    fn id_at(&self, slot: u64) -> MessageId {
        let (ms, sequence) = (slot >> SEQUENCE_BITS, slot & ((1 << SEQUENCE_BITS) - 1));
        let worker = u64::from(self.worker.0);
        MessageId(ms << (WORKER_BITS + SEQUENCE_BITS) | worker << SEQUENCE_BITS | sequence)
    }

    /// Whether an id of this millisecond may be made.
    fn check(&self, ms: u64, now_ms: u64) -> Result<(), PortError> {
        let refused =
            |why: &'static str| Err(PortError::unavailable(OP, Retry::Safe).with_source(why));
        let lease_end_ms = self.lease_end_ms.load(Ordering::SeqCst);
        if lease_end_ms != NO_LEASE && (now_ms >= lease_end_ms || ms >= lease_end_ms) {
            return refused("the lease on the worker number is over");
        }
        if ms > now_ms.saturating_add(CLOCK_LEAD_MS_MAX) {
            return refused("the ids so far lie too far ahead of this node's clock");
        }
        if ms > MILLISECOND_MAX {
            return refused("the clock is beyond the time that ids can hold");
        }
        Ok(())
    }
}

impl IdGenerator for Snowflake {
    fn next_after(&self, previous: MessageId) -> Result<MessageId, PortError> {
        let now_ms = self.now_ms();
        let lowest = self.slot_above(previous).max(now_ms << SEQUENCE_BITS);
        let mut last = self.last_slot.load(Ordering::SeqCst);
        loop {
            let slot = lowest.max(last + 1);
            self.check(slot >> SEQUENCE_BITS, now_ms)?;
            // Whoever takes a slot first owns it; the others go on from there.
            match self.last_slot.compare_exchange_weak(
                last,
                slot,
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return Ok(self.id_at(slot)),
                Err(taken) => last = taken,
            }
        }
    }
}

/// An id's parts.
struct Slot {
    ms: u64,
    worker: u64,
    sequence: u64,
}

impl Slot {
    fn of(id: MessageId) -> Self {
        Self {
            ms: id.0 >> (WORKER_BITS + SEQUENCE_BITS),
            worker: id.0 >> SEQUENCE_BITS & ((1 << WORKER_BITS) - 1),
            sequence: id.0 & ((1 << SEQUENCE_BITS) - 1),
        }
    }
}

/// Clamped to what leaves room for a sequence in 64 bits; [`Snowflake::check`] refuses long before.
fn since_epoch(at: Timestamp) -> u64 {
    at.0.saturating_sub(SNOWFLAKE_EPOCH.0)
        .min(MILLISECOND_MAX + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::memory::ManualClock;

    const START: Timestamp = Timestamp(SNOWFLAKE_EPOCH.0 + 1_000_000);
    const NONE: MessageId = MessageId(0);

    fn worker(number: u16) -> WorkerId {
        WorkerId::new(number).expect("below 1024")
    }

    fn generator(number: u16) -> (Arc<ManualClock>, Snowflake) {
        let clock = Arc::new(ManualClock::new(START));
        (Arc::clone(&clock), Snowflake::new(worker(number), clock))
    }

    fn next(generator: &Snowflake, previous: MessageId) -> MessageId {
        generator.next_after(previous).expect("within every bound")
    }

    #[test]
    fn worker_numbers_have_ten_bits() {
        assert!(WorkerId::new(1023).is_some());
        assert!(WorkerId::new(1024).is_none());
    }

    #[test]
    fn an_id_tells_its_time_and_worker() {
        let slot = Slot::of(next(&generator(1023).1, NONE));
        assert_eq!((slot.ms, slot.worker, slot.sequence), (1_000_000, 1023, 0));
    }

    #[test]
    fn rises_above_previous() {
        for (own, other) in [(5, 4), (5, 5), (5, 6), (0, 1023), (1023, 0)] {
            let (_, own) = generator(own);
            let (clock, other) = generator(other);
            clock.advance(Duration::from_millis(CLOCK_LEAD_MS_MAX / 2));
            let mut previous = next(&other, NONE);
            for _ in 0..10_000 {
                let id = next(&own, previous);
                assert!(id > previous);
                previous = id;
            }
        }
    }

    #[test]
    fn refuses_a_previous_too_far_ahead() {
        let (_, generator) = generator(1);
        for previous in [MessageId(u64::MAX), MessageId(u64::MAX >> 1)] {
            let error = generator.next_after(previous).expect_err("years ahead");
            assert_eq!(error.retry(), Retry::Safe);
        }
        assert!(next(&generator, NONE) > NONE);
    }

    #[test]
    fn survives_a_clock_step_back() {
        let (clock, generator) = generator(1);
        let mut previous = next(&generator, NONE);
        clock.set(Timestamp(0));
        for _ in 0..20_000 {
            // Another channel's previous: the rise must come from the generator itself.
            let id = next(&generator, NONE);
            assert!(id > previous);
            previous = id;
        }
    }

    #[test]
    fn survives_an_exhausted_millisecond() {
        let (clock, generator) = generator(1);
        let made: BTreeSet<_> = (0..5_000).map(|_| next(&generator, NONE)).collect();
        assert_eq!(made.len(), 5_000);
        let last = *made.last().expect("just made");
        assert_eq!(Slot::of(last).ms, 1_000_001);
        clock.advance(Duration::from_millis(1));
        assert!(next(&generator, NONE) > last);
    }

    #[test]
    fn the_lead_over_the_clock_is_bounded() {
        let (clock, generator) = generator(1);
        let edge = MessageId((1_000_000 + CLOCK_LEAD_MS_MAX + 1) << 22);
        let last_allowed = MessageId(edge.0 - 1);
        assert!(generator.next_after(last_allowed).is_err());
        clock.advance(Duration::from_millis(1));
        assert!(next(&generator, last_allowed) > last_allowed);
    }

    #[test]
    fn refuses_beyond_its_lease() {
        let clock = Arc::new(ManualClock::new(START));
        let end = Timestamp(START.0 + 2);
        let generator = Snowflake::leased(worker(1), Arc::clone(&clock) as Arc<dyn Clock>, end);
        let made = std::iter::from_fn(|| generator.next_after(NONE).ok()).count();
        assert_eq!(made, 2 * 4096, "exactly the ids before the end");
        clock.set(end);
        assert!(generator.next_after(NONE).is_err());
        clock.set(START);
        assert!(
            generator.next_after(NONE).is_err(),
            "a clock that steps back revives no lease"
        );
        generator.renew(Timestamp(end.0 + 1_000));
        assert!(Slot::of(next(&generator, NONE)).ms >= 1_000_002);
    }

    #[test]
    fn never_repeats() {
        const THREADS: usize = 4;
        const IDS_PER_THREAD: usize = 10_000;
        let clock = Arc::new(ManualClock::new(START));
        let generators = [0, 1, 1023]
            .map(|number| Snowflake::new(worker(number), Arc::clone(&clock) as Arc<dyn Clock>));
        let made: Vec<Vec<MessageId>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .flat_map(|_| generators.iter())
                .map(|generator| {
                    scope.spawn(move || {
                        (0..IDS_PER_THREAD)
                            .map(|_| next(generator, NONE))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        for of_thread in &made {
            assert!(of_thread.is_sorted_by(|a, b| a < b));
        }
        let all: BTreeSet<_> = made.iter().flatten().collect();
        assert_eq!(all.len(), THREADS * generators.len() * IDS_PER_THREAD);
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_ids_rise_and_never_repeat(
            steps in proptest::collection::vec((0_usize..3, -20_000_i64..20_000, 0_usize..3), 1..300),
        ) {
            let clock = Arc::new(ManualClock::new(START));
            let generators = [0, 7, 1023].map(|number| Snowflake::new(worker(number), Arc::clone(&clock) as Arc<dyn Clock>));
            let mut channels = [NONE; 3];
            let mut seen = BTreeSet::new();
            for (which, step_ms, channel) in steps {
                clock.set(Timestamp(clock.now().0.saturating_add_signed(step_ms)));
                match generators[which].next_after(channels[channel]) {
                    Ok(id) => {
                        prop_assert!(id > channels[channel]);
                        prop_assert!(seen.insert(id), "{id} twice");
                        channels[channel] = id;
                    }
                    Err(error) => prop_assert_eq!(error.retry(), Retry::Safe),
                }
            }
        }
    }
}
