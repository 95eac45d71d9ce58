//! `/v1/users` and `/v1/me`.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use chat_core::ports::{NewAccount, Profile};
use chat_core::proto::people::{DirectFrom, ProfileChange};
use chat_core::proto::{Code, DeviceId, Rejection, Timestamp, UserId};
use chat_transport_ws::Rates;
use chat_transport_ws::http::{ApiResult, Bearer, ClientAddress, JsonBody, PathParams};
use chat_transport_ws::openapi::{Asked, Sent};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::password;
use super::routes::AccountsApi;

/// Characters of a log-in name.
const LOG_IN_NAME_CHARS_MAX: usize = 32;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
pub(super) struct SignUp {
    #[schema(
        min_length = 1,
        max_length = 32,
        pattern = "^[a-z0-9][a-z0-9._-]{0,31}$"
    )]
    user: String,
    #[schema(min_length = 8, max_length = 256, format = Password)]
    password: String,
    #[serde(default)]
    #[schema(max_length = 100)]
    name: Option<String>,
}

/// A user as others see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Profile)]
pub(super) struct Shown {
    user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// A user as it sees itself.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[serde(flatten)]
    shown: Shown,
    device: DeviceId,
    direct: DirectFrom,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
}

impl Me {
    fn new(profile: Profile, device: DeviceId) -> Self {
        Self {
            shown: Shown {
                user: profile.user,
                name: profile.name,
            },
            device,
            direct: profile.direct,
            created_at: Some(profile.created_at),
        }
    }
}

/// Makes an account.
#[utoipa::path(post, path = "/v1/users", tag = "accounts", request_body = SignUp,
    responses((status = 201, description = "The account is there.", body = Shown), Sent))]
pub(super) async fn sign_up(
    State(api): State<AccountsApi>,
    from: ClientAddress,
    Extension(rates): Extension<Arc<Rates>>,
    JsonBody(request): JsonBody<SignUp>,
) -> ApiResult<(StatusCode, Json<Shown>)> {
    rates.log_in_from(from.0)?;
    if !api.sign_up {
        return Err(Rejection::forbidden(
            "this server takes no sign-ups; ask its operator for an account",
        )
        .into());
    }
    let user = log_in_name(&request.user)?;
    let name = request.name.filter(|name| !name.is_empty());
    let profile = ProfileChange {
        name: name.clone(),
        direct: None,
    };
    profile.check()?;
    password::check(&request.password, &request.user)?;
    // A look before the work; the store decides.
    if api.accounts.account(&user).await?.is_some() {
        return Err(taken().into());
    }
    let password_hash = api.hasher.hash(request.password).await?;
    let account = NewAccount {
        user: user.clone(),
        password_hash,
        name: name.clone(),
        at: api.engine.now(),
    };
    if !api.accounts.sign_up(account).await? {
        return Err(taken().into());
    }
    Ok((StatusCode::CREATED, Json(Shown { user, name })))
}

/// The caller, as they see themselves.
#[utoipa::path(get, path = "/v1/me", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "The caller.", body = Me), Asked))]
pub(super) async fn me(State(api): State<AccountsApi>, bearer: Bearer) -> ApiResult<Json<Me>> {
    let identity = bearer.0;
    match api.engine.profile(&identity.user).await {
        Ok(profile) => Ok(Json(Me::new(profile, identity.device))),
        // A user of the host who has not opened a session yet.
        Err(rejection) if rejection.code == Code::NotFound => Ok(Json(Me {
            shown: Shown {
                user: identity.user,
                name: identity.name,
            },
            device: identity.device,
            direct: DirectFrom::default(),
            created_at: None,
        })),
        Err(rejection) => Err(rejection.into()),
    }
}

/// Changes `name` (empty: none from now on) and `direct`; what is absent stays.
#[utoipa::path(patch, path = "/v1/me", tag = "accounts", request_body = ProfileChange, security(("bearer" = [])),
    responses((status = 200, description = "The caller from now on.", body = Me), Sent))]
pub(super) async fn change_me(
    State(api): State<AccountsApi>,
    bearer: Bearer,
    JsonBody(change): JsonBody<ProfileChange>,
) -> ApiResult<Json<Me>> {
    let identity = bearer.0;
    let profile = api.engine.set_profile(&identity.user, change).await?;
    Ok(Json(Me::new(profile, identity.device)))
}

/// A user, as others see them.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "accounts", params(("user" = UserId, Path, description = "Which user.")), security(("bearer" = [])),
    responses((status = 200, description = "The user.", body = Shown), Asked))]
pub(super) async fn profile(
    State(api): State<AccountsApi>,
    _bearer: Bearer,
    PathParams(user): PathParams<UserId>,
) -> ApiResult<Json<Shown>> {
    match api.engine.profile(&user).await {
        Ok(profile) => Ok(Json(Shown {
            user,
            name: profile.name,
        })),
        Err(rejection) if rejection.code == Code::NotFound => {
            let existing = api.directory.existing(&[user.clone()].into()).await?;
            if existing.contains(&user) {
                Ok(Json(Shown { user, name: None }))
            } else {
                Err(rejection.into())
            }
        }
        Err(rejection) => Err(rejection.into()),
    }
}

/// The user id of a log-in name.
pub(super) fn log_in_name(name: &str) -> Result<UserId, Rejection> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let begins = name.bytes().next().is_some_and(allowed);
    let goes_on = name
        .bytes()
        .all(|byte| allowed(byte) || b"._-".contains(&byte));
    if !begins || !goes_on || name.len() > LOG_IN_NAME_CHARS_MAX {
        return Err(Rejection::bad_request(
            "a log-in name has 1 to 32 of a-z, 0-9, `.`, `_` and `-`, and begins with a letter or digit",
        ));
    }
    name.parse()
}

fn taken() -> Rejection {
    Rejection::conflict("this name is taken; choose another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_in_names_are_plain() {
        for good in ["a", "0", "a.b_c-d", &"x".repeat(32)] {
            assert!(log_in_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".a",
            "-a",
            "_a",
            "A",
            "a b",
            "é",
            "@system",
            "a\n",
            &"x".repeat(33),
        ] {
            assert!(log_in_name(bad).is_err(), "{bad:?}");
        }
    }
}
