//! `POST /v1/op`: everything that a socket can ask, without one; as part of a session where the query names one.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use chat_core::proto::schema::{OpAnswer, OpRequest};
use chat_core::proto::wire::{Answer, ClientFrame, Format, decode_op, decode_session_op};
use serde::Deserialize;
use serde_json::Map;
use utoipa::IntoParams;

use super::{ApiResult, QueryParams, Uncounted, body};
use crate::openapi::Sent;
use crate::poll::SessionId;
use crate::state::Transport;

/// As part of which session.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Within {
    #[param(value_type = Option<Uuid>)]
    session: Option<SessionId>,
}

/// Everything that a socket can ask, without one; as part of a session where the query names one.
#[utoipa::path(post, path = "/v1/op", tag = "sessions", params(Within), request_body = OpRequest, security(("bearer" = [])),
    responses((status = 200, description = "What a socket would get, without `op` and `id`.", body = OpAnswer), Sent))]
pub(crate) async fn run(
    State(transport): State<Transport>,
    Uncounted(bearer): Uncounted,
    QueryParams(within): QueryParams<Within>,
    request: Request,
) -> ApiResult<Response> {
    let engine = &transport.engine;
    let session = match within.session {
        Some(session) => Some(transport.shared.polls.find(session, &bearer.0)?),
        None => None,
    };
    let count = || transport.shared.rates.operation(&bearer.0.user);
    let frame = body::read(request, engine.limits().frame_bytes_max).await?;
    let decode = match &session {
        Some(_) => decode_session_op,
        None => decode_op,
    };
    match (decode(Format::Json, &frame)?, session) {
        (ClientFrame::Command { op, .. }, Some(session)) => {
            Ok(answered(session.run(op, frame.len()).await?))
        }
        (ClientFrame::Command { op, .. }, None) => {
            count()?;
            Ok(answered(engine.run(&bearer.caller(), op).await?))
        }
        (ClientFrame::Typing(typing), Some(session)) => {
            count()?;
            session.typing(typing.channel).await?;
            Ok(nothing())
        }
        (ClientFrame::Typing(typing), None) => {
            count()?;
            engine.typing(&bearer.caller(), typing.channel).await;
            Ok(nothing())
        }
        (ClientFrame::Hello { .. } | ClientFrame::Ping, _) => {
            unreachable!("both readers refuse what is for sockets")
        }
    }
}

/// An answer as a socket would get it, without `op` and `id`.
pub(super) fn answered(answer: Answer) -> Response {
    match answer {
        Answer::Hello(answer) => Json(answer).into_response(),
        Answer::Sync(answer) => Json(answer).into_response(),
        Answer::Send(answer) => Json(answer).into_response(),
        Answer::Pull(answer) => Json(answer).into_response(),
        Answer::History(answer) => Json(answer).into_response(),
        Answer::Change(answer) => Json(answer).into_response(),
        Answer::Prefs(answer) => Json(answer).into_response(),
        Answer::Receipts(answer) => Json(answer).into_response(),
        Answer::Watch(answer) => Json(answer).into_response(),
        Answer::Done => nothing(),
    }
}

fn nothing() -> Response {
    Json(Map::new()).into_response()
}
