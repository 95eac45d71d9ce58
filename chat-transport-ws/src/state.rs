//! What every request and connection shares.

use std::sync::Arc;

use axum::extract::FromRef;
use chat_core::Engine;

use crate::meters::Meters;
use crate::poll::PollSessions;
use crate::rates::Rates;
use crate::settings::TransportSettings;
use crate::websocket::PartialBytes;

/// The engine, how the transport behaves, and what it counts.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: TransportSettings,
    pub(crate) meters: Meters,
    pub(crate) partial_bytes: Arc<PartialBytes>,
    pub(crate) polls: PollSessions,
    pub(crate) rates: Arc<Rates>,
}

impl Transport {
    pub(crate) fn new(engine: Engine, settings: TransportSettings) -> Self {
        let rates = Arc::new(Rates::new(&settings.rates));
        let partial_bytes = Arc::new(PartialBytes::new(settings.partial_bytes_max));
        Self {
            engine,
            shared: Arc::new(Shared {
                settings,
                meters: Meters::new(),
                partial_bytes,
                polls: PollSessions::default(),
                rates,
            }),
        }
    }
}

impl FromRef<Transport> for Engine {
    fn from_ref(transport: &Transport) -> Self {
        transport.engine.clone()
    }
}
