//! The handle that everybody holds.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_proto::wire::GoAwayReason;
use chat_proto::{Epoch, Limits, NodeId, Rejection, Timestamp, UserId};
use rand::Rng;
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::beats::Beats;
use super::builder::EngineBuilder;
use super::channels::Channels;
use super::copies::Copies;
use super::marks::Marks;
use super::presence::Presence;
use super::receptions::Receptions;
use super::settings::EngineSettings;
use super::topics::Topics;
use super::watches::Watches;
use crate::inboxes::Copier;
use crate::ports::{
    Authenticator, Authorizer, Clock, Directory, IdGenerator, Identity, InboxStore, MessageStore,
    PortError, PresenceBus, Router, UserStore,
};
use crate::session::Registry;

/// The chat engine. Cheap to clone; all clones are one engine, which ends with [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

/// What an engine is made of.
pub(super) struct Parts {
    pub(super) messages: Arc<dyn MessageStore>,
    pub(super) inbox: Arc<dyn InboxStore>,
    pub(super) users: Arc<dyn UserStore>,
    /// Whether they are kept beyond the life of the process.
    pub(super) keeps_users: bool,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) authorizer: Option<Arc<dyn Authorizer>>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) router: Arc<dyn Router>,
    pub(super) presence: Arc<dyn PresenceBus>,
    pub(super) ids: Arc<dyn IdGenerator>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) settings: EngineSettings,
    pub(super) node: NodeId,
    pub(super) node_epoch: u64,
    pub(super) system: UserId,
}

pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) channels: Channels,
    pub(super) registry: Registry,
    pub(super) topics: Topics,
    pub(super) beats: Beats,
    pub(super) marks: Marks,
    pub(super) presence: Presence,
    pub(super) watches: Watches,
    pub(super) receptions: Receptions,
    pub(super) copies: Copies,
    /// Every task of the engine; joined by `shutdown`.
    pub(super) tasks: TaskTracker,
    /// Ends the tasks that have no end of their own.
    pub(super) stop: CancellationToken,
    /// Whether this node receives envelopes: sessions wait for it.
    pub(super) joined: watch::Sender<bool>,
    pub(super) draining: AtomicBool,
    pub(super) closed: AtomicBool,
    started: Instant,
    epoch: OnceCell<Epoch>,
}

impl Engine {
    /// Begins to put an engine together.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(super) fn start(parts: Parts) -> Self {
        let silence_max = parts.settings.silence_max;
        let cached_channels_max = parts.settings.cached_channels_max;
        let presence_interval = parts.settings.presence_interval;
        let copies = copies_of(&parts);
        let inner = Arc::new(Inner {
            parts,
            channels: Channels::new(cached_channels_max),
            registry: Registry::new(),
            topics: Topics::new(),
            beats: Beats::new(silence_max),
            marks: Marks::default(),
            presence: Presence::new(),
            watches: Watches::new(presence_interval),
            receptions: Receptions::default(),
            copies,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            joined: watch::Sender::new(false),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            started: Instant::now(),
            epoch: OnceCell::new(),
        });
        let engine = Self { inner };
        engine.spawn_beats();
        engine.spawn_presence();
        engine.spawn_watches();
        engine.spawn_hub();
        engine.spawn_bodies();
        engine.spawn_copies();
        engine
    }

    /// The bounds of this server.
    pub fn limits(&self) -> &Limits {
        &self.inner.parts.limits
    }

    /// This node's name.
    pub fn node(&self) -> &NodeId {
        &self.inner.parts.node
    }

    /// What time it is, as the engine stamps entries.
    pub fn now(&self) -> Timestamp {
        self.inner.parts.clock.now()
    }

    /// The life of the stores.
    ///
    /// # Errors
    /// `unavailable` when the store does not tell.
    pub async fn epoch(&self) -> Result<Epoch, Rejection> {
        let epoch = self
            .inner
            .epoch
            .get_or_try_init(|| self.inner.parts.epoch())
            .await?;
        Ok(*epoch)
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is not good, whatever is wrong with it; `unavailable` when that could not be
    /// found out.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Rejection> {
        let refused =
            || Rejection::unauthenticated("the token is unknown, expired or revoked: log in again");
        let Some(authenticator) = &self.inner.parts.authenticator else {
            return Err(refused());
        };
        let identity = authenticator.authenticate(token).await.map_err(|error| {
            tracing::warn!(%error, "a token could not be checked");
            Rejection::unavailable("the token could not be checked: retry later")
        })?;
        let identity = identity.ok_or_else(refused)?;
        if identity.expires_at.is_some_and(|at| at <= self.now()) {
            Err(refused())
        } else {
            Ok(identity)
        }
    }

    /// Sessions of this node.
    pub fn session_count(&self) -> u64 {
        self.inner.registry.count()
    }

    /// Whether [`drain`](Self::drain) or [`shutdown`](Self::shutdown) has begun.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    /// Refuses new sessions and tells those there are to go, in batches spread over `window`; each is asked to come back
    /// (elsewhere) after a time drawn from the window, so that not all arrive at once.
    pub async fn drain(&self, window: Duration) {
        self.inner.draining.store(true, Ordering::Release);
        let sessions = self.inner.registry.all();
        let batches = sessions.chunks(self.inner.parts.settings.drain_batch_sessions.max(1));
        let pause = window / u32::try_from(batches.len()).unwrap_or(u32::MAX).max(1);
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let last = batches.len().saturating_sub(1);
        for (number, batch) in batches.enumerate() {
            for session in batch {
                let reconnect_after_ms = rand::rng().random_range(0..window_ms);
                session
                    .outbound
                    .go_away(GoAwayReason::Drain, reconnect_after_ms);
            }
            if number < last {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Carries work out to its end, also when its caller goes away meanwhile; [`shutdown`](Self::shutdown) waits for it.
    ///
    /// # Errors
    /// `unknown_outcome` when the work panics or the process ends.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Rejection> {
        let stopped = |_| Rejection::unknown_outcome("the server stopped on the way: retry");
        self.inner.tasks.spawn(work).await.map_err(stopped)
    }

    /// Ends the engine: nothing new is taken, what was begun is finished, every task is joined.
    pub async fn shutdown(&self) {
        self.inner.draining.store(true, Ordering::Release);
        self.inner.closed.store(true, Ordering::Release);
        for session in self.inner.registry.all() {
            session.outbound.go_away(GoAwayReason::Drain, 0);
        }
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.leave_copies().await;
        self.flush_presence().await;
        if let Err(error) = self.inner.parts.router.leave(self.node()).await {
            tracing::warn!(%error, "could not leave the router; its lease will end");
        }
    }

    /// Milliseconds of the engine's life, by the runtime's clock.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        self.inner.elapsed_ms()
    }
}

impl Parts {
    /// That of the logs, joined with that of the users' logs where those live apart: when either begins anew, so do the
    /// cursors of clients.
    async fn epoch(&self) -> Result<Epoch, PortError> {
        let messages = self.messages.epoch().await?;
        if !self.keeps_users {
            return Ok(messages);
        }
        let users = self.users.epoch().await?;
        Ok(messages.joined_with(users))
    }
}

impl Inner {
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis())
            .expect("an engine lives less than 500 million years")
    }
}

/// What the inbox store leaves to the engine.
fn copies_of(parts: &Parts) -> Copies {
    let capabilities = parts.inbox.capabilities();
    let copier = (!capabilities.derives_rows).then(|| {
        let (messages, inbox) = (Arc::clone(&parts.messages), Arc::clone(&parts.inbox));
        Copier::new(messages, inbox, parts.limits.preview_bytes_max)
    });
    // The name alone may come again, with the next process.
    let owner = capabilities
        .is_shared
        .then(|| NodeId::new(format!("{}.{:016x}", parts.node, parts.node_epoch)));
    Copies::new(copier, owner)
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("node", self.node())
            .finish_non_exhaustive()
    }
}
