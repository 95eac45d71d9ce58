//! Layers around any adapter: a time limit, measurements, seeded chaos.
//!
//! Every port is wrapped once, in [`Decorated`]; what happens around a call is the [`Layer`]'s say. Each method of a port
//! is written out, so that a new one does not compile until somebody has said whether it reads or writes.

mod chaos;
mod decorated;
mod host;
mod layer;
mod metrics;
mod stores;
mod timeout;
mod wires;

pub use chaos::{Chaos, ChaosConfig, ChaosLayer, LATE_APPENDS_MAX};
pub use decorated::Decorated;
pub use layer::Layer;
pub use metrics::{Metrics, MetricsLayer};
pub use timeout::{Timeout, TimeoutLayer};
