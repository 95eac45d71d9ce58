//! `/v1/sessions` and `/v1/devices`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use chat_core::ports::{Account, Device, NewPassword, NewToken};
use chat_core::proto::{Code, DeviceId, Rejection, Timestamp, UserId};
use chat_transport_ws::Rates;
use chat_transport_ws::http::{
    ApiResult, Bearer, ClientAddress, JsonBody, PathParams, QueryParams,
};
use chat_transport_ws::openapi::{Asked, Changes, Sent};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::password;
use super::routes::AccountsApi;
use super::slow_down::Pair;
use super::users::log_in_name;
use crate::auth::Token;

/// How long a token lasts.
const TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Characters of a device's name, and of its platform.
const DEVICE_CHARS_MAX: usize = 100;

#[derive(Deserialize, ToSchema)]
pub(super) struct LogIn {
    user: String,
    #[schema(max_length = 256, format = Password)]
    password: String,
    #[serde(default)]
    device: Option<DeviceShape>,
}

#[derive(Default, Deserialize, ToSchema)]
struct DeviceShape {
    #[serde(default)]
    #[schema(max_length = 100)]
    name: Option<String>,
    #[serde(default)]
    #[schema(max_length = 100)]
    platform: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LoggedIn {
    token: String,
    user: UserId,
    device: DeviceId,
    expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Devices {
    devices: Vec<ListedDevice>,
    more: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DevicePage {
    after: Option<DeviceId>,
    #[param(minimum = 1)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct ListedDevice {
    device: DeviceId,
    name: String,
    platform: String,
    created_at: Timestamp,
    seen_at: Timestamp,
    current: bool,
}

/// Logs in with a new device.
#[utoipa::path(post, path = "/v1/sessions", tag = "accounts", request_body = LogIn,
    responses((status = 201, description = "Logged in; the token is told this once.", body = LoggedIn), Sent))]
pub(super) async fn log_in(
    State(api): State<AccountsApi>,
    from: ClientAddress,
    Extension(rates): Extension<Arc<Rates>>,
    JsonBody(request): JsonBody<LogIn>,
) -> ApiResult<(StatusCode, Json<LoggedIn>)> {
    let device_shape = request.device.unwrap_or_default();
    let device_name = device_text(device_shape.name)?;
    let platform = device_text(device_shape.platform)?;
    rates.log_in_from(from.0)?;
    let pair = Pair::new(&request.user, from.0);
    let attempt = api.slow_down.attempt(pair)?;
    let account = proven(&api, &request.user, request.password).await?;
    api.slow_down.decide(attempt, account.is_some())?;
    let account = account.ok_or_else(wrong)?;
    rates.log_in(&account.user)?;
    let token = Token::draw()?;
    let device = DeviceId::from_uuid(Uuid::new_v4());
    let at = api.engine.now();
    let life_ms = u64::try_from(TOKEN_LIFE.as_millis()).expect("90 days are few milliseconds");
    let expires_at = Timestamp(at.0.saturating_add(life_ms));
    let Account {
        user,
        password_hash,
        ..
    } = account;
    let kept = NewToken {
        hash: token.hash(),
        user: user.clone(),
        device,
        device_name,
        platform,
        at,
        expires_at,
    };
    let written = api.accounts.store_token(kept).await?;
    api.engine.tell_written(&written).await;
    // A password that changed since it was compared has revoked the tokens there were, and so not this one.
    let account = api.accounts.account(&user).await?;
    if account.is_none_or(|account| account.password_hash != password_hash) {
        forget(&api, &user, device).await?;
        return Err(wrong().into());
    }
    Ok((
        StatusCode::CREATED,
        Json(LoggedIn {
            token: token.as_str().to_owned(),
            user,
            device,
            expires_at,
        }),
    ))
}

/// The account, if there is one and the password is its own. Takes the same time whether or not there is one.
async fn proven(api: &AccountsApi, user: &str, password: String) -> ApiResult<Option<Account>> {
    let account = match log_in_name(user) {
        Ok(user) => api.accounts.account(&user).await?,
        Err(_) => None,
    };
    let hash = account
        .as_ref()
        .map(|account| account.password_hash.clone());
    let is_right = is_right(api, password, hash).await?;
    Ok(account.filter(|_| is_right))
}

/// Whether the password is the one of this hash; one that is too long for any is not, without work.
async fn is_right(
    api: &AccountsApi,
    password: String,
    hash: Option<String>,
) -> Result<bool, Rejection> {
    if password.chars().count() > password::CHARS_MAX {
        return Ok(false);
    }
    api.hasher.verify(password, hash).await
}

fn wrong() -> Rejection {
    Rejection::unauthenticated("user or password is wrong")
}

/// A change of one's password.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPasswords {
    #[schema(max_length = 256, format = Password)]
    current: String,
    #[schema(min_length = 8, max_length = 256, format = Password)]
    new: String,
}

/// Changes the password, and logs out all devices but this one. Who guesses the current one is slowed down as at the log-in:
/// a token that was taken is no better way to the password.
#[utoipa::path(put, path = "/v1/me/password", tag = "accounts", request_body = NewPasswords, security(("bearer" = [])),
    responses((status = 204, description = "Changed."), Sent))]
pub(super) async fn change_password(
    State(api): State<AccountsApi>,
    from: ClientAddress,
    bearer: Bearer,
    JsonBody(request): JsonBody<NewPasswords>,
) -> ApiResult<StatusCode> {
    let identity = bearer.0;
    let user = identity.user;
    password::check(&request.new, user.as_str())?;
    let Some(account) = api.accounts.account(&user).await? else {
        return Err(Rejection::not_found("you have no password on this server").into());
    };
    let former_hash = account.password_hash;
    let pair = Pair::new(user.as_str(), from.0);
    let attempt = api.slow_down.attempt(pair)?;
    let is_right = is_right(&api, request.current, Some(former_hash.clone())).await?;
    if !api.slow_down.decide(attempt, is_right)? {
        return Err(Rejection::forbidden("the current password is wrong").into());
    }
    let password = NewPassword {
        user,
        former_hash,
        password_hash: api.hasher.hash(request.new).await?,
        keep: identity.device,
    };
    // To the end: the sockets of devices that are logged out must not stay open because this one's caller went away.
    let engine = api.engine.clone();
    let changed = engine.to_the_end(set_password(api, password)).await??;
    changed.then_some(StatusCode::NO_CONTENT).ok_or_else(|| {
        Rejection::conflict("the password was changed by another device meanwhile").into()
    })
}

/// Changes the password if it still is the one that was compared; whether it was.
async fn set_password(api: AccountsApi, password: NewPassword) -> Result<bool, Rejection> {
    let user = password.user.clone();
    let Some(revoked) = api.accounts.set_password(password).await? else {
        return Ok(false);
    };
    for device in revoked {
        // Its token is gone and its sockets are closed; at the worst it stays in the list of devices.
        if let Err(rejection) = api.engine.forget_device(&user, device).await {
            tracing::warn!(%device, %rejection, "a device that was logged out is still listed");
        }
    }
    Ok(true)
}

/// Logs this device out.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "accounts", security(("bearer" = [])),
    responses((status = 204, description = "Logged out."), Changes))]
pub(super) async fn log_out(
    State(api): State<AccountsApi>,
    bearer: Bearer,
) -> ApiResult<StatusCode> {
    forget(&api, &bearer.0.user, bearer.0.device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The devices of the caller, a page at a time.
#[utoipa::path(get, path = "/v1/devices", tag = "accounts", params(DevicePage), security(("bearer" = [])),
    responses((status = 200, description = "A page.", body = Devices), Asked))]
pub(super) async fn devices(
    State(api): State<AccountsApi>,
    bearer: Bearer,
    QueryParams(page): QueryParams<DevicePage>,
) -> ApiResult<Json<Devices>> {
    let current = bearer.0.device;
    let list = api
        .engine
        .devices(&bearer.0.user, page.after, page.limit)
        .await?;
    let listed = |device: Device| ListedDevice {
        current: device.device == current,
        device: device.device,
        name: device.name,
        platform: device.platform,
        created_at: device.created_at,
        seen_at: device.seen_at,
    };
    Ok(Json(Devices {
        devices: list.devices.into_iter().map(listed).collect(),
        more: list.more,
    }))
}

/// Logs a device out.
#[utoipa::path(delete, path = "/v1/devices/{device}", tag = "accounts", params(("device" = DeviceId, Path, description = "Which device.")), security(("bearer" = [])),
    responses((status = 204, description = "Logged out."), Changes))]
pub(super) async fn revoke(
    State(api): State<AccountsApi>,
    bearer: Bearer,
    PathParams(device): PathParams<DeviceId>,
) -> ApiResult<StatusCode> {
    if forget(&api, &bearer.0.user, device).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Rejection::not_found("you have no such device").into())
    }
}

/// Revokes the device's token, then closes its sockets; tells whether there was such a device.
async fn forget(api: &AccountsApi, user: &UserId, device: DeviceId) -> ApiResult<bool> {
    let (api, user) = (api.clone(), user.clone());
    let engine = api.engine.clone();
    let forgotten = engine.to_the_end(async move {
        let had_token = api.accounts.revoke(&user, device).await?;
        match api.engine.forget_device(&user, device).await {
            Ok(()) => Ok(true),
            Err(rejection) if rejection.code == Code::NotFound => Ok(had_token),
            Err(rejection) => Err(rejection),
        }
    });
    Ok(forgotten.await??)
}

fn device_text(text: Option<String>) -> Result<String, Rejection> {
    let text = text.unwrap_or_default();
    if text.chars().count() > DEVICE_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(Rejection::bad_request(
            "name and platform of a device have at most 100 characters each, and no control characters",
        ));
    }
    Ok(text)
}
