//! From a request to a WebSocket.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use chat_core::proto::Rejection;
use chat_core::proto::wire::Format;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::TaskTracker;

use crate::http::{ApiError, ClientAddress};
use crate::listener::ConnectionGuard;
use crate::session;
use crate::settings::TransportSettings;
use crate::state::Transport;
use crate::websocket::Socket;

/// Base64 of the 16 bytes that a client draws.
const KEY_CHARS: usize = 24;
/// Until when a client that came to a draining server had better stay away.
const DRAINING_RETRY_MS: u64 = 1_000;

/// Opens a WebSocket; the token goes into its first frame.
#[utoipa::path(get, path = "/v1/ws", tag = "sessions", responses(
    (status = 101, description = "The protocol is WebSocket from now on."),
    (status = 400, description = "The key is no key.", body = Rejection),
    (status = 403, description = "Pages of this origin may not connect.", body = Rejection),
    (status = 426, description = "No upgrade to version 13 of WebSocket is asked for.", body = Rejection),
    (status = 429, description = "Too many connections of this address.", body = Rejection),
    (status = 503, description = "The server is stopping.", body = Rejection),
))]
pub(crate) async fn upgrade(
    State(transport): State<Transport>,
    request: Request,
) -> Result<Response, ApiError> {
    let settings = &transport.shared.settings;
    let accepted = accept(settings, &request)?;
    let from = ClientAddress::of(request.extensions()).0;
    transport.shared.rates.connect_from(from)?;
    if transport.engine.is_draining() {
        let rejection =
            Rejection::unavailable("the server is stopping: connect to another, or again later");
        return Err(rejection.retry_after_ms(DRAINING_RETRY_MS).into());
    }
    let (format, tasks) = (accepted.format, settings.tasks.clone());
    Ok(switch(accepted, request, &tasks, async move |stream| {
        let partial_bytes = Arc::clone(&transport.shared.partial_bytes);
        let bytes_max = transport.engine.limits().hello_frame_bytes_max;
        let socket = Socket::new(stream, bytes_max, partial_bytes);
        session::serve(transport, socket, format, from).await;
    }))
}

/// Answers that the protocol is switched, and speaks the new one in a task of these.
fn switch<F>(
    accepted: Accepted,
    mut request: Request,
    tasks: &TaskTracker,
    speak: impl FnOnce(TokioIo<Upgraded>) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    let guard = request.extensions_mut().remove::<ConnectionGuard>();
    let upgraded = hyper::upgrade::on(&mut request);
    tasks.spawn(async move {
        // The connection stays counted as long as it lives.
        let _guard = guard;
        match upgraded.await {
            Ok(upgraded) => speak(TokioIo::new(upgraded)).await,
            Err(error) => tracing::debug!(%error, "the client left during the upgrade"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted.key);
    if let Some(subprotocol) = accepted.subprotocol {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(subprotocol),
        );
    }
    response
}

/// What was agreed with the client.
struct Accepted {
    key: HeaderValue,
    format: Format,
    /// Absent when the client named none that the server knows; JSON is spoken then.
    subprotocol: Option<&'static str>,
}

fn accept(settings: &TransportSettings, request: &Request) -> Result<Accepted, ApiError> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(ApiError::wrong_method());
    }
    let upgrades = has_token(headers, &header::CONNECTION, "upgrade")
        && has_token(headers, &header::UPGRADE, "websocket");
    if request.version() != Version::HTTP_11 || !upgrades {
        let rejection = Rejection::bad_request(
            "this path speaks WebSocket: send an HTTP/1.1 request that asks for the upgrade",
        );
        let error = ApiError::from(rejection).status(StatusCode::UPGRADE_REQUIRED);
        return Err(error
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "upgrade"));
    }
    if single(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        let error = ApiError::from(Rejection::bad_request(
            "only version 13 of WebSocket is spoken",
        ));
        return Err(error
            .status(StatusCode::UPGRADE_REQUIRED)
            .header(header::SEC_WEBSOCKET_VERSION, "13"));
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let key =
        key.ok_or_else(|| Rejection::bad_request("Sec-WebSocket-Key is 16 bytes in base64"))?;
    if let Some(origin) = headers.get(header::ORIGIN) {
        let host = single(headers, &header::HOST);
        let admitted = origin
            .to_str()
            .is_ok_and(|origin| settings.admits_origin(origin, host));
        if !admitted {
            return Err(Rejection::forbidden(
                "pages of this origin may not connect; the operator can allow it",
            )
            .into());
        }
    }
    let key =
        HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is visible ASCII");
    let offered =
        tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).find_map(Format::from_subprotocol);
    Ok(Accepted {
        key,
        format: offered.unwrap_or(Format::Json),
        subprotocol: offered.map(Format::subprotocol),
    })
}

/// The header's value if it occurs once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        None
    } else {
        value.to_str().ok()
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn is_key(key: &str) -> bool {
    let Some(digits) = key.strip_suffix("==") else {
        return false;
    };
    key.len() == KEY_CHARS
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

#[cfg(test)]
#[path = "conformance_tests.rs"]
mod tests;
