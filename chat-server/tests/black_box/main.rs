//! A real server process, spoken to over the wire by clients that know nothing but the protocol.
//!
//! | module | proves |
//! |---|---|
//! | `harness` | (the process, a raw client over any transport, a raw HTTP client) |
//! | `over` | (what a test runs over: the transport, the store) |
//! | `polled` | (a client without a socket) |
//! | `hello` | how a connection begins |
//! | `messages` | 1-on-1 messages, retries, pages, limits |
//! | `changes` | edits, deletions, reactions, pins; a blocked sender's messages |
//! | `groups` | members and who may what |
//! | `permissions` | who may what on what, as one table |
//! | `hostile` | what a client must not send |
//! | `http` | errors of one shape, requests without a socket |
//! | `accounts` | sign-up, log-in, devices, revocation |
//! | `presence` | who is seen as what and when |
//! | `erasure` | what is deleted and edited away leaves the disk |
//! | `rates` | what comes too often |
//! | `life` | kill, restart, drain, settings, the admin port |
//! | `shared` | two servers over one store |
//! | `stores` | which store, refusals, readiness, schemas, epochs |
//!
//! What a session does it does over every transport, and what is durable is so in every store: those tests are functions of
//! [`over::Over`], run once for each by `over_every_transport!`, `over_every_transport_and_store!` and `over_every_store!`.

/// Three tests of a function.
macro_rules! over_transports {
    ($test:ident) => {
        use crate::over::Over;

        #[tokio::test]
        async fn websocket() {
            super::$test(Over::WEBSOCKET).await;
        }

        #[tokio::test]
        async fn poll() {
            super::$test(Over::POLL).await;
        }

        #[tokio::test]
        async fn events() {
            super::$test(Over::EVENTS).await;
        }
    };
}

/// Makes of each of these functions three tests, as `two_users_talk::poll`.
macro_rules! over_every_transport {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            over_transports! { $test }
        }
    )+};
}

/// The same, and one over a store that servers share.
macro_rules! over_every_transport_and_store {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            over_transports! { $test }

            #[tokio::test]
            async fn postgres() {
                if let Some(over) = Over::postgres() {
                    super::$test(over).await;
                }
            }
        }
    )+};
}

/// Makes of each of these functions a test over each store.
macro_rules! over_every_store {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use crate::over::Over;

            #[tokio::test]
            async fn sqlite() {
                super::$test(Over::WEBSOCKET).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(over) = Over::postgres() {
                    super::$test(over).await;
                }
            }
        }
    )+};
}

mod accounts;
mod changes;
mod erasure;
mod groups;
mod harness;
mod hello;
mod hostile;
mod http;
mod life;
mod marks;
mod messages;
mod over;
mod people;
mod permissions;
mod polled;
mod presence;
mod rates;
mod shared;
mod stores;
