//! From a client that was let in to its session, behind any transport.

use std::ops::RangeInclusive;

use chat_core::ports::Identity;
use chat_core::proto::Rejection;
use chat_core::proto::wire::HelloAnswer;
use chat_core::{Connect, Engine, Session};

/// How often a client may mean to ping.
const HEARTBEAT_MS: RangeInclusive<u64> = 5_000..=20_000;
/// How often it pings if it does not say.
const HEARTBEAT_MS_DEFAULT: u64 = 10_000;
/// Bytes of the name of a client program.
const CLIENT_BYTES_MAX: usize = 100;

/// What a client says of itself.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) client: String,
    pub(crate) heartbeat_ms: u64,
}

impl Introduction {
    /// Checked.
    pub(crate) fn new(client: String, heartbeat_ms: Option<u64>) -> Result<Self, Rejection> {
        if client.is_empty()
            || client.len() > CLIENT_BYTES_MAX
            || client.chars().any(char::is_control)
        {
            return Err(Rejection::bad_request(
                "`client` names the program and its version in at most 100 bytes",
            ));
        }
        let heartbeat_ms = heartbeat_ms.unwrap_or(HEARTBEAT_MS_DEFAULT);
        if !HEARTBEAT_MS.contains(&heartbeat_ms) {
            return Err(Rejection::bad_request(
                "`heartbeat_ms` is between 5,000 and 20,000",
            ));
        }
        Ok(Self {
            client,
            heartbeat_ms,
        })
    }

    /// Opens a session for whom the token stands for; what answers `hello`.
    pub(crate) async fn open(
        self,
        engine: &Engine,
        identity: Identity,
    ) -> Result<(Session, HelloAnswer), Rejection> {
        let connect = Connect {
            identity,
            client: self.client,
        };
        let mut session = engine.open_session(connect).await?;
        let answer = session
            .hello_answer(self.heartbeat_ms)
            .expect("nobody else has taken it");
        Ok((session, answer))
    }
}
