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

use super::{ApiResult, Bearer, JsonBody, PathParams};

/// A group to create.
#[derive(Deserialize)]
pub(crate) struct Create {
    client_id: ClientId,
    title: String,
    #[serde(default)]
    members: Option<Vec<UserId>>,
    #[serde(default)]
    history: Option<History>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    external_id: Option<String>,
}

/// What a change of a channel answers.
#[derive(Serialize)]
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

pub(crate) async fn show(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
) -> ApiResult<Json<Summary>> {
    Ok(Json(engine.channel(&bearer.caller(), channel).await?))
}

/// A change of a channel's settings.
#[derive(Deserialize)]
pub(crate) struct Change {
    #[serde(default)]
    client_id: Option<ClientId>,
    #[serde(flatten)]
    change: MetaChange,
}

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
