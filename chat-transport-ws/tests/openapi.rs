//! The document says what the router does: the same paths and methods, and answers of the form that it names.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use chat_core::Engine;
use chat_core::memory::MemoryStore;
use chat_core::ports::{Authenticator, Identity, PortError};
use chat_core::proto::DeviceId;
use chat_transport_ws::openapi::{document, documented};
use chat_transport_ws::{TransportSettings, router_beside};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const CHANNEL: &str = "00000000-0000-4000-8000-00000000000c";
const MESSAGE: &str = "00000000-0000-4000-8000-00000000000d";
const REACTION: &str = "00000000-0000-4000-8000-00000000000e";
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// Takes any user id for a token.
struct Trusting;

#[async_trait]
impl Authenticator for Trusting {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        let device = "5f0a2a0e-0000-4000-8000-000000000001".parse::<DeviceId>();
        let user = token.parse().ok();
        Ok(user
            .zip(device.ok())
            .map(|(user, device)| Identity::new(user, device)))
    }
}

struct App {
    router: Router,
    document: Value,
}

struct Answer {
    status: StatusCode,
    allow: Option<String>,
    body: Value,
}

impl App {
    fn new() -> Self {
        let engine = Engine::builder()
            .messages(MemoryStore::new())
            .users(MemoryStore::new())
            .authenticator(Trusting);
        let engine = engine.build().expect("all it needs");
        let document = document();
        let settings = TransportSettings::default();
        Self {
            router: router_beside(engine, settings, documented(&document)),
            document: serde_json::to_value(&document).expect("a document is JSON"),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let request = request.expect("a request");
        let response = self.router.clone().oneshot(request).await;
        let response = response.expect("a router cannot fail");
        let status = response.status();
        let allow = response.headers().get(header::ALLOW);
        let allow = allow.map(|allow| allow.to_str().expect("methods are text").to_owned());
        let body = response.into_body().collect().await.expect("a body");
        let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
        Answer {
            status,
            allow,
            body,
        }
    }

    /// Asks as alice, and holds the answer to what the document says of the operation.
    async fn checked(
        &self,
        method: Method,
        template: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let answer = self.ask(method.clone(), path, Some("alice"), body).await;
        self.check(&method, template, &answer);
        answer
    }

    fn check(&self, method: &Method, template: &str, answer: &Answer) {
        let operation = &self.document["paths"][template][method.as_str().to_lowercase()];
        let status = answer.status.as_str();
        let response = &operation["responses"][status];
        assert!(!response.is_null(), "{method} {template} answers {status}");
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            assert_eq!(answer.body, Value::Null, "{method} {template} {status}");
            return;
        }
        let whole = json!({"allOf": [schema], "components": self.document["components"]});
        let schema = jsonschema::draft202012::new(&whole).expect("a sound schema");
        let faults: Vec<String> = schema
            .iter_errors(&answer.body)
            .map(|fault| format!("{} at {}", fault, fault.instance_path()))
            .collect();
        assert!(
            faults.is_empty(),
            "{method} {template} {status}: {faults:?}"
        );
    }

    fn operations(&self) -> BTreeMap<String, BTreeSet<String>> {
        let paths = self.document["paths"].as_object().expect("paths");
        let operations = paths.iter().map(|(path, methods)| {
            let methods = methods.as_object().expect("operations").keys();
            (
                path.clone(),
                methods.map(|method| method.to_uppercase()).collect(),
            )
        });
        operations.collect()
    }
}

fn filled(template: &str) -> String {
    template
        .replace("{channel}", CHANNEL)
        .replace("{session}", CHANNEL)
        .replace("{user}", "bob")
}

#[tokio::test]
async fn every_path_takes_the_methods_that_are_documented_and_no_others() {
    let app = App::new();
    let operations = app.operations();
    assert_eq!(operations.len(), 16);
    for (template, documented) in operations {
        let other = METHODS
            .into_iter()
            .find(|method| !documented.contains(method.as_str()));
        let other = other.expect("no path takes all methods");
        let refused = app
            .ask(other, &filled(&template), Some("alice"), None)
            .await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{template}");
        let allowed = refused.allow.expect("methods that the path takes");
        let allowed = allowed.split(',').map(|method| method.trim().to_owned());
        let allowed: BTreeSet<String> = allowed.filter(|method| method != "HEAD").collect();
        assert_eq!(allowed, documented, "{template}");
    }
}

#[tokio::test]
async fn every_operation_that_needs_a_token_says_so_and_refuses_without() {
    let app = App::new();
    for (template, methods) in app.operations() {
        for method in methods {
            let method: Method = method.parse().expect("a method");
            let answer = app
                .ask(method.clone(), &filled(&template), None, None)
                .await;
            app.check(&method, &template, &answer);
            let operation = &app.document["paths"][&template][method.as_str().to_lowercase()];
            let secured = operation["security"] == json!([{"bearer": []}]);
            let refused = answer.status == StatusCode::UNAUTHORIZED;
            assert_eq!(secured, refused, "{method} {template}");
        }
    }
}

#[tokio::test]
async fn answers_have_the_form_that_is_documented() {
    let app = App::new();
    let group = json!({"client_id": CHANNEL, "title": "Tea", "members": ["bob"]});
    let made = app
        .checked(Method::POST, "/v1/channels", "/v1/channels", Some(&group))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let id = made.body["channel"].as_str().expect("an id").to_owned();
    let one = "/v1/channels/{channel}";
    let at = format!("/v1/channels/{id}");
    let message = json!({"client_id": MESSAGE, "body": {"type": "text", "text": "hello"}});
    let op = json!({"op": "react", "channel": id, "seq": 2, "client_id": REACTION, "emoji": "+1"});
    let asked = [
        (
            Method::POST,
            "/messages",
            "/messages".to_owned(),
            Some(message),
            200,
        ),
        (
            Method::POST,
            "/messages",
            "/messages".to_owned(),
            Some(json!({})),
            400,
        ),
        (
            Method::GET,
            "/messages",
            "/messages?limit=5".to_owned(),
            None,
            200,
        ),
        (
            Method::GET,
            "/messages",
            "/messages?limit=0".to_owned(),
            None,
            400,
        ),
        (Method::GET, "/entries", "/entries".to_owned(), None, 200),
        (Method::GET, "/members", "/members".to_owned(), None, 200),
        (
            Method::PUT,
            "/members/{user}",
            "/members/bob".to_owned(),
            Some(json!({"role": "admin"})),
            200,
        ),
        (
            Method::PATCH,
            "",
            String::new(),
            Some(json!({"title": "Coffee"})),
            200,
        ),
        (Method::GET, "", String::new(), None, 200),
        (
            Method::DELETE,
            "/members/{user}",
            "/members/bob".to_owned(),
            None,
            200,
        ),
    ];
    for (method, template, path, body, status) in asked {
        let answer = app
            .checked(
                method,
                &format!("{one}{template}"),
                &format!("{at}{path}"),
                body.as_ref(),
            )
            .await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
    }
    let open = json!({"client": "t/1"});
    for (method, template, path, body, status) in [
        (Method::POST, "/v1/op", "/v1/op", Some(&op), 200),
        (Method::POST, "/v1/op", "/v1/op", Some(&open), 400),
        (Method::POST, "/v1/poll", "/v1/poll", Some(&open), 201),
        (Method::GET, "/v1/contacts", "/v1/contacts", None, 200),
        (
            Method::PUT,
            "/v1/contacts/{user}",
            "/v1/contacts/bob",
            None,
            200,
        ),
        (
            Method::DELETE,
            "/v1/contacts/{user}",
            "/v1/contacts/bob",
            None,
            204,
        ),
        (
            Method::PUT,
            "/v1/blocks/{user}",
            "/v1/blocks/bob",
            None,
            200,
        ),
        (Method::GET, "/v1/blocks", "/v1/blocks?limit=1", None, 200),
        (
            Method::DELETE,
            "/v1/blocks/{user}",
            "/v1/blocks/bob",
            None,
            204,
        ),
    ] {
        let answer = app.checked(method, template, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_document_is_served_and_is_of_version_3_1() {
    let app = App::new();
    let served = app.ask(Method::GET, "/v1/openapi.json", None, None).await;
    assert_eq!(served.status, StatusCode::OK);
    assert_eq!(served.body, app.document);
    let version = served.body["openapi"].as_str().expect("a version");
    assert!(version.starts_with("3.1"), "{version}");
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document = serde_json::to_value(document()).expect("a document is JSON");
    let mut left = vec![&document];
    let mut found = 0;
    while let Some(value) = left.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
            found += 1;
        }
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => left.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(found > 100);
}
