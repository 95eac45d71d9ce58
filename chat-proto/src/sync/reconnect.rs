//! When to come back.

/// Milliseconds that the first wait is shorter than.
const FIRST_MS: u64 = 500;
/// Milliseconds that no wait exceeds.
const WAIT_MS_MAX: u64 = 30_000;

/// When and where to connect again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The point in time, on the caller's clock.
    pub at_ms: u64,
    /// Where the server said to go, if it did.
    pub url: Option<String>,
}

/// Waits with full jitter: each is drawn from 0 to a bound that doubles with every failure, so that clients which
/// lost their server together do not come back together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait in milliseconds; `random` is any number, drawn evenly from all.
    pub fn next_ms(&mut self, random: u64) -> u64 {
        let bound = (FIRST_MS << self.failures.min(16)).min(WAIT_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        random % (bound + 1)
    }

    /// Begins anew, after something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_half_a_minute() {
        let mut backoff = Backoff::default();
        for bound in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(
                backoff.clone().next_ms(bound),
                bound,
                "the bound itself is drawn"
            );
            assert_eq!(backoff.next_ms(bound + 1), 0, "nothing beyond it is");
        }
        backoff.reset();
        assert_eq!(backoff.next_ms(501), 0);
        let mut long = Backoff { failures: u32::MAX };
        assert_eq!(long.next_ms(30_001), 0);
    }
}
