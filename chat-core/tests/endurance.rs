//! The writers of the kit over a store that fails, answers late and loses answers: sound stores endure it, and a store that
//! settles what had no answer by reading is found out.

use std::sync::Arc;
use std::time::Duration;

use chat_core::decorators::{Chaos, ChaosConfig};
use chat_core::memory::MemoryStore;
use chat_core::ports::MessageStore;
use chat_testkit::broken::{ResolvesByReading, TwistedMessages};
use chat_testkit::endurance::{Endurance, Endured};

const PAUSE_MAX: Duration = Duration::from_millis(20);
const MESSAGES: u64 = 400;

/// Two stores in a storm of their own over the same data, once it has begun.
async fn endure(
    seed: u64,
    wrap: impl Fn(Arc<dyn MessageStore>) -> Arc<dyn MessageStore>,
) -> Endured {
    let data = MemoryStore::key_value();
    let stormy = |number| {
        let inner: Arc<dyn MessageStore> = Arc::new(data.clone());
        let chaos = ChaosConfig::storm(PAUSE_MAX);
        wrap(Arc::new(Chaos::<dyn MessageStore>::new(
            inner,
            chaos,
            seed ^ number,
        )))
    };
    let calm: Arc<dyn MessageStore> = Arc::new(data.clone());
    let stores = vec![stormy(1), stormy(2)];
    let endurance = Endurance::over(stores, 2, 4).begun_through(calm);
    let writers = endurance.begin().await;
    writers.more(MESSAGES).await;
    writers.end().await
}

#[tokio::test(start_paused = true)]
async fn a_sound_store_endures_a_storm() {
    for seed in 0..5 {
        let endured = endure(seed, |store| store).await;
        assert_eq!(endured.breaches, [] as [String; 0], "seed {seed}");
        assert!(endured.acknowledged >= MESSAGES && endured.unknown > 0 && endured.refused > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_settles_by_reading_is_found_out() {
    let mut breaches = 0;
    for seed in 0..5 {
        let broken = |inner| -> Arc<dyn MessageStore> {
            Arc::new(TwistedMessages::new(inner, ResolvesByReading))
        };
        breaches += endure(seed, broken).await.breaches.len();
    }
    assert!(
        breaches > 0,
        "what came after it was read to be absent went unnoticed"
    );
}
