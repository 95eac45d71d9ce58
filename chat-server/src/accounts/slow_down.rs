//! Slows down who guesses passwords, without locking out whose password is guessed, and without telling which names exist.
//!
//! Counted for each pair of a name and an address, so that nobody slows down a name from elsewhere. While a pair waits, one
//! password a second is looked at all the same; only where the name has logged in before does the right one get in.
//! What is answered to a wrong one depends on the row of wrong ones alone: whether the name exists, has logged in here
//! before or does so meanwhile changes nothing of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
/// How often a password is looked at while its pair waits.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    name: [u8; 32],
    address: Option<IpAddr>,
}

/// An attempt whose password is to be looked at.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an attempt counts as failed until it is decided"]
pub(super) struct Attempt {
    pair: Pair,
    at: Instant,
    /// The failure before this one.
    failure_before: Option<Instant>,
    /// What a wrong password is answered that comes before its time.
    early: Option<Rejection>,
}

#[derive(Clone, Copy, Default)]
struct Tries {
    failures: u32,
    last_failure: Option<Instant>,
    last_look: Option<Instant>,
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

    /// Takes one attempt, which counts as failed until it is [decided](Self::decide): of many at once no more are taken than
    /// one after the other.
    ///
    /// # Errors
    /// `rate_limited` when its password is not even to be looked at.
    pub(super) fn attempt(&self, pair: Pair) -> Result<Attempt, Rejection> {
        let now = Instant::now();
        let mut pairs = self.pairs();
        if !pairs.contains_key(&pair) && pairs.len() >= PAIRS_MAX {
            make_room(&mut pairs, now);
        }
        let tries = pairs.entry(pair).or_default();
        if tries.is_over(now) {
            tries.failures = 0;
        }
        let mut attempt = Attempt {
            pair,
            at: now,
            failure_before: tries.last_failure,
            early: None,
        };
        let wait = tries.wait(now);
        if wait.is_zero() {
            tries.failures = tries.failures.saturating_add(1);
            tries.last_failure = Some(now);
        } else {
            let too_early = too_early(wait);
            if !tries.may_look(now) {
                self.refused.increment(1);
                return Err(too_early);
            }
            attempt.early = Some(too_early);
        }
        tries.last_look = Some(now);
        Ok(attempt)
    }

    /// Whether the attempt gets in, given whether its password is the right one.
    ///
    /// # Errors
    /// `rate_limited` when it came before its time.
    pub(super) fn decide(&self, attempt: Attempt, is_right: bool) -> Result<bool, Rejection> {
        let now = Instant::now();
        let mut pairs = self.pairs();
        let tries = pairs.entry(attempt.pair).or_default();
        if let Some(too_early) = attempt.early {
            if !is_right || !tries.is_known(now) {
                self.refused.increment(1);
                return Err(too_early);
            }
        } else if is_right {
            // As if it had not been: a row that began anew would tell others here that this name logs in.
            tries.failures = tries.failures.saturating_sub(1);
            if tries.last_failure == Some(attempt.at) {
                tries.last_failure = attempt.failure_before;
            }
        }
        if is_right {
            tries.logged_in = Some(now);
        }
        Ok(is_right)
    }

    fn pairs(&self) -> MutexGuard<'_, HashMap<Pair, Tries>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tries {
    /// How long the next attempt has to wait.
    fn wait(&self, now: Instant) -> Duration {
        let Some(last) = self.last_failure.filter(|_| self.failures >= FREE_FAILURES) else {
            return Duration::ZERO;
        };
        let doublings = (self.failures - FREE_FAILURES).min(16);
        let wait = (WAIT_FIRST * 2_u32.pow(doublings)).min(WAIT_MAX);
        (last + wait).saturating_duration_since(now)
    }

    /// Whether a password may be looked at before its time.
    fn may_look(&self, now: Instant) -> bool {
        self.last_look
            .is_none_or(|last| now - last >= LOOK_INTERVAL)
    }

    fn is_known(&self, now: Instant) -> bool {
        self.logged_in.is_some_and(|at| now - at < KNOWN_FOR)
    }

    /// Whether the row of failures has been forgotten.
    fn is_over(&self, now: Instant) -> bool {
        self.last_failure.is_none_or(|last| now - last >= WINDOW)
    }
}

fn too_early(wait: Duration) -> Rejection {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let message = "too many wrong passwords: wait before you try again";
    Rejection::new(Code::RateLimited, message).retry_after_ms(wait_ms.saturating_add(1))
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
#[path = "slow_down_tests.rs"]
mod tests;
