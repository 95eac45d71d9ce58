//! `/v1/channels/{channel}/messages` and `/v1/channels/{channel}/entries`: `send`, `history` and `pull` without a socket.

use axum::extract::State;
use axum::response::Response;
use chat_core::Engine;
use chat_core::proto::Rejection;
use chat_core::proto::wire::{Anchor, ClientOp, HistoryQuery, PullQuery, SendMessage, Target};
use chat_core::proto::{Body, ChannelId, ClientId, Seq, UserId};
use serde::Deserialize;

use super::op::answered;
use super::{ApiResult, Bearer, JsonBody, PathParams, QueryParams};

/// A message as `send` has it, without `to`.
#[derive(Deserialize)]
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
    mentions: Option<Vec<UserId>>,
}

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

#[derive(Deserialize)]
pub(crate) struct HistoryPage {
    before: Option<Seq>,
    after: Option<Seq>,
    around: Option<Seq>,
    limit: Option<u32>,
}

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

#[derive(Deserialize)]
pub(crate) struct EntriesPage {
    after: Option<Seq>,
    limit: Option<u32>,
}

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
