//! What a message says.

use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::parts::{Components, add, all_of, reference, tag, tagged};
use crate::body::{Attachment, Body, CipherScheme};

/// A text that the server can read: stored and returned byte for byte.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is all that there is of it")]
struct TextFields {
    /// 1 to 100,000 characters; none with an attachment.
    #[schema(max_length = 100_000)]
    text: Option<String>,
    /// Files that go with it.
    #[schema(max_items = 10)]
    attachments: Option<Vec<Attachment>>,
    /// Opaque to the server, for the embedding program: at most 16 KiB as JSON.
    data: Option<Map<String, Value>>,
}

/// What clients encrypted, and the server cannot read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is all that there is of it")]
struct CipherFields {
    /// How.
    scheme: CipherScheme,
    /// Base64 with padding.
    #[schema(min_length = 1, max_length = 533_336)]
    data: String,
}

impl PartialSchema for Body {
    fn schema() -> RefOr<Schema> {
        let variants = [
            (Some("text"), "TextBody".to_owned()),
            (Some("cipher"), "CipherBody".to_owned()),
        ];
        tagged("type", variants, "What a message says.")
    }
}

impl ToSchema for Body {
    fn schemas(components: &mut Components) {
        let text = [tag("type", "text").into(), reference::<TextFields>()];
        let cipher = [tag("type", "cipher").into(), reference::<CipherFields>()];
        components.push(("TextBody".to_owned(), all_of(text)));
        components.push(("CipherBody".to_owned(), all_of(cipher)));
        add::<TextFields>(components);
        add::<CipherFields>(components);
    }
}
