//! The cases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chat_core::memory::ManualClock;
use chat_core::ports::{IdGenerator, Retry};
use chat_core::proto::{MessageId, Timestamp};

use super::factory::{IdGeneratorFactory, IdGeneratorSetup};

/// 2027: later than any epoch that a generator may count from.
const START: Timestamp = Timestamp(1_800_000_000_000);
/// More ids than any generator makes in a few milliseconds.
const MANY: usize = 1 << 20;
const NONE: MessageId = MessageId(0);

/// Above the generator's own ids, and above those of others whose numbers are lower and higher.
pub fn rises_above_previous(factory: &dyn IdGeneratorFactory) {
    let clock = clock();
    let generators = [512, 0, 1023, 511].map(|worker| open(factory, worker, &clock));
    let mut previous = NONE;
    for round in 0..5_000 {
        for generator in &generators {
            let id = next(generator, previous);
            assert!(
                id > previous,
                "an id is above the previous one: {id} after {previous}"
            );
            previous = id;
        }
        if round % 7 == 0 {
            clock.advance(Duration::from_millis(1));
        }
    }
}

/// Several threads on each of several generators.
pub fn never_repeats(factory: &dyn IdGeneratorFactory) {
    const THREADS: usize = 3;
    const IDS_A_THREAD: usize = 5_000;
    let clock = clock();
    let generators = [0, 1, 1023].map(|worker| open(factory, worker, &clock));
    let made: Vec<Vec<MessageId>> = std::thread::scope(|scope| {
        let threads = (0..THREADS).flat_map(|_| &generators).map(|generator| {
            scope.spawn(move || {
                let ids = (0..IDS_A_THREAD).map(|_| next(generator, NONE));
                ids.collect::<Vec<_>>()
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|ids| ids.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let distinct: BTreeSet<&MessageId> = made.iter().flatten().collect();
    assert_eq!(
        distinct.len(),
        THREADS * generators.len() * IDS_A_THREAD,
        "no id is made twice"
    );
}

/// The clock steps back by a second and by years, for callers with and without a previous id.
pub fn survives_a_clock_step_back(factory: &dyn IdGeneratorFactory) {
    let clock = clock();
    let generator = open(factory, 1, &clock);
    let mut last = next(&generator, NONE);
    for back in [Timestamp(START.0 - 1_000), Timestamp(0), START] {
        clock.set(back);
        for _ in 0..1_000 {
            // Another channel's caller: the rise must come from the generator itself.
            let id = next(&generator, NONE);
            assert!(
                id > last,
                "ids go on rising while the clock is behind: {id} after {last}"
            );
            last = id;
        }
    }
}

/// More ids than a millisecond has, while the clock stands, and then when it goes on.
pub fn survives_an_exhausted_millisecond(factory: &dyn IdGeneratorFactory) {
    let clock = clock();
    let generator = open(factory, 1, &clock);
    let mut made = BTreeSet::new();
    for _ in 0..10_000 {
        let id = next(&generator, NONE);
        assert!(made.insert(id), "an exhausted millisecond repeats {id}");
    }
    for _ in 0..10 {
        clock.advance(Duration::from_millis(1));
        let id = next(&generator, NONE);
        assert!(
            made.insert(id),
            "the milliseconds after an exhausted one repeat {id}"
        );
    }
}

/// A lease that ends while the clock stands, goes on, and steps back.
pub fn refuses_beyond_its_lease(factory: &dyn IdGeneratorFactory) {
    let clock = clock();
    let end = Timestamp(START.0 + 2);
    let leased = |valid_until| {
        factory.open(IdGeneratorSetup {
            worker: 1,
            clock: clock.clone(),
            valid_until: Some(valid_until),
        })
    };
    let generator = leased(end);
    let made = (0..MANY).map_while(|_| generator.next_after(NONE).ok());
    let last = made.last();
    assert!(last.is_some(), "ids are made before the lease ends");
    let refused = generator.next_after(NONE);
    let error = refused.expect_err("no id is made beyond the lease, however many are asked for");
    assert_eq!(error.retry(), Retry::Safe, "a refusal changes nothing");
    for now in [end, Timestamp(end.0 + 60_000), START] {
        clock.set(now);
        assert!(
            generator.next_after(NONE).is_err(),
            "a generator whose lease has ended makes no id at {now}"
        );
    }
    clock.set(end);
    let successor = next(&leased(Timestamp(end.0 + 1_000)), NONE);
    assert!(
        Some(successor) > last,
        "the successor's ids are above all that the paused generator made"
    );
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

fn open(
    factory: &dyn IdGeneratorFactory,
    worker: u16,
    clock: &Arc<ManualClock>,
) -> Arc<dyn IdGenerator> {
    factory.open(IdGeneratorSetup {
        worker,
        clock: clock.clone(),
        valid_until: None,
    })
}

fn next(generator: &Arc<dyn IdGenerator>, previous: MessageId) -> MessageId {
    let id = generator.next_after(previous);
    id.expect("a generator near the clock makes ids")
}
