//! What the address says.

use axum::extract::{FromRequestParts, Path, Query};
use chat_core::proto::Rejection;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::ApiError;

/// The variable parts of the path.
#[derive(Clone, Copy, Debug)]
pub struct PathParams<T>(pub T);

/// The query behind the path.
#[derive(Clone, Copy, Debug)]
pub struct QueryParams<T>(pub T);

impl<T, S> FromRequestParts<S> for PathParams<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        let Path(params) = path.map_err(|error| Rejection::bad_request(error.body_text()))?;
        Ok(Self(params))
    }
}

impl<T, S> FromRequestParts<S> for QueryParams<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(params) = query.map_err(|error| Rejection::bad_request(error.body_text()))?;
        Ok(Self(params))
    }
}
