//! A missing service is said aloud, and fails where it must not be missing.

use std::io::Write as _;

/// Names the services, separated by commas, whose absence fails a test; `all` names every one.
pub const REQUIRE_VARIABLE: &str = "CHAT_TEST_REQUIRE";

/// A service without which a suite cannot run, as `redis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip(pub &'static str);

impl Skip {
    /// Prints `SKIPPED: <service>` past the capture of test output.
    ///
    /// # Panics
    /// When [`REQUIRE_VARIABLE`] names the service.
    pub fn announce(self) {
        let required = std::env::var(REQUIRE_VARIABLE).unwrap_or_default();
        assert!(
            !self.is_required_by(&required),
            "{} is missing, and {REQUIRE_VARIABLE}={required} requires it: start it, or require less",
            self.0
        );
        // Written to the stream itself: what a passing test prints by macro is kept from view. A closed stream is no
        // reason to fail.
        drop(writeln!(std::io::stderr(), "SKIPPED: {}", self.0));
    }

    fn is_required_by(self, list: &str) -> bool {
        list.split(',')
            .map(str::trim)
            .any(|name| name == "all" || name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_services_or_all() {
        for (list, required) in [
            ("", false),
            ("redis", true),
            ("cassandra, redis", true),
            ("all", true),
            ("redi", false),
            ("redis7,cassandra", false),
        ] {
            assert_eq!(Skip("redis").is_required_by(list), required, "{list:?}");
        }
    }
}
