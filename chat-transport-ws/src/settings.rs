//! What can be set.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tokio_util::task::TaskTracker;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::rates::RateSettings;

/// How long a browser may remember what a preflight answered.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// How the transport behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportSettings {
    /// Origins, as `https://app.example.com`, whose pages may connect besides those of the server's own host; `*` lets
    /// any page.
    pub origins: Vec<String>,
    /// What `GET /v1/connect` answers; else the address under which the request came, without TLS.
    pub connect_url: Option<String>,
    /// Time from the upgrade to the end of the `hello` frame.
    pub hello_max: Duration,
    /// Time in which a client must read something while there is something to read.
    pub write_stall_max: Duration,
    /// Time that a client gets to answer a close.
    pub close_wait_max: Duration,
    /// Bytes of messages of all connections that have not arrived in full.
    pub partial_bytes_max: usize,
    /// How often users and addresses may connect, log in and ask.
    pub rates: RateSettings,
    /// Sessions without a socket; those that ended a moment ago and were not told yet count as well.
    pub poll_sessions_max: usize,
    /// Sessions without a socket of one user.
    pub poll_sessions_per_user_max: usize,
    /// The tasks of all sessions. They end when the engine drains or shuts down; whoever stops a program
    /// closes the tracker and waits for it.
    pub tasks: TaskTracker,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            connect_url: None,
            hello_max: Duration::from_secs(5),
            write_stall_max: Duration::from_secs(10),
            close_wait_max: Duration::from_secs(2),
            partial_bytes_max: 256 * 1024 * 1024,
            rates: RateSettings::default(),
            poll_sessions_max: 100_000,
            poll_sessions_per_user_max: 50,
            tasks: TaskTracker::new(),
        }
    }
}

impl TransportSettings {
    /// Whether a page of this origin may connect to this host. A request without an origin comes from no page.
    pub(crate) fn admits_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let own = match (authority, host) {
            (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
            (None, _) | (_, None) => false,
        };
        own || self.lists_origin(origin)
    }

    /// Answers preflights of the listed origins; `None` when none is listed, since a page of the own host sends none.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let settings = self.clone();
        let allowed = AllowOrigin::predicate(move |origin: &HeaderValue, _| {
            origin
                .to_str()
                .is_ok_and(|origin| settings.lists_origin(origin))
        });
        let methods = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        let headers = [
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
        ];
        let cors = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(methods)
            .allow_headers(headers);
        Some(
            cors.expose_headers([header::RETRY_AFTER])
                .max_age(PREFLIGHT_AGE),
        )
    }

    fn lists_origin(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_listed_origins_are_admitted() {
        let mut settings = TransportSettings::default();
        let host = Some("chat.example.com:8443");
        assert!(settings.admits_origin("https://chat.example.com:8443", host));
        assert!(settings.admits_origin("https://CHAT.example.com:8443", host));
        for foreign in [
            "https://chat.example.com",
            "https://evil.example",
            "null",
            "",
            "chat.example.com:8443",
        ] {
            assert!(!settings.admits_origin(foreign, host), "{foreign}");
        }
        assert!(!settings.admits_origin("https://chat.example.com", None));
        settings.origins.push("https://app.example.com".to_owned());
        assert!(settings.admits_origin("https://app.example.com", host));
        assert!(!settings.admits_origin("http://app.example.com", host));
        settings.origins.push("*".to_owned());
        assert!(settings.admits_origin("null", host));
    }
}
