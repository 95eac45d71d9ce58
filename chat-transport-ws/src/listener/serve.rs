//! Accepts, serves, stops.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use chat_core::proto::{Code, Rejection};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::admission::{Admission, ConnectionGuard, Refused};
use super::patient::Patient;
use crate::http::{ApiError, ClientAddress};

/// Lines in the head of a request.
const HEADERS_MAX: usize = 64;
/// Connections that are told at once why they are refused; more are dropped without a word.
const REFUSALS_MAX: usize = 64;
/// Time that telling so takes at the most.
const REFUSAL_MAX: Duration = Duration::from_secs(2);
/// Pause after the system had no socket left to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// A refused client comes again after one second to this many.
const RETRY_AFTER_S_MAX: u64 = 10;

/// How connections are treated before and between requests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeSettings {
    /// Time until the head of a request has arrived, counted from the connection or the request before: also what an
    /// idle connection gets.
    pub head_max: Duration,
    /// Bytes of the head of a request; at least 8 KiB.
    pub head_bytes_max: usize,
    /// Time in which a client must read something while there is something to read.
    pub write_stall_max: Duration,
    /// Connections of the process, WebSockets included.
    pub connections_max: usize,
    /// Connections of one address, or of one /64 network of IPv6.
    pub connections_per_address_max: usize,
    /// Whether connections from this machine count as those of an address.
    pub counts_loopback: bool,
    /// Time that requests get to end when the server stops.
    pub stop_max: Duration,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            head_max: Duration::from_secs(10),
            head_bytes_max: 16 * 1024,
            write_stall_max: Duration::from_secs(30),
            connections_max: 100_000,
            connections_per_address_max: 100,
            counts_loopback: false,
            stop_max: Duration::from_secs(5),
        }
    }
}

/// Serves the router on the listener until `shutdown` resolves, then lets requests end and joins every task. WebSockets
/// are not waited for: they end with the engine, see [`crate::TransportSettings::tasks`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServeSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let server = Arc::new(Server {
        admission: Admission::new(&settings),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        random: RandomState::new(),
        stop: CancellationToken::new(),
        router,
        settings,
    });
    let tasks = TaskTracker::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => server.take(stream, peer, &tasks),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted; is the limit on open files too low?");
                    sleep(EXHAUSTED_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    server.stop.cancel();
    tasks.close();
    tasks.wait().await;
}

struct Server {
    router: Router,
    settings: ServeSettings,
    admission: Arc<Admission>,
    refusals: Arc<Semaphore>,
    random: RandomState,
    stop: CancellationToken,
}

impl Server {
    fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, tasks: &TaskTracker) {
        // Frames are small and few writes hold more than one; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the client left at once");
            return;
        }
        match self.admission.admit(peer.ip()) {
            Ok(guard) => {
                let server = Arc::clone(self);
                tasks.spawn(async move { server.converse(stream, guard).await });
            }
            Err(refused) => {
                let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
                    return;
                };
                let server = Arc::clone(self);
                tasks.spawn(async move {
                    let answer =
                        service_fn(|_| async { Ok::<_, Infallible>(server.refusal(refused)) });
                    let telling = server
                        .http()
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), answer);
                    // A client that does not listen is not told.
                    let _ = timeout(REFUSAL_MAX, telling).await;
                    drop(permit);
                });
            }
        }
    }

    async fn converse(&self, stream: TcpStream, guard: ConnectionGuard) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(ClientAddress(guard.address()));
            extensions.insert(guard.clone());
            self.router.clone().oneshot(request)
        });
        let stream = TokioIo::new(Patient::new(stream, self.settings.write_stall_max));
        let connection = self
            .http()
            .serve_connection(stream, service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(self.settings.stop_max, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.settings.head_max)
            .max_buf_size(self.settings.head_bytes_max)
            .max_headers(HEADERS_MAX);
        http
    }

    fn refusal(&self, refused: Refused) -> Response {
        // Spread, so that not all come back in one second. A fresh hasher's value is random enough for that.
        let random = self.random.hash_one(std::time::Instant::now());
        let retry_after_ms = 1_000 * (1 + random % RETRY_AFTER_S_MAX);
        let rejection = match refused {
            Refused::Full => Rejection::unavailable(
                "the server has as many connections as it takes: try again later",
            ),
            Refused::Address => {
                Rejection::new(Code::RateLimited, "too many connections from this address")
            }
        };
        ApiError::from(rejection.retry_after_ms(retry_after_ms)).into_response()
    }
}

/// Whether only the connection that would have been accepted is lost.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
