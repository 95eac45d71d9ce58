//! `/v1/poll`: a session without a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use chat_core::proto::Rejection;
use chat_core::proto::wire::{HelloAnswer, ServerFrame};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiError, ApiResult, Bearer, ClientAddress, JsonBody, PathParams, QueryParams};
use crate::openapi::{Asked, Changes, Sent};
use crate::opening::Introduction;
use crate::poll::{Batch, PollSessions, SessionId, events};
use crate::state::Transport;

/// How long a poll waits for frames if it does not say.
const WAIT_MS_DEFAULT: u64 = 25_000;
/// How long it may ask to wait.
const WAIT_MS_MAX: u64 = 60_000;
/// The id of the last event that a client of a stream has.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that would collect a stream before they pass it on heed this.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a client says of itself, as in `hello`.
#[derive(Deserialize, ToSchema)]
#[schema(as = OpenSession)]
pub(crate) struct Open {
    client: String,
    #[serde(default)]
    heartbeat_ms: Option<u64>,
}

/// A session has begun.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenedSession)]
pub(crate) struct Opened {
    #[schema(value_type = Uuid)]
    session: SessionId,
    #[serde(flatten)]
    hello: HelloAnswer,
}

/// Opens a session without a socket.
#[utoipa::path(post, path = "/v1/poll", tag = "sessions", operation_id = "open_session", request_body = Open, security(("bearer" = [])),
    responses((status = 201, description = "The session has begun.", body = Opened), Sent))]
pub(crate) async fn open(
    State(transport): State<Transport>,
    from: ClientAddress,
    bearer: Bearer,
    JsonBody(open): JsonBody<Open>,
) -> ApiResult<(StatusCode, Json<Opened>)> {
    let rates = &transport.shared.rates;
    rates.connect_from(from.0)?;
    rates.connect(&bearer.0.user)?;
    let introduction = Introduction::new(open.client, open.heartbeat_ms)?;
    let place = PollSessions::place(&transport.shared, &bearer.0.user)?;
    let (session, hello) = introduction.open(&transport.engine, bearer.0).await?;
    let session = place.fill(transport.engine, session);
    Ok((StatusCode::CREATED, Json(Opened { session, hello })))
}

/// Which frames, and for how long to wait for them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    after: Option<u64>,
    #[param(maximum = 60_000)]
    wait_ms: Option<u64>,
}

/// What a poll answers.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it is written by hand, of frames that are JSON already"
)]
pub(crate) struct Polled {
    /// In order.
    frames: Vec<ServerFrame>,
    /// What to send as `after` next.
    ack: Option<u64>,
    /// The session is over, with the code that would have closed a socket.
    close: Option<u16>,
}

/// The frames that follow those that the client has; waits for some.
#[utoipa::path(get, path = "/v1/poll/{session}", tag = "sessions", operation_id = "fetch_frames", params(("session" = Uuid, Path, description = "Which session."), Wanted), security(("bearer" = [])),
    responses((status = 200, description = "Frames, or none within the time.", body = Polled), Asked))]
pub(crate) async fn fetch(
    State(transport): State<Transport>,
    bearer: Bearer,
    PathParams(session): PathParams<SessionId>,
    QueryParams(wanted): QueryParams<Wanted>,
) -> ApiResult<Response> {
    let wait_ms = wanted.wait_ms.unwrap_or(WAIT_MS_DEFAULT);
    if wait_ms > WAIT_MS_MAX {
        return Err(Rejection::bad_request("`wait_ms` is at most 60,000").into());
    }
    let handle = transport.shared.polls.find(session, &bearer.0)?;
    let fetch = handle.fetcher(wanted.after, true);
    let fetched = handle.fetch(fetch, Duration::from_millis(wait_ms)).await?;
    let json = HeaderValue::from_static("application/json");
    let body = match fetched {
        Some(batch) => {
            let frames = batch.frames.len() as u64;
            transport.shared.meters.poll_frames_out.increment(frames);
            written(&batch)
        }
        None => Bytes::from_static(br#"{"frames":[]}"#),
    };
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}

/// `{"frames":[…],"ack":…,"close":…?}`, of frames that are JSON already.
fn written(batch: &Batch) -> Bytes {
    let bytes: usize = batch.frames.iter().map(|frame| frame.len() + 1).sum();
    let mut answer = BytesMut::with_capacity(bytes + 64);
    answer.put_slice(br#"{"frames":["#);
    for (index, frame) in batch.frames.iter().enumerate() {
        if index > 0 {
            answer.put_u8(b',');
        }
        answer.put_slice(frame);
    }
    answer.put_slice(format!(r#"],"ack":{}"#, batch.through).as_bytes());
    if let Some(code) = batch.close {
        answer.put_slice(format!(r#","close":{}"#, code.number()).as_bytes());
    }
    answer.put_u8(b'}');
    answer.freeze()
}

/// From where a stream goes on; the header, which clients send by themselves, goes before it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct From {
    after: Option<u64>,
}

/// The frames as server-sent events.
#[utoipa::path(get, path = "/v1/poll/{session}/stream", tag = "sessions", operation_id = "stream_frames", params(("session" = Uuid, Path, description = "Which session."), From, ("last-event-id" = Option<u64>, Header, description = "The id of the last event that the client has; goes before `after`.")), security(("bearer" = [])),
    responses((status = 200, description = "One frame an event; the id of the last is `Last-Event-ID` of the next request.", body = String, content_type = "text/event-stream"), Asked))]
pub(crate) async fn stream(
    State(transport): State<Transport>,
    bearer: Bearer,
    PathParams(session): PathParams<SessionId>,
    QueryParams(from): QueryParams<From>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let after = last_event_id(&headers)?.or(from.after);
    let handle = transport.shared.polls.find(session, &bearer.0)?;
    let fetch = handle.fetcher(after, true);
    let events = events(Arc::clone(&transport.shared), handle, fetch);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (X_ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, events).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| Rejection::bad_request("`Last-Event-ID` is the id of an event"))?;
    Ok(Some(id))
}

/// Ends the session.
#[utoipa::path(delete, path = "/v1/poll/{session}", tag = "sessions", operation_id = "end_session", params(("session" = Uuid, Path, description = "Which session.")), security(("bearer" = [])),
    responses((status = 204, description = "It is over."), Changes))]
pub(crate) async fn end(
    State(transport): State<Transport>,
    bearer: Bearer,
    PathParams(session): PathParams<SessionId>,
) -> ApiResult<StatusCode> {
    let handle = transport.shared.polls.find(session, &bearer.0)?;
    handle.end().await?;
    Ok(StatusCode::NO_CONTENT)
}
