//! Health, readiness and metrics, on a port of their own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use chat_core::Engine;
use chat_transport_ws::with_error_shape;
use http::{StatusCode, header};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::stores::Stores;

/// How often what was measured is condensed: without it, measurements pile up between two scrapes.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What the admin port tells about.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) engine: Engine,
    pub(crate) stores: Stores,
    pub(crate) metrics: Metrics,
}

/// What was measured.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<PrometheusHandle>);

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Metrics {
    /// Begins to measure.
    pub(crate) fn start() -> Result<Self, BuildError> {
        PrometheusBuilder::new()
            .install_recorder()
            .map(|handle| Self(Arc::new(handle)))
    }

    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// The paths of the admin port.
pub(crate) fn router(admin: Admin) -> Router {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(measured))
        .with_state(admin);
    with_error_shape(routes)
}

async fn readiness(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    let why = if admin.engine.is_draining() {
        Some("the server is stopping".to_owned())
    } else {
        admin.stores.refusal().await
    };
    let status = if why.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Readiness {
            ready: why.is_none(),
            why,
        }),
    )
}

async fn measured(State(admin): State<Admin>) -> ([(header::HeaderName, &'static str); 1], String) {
    metrics::gauge!("chat_sessions").set(f64::from(
        u32::try_from(admin.engine.session_count()).unwrap_or(u32::MAX),
    ));
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        admin.metrics.0.render(),
    )
}
