//! Paths, and what answers the wrong ones.

use std::sync::Arc;

use axum::routing::{get, post, put};
use axum::{Extension, Router};
use chat_core::Engine;

use crate::http::{channels, connect, error, members, messages, op, people, poll};
use crate::settings::TransportSettings;
use crate::state::Transport;
use crate::upgrade::upgrade;

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
    let routes = Router::new()
        .route("/v1/ws", get(upgrade))
        .route("/v1/connect", get(connect::connect))
        .route("/v1/op", post(op::run))
        .route("/v1/contacts", get(people::contacts))
        .route(
            "/v1/contacts/{user}",
            put(people::put_contact).delete(people::remove_contact),
        )
        .route("/v1/blocks", get(people::blocks))
        .route(
            "/v1/blocks/{user}",
            put(people::block).delete(people::unblock),
        )
        .route("/v1/poll", post(poll::open))
        .route("/v1/poll/{session}", get(poll::fetch).delete(poll::end))
        .route("/v1/poll/{session}/stream", get(poll::stream))
        .route("/v1/channels", post(channels::create))
        .route(
            "/v1/channels/{channel}",
            get(channels::show).patch(channels::change),
        )
        .route(
            "/v1/channels/{channel}/members",
            get(members::list).post(members::add),
        )
        .route(
            "/v1/channels/{channel}/members/{user}",
            put(members::put).delete(members::remove),
        )
        .route(
            "/v1/channels/{channel}/messages",
            get(messages::history).post(messages::send),
        )
        .route("/v1/channels/{channel}/entries", get(messages::entries))
        .with_state(transport);
    // Where every path finds them, those of the host included.
    let routes = with_error_shape(routes.merge(others)).layer(Extension(rates));
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// The router with unknown paths and wrong methods answered as the API answers errors.
pub fn with_error_shape(router: Router) -> Router {
    router
        .method_not_allowed_fallback(error::wrong_method)
        .fallback(error::no_such_path)
}
