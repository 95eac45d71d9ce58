//! `/v1/openapi.json` and `/v1/docs`.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use http::header;
use utoipa::openapi::OpenApi;

/// Paths that serve this document, to stand beside the others: `/v1/openapi.json`, and with the feature `docs-ui` pages
/// that show it under `/v1/docs`, which load nothing from elsewhere.
pub fn documented(document: &OpenApi) -> Router {
    let json = Bytes::from(serde_json::to_vec(document).expect("a document is JSON"));
    let answer = move || {
        let json = json.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], json).into_response() }
    };
    let router = Router::new().route("/v1/openapi.json", get(answer));
    #[cfg(feature = "docs-ui")]
    let router = router.merge(ui::pages());
    router
}

#[cfg(feature = "docs-ui")]
mod ui {
    use std::sync::Arc;

    use axum::Router;
    use axum::extract::State;
    use axum::response::{IntoResponse, Response};
    use axum::routing::get;
    use chat_core::proto::Rejection;
    use http::{StatusCode, header};
    use utoipa_swagger_ui::Config;

    use crate::http::{ApiError, ApiResult, PathParams};

    /// From the pages to the document, wherever a host has mounted both.
    const DOCUMENT: &str = "../openapi.json";
    /// By default the pages would send the document to a validator elsewhere.
    const NO_VALIDATOR: &str = "none";

    pub(super) fn pages() -> Router {
        let config = Config::new([DOCUMENT]).validator_url(NO_VALIDATOR);
        Router::new()
            .route("/v1/docs", get(to_folder))
            .route("/v1/docs/", get(index))
            .route("/v1/docs/{*file}", get(file))
            .with_state(Arc::new(config))
    }

    /// The pages' addresses are relative to their folder, and this one to whatever stands before it.
    async fn to_folder() -> Response {
        (
            StatusCode::PERMANENT_REDIRECT,
            [(header::LOCATION, "docs/")],
        )
            .into_response()
    }

    async fn index(State(config): State<Arc<Config<'static>>>) -> ApiResult<Response> {
        page("index.html", config)
    }

    async fn file(
        State(config): State<Arc<Config<'static>>>,
        PathParams(file): PathParams<String>,
    ) -> ApiResult<Response> {
        page(&file, config)
    }

    fn page(file: &str, config: Arc<Config<'static>>) -> ApiResult<Response> {
        let found = utoipa_swagger_ui::serve(file, config).ok().flatten();
        let found = found.ok_or_else(|| {
            ApiError::from(Rejection::not_found("the documentation has no such page"))
        })?;
        let content_type = [(header::CONTENT_TYPE, found.content_type)];
        Ok((content_type, found.bytes.into_owned()).into_response())
    }
}
