//! The worst that the contracts allow, repeatable from a seed.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Decorated, Layer};
use crate::lock::lock;
use crate::ports::{Append, AppendOutcome, MessageStore, PortError, Retry, RouterFeed};

/// Appends put off at one time at the most; further ones are applied at once.
pub const LATE_APPENDS_MAX: usize = 64;

/// A port that pauses, fails and loses answers, as its contract allows and no worse.
///
/// With one thread and the runtime's clock paused, one seed makes one run. Dropping it ends what was put off, as a crash
/// would; [`Chaos::settle`] waits for it.
pub type Chaos<P> = Decorated<P, ChaosLayer>;

/// How often what happens, each between 0 (never) and 1 (always).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChaosConfig {
    /// A pause before a call, and again before its answer.
    pub pause: f64,
    /// How long a pause lasts at the most; with zero it only lets others run.
    pub pause_max: Duration,
    /// A call that fails surely unapplied.
    pub fail: f64,
    /// A write that is applied and answered with `Unknown`.
    pub lose_answer: f64,
    /// A write that is not applied and answered with `Unknown`.
    pub lose_request: f64,
    /// An append that is answered with `Unknown` and applied some pauses later, if the head has not moved by then.
    pub apply_late: f64,
    /// An envelope that never arrives.
    pub drop_envelope: f64,
    /// An envelope that arrives later, and those behind it too.
    pub delay_envelope: f64,
}

impl ChaosConfig {
    /// Pauses everywhere and no failure: only the interleaving changes.
    pub fn pauses(pause_max: Duration) -> Self {
        Self {
            pause: 0.5,
            pause_max,
            delay_envelope: 0.5,
            ..Self::default()
        }
    }

    /// All of it, each often enough to meet the others.
    pub fn storm(pause_max: Duration) -> Self {
        Self {
            fail: 0.05,
            lose_answer: 0.05,
            lose_request: 0.05,
            apply_late: 0.05,
            drop_envelope: 0.1,
            ..Self::pauses(pause_max)
        }
    }
}

/// The layer of [`Chaos`].
pub struct ChaosLayer {
    dice: Arc<Dice>,
    /// Appends put off and feeds slowed down.
    tasks: Mutex<JoinSet<()>>,
}

impl<P: ?Sized> Chaos<P> {
    /// Puts chaos around `inner`.
    pub fn new(inner: Arc<P>, config: ChaosConfig, seed: u64) -> Self {
        Self::with_layer(inner, ChaosLayer::new(config, seed))
    }

    /// Waits until every append that was put off has been tried. Meant for stores: around a `Router` it waits for the
    /// feeds to end.
    pub async fn settle(&self) {
        let mut tasks = std::mem::take(&mut *self.layer.tasks());
        while tasks.join_next().await.is_some() {}
    }
}

impl ChaosLayer {
    /// Chaos that unfolds from this seed.
    pub fn new(config: ChaosConfig, seed: u64) -> Self {
        let rng = Mutex::new(SmallRng::seed_from_u64(seed));
        Self {
            dice: Arc::new(Dice { config, rng }),
            tasks: Mutex::default(),
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks
    }

    /// Lets the append happen without anybody waiting for it. It competes for its place like any other, so once the head
    /// has moved it never will.
    fn put_off(&self, store: &Arc<dyn MessageStore>, append: Append) {
        let (store, dice) = (Arc::clone(store), Arc::clone(&self.dice));
        self.tasks().spawn(async move {
            for _ in 0..4 {
                dice.pause().await;
            }
            // Whatever comes of it, its caller has long been told that nobody knows.
            drop(store.append(append).await);
        });
    }
}

impl Layer for ChaosLayer {
    async fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.dice.maybe_pause().await;
        if self.dice.falls(self.dice.config.fail) {
            return Err(PortError::unavailable(op, Retry::Safe).with_source("chaos: failed"));
        }
        let result = call.await;
        self.dice.maybe_pause().await;
        result
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        let unknown = |what| Err(PortError::unavailable(op, Retry::Unknown).with_source(what));
        self.dice.maybe_pause().await;
        let fate = self.dice.fate();
        match fate {
            Fate::Fail => {
                return Err(PortError::unavailable(op, Retry::Safe).with_source("chaos: failed"));
            }
            Fate::LoseRequest => return unknown("chaos: lost the request"),
            Fate::Pass | Fate::LoseAnswer => {}
        }
        let result = call.await;
        self.dice.maybe_pause().await;
        match fate {
            Fate::LoseAnswer => unknown("chaos: lost the answer"),
            Fate::Pass | Fate::Fail | Fate::LoseRequest => result,
        }
    }

    async fn append(
        &self,
        op: &'static str,
        store: &Arc<dyn MessageStore>,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        if self.dice.falls(self.dice.config.apply_late) && self.tasks().len() < LATE_APPENDS_MAX {
            self.put_off(store, append);
            self.dice.maybe_pause().await;
            return Err(PortError::unavailable(op, Retry::Unknown).with_source("chaos: put off"));
        }
        self.write(op, store.append(append)).await
    }

    fn feed(&self, mut feed: RouterFeed) -> RouterFeed {
        let dice = Arc::clone(&self.dice);
        let (sender, slowed) = mpsc::channel(feed.max_capacity());
        self.tasks().spawn(async move {
            // One after the other: late is allowed, out of order is not.
            loop {
                let envelope = tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    envelope = feed.recv() => envelope,
                };
                let Some(envelope) = envelope else { return };
                if dice.falls(dice.config.drop_envelope) {
                    continue;
                }
                if dice.falls(dice.config.delay_envelope) {
                    dice.pause().await;
                }
                // A full receiver loses the newest, as without chaos.
                drop(sender.try_send(envelope));
            }
        });
        slowed
    }
}

/// What becomes of a write.
#[derive(Clone, Copy)]
enum Fate {
    Pass,
    Fail,
    LoseRequest,
    LoseAnswer,
}

struct Dice {
    config: ChaosConfig,
    rng: Mutex<SmallRng>,
}

impl Dice {
    fn roll(&self) -> f64 {
        lock(&self.rng).random()
    }

    fn falls(&self, rate: f64) -> bool {
        self.roll() < rate
    }

    /// The rates of the three ways to fail share one roll: they exclude each other.
    fn fate(&self) -> Fate {
        let ChaosConfig {
            fail,
            lose_request,
            lose_answer,
            ..
        } = self.config;
        let roll = self.roll();
        if roll < fail {
            Fate::Fail
        } else if roll < fail + lose_request {
            Fate::LoseRequest
        } else if roll < fail + lose_request + lose_answer {
            Fate::LoseAnswer
        } else {
            Fate::Pass
        }
    }

    async fn maybe_pause(&self) {
        if self.falls(self.config.pause) {
            self.pause().await;
        }
    }

    async fn pause(&self) {
        let length = self.config.pause_max.mul_f64(self.roll());
        if length.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(length).await;
        }
    }
}

#[cfg(test)]
mod tests;
