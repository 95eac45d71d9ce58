//! The life of the process: open, serve, drain, close.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chat_core::memory::SystemClock;
use chat_core::ports::Directory;
use chat_core::proto::Rejection;
use chat_core::{BuildError, Engine};
use chat_transport_ws::{
    RateSettings, ServeSettings, TransportSettings, openapi, router_beside, serve,
};
use http::{HeaderValue, header};
use tokio::net::TcpListener;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::accounts::{AccountsApi, PasswordHasher, routes};
use crate::admin::{self, Admin, Metrics, UPKEEP_INTERVAL};
use crate::auth::{JwtError, JwtVerifier, SYSTEM_USER, ServerDirectory, TokenAuthenticator};
use crate::settings::{RatesSettings, Settings, SettingsError};
use crate::stores::{Chosen, Stores, StoresError};

/// Time for goodbyes after everybody has been told: what is queued, the close frame, its answer.
const GOODBYE_MAX: Duration = Duration::from_secs(3);
/// Time for requests to end.
const REQUESTS_MAX: Duration = Duration::from_secs(2);
/// Time for what the engine has begun.
const ENGINE_MAX: Duration = Duration::from_secs(2);

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Addresses {
    /// For users.
    pub public: SocketAddr,
    /// For operators.
    pub admin: Option<SocketAddr>,
}

/// Why a server does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A setting cannot work.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The host's keys cannot be used.
    #[error("settings: {0}")]
    Jwt(#[from] JwtError),
    /// The data folder cannot be used.
    #[error(
        "the data folder {path} cannot be made ({source}); name another with --data, or give the server the right to it"
    )]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A store cannot be opened.
    #[error(transparent)]
    Stores(#[from] StoresError),
    /// An address is not free.
    #[error(
        "{address} cannot be listened on ({source}); is another server running? name another address with --listen or --admin-listen"
    )]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The engine cannot be built.
    #[error(transparent)]
    Engine(#[from] BuildError),
    /// The system gives no randomness, or the recorder of metrics is taken.
    #[error("the server cannot start: {0}")]
    Start(String),
    /// A store did not close well; what was acknowledged is safe.
    #[error("a store did not close well ({0}); what was acknowledged is found at the next start")]
    Close(String),
}

/// Runs a server until `shutdown` resolves, then ends it within 15 seconds. `ready` is called once it listens.
///
/// # Errors
/// When it cannot start, or the store does not close well.
pub async fn run(
    settings: Settings,
    ready: impl FnOnce(&Addresses),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    settings.check()?;
    let server = Server::open(&settings).await?;
    let public = listen(settings.listen).await?;
    let admin = match settings.admin_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let address_of = |listener: &TcpListener, asked| {
        listener.local_addr().map_err(|source| ServerError::Listen {
            address: asked,
            source,
        })
    };
    let addresses = Addresses {
        public: address_of(&public, settings.listen)?,
        admin: admin
            .as_ref()
            .map(|listener| address_of(listener, settings.listen))
            .transpose()?,
    };
    let (tasks, stop_public, stop_admin) = (
        TaskTracker::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let users = serve_settings(&settings);
    tasks.spawn(serve(
        public,
        server.public.clone(),
        users,
        stop_public.clone().cancelled_owned(),
    ));
    if let Some((listener, router)) = admin.zip(server.admin.clone()) {
        tasks.spawn(serve(
            listener,
            router,
            ServeSettings::default(),
            stop_admin.clone().cancelled_owned(),
        ));
    }
    if let Some(metrics) = server.metrics.clone() {
        let stopped = stop_admin.clone();
        tasks.spawn(async move { stopped.run_until_cancelled(keep_up(metrics)).await });
    }
    tracing::info!(public = %addresses.public, admin = ?addresses.admin, "listening");
    ready(&addresses);
    shutdown.await;
    server
        .stop(&settings, &tasks, &stop_public, &stop_admin)
        .await
}

struct Server {
    stores: Stores,
    engine: Engine,
    public: Router,
    admin: Option<Router>,
    metrics: Option<Metrics>,
    /// The tasks of all WebSockets.
    sockets: TaskTracker,
}

impl Server {
    async fn open(settings: &Settings) -> Result<Self, ServerError> {
        // First of all: counters that are taken before it begins count into nothing.
        let metrics = match settings.admin_listen {
            Some(_) => {
                Some(Metrics::start().map_err(|error| ServerError::Start(error.to_string()))?)
            }
            None => None,
        };
        let jwt = JwtVerifier::load(&settings.auth.jwt)?;
        if settings.auth.jwt.is_weak() {
            tracing::warn!(
                "auth.jwt.hs256_secret is shorter than 32 bytes; draw one with `openssl rand -base64 32`"
            );
        }
        let stores = open_stores(settings).await?;
        let accounts = stores.accounts();
        let directory = ServerDirectory::new(Arc::clone(&accounts), jwt.is_some());
        let authenticator =
            TokenAuthenticator::new(Arc::clone(&accounts), jwt, Arc::new(SystemClock));
        let engine = stores
            .give(Engine::builder())
            .authenticator(authenticator)
            .directory(directory.clone())
            .system_user(SYSTEM_USER.parse().expect("a well-formed user id"))
            .build()?;
        let hasher = PasswordHasher::new(settings.auth.password_hashes_max)
            .map_err(|rejection: Rejection| ServerError::Start(rejection.message.into_owned()))?;
        let directory: Arc<dyn Directory> = Arc::new(directory);
        let api = AccountsApi::new(
            engine.clone(),
            accounts,
            directory,
            hasher,
            settings.auth.sign_up,
        );
        let mut transport = TransportSettings::default();
        transport.origins.clone_from(&settings.http.origins);
        transport.connect_url.clone_from(&settings.http.connect_url);
        transport.rates = rates(&settings.rates);
        let sockets = transport.tasks.clone();
        let public = public_router(engine.clone(), transport, api);
        let admin = metrics.clone().map(|metrics| {
            admin::router(Admin {
                engine: engine.clone(),
                stores: stores.clone(),
                metrics,
            })
        });
        Ok(Self {
            stores,
            engine,
            public,
            admin,
            metrics,
            sockets,
        })
    }

    /// Sends everybody away, finishes what was begun, closes the store.
    async fn stop(
        self,
        settings: &Settings,
        tasks: &TaskTracker,
        stop_public: &CancellationToken,
        stop_admin: &CancellationToken,
    ) -> Result<(), ServerError> {
        tracing::info!(sessions = self.engine.session_count(), "stopping");
        self.engine
            .drain(Duration::from_secs(settings.stop.drain_s))
            .await;
        self.sockets.close();
        if timeout(GOODBYE_MAX, self.sockets.wait()).await.is_err() {
            tracing::warn!(
                sockets = self.sockets.len(),
                "some clients did not say goodbye in time"
            );
        }
        stop_public.cancel();
        if timeout(ENGINE_MAX, self.engine.shutdown()).await.is_err() {
            tracing::warn!(
                "the engine did not end in time; what it had not acknowledged is retried by the clients"
            );
        }
        stop_admin.cancel();
        tasks.close();
        if timeout(REQUESTS_MAX, tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        let closed = self.stores.close().await;
        tracing::info!("stopped");
        closed.map_err(|error| ServerError::Close(error.to_string()))
    }
}

async fn open_stores(settings: &Settings) -> Result<Stores, ServerError> {
    let chosen = Chosen::new(&settings.stores, &settings.data);
    if chosen.is_in(&settings.data) {
        make_private_folder(&settings.data).map_err(|source| ServerError::Data {
            path: settings.data.clone(),
            source,
        })?;
    }
    if chosen.splits_users() {
        tracing::warn!(
            messages = %chosen.messages,
            users = %chosen.users,
            "other servers can share the messages, but not the users; name a store for `stores.users` that they share too"
        );
    }
    Ok(Stores::open_chosen(&chosen).await?)
}

fn public_router(engine: Engine, transport: TransportSettings, api: AccountsApi) -> Router {
    // Answers hold tokens and messages.
    let no_store = SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    let (accounts, documented_accounts) = routes(api);
    let mut document = openapi::document();
    document.merge(documented_accounts);
    let others = accounts.merge(openapi::documented(&document));
    router_beside(engine, transport, others).layer(no_store)
}

fn rates(settings: &RatesSettings) -> RateSettings {
    let mut rates = RateSettings::default();
    rates.operations_per_user_per_s = settings.operations_per_user_per_s;
    rates.operations_per_user_burst = settings.operations_per_user_burst;
    rates.operations_per_address_per_s = settings.operations_per_address_per_s;
    rates.operations_per_address_burst = settings.operations_per_address_burst;
    rates.connects_per_user_per_minute = settings.connects_per_user_per_minute;
    rates.connects_per_address_per_minute = settings.connects_per_address_per_minute;
    rates.log_ins_per_user_per_minute = settings.log_ins_per_user_per_minute;
    rates.log_ins_per_address_per_minute = settings.log_ins_per_address_per_minute;
    rates
}

fn serve_settings(settings: &Settings) -> ServeSettings {
    let mut serve = ServeSettings::default();
    serve.connections_max = settings.http.connections_max;
    serve.connections_per_address_max = settings.http.connections_per_address_max;
    serve.counts_loopback = settings.http.counts_loopback;
    serve.stop_max = REQUESTS_MAX;
    serve
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServerError::Listen { address, source })
}

async fn keep_up(metrics: Metrics) {
    let mut ticks = interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}

/// Nobody else on the machine has a reason to look into it.
fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(path)
}
