//! Slows down who guesses passwords, without locking out whose password is guessed.
//!
//! Counted for each pair of a name and an address, so that nobody slows down a name from elsewhere; and the same for names
//! that exist and names that do not. From an address from which the name has logged in before, the wait stays so short that
//! the right password gets in at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chat_core::proto::{Code, Rejection};
use metrics::Counter;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Wrong passwords in a row that cost nothing.
const FREE_FAILURES: u32 = 5;
/// Time without an attempt after which the row begins anew.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Wait after the first failure that costs something; doubles with each.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// Wait at the most.
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// Wait at the most where the name has logged in before.
const WAIT_KNOWN_MAX: Duration = Duration::from_secs(1);
/// For how long an address at which a name has logged in is known.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Pairs that are remembered.
const PAIRS_MAX: usize = 100_000;

/// Who tried what from where.
pub(super) struct SlowDown {
    pairs: Mutex<HashMap<Pair, Tries>>,
    refused: Counter,
}

/// A name, hashed for it may be of any length, at an address; all that do not count as addresses are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    name: [u8; 32],
    address: Option<IpAddr>,
}

#[derive(Clone, Copy, Default)]
struct Tries {
    failures: u32,
    last_failure: Option<Instant>,
    logged_in: Option<Instant>,
}

impl Pair {
    pub(super) fn new(name: &str, address: Option<IpAddr>) -> Self {
        Self {
            name: Sha256::digest(name).into(),
            address,
        }
    }
}

impl SlowDown {
    pub(super) fn new() -> Self {
        Self {
            pairs: Mutex::default(),
            refused: metrics::counter!("chat_rate_limited_total", "limit" => "log_in_failures"),
        }
    }

    /// Takes one attempt, which counts as failed until [`succeeded`](Self::succeeded): of many at once no more are taken than
    /// one after the other.
    ///
    /// # Errors
    /// `rate_limited` when it comes too early.
    pub(super) fn attempt(&self, pair: Pair) -> Result<(), Rejection> {
        let now = Instant::now();
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if !pairs.contains_key(&pair) && pairs.len() >= PAIRS_MAX {
            make_room(&mut pairs, now);
        }
        let tries = pairs.entry(pair).or_default();
        if tries.is_over(now) {
            tries.failures = 0;
        }
        let wait = tries.wait(now);
        if wait > Duration::ZERO {
            self.refused.increment(1);
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let message = "too many wrong passwords: wait before you try again";
            return Err(Rejection::new(Code::RateLimited, message).retry_after_ms(wait_ms + 1));
        }
        tries.failures = tries.failures.saturating_add(1);
        tries.last_failure = Some(now);
        Ok(())
    }

    /// The attempt was right.
    pub(super) fn succeeded(&self, pair: Pair) {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let logged_in = Some(Instant::now());
        if let Some(tries) = pairs.get_mut(&pair) {
            *tries = Tries {
                logged_in,
                ..Tries::default()
            };
        }
    }
}

impl Tries {
    /// How long the next attempt has to wait.
    fn wait(&self, now: Instant) -> Duration {
        let Some(last) = self.last_failure.filter(|_| self.failures >= FREE_FAILURES) else {
            return Duration::ZERO;
        };
        let doublings = (self.failures - FREE_FAILURES).min(16);
        let max = if self.is_known(now) {
            WAIT_KNOWN_MAX
        } else {
            WAIT_MAX
        };
        let wait = (WAIT_FIRST * 2_u32.pow(doublings)).min(max);
        (last + wait).saturating_duration_since(now)
    }

    fn is_known(&self, now: Instant) -> bool {
        self.logged_in.is_some_and(|at| now - at < KNOWN_FOR)
    }

    /// Whether the row of failures has been forgotten.
    fn is_over(&self, now: Instant) -> bool {
        self.last_failure.is_none_or(|last| now - last >= WINDOW)
    }
}

/// First those go that say nothing any more, then those that slow nobody down yet, then all: that nobody is refused for the
/// number of others goes before slowing down those who guess.
fn make_room(pairs: &mut HashMap<Pair, Tries>, now: Instant) {
    pairs.retain(|_, tries| tries.is_known(now) || !tries.is_over(now));
    if pairs.len() >= PAIRS_MAX {
        pairs.retain(|_, tries| tries.failures >= FREE_FAILURES && !tries.is_over(now));
    }
    if pairs.len() >= PAIRS_MAX {
        tracing::warn!(
            "more names and addresses guess passwords than are remembered; all are forgotten"
        );
        pairs.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn pair(name: &str, address: &str) -> Pair {
        Pair::new(name, Some(address.parse().expect("an address")))
    }

    fn wait_ms(slow_down: &SlowDown, pair: Pair) -> Option<u64> {
        let refused = slow_down.attempt(pair).err()?;
        assert_eq!(refused.code, Code::RateLimited);
        refused.retry_after_ms
    }

    #[tokio::test(start_paused = true)]
    async fn after_five_failures_each_attempt_waits_twice_as_long_up_to_a_bound() {
        let slow_down = SlowDown::new();
        let guesser = pair("alice", "192.0.2.1");
        for _ in 0..FREE_FAILURES {
            assert_eq!(slow_down.attempt(guesser), Ok(()));
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = wait_ms(&slow_down, guesser).expect("too early");
            waits.push(wait / 1_000);
            advance(Duration::from_millis(wait - 2)).await;
            assert!(wait_ms(&slow_down, guesser).is_some(), "still too early");
            advance(Duration::from_millis(2)).await;
            assert_eq!(slow_down.attempt(guesser), Ok(()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        advance(WINDOW).await;
        assert!((0..FREE_FAILURES).all(|_| slow_down.attempt(guesser).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_not_slowed_down_from_elsewhere() {
        let slow_down = SlowDown::new();
        let guesser = pair("alice", "192.0.2.1");
        while slow_down.attempt(guesser).is_ok() {}
        assert_eq!(slow_down.attempt(pair("alice", "192.0.2.2")), Ok(()));
        assert_eq!(slow_down.attempt(pair("bob", "192.0.2.1")), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn where_it_has_logged_in_before_a_name_waits_a_second_at_most() {
        let slow_down = SlowDown::new();
        let home = pair("alice", "192.0.2.1");
        assert_eq!(slow_down.attempt(home), Ok(()));
        slow_down.succeeded(home);
        for _ in 0..50 {
            while slow_down.attempt(home).is_ok() {}
            assert!(wait_ms(&slow_down, home).is_some_and(|ms| ms <= 1_001));
            advance(WAIT_KNOWN_MAX).await;
        }
        assert_eq!(slow_down.attempt(home), Ok(()));
        slow_down.succeeded(home);
        assert!(
            (0..FREE_FAILURES).all(|_| slow_down.attempt(home).is_ok()),
            "a new row"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let slow_down = SlowDown::new();
        for number in 0..=PAIRS_MAX {
            assert_eq!(
                slow_down.attempt(Pair::new(&number.to_string(), None)),
                Ok(())
            );
        }
        let remembered = slow_down.pairs.lock().expect("sound").len();
        assert!(remembered <= PAIRS_MAX, "{remembered}");
    }
}
