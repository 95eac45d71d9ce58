//! How the suite gets routers.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::Router;

use crate::skip::Skip;

/// Nodes of a case.
pub const NODES: usize = 3;

/// Opens the routers of a small fleet for one case.
#[async_trait]
pub trait RouterFactory: Send + Sync {
    /// Routers that reach each other, perhaps others too: cases draw names of their own.
    async fn open(&self) -> Result<OpenedRouter, Skip>;
}

/// The routers of a fleet with what keeps them alive.
pub struct OpenedRouter {
    /// Each node's own; the same one several times where nodes share it.
    pub routers: [Arc<dyn Router>; NODES],
    /// Dropped when the case is over.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl OpenedRouter {
    /// One router that all nodes share.
    pub fn shared(router: Arc<dyn Router>) -> Self {
        Self {
            routers: [Arc::clone(&router), Arc::clone(&router), router],
            guard: Box::new(()),
        }
    }
}

/// Opens routers; what the mounted tests call.
///
/// # Errors
/// The missing service.
pub async fn open(factory: &dyn RouterFactory) -> Result<OpenedRouter, Skip> {
    factory.open().await
}
