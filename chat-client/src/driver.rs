//! The task between the application and the server: one life of the client, connection after connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::sync::{
    Command as LogCommand, Ending, Event, Output, Reconnect, RequestError, SendRefused, SyncMachine,
};
use chat_proto::wire::{Answer, ClientFrame, Format};
use chat_proto::{ClientId, Rejection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::{self, handshake::client::Request};
use tokio_util::sync::CancellationToken;

use crate::builder::UrlSource;
use crate::command::{Command, Submit};
use crate::draft::{Changed, Durable, Sent};
use crate::error::SendError;
use crate::events::EventQueue;
use crate::socket::{Incoming, Outgoing, open};
use crate::state::StateStore;

/// For an address, a connection and its handshake, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long progress may be unsaved.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// Commands that share one save of the outbox.
const COMMANDS_PER_SAVE_MAX: usize = 64;
/// Those who wait for one command. More are told of it as an event only.
const WAITERS_PER_COMMAND_MAX: usize = 64;

pub(crate) struct Driver {
    pub(crate) machine: SyncMachine,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) stop: CancellationToken,
    pub(crate) format: Format,
    state: Option<Arc<dyn StateStore>>,
    url_source: UrlSource,
    first: Option<oneshot::Sender<Result<(), Ending>>>,
    started: Instant,
    waiters: BTreeMap<ClientId, Vec<oneshot::Sender<Result<Durable, SendError>>>>,
    asked: BTreeMap<u32, oneshot::Sender<Result<Answer, RequestError>>>,
    /// A command that was taken from the channel behind a batch for the outbox.
    pending: Option<Command>,
    /// The last connection was encrypted: a server must not lead the client, and its token, to one that is not.
    secure: bool,
    progress_unsaved: bool,
    outbox_unsaved: bool,
    save_at: Instant,
}

/// What a command asks of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    GoOn,
    DropConnection,
    /// The application is done with the client.
    Stop,
}

impl Driver {
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, with what the builder gathered"
    )]
    pub(crate) fn new(
        machine: SyncMachine,
        commands: mpsc::Receiver<Command>,
        events: Arc<EventQueue>,
        state: Option<Arc<dyn StateStore>>,
        url_source: UrlSource,
        format: Format,
        stop: CancellationToken,
        first: oneshot::Sender<Result<(), Ending>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            machine,
            commands,
            events,
            stop,
            format,
            state,
            url_source,
            first: Some(first),
            started: now,
            waiters: BTreeMap::new(),
            asked: BTreeMap::new(),
            pending: None,
            secure: false,
            progress_unsaved: false,
            outbox_unsaved: false,
            save_at: now + SAVE_INTERVAL,
        }
    }

    /// Lives until the application stops it or the server ends it.
    pub(crate) async fn run(mut self) {
        let mut again = Reconnect {
            at_ms: 0,
            url: None,
        };
        while self.wait_until(again.at_ms).await == Flow::GoOn {
            let flow = match self.connect(again.url.take()).await {
                Ok(Some((incoming, outgoing))) => self.session(incoming, outgoing).await,
                Ok(None) => Flow::Stop,
                Err(error) => {
                    tracing::debug!(%error, "no connection");
                    Flow::GoOn
                }
            };
            let reconnect = self.machine.disconnected(self.now_ms(), rand::random());
            self.dispatch(drop);
            match reconnect {
                Some(reconnect) if flow != Flow::Stop => again = reconnect,
                Some(_) | None => break,
            }
        }
        self.save(true).await;
        self.events.stop();
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When something is due apart from the connection.
    pub(crate) fn deadline(&self) -> Instant {
        let machine = self
            .machine
            .next_deadline()
            .map(|at_ms| self.instant(at_ms));
        let save = (self.progress_unsaved || self.outbox_unsaved).then_some(self.save_at);
        let day = Instant::now() + Duration::from_secs(86_400);
        machine.into_iter().chain(save).fold(day, Instant::min)
    }

    /// Does what is due.
    pub(crate) async fn tick(&mut self) {
        self.machine.tick(self.now_ms());
        if Instant::now() >= self.save_at {
            self.save(false).await;
        }
    }

    /// Carries out a command, with all for the outbox that are queued behind it if it is one.
    pub(crate) async fn carry_out(&mut self, command: Command) -> Flow {
        match command {
            Command::Submit(submit) => self.submit(submit).await,
            Command::Read(channel, seq) => {
                self.machine.read(channel, seq);
                self.progress_unsaved = true;
            }
            Command::Delivered(channel, seq) => {
                self.machine.delivered(channel, seq);
                self.progress_unsaved = true;
            }
            Command::Typing(channel) => self.machine.typing(channel),
            Command::Ask(op, waiter) => match self.machine.request(op) {
                Ok(request) => {
                    self.asked.insert(request, waiter);
                }
                // Whoever asked may have gone, here and below.
                Err(error) => {
                    waiter.send(Err(error)).ok();
                }
            },
            Command::Look(look) => look(&self.machine),
            Command::DropConnection => return Flow::DropConnection,
        }
        Flow::GoOn
    }

    /// The next command, or `None` when no [`crate::Client`] is left.
    pub(crate) async fn next_command(
        pending: &mut Option<Command>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        match pending.take() {
            Some(command) => Some(command),
            None => commands.recv().await,
        }
    }

    /// The parts that a wait for a command borrows.
    pub(crate) fn inbox(&mut self) -> (&mut Option<Command>, &mut mpsc::Receiver<Command>) {
        (&mut self.pending, &mut self.commands)
    }

    /// Passes on what the machine yields. Returns whether it wants the connection closed.
    pub(crate) fn dispatch(&mut self, mut send: impl FnMut(ClientFrame)) -> bool {
        let mut close = false;
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Frame(frame) => send(frame),
                Output::Event(event) => self.tell(event),
                Output::Answer { request, result } => {
                    if let Some(waiter) = self.asked.remove(&request) {
                        waiter.send(result).ok();
                    }
                }
                Output::Close => close = true,
            }
        }
        close
    }

    fn tell(&mut self, event: Event) {
        self.progress_unsaved = true;
        match &event {
            Event::Connected { .. } => {
                if let Some(first) = self.first.take() {
                    first.send(Ok(())).ok();
                }
            }
            Event::Ended { ending } => {
                if let Some(first) = self.first.take() {
                    first.send(Err(ending.clone())).ok();
                }
            }
            Event::Acknowledged {
                client_id,
                channel,
                seq,
                n,
                message,
                at,
                duplicate,
            } => {
                let sent = Sent {
                    client_id: *client_id,
                    channel: *channel,
                    seq: *seq,
                    n: *n,
                    message: *message,
                    at: *at,
                    duplicate: *duplicate,
                };
                self.acknowledged(*client_id, Durable::Sent(sent));
            }
            Event::Changed {
                client_id,
                channel,
                seq,
                duplicate,
            } => {
                let changed = Changed {
                    client_id: *client_id,
                    channel: *channel,
                    seq: *seq,
                    duplicate: *duplicate,
                };
                self.acknowledged(*client_id, Durable::Changed(changed));
            }
            Event::Rejected {
                client_id,
                code,
                message,
            } => {
                self.outbox_unsaved = true;
                for waiter in self.waiters.remove(client_id).unwrap_or_default() {
                    let rejection = Rejection::new(*code, message.clone());
                    waiter.send(Err(SendError::Rejected(rejection))).ok();
                }
            }
            Event::Reset => self.outbox_unsaved = true,
            _ => {}
        }
        self.events.push(event);
    }

    fn acknowledged(&mut self, client_id: ClientId, durable: Durable) {
        self.outbox_unsaved = true;
        for waiter in self.waiters.remove(&client_id).unwrap_or_default() {
            waiter.send(Ok(durable)).ok();
        }
    }

    /// Takes commands into the outbox, stored first.
    async fn submit(&mut self, first: Submit) {
        let mut batch: Vec<LogCommand> = Vec::new();
        let mut next = Some(first);
        while let Some(Submit { command, waiter }) = next.take() {
            let is_new = match self.machine.can_submit(&command, &batch) {
                Ok(()) => true,
                Err(SendRefused::AlreadyWaiting) => false,
                Err(refused @ SendRefused::OutboxFull { .. }) => {
                    waiter.send(Err(refused.into())).ok();
                    next = self.next_queued(batch.len());
                    continue;
                }
            };
            let waiters = self.waiters.entry(command.client_id()).or_default();
            if waiters.len() < WAITERS_PER_COMMAND_MAX {
                waiters.push(waiter);
            }
            if is_new {
                batch.push(command);
            }
            next = self.next_queued(batch.len());
        }
        if !batch.is_empty() && self.store(&batch).await {
            for command in batch {
                let client_id = command.client_id();
                if let Err(refused) = self.machine.submit(command) {
                    for waiter in self.waiters.remove(&client_id).unwrap_or_default() {
                        waiter.send(Err(refused.into())).ok();
                    }
                }
            }
        }
    }

    fn next_queued(&mut self, batched: usize) -> Option<Submit> {
        if batched >= COMMANDS_PER_SAVE_MAX || self.pending.is_some() {
            return None;
        }
        match self.commands.try_recv().ok()? {
            Command::Submit(submit) => Some(submit),
            other => {
                self.pending = Some(other);
                None
            }
        }
    }

    /// Stores the outbox with these commands in it. If that fails, they are not sent, and who waits is told.
    async fn store(&mut self, batch: &[LogCommand]) -> bool {
        let Some(state) = self.state.clone() else {
            return true;
        };
        let mut outbox = self.machine.outbox();
        let composed = batch
            .iter()
            .map(|command| self.machine.composed(command.clone()));
        outbox.commands.extend(composed);
        match state.save_outbox(&outbox).await {
            Ok(()) => {
                self.outbox_unsaved = false;
                true
            }
            Err(error) => {
                tracing::error!(%error, "commands are not sent");
                let error = Arc::new(error);
                for command in batch {
                    let waiters = self.waiters.remove(&command.client_id());
                    for waiter in waiters.unwrap_or_default() {
                        let source = Arc::clone(&error);
                        let error = crate::error::StateError::new("written", source);
                        waiter.send(Err(SendError::NotStored(error))).ok();
                    }
                }
                // What the failed attempt left there must not come back as if it had been taken.
                self.outbox_unsaved = true;
                false
            }
        }
    }

    /// Saves what changed, if it is time or if this is the last time.
    async fn save(&mut self, last: bool) {
        self.save_at = Instant::now() + SAVE_INTERVAL;
        let Some(state) = self.state.clone() else {
            self.progress_unsaved = false;
            self.outbox_unsaved = false;
            return;
        };
        if self.progress_unsaved || last {
            let mut progress = self.machine.progress();
            // What the application has not dealt with will be saved once it has.
            self.progress_unsaved = self.events.hold_back(&mut progress);
            if let Err(error) = state.save_progress(&progress).await {
                tracing::warn!(%error, "entries may come again after a restart");
                self.progress_unsaved = true;
            }
        }
        if self.outbox_unsaved || last {
            match state.save_outbox(&self.machine.outbox()).await {
                Ok(()) => self.outbox_unsaved = false,
                Err(error) => {
                    tracing::warn!(%error, "commands may be sent again after a restart");
                }
            }
        }
    }

    async fn wait_until(&mut self, at_ms: u64) -> Flow {
        let until = self.instant(at_ms);
        self.meanwhile(tokio::time::sleep_until(until))
            .await
            .map_or(Flow::Stop, |()| Flow::GoOn)
    }

    /// A new connection, or `None` when the application is done.
    async fn connect(
        &mut self,
        url: Option<String>,
    ) -> Result<Option<(Incoming, Outgoing)>, ConnectError> {
        let sent_elsewhere = url.filter(|url| !self.secure || url.starts_with(SECURE));
        let url = match sent_elsewhere {
            Some(url) => url,
            None => {
                let asked = tokio::time::timeout(CONNECT_TIMEOUT, (self.url_source)());
                match self.meanwhile(asked).await {
                    Some(Ok(url)) => url,
                    Some(Err(_)) => return Err(ConnectError::TimedOut),
                    None => return Ok(None),
                }
            }
        };
        self.secure = url.starts_with(SECURE);
        let socket = open(request(&url, self.format)?);
        let socket = tokio::time::timeout(CONNECT_TIMEOUT, socket);
        match self.meanwhile(Box::pin(socket)).await {
            Some(Ok(socket)) => Ok(Some(socket?)),
            Some(Err(_)) => Err(ConnectError::TimedOut),
            None => Ok(None),
        }
    }

    /// Waits for something while there is no connection, and carries out commands meanwhile. `None` when the
    /// application is done.
    async fn meanwhile<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(wait);
        loop {
            self.dispatch(drop);
            let deadline = self.deadline();
            let stop = self.stop.clone();
            let (pending, commands) = self.inbox();
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                done = &mut wait => return Some(done),
                command = Self::next_command(pending, commands) => {
                    self.carry_out(command?).await;
                }
                () = tokio::time::sleep_until(deadline) => self.tick().await,
            }
        }
    }

    fn instant(&self, at_ms: u64) -> Instant {
        // A server's wish to be left alone for ages must not overflow the clock.
        self.started + Duration::from_millis(at_ms.min(self.now_ms().saturating_add(DELAY_MS_MAX)))
    }
}

/// How an address begins that is reached over TLS.
const SECURE: &str = "wss://";
/// A day; no wait is longer.
const DELAY_MS_MAX: u64 = 86_400_000;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("no answer within {CONNECT_TIMEOUT:?}")]
    TimedOut,
    #[error(transparent)]
    Refused(#[from] tungstenite::Error),
}

fn request(url: &str, format: Format) -> Result<Request, tungstenite::Error> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(format.subprotocol()),
    );
    Ok(request)
}
