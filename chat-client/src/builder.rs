//! What a client may be told before it starts.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::sync::{GapPolicy, Settings, SyncMachine, SyncSnapshot};
use chat_proto::wire::{Format, Hello};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::driver::Driver;
use crate::error::ClientError;
use crate::events::{EventQueue, Events};
use crate::state::{FileState, StateStore};

/// Commands of the application that the task has not taken yet.
const COMMANDS_MAX: usize = 256;

/// Says where to connect, before each attempt.
pub(crate) type UrlSource = Box<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// Settings of a client that does not run yet; see [`Client::builder`].
#[must_use]
pub struct ClientBuilder {
    token: String,
    client: String,
    device_name: Option<String>,
    heartbeat: Option<Duration>,
    format: Format,
    url_source: UrlSource,
    /// Checked before the client starts, unless a source of addresses takes its place.
    url: Option<String>,
    state: Option<Arc<dyn StateStore>>,
    settings: Settings,
}

impl ClientBuilder {
    pub(crate) fn new(url: String, token: String) -> Self {
        let source = url.clone();
        Self {
            token,
            client: concat!("chat-client/", env!("CARGO_PKG_VERSION")).into(),
            device_name: None,
            heartbeat: None,
            format: Format::Json,
            url_source: fixed(source),
            url: Some(url),
            state: None,
            settings: Settings::default(),
        }
    }

    /// Name and version of the program, as `name/1.0`.
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = client.into();
        self
    }

    /// A name for this device, told to the server behind that of the program.
    pub fn device_name(mut self, name: impl Into<String>) -> Self {
        self.device_name = Some(name.into());
        self
    }

    /// How often to give a sign of life; the server has the last word, which is between 5 and 20 s.
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// How frames are written. JSON, unless it is set.
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Asked for the address before each attempt to connect, in place of the builder's: for a server that may come
    /// back elsewhere. An address that a server itself sends the client to comes first.
    pub fn url_source(mut self, source: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.url = None;
        self.url_source = Box::new(move || {
            let url = source();
            Box::pin(async move { url })
        });
        self
    }

    /// As [`ClientBuilder::url_source`], for one that has to wait for its answer, as for that of `GET /v1/connect`.
    pub fn url_source_async<F, U>(mut self, source: F) -> Self
    where
        F: Fn() -> U + Send + Sync + 'static,
        U: Future<Output = String> + Send + 'static,
    {
        self.url = None;
        self.url_source = Box::new(move || Box::pin(source()));
        self
    }

    /// Keeps the state in this file and one beside it; see [`FileState`].
    pub fn state_file(self, path: impl Into<PathBuf>) -> Self {
        self.state(Arc::new(FileState::new(path)))
    }

    /// Keeps the state here. Without one, a client begins anew each time, and its outbox dies with it.
    pub fn state(mut self, state: Arc<dyn StateStore>) -> Self {
        self.state = Some(state);
        self
    }

    /// Whether what a long absence left out is pulled, or skipped. Pulled, unless it is set.
    ///
    /// Skipping takes [`ClientBuilder::entries_per_channel`] above 0.
    pub fn gap_policy(mut self, policy: GapPolicy) -> Self {
        self.settings.gap_policy = policy;
        self
    }

    /// How many of the newest entries of each channel come with its summary.
    pub fn entries_per_channel(mut self, entries: u32) -> Self {
        self.settings.entries_per_channel = entries;
        self
    }

    /// Starts the client and waits until a server has taken its token, for as long as that takes. Drop the future to
    /// give up.
    ///
    /// # Errors
    /// When the address is none, the stored state cannot be read, or the token is refused.
    pub async fn connect(self) -> Result<(Client, Events), ClientError> {
        let (client, events, connected) = self.launch().await?;
        match connected.await {
            Ok(Ok(())) => Ok((client, events)),
            Ok(Err(ending)) => {
                client.close().await;
                Err(ClientError::Ended(ending))
            }
            Err(_) => Err(ClientError::Stopped),
        }
    }

    /// Starts the client and does not wait: for a program that shows what it has and works while nothing is
    /// reachable.
    ///
    /// # Errors
    /// When the address is none, or the stored state cannot be read.
    pub async fn start(self) -> Result<(Client, Events), ClientError> {
        let (client, events, _) = self.launch().await?;
        Ok((client, events))
    }

    async fn launch(self) -> Result<(Client, Events, Connected), ClientError> {
        if let Some(url) = self.url
            && url.as_str().into_client_request().is_err()
        {
            return Err(ClientError::Url { url });
        }
        let snapshot = match &self.state {
            Some(state) => state.load().await?,
            None => SyncSnapshot::default(),
        };
        let hello = Hello {
            token: self.token,
            client: match self.device_name {
                Some(device) => format!("{} ({device})", self.client),
                None => self.client,
            },
            heartbeat_ms: self
                .heartbeat
                .map(|heartbeat| u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX)),
        };
        let machine = SyncMachine::restore(self.settings, hello, snapshot);
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let (first, connected) = oneshot::channel();
        let queue = Arc::new(EventQueue::default());
        let stop = CancellationToken::new();
        let driver = Driver::new(
            machine,
            received,
            Arc::clone(&queue),
            self.state,
            self.url_source,
            self.format,
            stop.clone(),
            first,
        );
        let task = tokio::spawn(driver.run());
        Ok((
            Client::new(commands, stop, task),
            Events::new(queue),
            connected,
        ))
    }
}

type Connected = oneshot::Receiver<Result<(), chat_proto::sync::Ending>>;

fn fixed(url: String) -> UrlSource {
    Box::new(move || {
        let url = url.clone();
        Box::pin(async move { url })
    })
}

impl fmt::Debug for ClientBuilder {
    // Without the token, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("client", &self.client)
            .field("url", &self.url)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
