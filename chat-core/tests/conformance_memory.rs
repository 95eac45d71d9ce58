//! The adapters in memory hold the contracts of their ports; the stores in both modes of key search.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::memory::MemoryRouter;
use chat_core::ports::IdGenerator;
use chat_core::snowflake::{Snowflake, WorkerId};
use chat_testkit::id_generator::{IdGeneratorFactory, IdGeneratorSetup};
use chat_testkit::presence_bus::{OpenedPresenceBus, PresenceBusFactory};
use chat_testkit::router::{OpenedRouter, RouterFactory};
use chat_testkit::{MemoryStores, Skip};

mod with_key_search {
    use super::*;

    chat_testkit::message_store_suite!(MemoryStores::with_key_search());
    chat_testkit::inbox_store_suite!(MemoryStores::with_key_search());
    chat_testkit::user_store_suite!(MemoryStores::with_key_search());
    chat_testkit::accounts_suite!(MemoryStores::with_key_search());
    chat_testkit::user_store_model!(MemoryStores::with_key_search());
    chat_testkit::hostile_entries!(MemoryStores::with_key_search());
    chat_testkit::log_store_model!(MemoryStores::with_key_search());
}

mod key_value {
    use super::*;

    chat_testkit::message_store_suite!(MemoryStores::key_value());
    chat_testkit::inbox_store_suite!(MemoryStores::key_value());
    chat_testkit::hostile_entries!(MemoryStores::key_value());
    chat_testkit::log_store_model!(MemoryStores::key_value());
}

chat_testkit::id_generator_suite!(Snowflakes);
chat_testkit::presence_bus_suite!(Buses);
chat_testkit::router_suite!(Routers);
chat_testkit::presence_bus_model!(Buses);
chat_testkit::router_model!(Routers);

struct Snowflakes;

impl IdGeneratorFactory for Snowflakes {
    fn open(&self, setup: IdGeneratorSetup) -> Arc<dyn IdGenerator> {
        let worker = WorkerId::new(setup.worker).expect("the suite's numbers are below 1024");
        Arc::new(match setup.valid_until {
            Some(valid_until) => Snowflake::leased(worker, setup.clock, valid_until),
            None => Snowflake::new(worker, setup.clock),
        })
    }
}

struct Buses;

#[async_trait]
impl PresenceBusFactory for Buses {
    async fn open(&self) -> Result<OpenedPresenceBus, Skip> {
        Ok(OpenedPresenceBus::memory())
    }
}

struct Routers;

#[async_trait]
impl RouterFactory for Routers {
    async fn open(&self) -> Result<OpenedRouter, Skip> {
        Ok(OpenedRouter::shared(Arc::new(MemoryRouter::new())))
    }
}
