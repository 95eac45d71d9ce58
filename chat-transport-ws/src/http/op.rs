//! `POST /v1/op`: everything that a socket can ask, without one.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use chat_core::Engine;
use chat_core::proto::wire::{Answer, ClientFrame, Format, decode_op};
use serde_json::Map;

use super::{ApiResult, Bearer, body};

pub(crate) async fn run(
    State(engine): State<Engine>,
    bearer: Bearer,
    request: Request,
) -> ApiResult<Response> {
    let frame = body::read(request, engine.limits().frame_bytes_max).await?;
    match decode_op(Format::Json, &frame)? {
        ClientFrame::Command { op, .. } => Ok(answered(engine.run(&bearer.caller(), op).await?)),
        ClientFrame::Typing(typing) => {
            engine.typing(&bearer.caller(), typing.channel).await;
            Ok(nothing())
        }
        ClientFrame::Hello { .. } | ClientFrame::Ping => {
            unreachable!("`decode_op` refuses what needs a session")
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
