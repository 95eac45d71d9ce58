//! Engines over one set of ports, each behind chaos of its own.

use std::sync::Arc;
use std::time::Duration;

use chat_core::decorators::{Chaos, ChaosConfig};
use chat_core::memory::MemoryRouter;
use chat_core::ports::{Clock, InboxStore, MessageStore, Router};
use chat_core::proto::{NodeId, Timestamp};
use chat_core::snowflake::{Snowflake, WorkerId};
use chat_core::{Engine, EngineSettings};
use tokio::time::Instant;

/// Where the time of a run begins.
const BEGINNING: Timestamp = Timestamp(1_700_000_000_000);

/// Engines have long joined their router by then.
const JOINED_AFTER: Duration = Duration::from_secs(1);

/// What the engines of a run share.
#[derive(Clone)]
pub struct Ports {
    /// The logs.
    pub messages: Arc<dyn MessageStore>,
    /// The inboxes over the same data.
    pub inbox: Arc<dyn InboxStore>,
    /// What connects the engines.
    pub router: Arc<dyn Router>,
}

impl Ports {
    /// These stores, and a router in memory.
    pub fn over(store: impl MessageStore + InboxStore + Clone) -> Self {
        Self {
            messages: Arc::new(store.clone()),
            inbox: Arc::new(store),
            router: Arc::new(MemoryRouter::new()),
        }
    }
}

/// The wall clock as the runtime's clock tells it: it stands while the runtime's is paused.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock(Instant);

impl RuntimeClock {
    /// A clock that starts now; to be made inside a runtime.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.0.elapsed().as_millis()).expect("a run is short");
        Timestamp(BEGINNING.0 + elapsed)
    }
}

/// Engines that serve the same users.
pub(super) struct Fleet {
    pub(super) engines: Vec<Engine>,
    stores: Vec<Arc<Chaos<dyn MessageStore>>>,
}

/// The chaos around a fleet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) stores: ChaosConfig,
    pub(super) router: ChaosConfig,
}

impl Fleet {
    /// As many engines; their nodes and worker numbers are counted from `first`.
    pub(super) fn start(
        ports: &Ports,
        clock: RuntimeClock,
        first: u16,
        count: u16,
        weather: Weather,
        seed: u64,
    ) -> Self {
        let (mut engines, mut stores) = (Vec::new(), Vec::new());
        for number in first..first + count {
            let seed = seed ^ (u64::from(number) << 32);
            let messages = Arc::new(Chaos::<dyn MessageStore>::new(
                Arc::clone(&ports.messages),
                weather.stores,
                seed ^ 1,
            ));
            let inbox =
                Chaos::<dyn InboxStore>::new(Arc::clone(&ports.inbox), weather.stores, seed ^ 2);
            let router =
                Chaos::<dyn Router>::new(Arc::clone(&ports.router), weather.router, seed ^ 3);
            let worker = WorkerId::new(number).expect("few engines");
            // Patience short enough that a run meets its end, too.
            let mut settings = EngineSettings::default();
            settings.unknown_retries_max = 2;
            settings.unknown_retry_after = Duration::from_millis(5);
            let engine = Engine::builder()
                .stores(
                    Arc::clone(&messages) as Arc<dyn MessageStore>,
                    Arc::new(inbox),
                )
                .router(Arc::new(router))
                .clock(clock)
                .ids(Snowflake::new(worker, Arc::new(clock)))
                .node(NodeId::new(format!("node-{number}")))
                .settings(settings)
                .build()
                .expect("all parts are there, in a runtime");
            engines.push(engine);
            stores.push(messages);
        }
        Self { engines, stores }
    }

    /// Waits until the engines hear each other. Those who wait for it all at once would wake in an order that the seed
    /// does not fix.
    pub(super) async fn ready(&self) {
        tokio::time::sleep(JOINED_AFTER).await;
    }

    /// Ends the engines, and what chaos has put off.
    pub(super) async fn stop(self) {
        for engine in &self.engines {
            engine.shutdown().await;
        }
        for store in &self.stores {
            store.settle().await;
        }
    }
}
