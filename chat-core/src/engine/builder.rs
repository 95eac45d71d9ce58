//! How an engine is put together.

use std::sync::Arc;

use chat_proto::{Limits, NodeId, UserId};
use rand::RngCore;

use super::engine::{Engine, Parts};
use super::settings::EngineSettings;
use crate::decorators::Timeout;
use crate::memory::{MemoryPresenceBus, MemoryRouter, MemoryStore, OpenDirectory, SystemClock};
use crate::ports::{
    Authenticator, Authorizer, Clock, Directory, IdGenerator, InboxStore, MessageStore,
    PresenceBus, Router, UserStore,
};
use crate::snowflake::{Snowflake, WorkerId};

/// Why an engine could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nowhere to keep messages.
    #[error("an engine needs a message store: call `EngineBuilder::messages`")]
    NoMessages,
    /// The engine's tasks need a runtime.
    #[error(
        "an engine is built inside a tokio runtime: call `build` from async code or enter a runtime first"
    )]
    NoRuntime,
}

/// Puts an engine together. Only [`messages`](Self::messages) is required.
#[must_use]
pub struct EngineBuilder {
    messages: Option<Arc<dyn MessageStore>>,
    inbox: Option<Arc<dyn InboxStore>>,
    users: Option<Arc<dyn UserStore>>,
    authenticator: Option<Arc<dyn Authenticator>>,
    authorizer: Option<Arc<dyn Authorizer>>,
    directory: Arc<dyn Directory>,
    router: Option<Arc<dyn Router>>,
    presence: Option<Arc<dyn PresenceBus>>,
    ids: Option<Arc<dyn IdGenerator>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    settings: EngineSettings,
    node: Option<NodeId>,
    system: UserId,
}

impl EngineBuilder {
    pub(super) fn new() -> Self {
        Self {
            messages: None,
            inbox: None,
            users: None,
            authenticator: None,
            authorizer: None,
            directory: Arc::new(OpenDirectory),
            router: None,
            presence: None,
            ids: None,
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            settings: EngineSettings::default(),
            node: None,
            system: "system".parse().expect("a good name"),
        }
    }

    /// Where logs and inboxes are kept.
    pub fn messages(mut self, store: impl MessageStore + InboxStore + Clone) -> Self {
        self.messages = Some(Arc::new(store.clone()));
        self.inbox = Some(Arc::new(store));
        self
    }

    /// The same for stores behind pointers, as wrapped ones are.
    pub fn stores(mut self, messages: Arc<dyn MessageStore>, inbox: Arc<dyn InboxStore>) -> Self {
        self.messages = Some(messages);
        self.inbox = Some(inbox);
        self
    }

    /// Where users and devices are kept; else in memory.
    pub fn users(mut self, users: impl UserStore) -> Self {
        self.users = Some(Arc::new(users));
        self
    }

    /// Who turns tokens into users; else every token is refused, and only [`Engine::connect`] opens sessions.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// The host's say on every operation; else the rules of chat alone decide.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.authorizer = Some(Arc::new(authorizer));
        self
    }

    /// Which users exist; else every well-formed id does.
    pub fn directory(mut self, directory: impl Directory) -> Self {
        self.directory = Arc::new(directory);
        self
    }

    /// How nodes reach each other; else this node is alone.
    pub fn router(mut self, router: Arc<dyn Router>) -> Self {
        self.router = Some(router);
        self
    }

    /// Where presence is told; else in memory.
    pub fn presence(mut self, presence: Arc<dyn PresenceBus>) -> Self {
        self.presence = Some(presence);
        self
    }

    /// Who makes message ids; else a Snowflake of a worker number drawn at random, good for a node that is alone.
    pub fn ids(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Some(Arc::new(ids));
        self
    }

    /// What time it is; else the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The bounds of the protocol.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The engine's own bounds.
    pub fn settings(mut self, settings: EngineSettings) -> Self {
        self.settings = settings;
        self
    }

    /// This node's name, unique in the fleet; else one drawn at random.
    pub fn node(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    /// The name under which the embedding program itself acts; else `system`.
    pub fn system_user(mut self, user: UserId) -> Self {
        self.system = user;
        self
    }

    /// The engine, with its tasks running.
    ///
    /// # Errors
    /// When there is no message store or no runtime.
    pub fn build(self) -> Result<Engine, BuildError> {
        let (Some(messages), Some(inbox)) = (self.messages, self.inbox) else {
            return Err(BuildError::NoMessages);
        };
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BuildError::NoRuntime);
        }
        let random = rand::rng().next_u64();
        let ten_bits = u16::try_from(random >> 54).expect("ten bits of 64");
        let worker = WorkerId::new(ten_bits).expect("worker numbers have ten bits");
        let clock = self.clock;
        // A port that hangs must not hold a channel, or the end of the engine, for ever.
        let limit = self.settings.port_time_max;
        let keeps_users = self.users.is_some();
        let users: Arc<dyn UserStore> = self.users.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let router: Arc<dyn Router> = self.router.unwrap_or_else(|| Arc::new(MemoryRouter::new()));
        let presence: Arc<dyn PresenceBus> = self
            .presence
            .unwrap_or_else(|| Arc::new(MemoryPresenceBus::new()));
        Ok(Engine::start(Parts {
            messages: Arc::new(Timeout::new(messages, limit)),
            inbox: Arc::new(Timeout::new(inbox, limit)),
            users: Arc::new(Timeout::new(users, limit)),
            keeps_users,
            authenticator: self
                .authenticator
                .map(|port| Arc::new(Timeout::new(port, limit)) as Arc<dyn Authenticator>),
            authorizer: self
                .authorizer
                .map(|port| Arc::new(Timeout::new(port, limit)) as Arc<dyn Authorizer>),
            directory: Arc::new(Timeout::new(self.directory, limit)),
            router: Arc::new(Timeout::new(router, limit)),
            presence: Arc::new(Timeout::new(presence, limit)),
            ids: self
                .ids
                .unwrap_or_else(|| Arc::new(Snowflake::new(worker, Arc::clone(&clock)))),
            clock,
            limits: self.limits,
            settings: self.settings,
            node: self
                .node
                .unwrap_or_else(|| NodeId::new(format!("node-{random:016x}"))),
            node_epoch: random,
            system: self.system,
        }))
    }
}
