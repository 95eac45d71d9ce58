//! Who asks.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use chat_core::ports::Identity;
use chat_core::proto::Rejection;
use chat_core::{Caller, Engine};
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::{ApiError, ClientAddress};
use crate::rates::Rates;

/// Bytes of a token at the most; those of JWTs are the longest.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// The user and device that the request's bearer token stands for, if neither it nor the address asks too often.
#[derive(Clone, Debug)]
pub struct Bearer(pub Identity);

/// The same, where the operation is yet to be counted.
#[derive(Clone, Debug)]
pub(crate) struct Uncounted(pub(crate) Bearer);

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
        let Uncounted(bearer) = Uncounted::from_request_parts(parts, state).await?;
        if let Some(rates) = parts.extensions.get::<Arc<Rates>>() {
            rates.operation(&bearer.0.user)?;
        }
        Ok(bearer)
    }
}

impl<S> FromRequestParts<S> for Uncounted
where
    S: Send + Sync,
    Engine: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Some(rates) = parts.extensions.get::<Arc<Rates>>() {
            rates.request(ClientAddress::of(&parts.extensions).0)?;
        }
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
        let identity = Engine::from_ref(state).authenticate(token).await?;
        Ok(Self(Bearer(identity)))
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
