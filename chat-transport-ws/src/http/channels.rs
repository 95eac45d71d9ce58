//! `/v1/channels` and `/v1/channels/{channel}`.

use axum::Json;
use axum::extract::State;
use chat_core::proto::entry::MetaChange;
use chat_core::proto::wire::Summary;
use chat_core::proto::{ChannelId, ClientId, History, Seq, UserId};
use chat_core::{Engine, NewChannel, Receipt};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ApiResult, Bearer, JsonBody, PathParams};
use crate::openapi::{Asked, Sent};

/// A group to create.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewGroup)]
pub(crate) struct Create {
    client_id: ClientId,
    #[schema(min_length = 1, max_length = 500)]
    title: String,
    #[serde(default)]
    #[schema(max_items = 1_000)]
    members: Option<Vec<UserId>>,
    #[serde(default)]
    history: Option<History>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    #[schema(max_length = 200)]
    external_id: Option<String>,
}

/// What a change of a channel answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Changed {
    channel: ChannelId,
    seq: Seq,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl From<Receipt> for Changed {
    fn from(receipt: Receipt) -> Self {
        Self {
            channel: receipt.channel,
            seq: receipt.seq,
            duplicate: receipt.duplicate,
        }
    }
}

/// Creates a group, whose owner the caller is.
#[utoipa::path(post, path = "/v1/channels", tag = "channels", request_body = Create, security(("bearer" = [])),
    responses((status = 201, description = "The group is there.", body = Changed), Sent))]
pub(crate) async fn create(
    State(engine): State<Engine>,
    bearer: Bearer,
    JsonBody(create): JsonBody<Create>,
) -> ApiResult<(StatusCode, Json<Changed>)> {
    let mut channel = NewChannel::group(create.title)
        .client_id(create.client_id)
        .members(create.members.unwrap_or_default())
        .history(create.history.unwrap_or_default())
        .data(create.data);
    if let Some(external_id) = create.external_id {
        channel = channel.external_id(external_id);
    }
    let receipt = engine.create_channel(&bearer.caller(), channel).await?;
    Ok((StatusCode::CREATED, Json(receipt.into())))
}

/// A channel as the list of channels shows it.
#[utoipa::path(get, path = "/v1/channels/{channel}", tag = "channels", params(("channel" = ChannelId, Path, description = "Which channel.")), security(("bearer" = [])),
    responses((status = 200, description = "The channel.", body = Summary), Asked))]
pub(crate) async fn show(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
) -> ApiResult<Json<Summary>> {
    Ok(Json(engine.channel(&bearer.caller(), channel).await?))
}

/// A change of a channel's settings.
#[derive(Deserialize, ToSchema)]
#[schema(as = SettingsChange)]
pub(crate) struct Change {
    #[serde(default)]
    client_id: Option<ClientId>,
    #[serde(flatten)]
    change: MetaChange,
}

/// Changes title, topic or settings of a group; what is absent stays.
#[utoipa::path(patch, path = "/v1/channels/{channel}", tag = "channels", params(("channel" = ChannelId, Path, description = "Which channel.")), request_body = Change, security(("bearer" = [])),
    responses((status = 200, description = "Changed.", body = Changed), Sent))]
pub(crate) async fn change(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
    JsonBody(change): JsonBody<Change>,
) -> ApiResult<Json<Changed>> {
    let receipt = engine
        .change_meta(&bearer.caller(), channel, change.client_id, change.change)
        .await?;
    Ok(Json(receipt.into()))
}
