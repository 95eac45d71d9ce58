//! `/v1/contacts` and `/v1/blocks`.

use axum::Json;
use axum::extract::State;
use chat_core::Engine;
use chat_core::proto::UserId;
use chat_core::proto::people::{ContactState, RelationChange};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{ApiResult, Bearer, PathParams, QueryParams};

#[derive(Deserialize)]
pub(crate) struct Page {
    after: Option<UserId>,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct Contacts {
    contacts: Vec<Contact>,
    more: bool,
}

/// How somebody stands to the caller.
#[derive(Serialize)]
pub(crate) struct Contact {
    user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ContactState>,
}

#[derive(Serialize)]
pub(crate) struct Blocks {
    blocks: Vec<Blocked>,
    more: bool,
}

#[derive(Serialize)]
pub(crate) struct Blocked {
    user: UserId,
}

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
