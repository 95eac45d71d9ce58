//! Who asks.

use axum::extract::{FromRef, FromRequestParts};
use chat_core::ports::Identity;
use chat_core::proto::Rejection;
use chat_core::{Caller, Engine};
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::ApiError;

/// Bytes of a token at the most; those of JWTs are the longest.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// The user and device that the request's bearer token stands for.
#[derive(Clone, Debug)]
pub struct Bearer(pub Identity);

impl Bearer {
    /// On whose behalf the engine acts.
    pub fn caller(&self) -> Caller {
        Caller::device(self.0.user.clone(), self.0.device)
    }
}

impl<S> FromRequestParts<S> for Bearer
where
    S: Send + Sync,
    Engine: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Rejection::unauthenticated(
                "send the token as `Authorization: Bearer <token>`",
            )
            .into());
        };
        let token = value
            .to_str()
            .ok()
            .and_then(bearer)
            .filter(|token| token.len() <= TOKEN_BYTES_MAX);
        let token =
            token.ok_or_else(|| Rejection::unauthenticated("the token is no bearer token"))?;
        Ok(Self(Engine::from_ref(state).authenticate(token).await?))
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
