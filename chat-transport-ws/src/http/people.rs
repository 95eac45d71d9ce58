//! `/v1/contacts` and `/v1/blocks`.

use axum::Json;
use axum::extract::State;
use chat_core::Engine;
use chat_core::proto::UserId;
use chat_core::proto::people::{ContactState, RelationChange};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiResult, Bearer, PathParams, QueryParams};
use crate::openapi::{Asked, Changes};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    after: Option<UserId>,
    #[param(minimum = 1)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Contacts {
    contacts: Vec<Contact>,
    more: bool,
}

/// How somebody stands to the caller.
#[derive(Serialize, ToSchema)]
pub(crate) struct Contact {
    user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ContactState>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Blocks {
    blocks: Vec<Blocked>,
    more: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Blocked {
    user: UserId,
}

/// The contacts of the caller, a page at a time.
#[utoipa::path(get, path = "/v1/contacts", tag = "people", params(Page), security(("bearer" = [])),
    responses((status = 200, description = "A page.", body = Contacts), Asked))]
pub(crate) async fn contacts(
    State(engine): State<Engine>,
    bearer: Bearer,
    QueryParams(page): QueryParams<Page>,
) -> ApiResult<Json<Contacts>> {
    let list = engine
        .contacts(&bearer.0.user, page.after, page.limit)
        .await?;
    let contact = |(user, state)| Contact {
        user,
        state: Some(state),
    };
    Ok(Json(Contacts {
        contacts: list.people.into_iter().map(contact).collect(),
        more: list.more,
    }))
}

/// Asks, or accepts the other's asking.
#[utoipa::path(put, path = "/v1/contacts/{user}", tag = "people", params(("user" = UserId, Path, description = "Which user.")), security(("bearer" = [])),
    responses((status = 200, description = "How they stand to the caller now.", body = Contact), Changes))]
pub(crate) async fn put_contact(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(user): PathParams<UserId>,
) -> ApiResult<Json<Contact>> {
    let relation = engine
        .relate(&bearer.0.user, &user, RelationChange::PutContact)
        .await?;
    Ok(Json(Contact {
        user,
        state: relation.shown_contact(),
    }))
}

/// Ends being contacts, takes the asking back, or declines the other's.
#[utoipa::path(delete, path = "/v1/contacts/{user}", tag = "people", params(("user" = UserId, Path, description = "Which user.")), security(("bearer" = [])),
    responses((status = 204, description = "A stranger."), Changes))]
pub(crate) async fn remove_contact(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(user): PathParams<UserId>,
) -> ApiResult<StatusCode> {
    engine
        .relate(&bearer.0.user, &user, RelationChange::RemoveContact)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom the caller blocks, a page at a time.
#[utoipa::path(get, path = "/v1/blocks", tag = "people", params(Page), security(("bearer" = [])),
    responses((status = 200, description = "A page.", body = Blocks), Asked))]
pub(crate) async fn blocks(
    State(engine): State<Engine>,
    bearer: Bearer,
    QueryParams(page): QueryParams<Page>,
) -> ApiResult<Json<Blocks>> {
    let list = engine
        .blocks(&bearer.0.user, page.after, page.limit)
        .await?;
    Ok(Json(Blocks {
        blocks: list
            .people
            .into_iter()
            .map(|user| Blocked { user })
            .collect(),
        more: list.more,
    }))
}

/// Wants to hear nothing of the other.
#[utoipa::path(put, path = "/v1/blocks/{user}", tag = "people", params(("user" = UserId, Path, description = "Which user.")), security(("bearer" = [])),
    responses((status = 200, description = "Blocked.", body = Blocked), Changes))]
pub(crate) async fn block(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(user): PathParams<UserId>,
) -> ApiResult<Json<Blocked>> {
    engine
        .relate(&bearer.0.user, &user, RelationChange::Block)
        .await?;
    Ok(Json(Blocked { user }))
}

/// Takes that back.
#[utoipa::path(delete, path = "/v1/blocks/{user}", tag = "people", params(("user" = UserId, Path, description = "Which user.")), security(("bearer" = [])),
    responses((status = 204, description = "Not blocked."), Changes))]
pub(crate) async fn unblock(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(user): PathParams<UserId>,
) -> ApiResult<StatusCode> {
    engine
        .relate(&bearer.0.user, &user, RelationChange::Unblock)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
