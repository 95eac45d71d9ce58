//! Ids, which are text of a certain form.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::id::{
    ChannelId, ClientId, DeviceId, Epoch, MediaId, MessageId, USER_ID_BYTES_MAX, UserId,
};

/// The 36-character form.
const UUID_PATTERN: &str =
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
/// No white space, control or bidirectional-control characters.
const USER_ID_PATTERN: &str = "^[^\\u0000-\\u0020\\u007f-\\u00a0\\u061c\\u1680\\u2000-\\u200a\\u200e\\u200f\\u2028-\\u202f\\u205f\\u2066-\\u2069\\u3000]+$";
/// 64 bits.
const MESSAGE_ID_PATTERN: &str = "^[0-9]{1,20}$";

macro_rules! uuid_schema {
    ($($name:ident: $description:literal;)*) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    text($description)
                        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
                        .pattern(Some(UUID_PATTERN))
                        .into()
                }
            }

            impl ToSchema for $name {}
        )*
    };
}

uuid_schema! {
    ChannelId: "A conversation, which is a log of entries.";
    DeviceId: "One of a user's devices; made at log-in.";
    ClientId: "Made by a client once per command and kept until the command is acknowledged: a retry carries the same.";
    MediaId: "An uploaded file.";
    Epoch: "The life of a set of stores. Cursors of another epoch mean nothing.";
}

impl PartialSchema for UserId {
    fn schema() -> RefOr<Schema> {
        text("Who: 1 to 64 bytes of UTF-8 without white space, control or bidirectional-control characters.")
            .min_length(Some(1))
            .max_length(Some(USER_ID_BYTES_MAX))
            .pattern(Some(USER_ID_PATTERN))
            .into()
    }
}

impl ToSchema for UserId {}

impl PartialSchema for MessageId {
    fn schema() -> RefOr<Schema> {
        text("The name of a message or another entry: a decimal number of 64 bits as text.")
            .pattern(Some(MESSAGE_ID_PATTERN))
            .into()
    }
}

impl ToSchema for MessageId {}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}
