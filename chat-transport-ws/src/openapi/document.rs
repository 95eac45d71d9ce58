//! What is said of the API as a whole.

use chat_core::proto::Rejection;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::openapi::{PathsBuilder, Server};

use crate::router::routes;

/// From the document to the root of the API, wherever a host has mounted it.
const ROOT: &str = "..";

/// The document of the transport's own paths. A host adds its own with [`OpenApi::merge`].
pub fn document() -> OpenApi {
    let mut document = head();
    document.merge(routes().into_openapi());
    document
}

fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Chat")
        .version("1")
        .description(Some(
            "What clients ask over HTTP. Errors are `{code, message, retry_after_ms?}`; unknown fields are ignored, and null is the same as absent.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token that a log-in answered, or one of the host.",
        ));
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer.build()))
        .schema_from::<Rejection>();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(ROOT)]))
        .paths(PathsBuilder::new())
        .components(Some(components.build()))
        .build()
}
