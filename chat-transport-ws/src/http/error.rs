//! What answers a request that is refused.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chat_core::ports::PortError;
use chat_core::proto::{Code, Rejection};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// A refusal as a response: `{"code","message","retry_after_ms"?}` with the status of its code.
#[derive(Debug)]
pub struct ApiError {
    rejection: Rejection,
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, &'static str)>,
}

/// What a path answers.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// The same with a status that says more than the code.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn wrong_method() -> Self {
        let rejection = Rejection::bad_request(
            "this path does not take this method; `Allow` lists those that it takes",
        );
        Self::from(rejection).status(StatusCode::METHOD_NOT_ALLOWED)
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            status: None,
            headers: Vec::new(),
        }
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        tracing::warn!(%error, "a request failed");
        Rejection::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.rejection.code;
        let by_code =
            StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.rejection.retry_after_ms.map(|ms| ms.div_ceil(1_000));
        let mut response = (self.status.unwrap_or(by_code), Json(self.rejection)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Answers a path that there is not.
pub(crate) async fn no_such_path() -> ApiError {
    Rejection::not_found("there is no such path").into()
}

/// Answers a path that does not take the method.
pub(crate) async fn wrong_method() -> ApiError {
    ApiError::wrong_method()
}
