//! `/v1/channels/{channel}/messages` and `/v1/channels/{channel}/entries`: `send`, `history` and `pull` without a socket.

use axum::extract::State;
use axum::response::Response;
use chat_core::Engine;
use chat_core::proto::Rejection;
use chat_core::proto::wire::{
    Anchor, ClientOp, HistoryAnswer, HistoryQuery, PullAnswer, PullQuery, SendAnswer, SendMessage,
    Target,
};
use chat_core::proto::{Body, ChannelId, ClientId, Seq, UserId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::op::answered;
use super::{ApiResult, Bearer, JsonBody, PathParams, QueryParams};
use crate::openapi::{Asked, Sent};

/// A message as `send` has it, without `to`.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
pub(crate) struct Message {
    client_id: ClientId,
    body: Body,
    #[serde(default)]
    after: Option<Seq>,
    #[serde(default)]
    retry: Option<bool>,
    #[serde(default)]
    reply_to: Option<Seq>,
    #[serde(default)]
    thread: Option<Seq>,
    #[serde(default)]
    #[schema(max_items = 50)]
    mentions: Option<Vec<UserId>>,
}

/// Says something.
#[utoipa::path(post, path = "/v1/channels/{channel}/messages", tag = "messages", params(("channel" = ChannelId, Path, description = "Which channel.")), request_body = Message, security(("bearer" = [])),
    responses((status = 200, description = "The message is durable.", body = SendAnswer), Sent))]
pub(crate) async fn send(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
    JsonBody(message): JsonBody<Message>,
) -> ApiResult<Response> {
    let message = SendMessage {
        to: Target::Channel(channel),
        client_id: message.client_id,
        after: message.after,
        retry: message.retry.unwrap_or_default(),
        body: message.body,
        reply_to: message.reply_to,
        thread: message.thread,
        mentions: message.mentions.unwrap_or_default(),
    };
    Ok(answered(
        engine
            .run(&bearer.caller(), ClientOp::Send(message))
            .await?,
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryPage {
    before: Option<Seq>,
    after: Option<Seq>,
    around: Option<Seq>,
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// A page of messages: the newest, or those before, after or around one.
#[utoipa::path(get, path = "/v1/channels/{channel}/messages", tag = "messages", params(("channel" = ChannelId, Path, description = "Which channel."), HistoryPage), security(("bearer" = [])),
    responses((status = 200, description = "A page.", body = HistoryAnswer), Asked))]
pub(crate) async fn history(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
    QueryParams(page): QueryParams<HistoryPage>,
) -> ApiResult<Response> {
    let anchor = match (page.before, page.after, page.around) {
        (None, None, None) => Anchor::Newest,
        (Some(seq), None, None) => Anchor::Before(seq),
        (None, Some(seq), None) => Anchor::After(seq),
        (None, None, Some(seq)) => Anchor::Around(seq),
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => {
            return Err(
                Rejection::bad_request("at most one of `before`, `after` and `around`").into(),
            );
        }
    };
    let query = HistoryQuery {
        channel,
        anchor,
        limit: page.limit,
    };
    Ok(answered(
        engine
            .run(&bearer.caller(), ClientOp::History(query))
            .await?,
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntriesPage {
    after: Option<Seq>,
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// The entries that follow a cursor, as they now are.
#[utoipa::path(get, path = "/v1/channels/{channel}/entries", tag = "messages", params(("channel" = ChannelId, Path, description = "Which channel."), EntriesPage), security(("bearer" = [])),
    responses((status = 200, description = "A page.", body = PullAnswer), Asked))]
pub(crate) async fn entries(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
    QueryParams(page): QueryParams<EntriesPage>,
) -> ApiResult<Response> {
    let query = PullQuery {
        channel,
        after: page.after.unwrap_or_default(),
        limit: page.limit,
    };
    Ok(answered(
        engine.run(&bearer.caller(), ClientOp::Pull(query)).await?,
    ))
}
