//! Paths, and what answers the wrong ones.

use std::sync::Arc;

use axum::{Extension, Router};
use chat_core::Engine;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{channels, connect, error, members, messages, op, people, poll};
use crate::settings::TransportSettings;
use crate::state::Transport;
use crate::upgrade::{__path_upgrade, upgrade};

/// The chat part of the API with default settings. Nested under `/chat` it serves `/chat/v1/ws` and so on.
pub fn router(engine: Engine) -> Router {
    router_with(engine, TransportSettings::default())
}

/// The chat part of the API.
pub fn router_with(engine: Engine, settings: TransportSettings) -> Router {
    router_beside(engine, settings, Router::new())
}

/// The chat part of the API with further paths of the host's, which get the same errors and the same answers to
/// preflights.
pub fn router_beside(engine: Engine, settings: TransportSettings, others: Router) -> Router {
    let cors = settings.cors();
    let transport = Transport::new(engine, settings);
    let rates = Arc::clone(&transport.shared.rates);
    let routes: Router = routes().with_state(transport).into();
    // Where every path finds them, those of the host included.
    let routes = with_error_shape(routes.merge(others)).layer(Extension(rates));
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// The paths with what is documented of each: both stand beside the handlers.
pub(crate) fn routes() -> OpenApiRouter<Transport> {
    OpenApiRouter::new()
        .routes(routes!(upgrade))
        .routes(routes!(connect::connect))
        .routes(routes!(op::run))
        .routes(routes!(people::contacts))
        .routes(routes!(people::put_contact, people::remove_contact))
        .routes(routes!(people::blocks))
        .routes(routes!(people::block, people::unblock))
        .routes(routes!(poll::open))
        .routes(routes!(poll::fetch, poll::end))
        .routes(routes!(poll::stream))
        .routes(routes!(channels::create))
        .routes(routes!(channels::show, channels::change))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(messages::history, messages::send))
        .routes(routes!(messages::entries))
}

/// The router with unknown paths and wrong methods answered as the API answers errors.
pub fn with_error_shape(router: Router) -> Router {
    router
        .method_not_allowed_fallback(error::wrong_method)
        .fallback(error::no_such_path)
}
