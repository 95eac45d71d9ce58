//! What a message says.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::MediaId;
use crate::limits::Limits;
use crate::rejection::Rejection;

/// A message's body: text that the server can read, or a cipher that it cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// Stored and returned byte for byte.
    Text {
        /// 1 to 100,000 Unicode scalar values; 0 with an attachment.
        text: String,
        /// Files that go with it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
        /// Opaque to the server, for the embedding program.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Map<String, Value>>,
    },
    /// Encrypted by the clients; the server only orders it.
    Cipher {
        /// How.
        scheme: CipherScheme,
        /// Base64 with padding.
        data: String,
    },
}

/// The end-to-end encryption of a cipher body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CipherScheme {
    /// Messaging Layer Security, RFC 9420.
    Mls,
}

/// A file that goes with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// The uploaded file.
    pub media: MediaId,
    /// As the sender's device names it.
    #[cfg_attr(feature = "schema", schema(max_length = 500))]
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Media type, as `image/png`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schema(max_length = 255))]
    pub media_type: String,
}

impl Body {
    /// A plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            attachments: Vec::new(),
            data: None,
        }
    }

    /// Checks the body against a server's limits.
    ///
    /// # Errors
    /// `too_large` for what exceeds a limit, `bad_request` for what is empty or malformed.
    pub fn check(&self, limits: &Limits) -> Result<(), Rejection> {
        match self {
            Self::Text {
                text,
                attachments,
                data,
            } => {
                if text.is_empty() && attachments.is_empty() {
                    return Err(Rejection::bad_request(
                        "a text has at least 1 character, or an attachment",
                    ));
                }
                // The byte length bounds the scalar count, so that short texts are not counted.
                if text.len() > limits.text_chars_max
                    && text.chars().count() > limits.text_chars_max
                {
                    return Err(Rejection::too_large(format!(
                        "a text has at most {} characters",
                        limits.text_chars_max
                    )));
                }
                if attachments.len() > limits.attachments_max {
                    return Err(Rejection::too_large(format!(
                        "a message has at most {} attachments",
                        limits.attachments_max
                    )));
                }
                if attachments.iter().any(|a| {
                    a.name.chars().count() > limits.title_chars_max || a.media_type.len() > 255
                }) {
                    return Err(Rejection::too_large(
                        "an attachment's name or type is too long",
                    ));
                }
                data.as_ref()
                    .map_or(Ok(()), |data| check_data(data, limits))
            }
            Self::Cipher {
                scheme: CipherScheme::Mls,
                data,
            } => {
                // Four base64 characters carry three bytes; the same room as the longest text in UTF-8.
                if data.len() / 4 * 3 > limits.text_chars_max * 4 {
                    return Err(Rejection::too_large(format!(
                        "a cipher has at most {} bytes",
                        limits.text_chars_max * 4
                    )));
                }
                match BASE64.decode(data) {
                    Ok(bytes) if !bytes.is_empty() => Ok(()),
                    Ok(_) => Err(Rejection::bad_request("a cipher is not empty")),
                    Err(_) => Err(Rejection::bad_request(
                        "a cipher's data is base64 with padding",
                    )),
                }
            }
        }
    }

    /// Roughly the bytes that the body occupies; what queues and pages count.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Text {
                text,
                attachments,
                data,
            } => {
                let attached: usize = attachments
                    .iter()
                    .map(|a| 96 + a.name.len() + a.media_type.len())
                    .sum();
                text.len() + attached + data.as_ref().map_or(0, data_bytes)
            }
            Self::Cipher { data, .. } => data.len(),
        }
    }
}

/// Checks the opaque `data` of a message or a channel.
///
/// # Errors
/// `too_large` beyond `data_bytes_max` bytes of JSON.
pub fn check_data(data: &Map<String, Value>, limits: &Limits) -> Result<(), Rejection> {
    if data_bytes(data) > limits.data_bytes_max {
        return Err(Rejection::too_large(format!(
            "data has at most {} bytes as JSON",
            limits.data_bytes_max
        )));
    }
    Ok(())
}

fn data_bytes(data: &Map<String, Value>) -> usize {
    serde_json::to_vec(data).map_or(usize::MAX, |json| json.len())
}

impl<'de> Deserialize<'de> for Body {
    // By hand: a derived reader of a tagged enum first copies everything into a buffer, and texts may be long.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a body: an object with `type` text or cipher")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body, A::Error> {
        let (mut kind, mut text, mut attachments, mut scheme, mut data) =
            (None, None, None, None, None);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Type => kind = Some(map.next_value::<String>()?),
                Key::Text => text = map.next_value::<Option<String>>()?,
                Key::Attachments => attachments = map.next_value::<Option<Vec<Attachment>>>()?,
                Key::Scheme => scheme = map.next_value::<Option<CipherScheme>>()?,
                Key::Data => data = map.next_value::<Option<Value>>()?,
                Key::Other => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        match kind.as_deref() {
            Some("text") => Ok(Body::Text {
                text: text.unwrap_or_default(),
                attachments: attachments.unwrap_or_default(),
                data: match data {
                    None => None,
                    Some(Value::Object(data)) => Some(data),
                    Some(_) => return Err(de::Error::custom("a text's data is an object")),
                },
            }),
            Some("cipher") => Ok(Body::Cipher {
                scheme: scheme.ok_or_else(|| de::Error::missing_field("scheme"))?,
                data: match data {
                    Some(Value::String(data)) => data,
                    _ => return Err(de::Error::custom("a cipher's data is base64 text")),
                },
            }),
            Some(_) => Err(de::Error::custom("a body's type is text or cipher")),
            None => Err(de::Error::missing_field("type")),
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Type,
    Text,
    Attachments,
    Scheme,
    Data,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::Code;

    fn code(body: &Body) -> Option<Code> {
        body.check(&Limits::default())
            .err()
            .map(|rejection| rejection.code)
    }

    #[test]
    fn characters_are_scalar_values_not_bytes() {
        assert_eq!(code(&Body::text("\u{1F600}".repeat(100_000))), None);
        assert_eq!(code(&Body::text("a".repeat(100_001))), Some(Code::TooLarge));
        assert_eq!(
            code(&Body::text("\u{1F600}".repeat(100_001))),
            Some(Code::TooLarge)
        );
        assert_eq!(code(&Body::text("")), Some(Code::BadRequest));
    }

    #[test]
    fn every_text_returns_byte_for_byte() {
        for text in naughty_strings::BLNS
            .iter()
            .filter(|text| !text.is_empty())
            .chain(&["\u{0}", "a\u{0}b", "\u{FEFF}x"])
        {
            let body = Body::text(*text);
            let json = serde_json::to_vec(&body).expect("a body is JSON");
            assert_eq!(
                serde_json::from_slice::<Body>(&json).expect("as written"),
                body
            );
            let packed = rmp_serde::to_vec_named(&body).expect("a body is MessagePack");
            assert_eq!(
                rmp_serde::from_slice::<Body>(&packed).expect("as written"),
                body
            );
        }
    }

    #[test]
    fn ciphers_are_base64() {
        let cipher = |data: &str| Body::Cipher {
            scheme: CipherScheme::Mls,
            data: data.into(),
        };
        assert_eq!(code(&cipher("AAEC")), None);
        assert_eq!(code(&cipher("AAE")), Some(Code::BadRequest));
        assert_eq!(code(&cipher("")), Some(Code::BadRequest));
    }

    #[test]
    fn what_is_not_a_body_is_refused() {
        for json in [
            "{}",
            "[]",
            "null",
            r#"{"type":"text","text":1}"#,
            r#"{"type":"x"}"#,
            r#"{"type":"text","data":[]}"#,
        ] {
            assert!(serde_json::from_str::<Body>(json).is_err(), "{json}");
        }
        let known =
            serde_json::from_str::<Body>(r#"{"type":"text","text":"a","data":null,"new":{"x":1}}"#);
        assert_eq!(known.ok(), Some(Body::text("a")));
    }
}
