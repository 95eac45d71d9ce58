//! How the suite gets a bus.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::memory::MemoryPresenceBus;
use chat_core::ports::PresenceBus;

use crate::skip::Skip;

/// Opens a bus for one case.
#[async_trait]
pub trait PresenceBusFactory: Send + Sync {
    /// A bus whose registry the case may restart.
    async fn open(&self) -> Result<OpenedPresenceBus, Skip>;
}

/// Makes a registry lose what it holds, as when its service is restarted.
pub type Restart = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// An open bus with what keeps it alive.
pub struct OpenedPresenceBus {
    /// The bus.
    pub bus: Arc<dyn PresenceBus>,
    /// Makes it lose what it holds.
    pub restart: Restart,
    /// Dropped when the case is over.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl OpenedPresenceBus {
    /// A bus in memory.
    pub fn memory() -> Self {
        let bus = Arc::new(MemoryPresenceBus::new());
        let restarted = Arc::clone(&bus);
        Self {
            bus,
            restart: Box::new(move || {
                restarted.restart();
                Box::pin(std::future::ready(()))
            }),
            guard: Box::new(()),
        }
    }
}

/// Opens a bus; what the mounted tests call.
///
/// # Errors
/// The missing service.
pub async fn open(factory: &dyn PresenceBusFactory) -> Result<OpenedPresenceBus, Skip> {
    factory.open().await
}
