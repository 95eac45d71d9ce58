//! The published JSON Schema is what the types say, takes every golden vector, and takes no frame that is refused for a
//! form that a schema can tell.

use std::path::PathBuf;

use chat_proto::UserId;
use chat_proto::schema::protocol;
use jsonschema::Validator;
use serde_json::{Value, json};

/// Vectors that are refused for what no schema sees: keys that occur twice, the spelling of numbers, depth.
const UNSEEN: [&str; 6] = [
    "fractional id",
    "id twice",
    "op twice",
    "a key twice in opaque data",
    "a key twice, once escaped",
    "nested too deep",
];

#[test]
fn the_schema_is_as_published() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.schema.json");
    let current = serde_json::to_string_pretty(&protocol()).expect("a schema is JSON") + "\n";
    if std::env::var_os("CHAT_SCHEMA").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, &current).expect("the folder of documents is writable");
    }
    let published = std::fs::read_to_string(&path).expect("the schema is there");
    for (line, (published, current)) in published.lines().zip(current.lines()).enumerate() {
        let hint = "write it anew with CHAT_SCHEMA=write";
        assert_eq!(published, current, "line {}: {hint}", line + 1);
    }
    assert_eq!(published, current);
}

#[test]
fn the_schema_takes_every_frame_of_a_client() {
    let schema = of("ClientFrame");
    let vectors = vectors("client.json");
    assert!(!vectors.is_empty());
    for vector in vectors {
        assert_valid(&schema, &vector["frame"], &vector["name"]);
    }
}

#[test]
fn the_schema_takes_every_frame_of_a_server_and_the_answer_that_it_carries() {
    let schema = of("ServerFrame");
    let vectors = vectors("server.json");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (frame, name) = (&vector["frame"], &vector["name"]);
        assert_valid(&schema, frame, name);
        if let Some(answers) = vector["answers"].as_str() {
            assert_valid(&of(answer_to(answers)), frame, name);
        }
    }
}

#[test]
fn the_schema_takes_no_frame_that_is_refused_for_its_form() {
    let schema = of("ClientFrame");
    let mut unseen = Vec::new();
    for vector in vectors("refused.json") {
        let name = vector["name"].as_str().expect("a vector has a name");
        let Some(text) = vector["json"].as_str() else {
            continue;
        };
        // What is no JSON at all is not for a schema to judge.
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            continue;
        };
        if schema.is_valid(&frame) {
            unseen.push(name.to_owned());
        }
    }
    assert_eq!(unseen, UNSEEN);
}

#[test]
fn the_schema_tells_user_ids_as_the_reader_does() {
    let schema = of("UserId");
    for c in '\0'..=char::MAX {
        let text = c.to_string();
        let taken = text.parse::<UserId>().is_ok();
        assert_eq!(schema.is_valid(&json!(text)), taken, "{c:?}");
    }
}

#[test]
fn an_entry_has_the_fields_of_its_kind() {
    let schema = of("Entry");
    let entry = |more: Value| {
        let mut entry = json!({"seq": 1, "n": 1, "message": "7", "at": 2, "from": "alice"});
        let fields = entry.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        entry
    };
    for good in [
        json!({"kind": "delete", "target": 1}),
        json!({"kind": "edit", "target": 1, "body": null}),
        json!({"kind": "withheld"}),
        json!({"kind": "x_poll", "target": "whatever"}),
    ] {
        assert!(schema.is_valid(&entry(good.clone())), "{good}");
    }
    for bad in [
        json!({"kind": "delete"}),
        json!({"kind": "react", "target": 1}),
        json!({"kind": "message", "client_id": 1}),
        json!({"kind": "withheld", "from": "a b"}),
        json!({}),
    ] {
        assert!(!schema.is_valid(&entry(bad.clone())), "{bad}");
    }
}

/// The part of the schema with this name.
fn of(name: &str) -> Validator {
    let mut schema = protocol();
    let fields = schema.as_object_mut().expect("a schema is an object");
    fields.remove("anyOf");
    fields.insert("$ref".to_owned(), json!(format!("#/$defs/{name}")));
    jsonschema::draft202012::new(&schema).expect("a sound schema")
}

fn answer_to(op: &str) -> &'static str {
    match op {
        "hello" => "HelloAnswer",
        "sync" => "SyncAnswer",
        "send" => "SendAnswer",
        "pull" => "PullAnswer",
        "history" => "HistoryAnswer",
        "edit" => "ChangeAnswer",
        "prefs" => "PrefsAnswer",
        "receipts" => "ReceiptsAnswer",
        "watch" => "WatchAnswer",
        "read" => "DoneAnswer",
        other => panic!("nothing answers {other}"),
    }
}

fn vectors(file: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text = std::fs::read_to_string(path.join(file)).expect("the vectors are there");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn assert_valid(schema: &Validator, value: &Value, name: &Value) {
    let faults: Vec<String> = schema
        .iter_errors(value)
        .map(|fault| format!("{} at {}", fault, fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:?}");
}
