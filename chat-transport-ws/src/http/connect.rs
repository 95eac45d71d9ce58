//! `GET /v1/connect`: where to open a WebSocket.

use axum::Json;
use axum::extract::{OriginalUri, State};
use chat_core::proto::NodeId;
use chat_core::proto::Rejection;
use http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiResult;
use crate::state::Transport;

#[derive(Serialize, ToSchema)]
pub(crate) struct Best {
    url: String,
    node: NodeId,
}

/// There is one server here, so it is the best.
#[utoipa::path(get, path = "/v1/connect", tag = "sessions",
    responses((status = 200, description = "The address of its WebSocket.", body = Best), (status = 400, description = "The request names no host.", body = Rejection)))]
pub(crate) async fn connect(
    State(transport): State<Transport>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> ApiResult<Json<Best>> {
    let node = transport.engine.node().clone();
    if let Some(url) = transport.shared.settings.connect_url.clone() {
        return Ok(Json(Best { url, node }));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| Rejection::bad_request("the request names no host"))?;
    let path = uri.path().strip_suffix("connect").unwrap_or("/v1/");
    Ok(Json(Best {
        url: format!("ws://{host}{path}ws"),
        node,
    }))
}
