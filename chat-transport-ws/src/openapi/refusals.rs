//! Which statuses a sort of operation is refused with.

use std::collections::BTreeMap;

use chat_core::proto::Rejection;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Of whatever asks with a token.
const ASKED: &[(&str, &str)] = &[
    (
        "400",
        "`bad_request`: malformed, or against a rule that the caller could know.",
    ),
    (
        "401",
        "`unauthenticated`: the token is missing, unknown or expired.",
    ),
    ("403", "`forbidden`: the caller may not do this."),
    (
        "404",
        "`not_found`: there is no such thing, or the caller may not know of it.",
    ),
    (
        "429",
        "`rate_limited`: too many requests; again after `retry_after_ms`.",
    ),
    ("501", "`unsupported`: this server does not offer it."),
    ("503", "`unavailable`: surely not done; retry."),
    (
        "504",
        "`unknown_outcome`: perhaps done; retry with the same `client_id`.",
    ),
];
/// Of what changes something.
const CHANGES: &[(&str, &str)] = &[
    (
        "409",
        "`conflict`: taken, or the same `client_id` came with another content.",
    ),
    ("413", "`too_large`: a limit on size or number is exceeded."),
];
/// Of what has a body.
const SENT: &[(&str, &str)] = &[
    ("408", "The body came too slowly."),
    ("415", "The body is not declared as JSON."),
];

/// What refuses a question.
#[derive(Debug)]
pub struct Asked;

/// What refuses a change without a body.
#[derive(Debug)]
pub struct Changes;

/// What refuses a request with a body.
#[derive(Debug)]
pub struct Sent;

type Responses = BTreeMap<String, RefOr<Response>>;

impl IntoResponses for Asked {
    fn responses() -> Responses {
        refusals(&[ASKED])
    }
}

impl IntoResponses for Changes {
    fn responses() -> Responses {
        refusals(&[ASKED, CHANGES])
    }
}

impl IntoResponses for Sent {
    fn responses() -> Responses {
        refusals(&[ASKED, CHANGES, SENT])
    }
}

fn refusals(sorts: &[&[(&str, &str)]]) -> Responses {
    let refusal = |&(status, description): &(&str, &str)| {
        let schema = Ref::from_schema_name(Rejection::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content);
        (status.to_owned(), response.build().into())
    };
    sorts.iter().copied().flatten().map(refusal).collect()
}
