//! `/v1/channels/{channel}/members`.

use axum::Json;
use axum::extract::State;
use chat_core::Engine;
use chat_core::proto::Code;
use chat_core::proto::entry::{MemberRole, MembersChange, Role};
use chat_core::proto::{ChannelId, ClientId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::channels::Changed;
use super::{ApiResult, Bearer, JsonBody, PathParams, QueryParams};
use crate::openapi::{Asked, Changes, Sent};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    after: Option<UserId>,
    #[param(minimum = 1)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Members)]
pub(crate) struct Listed {
    members: Vec<MemberRole>,
    more: bool,
}

/// The members of a channel, a page at a time.
#[utoipa::path(get, path = "/v1/channels/{channel}/members", tag = "channels", params(("channel" = ChannelId, Path, description = "Which channel."), Page), security(("bearer" = [])),
    responses((status = 200, description = "A page.", body = Listed), Asked))]
pub(crate) async fn list(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
    QueryParams(page): QueryParams<Page>,
) -> ApiResult<Json<Listed>> {
    let list = engine
        .members(&bearer.caller(), channel, page.after, page.limit)
        .await?;
    let members = list.members.into_iter().map(|(user, member)| MemberRole {
        user,
        role: member.role,
    });
    Ok(Json(Listed {
        members: members.collect(),
        more: list.more,
    }))
}

/// Members to add, in one entry.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMembers)]
pub(crate) struct Add {
    client_id: ClientId,
    #[schema(max_items = 1_000)]
    add: Vec<NewMember>,
}

#[derive(Deserialize, ToSchema)]
struct NewMember {
    user: UserId,
    #[serde(default)]
    role: Option<Role>,
}

/// Adds members, in one entry.
#[utoipa::path(post, path = "/v1/channels/{channel}/members", tag = "channels", params(("channel" = ChannelId, Path, description = "Which channel.")), request_body = Add, security(("bearer" = [])),
    responses((status = 200, description = "Added.", body = Changed), Sent))]
pub(crate) async fn add(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams(channel): PathParams<ChannelId>,
    JsonBody(add): JsonBody<Add>,
) -> ApiResult<Json<Changed>> {
    let members = add.add.into_iter().map(|member| MemberRole {
        user: member.user,
        role: member.role.unwrap_or(Role::Member),
    });
    let change = MembersChange {
        add: members.collect(),
        ..MembersChange::default()
    };
    let receipt = engine
        .change_members(&bearer.caller(), channel, Some(add.client_id), change)
        .await?;
    Ok(Json(receipt.into()))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MemberPut)]
pub(crate) struct Put {
    #[serde(default)]
    role: Option<Role>,
}

/// Adds a member, or gives one another role.
#[utoipa::path(put, path = "/v1/channels/{channel}/members/{user}", tag = "channels", operation_id = "put_member", params(("channel" = ChannelId, Path, description = "Which channel."), ("user" = UserId, Path, description = "Which user.")), request_body = Put, security(("bearer" = [])),
    responses((status = 200, description = "A member with this role.", body = Changed), Sent))]
pub(crate) async fn put(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams((channel, user)): PathParams<(ChannelId, UserId)>,
    JsonBody(put): JsonBody<Put>,
) -> ApiResult<Json<Changed>> {
    let caller = bearer.caller();
    let role = put.role.unwrap_or(Role::Member);
    let named = vec![MemberRole { user, role }];
    let mut unchanged = None;
    if put.role.is_some() {
        let change = MembersChange {
            role: named.clone(),
            ..MembersChange::default()
        };
        match engine.change_members(&caller, channel, None, change).await {
            Ok(receipt) => return Ok(Json(receipt.into())),
            // Not a member yet; or the caller changes no roles, but may well add members.
            Err(rejection) if matches!(rejection.code, Code::NotFound | Code::Forbidden) => {
                unchanged = Some(rejection)
            }
            Err(rejection) => return Err(rejection.into()),
        }
    }
    let change = MembersChange {
        add: named,
        ..MembersChange::default()
    };
    let receipt = engine
        .change_members(&caller, channel, None, change)
        .await?;
    match unchanged {
        // A member already, so it was the role that the caller may not change.
        Some(rejection) if receipt.duplicate => Err(rejection.into()),
        Some(_) | None => Ok(Json(receipt.into())),
    }
}

/// Removes a member, or leaves.
#[utoipa::path(delete, path = "/v1/channels/{channel}/members/{user}", tag = "channels", operation_id = "remove_member", params(("channel" = ChannelId, Path, description = "Which channel."), ("user" = UserId, Path, description = "Which user.")), security(("bearer" = [])),
    responses((status = 200, description = "Removed.", body = Changed), Changes))]
pub(crate) async fn remove(
    State(engine): State<Engine>,
    bearer: Bearer,
    PathParams((channel, user)): PathParams<(ChannelId, UserId)>,
) -> ApiResult<Json<Changed>> {
    let change = MembersChange {
        remove: vec![user],
        ..MembersChange::default()
    };
    let receipt = engine
        .change_members(&bearer.caller(), channel, None, change)
        .await?;
    Ok(Json(receipt.into()))
}
