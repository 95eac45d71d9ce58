//! What was sent.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use bytes::Bytes;
use chat_core::Engine;
use chat_core::proto::Rejection;
use chat_core::proto::wire::{Format, decode_object};
use http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::ApiError;

/// Time that a client gets to send a body.
const BODY_MAX: Duration = Duration::from_secs(30);

/// A JSON object as the body of a request: declared as JSON, bounded in size and time, without a key twice.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<T, S> FromRequest<S> for JsonBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    Engine: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = read(request, Engine::from_ref(state).limits().frame_bytes_max).await?;
        Ok(Self(decode_object(Format::Json, &bytes)?))
    }
}

/// The bytes of a JSON body.
pub(super) async fn read(request: Request, bytes_max: usize) -> Result<Bytes, ApiError> {
    let declared = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !declared.is_some_and(is_json) {
        let rejection =
            Rejection::bad_request("send JSON, and say so with `Content-Type: application/json`");
        return Err(ApiError::from(rejection).status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let collected = timeout(
        BODY_MAX,
        Limited::<Body>::new(request.into_body(), bytes_max).collect(),
    );
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Rejection::too_large(format!("a body has at most {bytes_max} bytes")).into())
        }
        Ok(Err(_)) => Err(Rejection::bad_request("the body did not arrive in full").into()),
        Err(_) => {
            let error = ApiError::from(Rejection::bad_request("the body came too slowly"));
            Err(error.status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}
