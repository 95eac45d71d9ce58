//! The adapters in memory hold the contracts of their ports; the stores in both modes of key search.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::memory::MemoryStore;
use chat_testkit::{Guard, Opened, Skip, StoreFactory, Stores};

/// Opens stores over one state each, which the guard keeps.
struct Memory(fn() -> MemoryStore);

struct Kept(Arc<MemoryStore>);

impl Kept {
    fn stores(&self) -> Stores {
        Stores::new(self.0.clone())
            .with_inbox(self.0.clone())
            .with_users(self.0.clone())
            .with_accounts(self.0.clone())
    }
}

#[async_trait]
impl StoreFactory for Memory {
    async fn open(&self) -> Result<Opened, Skip> {
        let kept = Kept(Arc::new((self.0)()));
        Ok(Opened::new(kept.stores(), kept))
    }
}

#[async_trait]
impl Guard for Kept {
    async fn reopen(&mut self) -> Stores {
        // Nothing outlives the process: a case that reopens sees what another engine over the same state would see.
        self.stores()
    }
}

mod with_key_search {
    use super::*;

    chat_testkit::message_store_suite!(Memory(MemoryStore::new));
    chat_testkit::inbox_store_suite!(Memory(MemoryStore::new));
    chat_testkit::user_store_suite!(Memory(MemoryStore::new));
    chat_testkit::accounts_suite!(Memory(MemoryStore::new));
}

mod without_key_search {
    use super::*;

    chat_testkit::message_store_suite!(Memory(MemoryStore::without_key_search));
    chat_testkit::inbox_store_suite!(Memory(MemoryStore::without_key_search));
}
