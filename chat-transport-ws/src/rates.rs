//! How often users and addresses may connect, log in and ask. What is over the limit is refused with the time after which
//! to come again, before any work is done for it.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use chat_core::proto::{Code, Rejection, UserId};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use metrics::Counter;

/// Users or addresses that a limit remembers; those that have not come for a while are forgotten.
const KEYS_MAX: usize = 200_000;
/// Calls between two looks at who can be forgotten.
const SWEEP_CALLS: u64 = 4_096;
const MINUTE: Duration = Duration::from_secs(60);

/// How often. The limits of addresses hold for those whose connections the accept loop counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateSettings {
    /// Operations of a user: frames that ask for something, and requests.
    pub operations_per_user_per_s: NonZeroU32,
    /// Operations of a user at once, after it was quiet.
    pub operations_per_user_burst: NonZeroU32,
    /// Operations from an address.
    pub operations_per_address_per_s: NonZeroU32,
    /// Operations from an address at once, after it was quiet.
    pub operations_per_address_burst: NonZeroU32,
    /// Sessions that a user opens.
    pub connects_per_user_per_minute: NonZeroU32,
    /// Sessions opened from an address, whether or not they get a user.
    pub connects_per_address_per_minute: NonZeroU32,
    /// Times that a user logs in.
    pub log_ins_per_user_per_minute: NonZeroU32,
    /// Log-ins and sign-ups from an address, whether or not they succeed.
    pub log_ins_per_address_per_minute: NonZeroU32,
}

impl Default for RateSettings {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).expect("not 0");
        Self {
            operations_per_user_per_s: number(200),
            operations_per_user_burst: number(1_000),
            operations_per_address_per_s: number(2_000),
            operations_per_address_burst: number(10_000),
            connects_per_user_per_minute: number(60),
            connects_per_address_per_minute: number(600),
            log_ins_per_user_per_minute: number(60),
            log_ins_per_address_per_minute: number(60),
        }
    }
}

/// All limits on how often.
pub struct Rates {
    user_operations: Rate<UserId>,
    address_operations: Rate<IpAddr>,
    user_connects: Rate<UserId>,
    address_connects: Rate<IpAddr>,
    user_log_ins: Rate<UserId>,
    address_log_ins: Rate<IpAddr>,
}

impl Rates {
    /// With these settings.
    pub fn new(settings: &RateSettings) -> Self {
        let operations = |per_s, burst| Quota::per_second(per_s).allow_burst(burst);
        Self {
            user_operations: Rate::new(
                "user_operations",
                operations(
                    settings.operations_per_user_per_s,
                    settings.operations_per_user_burst,
                ),
            ),
            address_operations: Rate::new(
                "address_operations",
                operations(
                    settings.operations_per_address_per_s,
                    settings.operations_per_address_burst,
                ),
            ),
            user_connects: Rate::per_minute("user_connects", settings.connects_per_user_per_minute),
            address_connects: Rate::per_minute(
                "address_connects",
                settings.connects_per_address_per_minute,
            ),
            user_log_ins: Rate::per_minute("user_log_ins", settings.log_ins_per_user_per_minute),
            address_log_ins: Rate::per_minute(
                "address_log_ins",
                settings.log_ins_per_address_per_minute,
            ),
        }
    }

    /// A request comes from this address, if it counts.
    ///
    /// # Errors
    /// `rate_limited`, here and below.
    pub fn request(&self, from: Option<IpAddr>) -> Result<(), Rejection> {
        from.map_or(Ok(()), |address| self.address_operations.count(&address))
    }

    /// A user asks for something.
    pub fn operation(&self, user: &UserId) -> Result<(), Rejection> {
        self.user_operations.count(user)
    }

    /// Somebody comes to open a session.
    pub fn connect_from(&self, from: Option<IpAddr>) -> Result<(), Rejection> {
        from.map_or(Ok(()), |address| self.address_connects.count(&address))
    }

    /// A user opens a session.
    pub fn connect(&self, user: &UserId) -> Result<(), Rejection> {
        self.user_connects.count(user)
    }

    /// Somebody tries to log in or signs up.
    pub fn log_in_from(&self, from: Option<IpAddr>) -> Result<(), Rejection> {
        from.map_or(Ok(()), |address| self.address_log_ins.count(&address))
    }

    /// A user has logged in.
    pub fn log_in(&self, user: &UserId) -> Result<(), Rejection> {
        self.user_log_ins.count(user)
    }
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

type Limiter<K> =
    RateLimiter<K, HashMapStateStore<K>, RuntimeClock, NoOpMiddleware<std::time::Instant>>;

/// One limit, for each of many.
struct Rate<K: Hash + Eq + Clone> {
    quota: Quota,
    limiter: RwLock<Limiter<K>>,
    calls: AtomicU64,
    refused: Counter,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(name: &'static str, quota: Quota) -> Self {
        Self {
            quota,
            limiter: RwLock::new(RateLimiter::hashmap_with_clock(quota, RuntimeClock)),
            calls: AtomicU64::new(0),
            refused: metrics::counter!("chat_rate_limited_total", "limit" => name),
        }
    }

    fn per_minute(name: &'static str, times: NonZeroU32) -> Self {
        let quota = Quota::with_period(MINUTE / times.get()).expect("longer than nothing");
        Self::new(name, quota.allow_burst(times))
    }

    fn count(&self, key: &K) -> Result<(), Rejection> {
        if self
            .calls
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SWEEP_CALLS)
        {
            self.forget_the_quiet();
        }
        let Err(too_early) = self.limiter().check_key(key) else {
            return Ok(());
        };
        self.refused.increment(1);
        let wait = too_early.wait_time_from(RuntimeClock.now());
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let message = "too often: slow down, and come again after `retry_after_ms`";
        Err(Rejection::new(Code::RateLimited, message).retry_after_ms(wait_ms.saturating_add(1)))
    }

    /// Who has been quiet for long enough that nothing is held against them need not be known. If there are too many all the
    /// same, none is: the limits start afresh, rather than that anybody is refused for the number of others.
    fn forget_the_quiet(&self) {
        let limiter = self.limiter();
        limiter.retain_recent();
        limiter.shrink_to_fit();
        let is_full = limiter.len() > KEYS_MAX;
        drop(limiter);
        if is_full {
            tracing::warn!("more users or addresses than a rate limit remembers; it starts afresh");
            let mut limiter = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
            *limiter = RateLimiter::hashmap_with_clock(self.quota, RuntimeClock);
        }
    }

    fn limiter(&self) -> RwLockReadGuard<'_, Limiter<K>> {
        // It is only ever replaced as a whole.
        self.limiter.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock of the runtime, which tests may pause.
#[derive(Clone, Copy, Debug)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn rates(change: impl FnOnce(&mut RateSettings)) -> Rates {
        let mut settings = RateSettings::default();
        change(&mut settings);
        Rates::new(&settings)
    }

    fn user(name: &str) -> UserId {
        name.parse().expect("a good name")
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_a_burst_then_a_rate_and_is_told_when_to_come_again() {
        let rates = rates(|_| {});
        let (alice, bob) = (user("alice"), user("bob"));
        for _ in 0..1_000 {
            assert_eq!(rates.operation(&alice), Ok(()));
        }
        let refused = rates.operation(&alice).expect_err("the burst is over");
        assert_eq!(refused.code, Code::RateLimited);
        let wait_ms = refused.retry_after_ms.expect("told");
        assert!((1..=6).contains(&wait_ms), "{wait_ms}");
        assert_eq!(rates.operation(&bob), Ok(()), "others are not concerned");
        advance(Duration::from_millis(wait_ms)).await;
        assert_eq!(rates.operation(&alice), Ok(()));
        advance(Duration::from_secs(1)).await;
        let allowed = (0..1_000)
            .filter(|_| rates.operation(&alice).is_ok())
            .count();
        assert!((199..=201).contains(&allowed), "{allowed}");
    }

    #[tokio::test(start_paused = true)]
    async fn sixty_connects_a_minute() {
        let rates = rates(|_| {});
        let alice = user("alice");
        assert!((0..60).all(|_| rates.connect(&alice).is_ok()));
        let refused = rates.connect(&alice).expect_err("over");
        assert!(refused.retry_after_ms.is_some_and(|ms| ms <= 1_001));
        advance(MINUTE).await;
        assert!((0..60).all(|_| rates.connect(&alice).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_count_has_no_limit() {
        let rates = rates(|settings| {
            settings.log_ins_per_address_per_minute = NonZeroU32::MIN;
        });
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        assert!((0..100).all(|_| rates.log_in_from(None).is_ok()));
        assert!(rates.log_in_from(Some(address)).is_ok());
        assert!(rates.log_in_from(Some(address)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_quiet_are_forgotten() {
        let rates = rates(|_| {});
        for number in 0..SWEEP_CALLS {
            assert_eq!(rates.operation(&user(&format!("u{number}"))), Ok(()));
        }
        assert!(rates.user_operations.limiter().len() > 4_000);
        advance(Duration::from_secs(60)).await;
        assert_eq!(rates.operation(&user("one-more")), Ok(()));
        assert_eq!(rates.user_operations.limiter().len(), 1);
    }
}
