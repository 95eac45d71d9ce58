//! All of it as one JSON Schema.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::parts::{Components, add};
use crate::wire::{ClientFrame, ServerFrame};

/// Where an OpenAPI document keeps its schemas.
const OPENAPI_PREFIX: &str = "#/components/schemas/";
/// Where a JSON Schema keeps its own.
const JSON_SCHEMA_PREFIX: &str = "#/$defs/";

/// The protocol as a JSON Schema (draft 2020-12): a frame of a client or of a server, and under `$defs` whatever they
/// consist of, by name.
pub fn protocol() -> Value {
    let mut components = Components::new();
    add::<ClientFrame>(&mut components);
    add::<ServerFrame>(&mut components);
    let definitions: Map<String, Value> = components
        .into_iter()
        .map(|(name, schema)| {
            let schema = serde_json::to_value(schema).expect("a schema is JSON");
            (name, of_json_schema(schema))
        })
        .collect();
    let frame = |name: &str| json!({"$ref": format!("{JSON_SCHEMA_PREFIX}{name}")});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Chat protocol v1",
        "description": "One frame of a client or of a server, as JSON. Fields that are not named here are ignored; null is the same as absent.",
        "anyOf": [frame(&ClientFrame::name()), frame(&ServerFrame::name())],
        "$defs": definitions,
    })
}

/// The same without what only OpenAPI knows.
fn of_json_schema(schema: Value) -> Value {
    match schema {
        Value::String(text) => Value::String(text.replace(OPENAPI_PREFIX, JSON_SCHEMA_PREFIX)),
        Value::Array(items) => items.into_iter().map(of_json_schema).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| name != "discriminator")
            .map(|(name, value)| (name, of_json_schema(value)))
            .collect(),
        other => other,
    }
}
