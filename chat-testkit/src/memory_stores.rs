//! The stores in memory, as a suite opens them.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::memory::MemoryStore;

use crate::factory::{Guard, Opened, StoreFactory, Stores};
use crate::fanned_out::FannedOut;
use crate::skip::Skip;

/// Opens `chat_core`'s stores in memory; what the kit proves itself with. The data outlives a reopening, as it outlives
/// an engine, because the guard keeps it.
#[derive(Clone, Copy, Debug)]
pub struct MemoryStores {
    with_key_search: bool,
}

struct Kept(Arc<MemoryStore>);

impl MemoryStores {
    /// Stores whose appends refuse a key that the log holds.
    pub fn with_key_search() -> Self {
        Self {
            with_key_search: true,
        }
    }

    /// Stores whose appends look at no key.
    pub fn key_value() -> Self {
        Self {
            with_key_search: false,
        }
    }

    /// Stores that hold nothing.
    pub fn empty(self) -> Stores {
        self.keep().stores()
    }

    fn keep(self) -> Kept {
        let store = if self.with_key_search {
            MemoryStore::new()
        } else {
            MemoryStore::key_value()
        };
        Kept(Arc::new(store))
    }
}

impl Kept {
    fn stores(&self) -> Stores {
        Stores::new(FannedOut::over(self.0.clone(), self.0.clone()))
            .with_inbox(self.0.clone())
            .with_users(self.0.clone())
            .with_accounts(self.0.clone())
    }
}

#[async_trait]
impl StoreFactory for MemoryStores {
    async fn open(&self) -> Result<Opened, Skip> {
        let kept = self.keep();
        Ok(Opened::new(kept.stores(), kept))
    }
}

#[async_trait]
impl Guard for Kept {
    async fn reopen(&mut self) -> Stores {
        self.stores()
    }
}
