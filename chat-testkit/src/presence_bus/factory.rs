//! How the suite gets a bus.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::PresenceBus;

use crate::skip::Skip;

/// Opens a bus for one case.
#[async_trait]
pub trait PresenceBusFactory: Send + Sync {
    /// A bus, perhaps one that others use too: cases draw names of their own.
    async fn open(&self) -> Result<OpenedPresenceBus, Skip>;
}

/// An open bus with what keeps it alive.
pub struct OpenedPresenceBus {
    /// The bus.
    pub bus: Arc<dyn PresenceBus>,
    /// Dropped when the case is over.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// Opens a bus; what the mounted tests call.
///
/// # Errors
/// The missing service.
pub async fn open(factory: &dyn PresenceBusFactory) -> Result<OpenedPresenceBus, Skip> {
    factory.open().await
}
