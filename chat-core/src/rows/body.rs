//! What a message says, as rows hold it.

use std::error::Error;

use chat_proto::Body;

/// A body that is a text and nothing else, as its UTF-8.
const FORM_TEXT: i8 = 0;
/// Any other body, as the JSON of the wire.
const FORM_JSON: i8 = 1;
/// How many forms there are; numbers from here on are a store's own.
pub const BODY_FORMS: i8 = 2;

/// A body as it is stored: how it is to be read, and its bytes.
pub type PreparedBody = (i8, Vec<u8>);

/// The body as it is stored.
///
/// # Errors
/// Never for bodies that were parsed; the type of the serializer.
pub fn encode_body(body: Body) -> Result<PreparedBody, serde_json::Error> {
    match body {
        Body::Text {
            text,
            attachments,
            data: None,
        } if attachments.is_empty() => Ok((FORM_TEXT, text.into_bytes())),
        other => serde_json::to_vec(&other).map(|json| (FORM_JSON, json)),
    }
}

/// The body that was stored so.
///
/// # Errors
/// For what [`encode_body`] did not write.
pub fn decode_body(form: i8, bytes: &[u8]) -> Result<Body, Box<dyn Error + Send + Sync>> {
    match form {
        FORM_TEXT => Ok(Body::text(std::str::from_utf8(bytes)?)),
        FORM_JSON => Ok(serde_json::from_slice(bytes)?),
        _ => Err("no such form of a body".into()),
    }
}
