//! Sessions without a socket, in the process and on a paused clock.

use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use chat_core::memory::MemoryStore;
use chat_core::ports::{Authenticator, Identity, PortError};
use chat_core::proto::{DeviceId, UserId};
use chat_core::{Draft, Engine};
use chat_transport_ws::{TransportSettings, router_with};
use futures_util::StreamExt;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, timeout};
use tower::ServiceExt;

/// Longer than anything that is awaited; the clock is paused, so it costs nothing.
const DEADLINE: Duration = Duration::from_secs(200);

/// Takes `user/1` for a token of this user's first device.
struct Trusting;

#[async_trait]
impl Authenticator for Trusting {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        Ok(identity(token))
    }
}

fn identity(token: &str) -> Option<Identity> {
    let (user, device) = token.split_once('/')?;
    let device = format!("5f0a2a0e-0000-4000-8000-00000000000{device}");
    Some(Identity::new(
        user.parse().ok()?,
        device.parse::<DeviceId>().ok()?,
    ))
}

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

#[derive(Clone)]
struct App {
    engine: Engine,
    router: Router,
    settings: TransportSettings,
}

impl App {
    fn new(change: impl FnOnce(&mut TransportSettings)) -> Self {
        let engine = Engine::builder()
            .messages(MemoryStore::new())
            .authenticator(Trusting);
        let engine = engine.build().expect("all it needs");
        let mut settings = TransportSettings::default();
        change(&mut settings);
        Self {
            router: router_with(engine.clone(), settings.clone()),
            engine,
            settings,
        }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        let answered = self.router.clone().oneshot(request.expect("a request"));
        let response = answered.await.expect("infallible");
        let status = response.status().as_u16();
        let body = timeout(DEADLINE, response.into_body().collect()).await;
        let body = body.expect("in time").expect("sound").to_bytes();
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).expect("JSON")
        };
        (status, body)
    }

    /// Opens a session; its path.
    async fn open(&self, token: &str) -> String {
        let hello = json!({"client": "t/1"});
        let (status, opened) = self.ask("POST", "/v1/poll", token, Some(hello)).await;
        assert_eq!(status, 201, "{opened}");
        format!("/v1/poll/{}", opened["session"].as_str().expect("text"))
    }

    async fn poll(&self, token: &str, path: &str, query: &str) -> (u16, Value) {
        self.ask("GET", &format!("{path}?{query}"), token, None)
            .await
    }

    fn polling(&self, token: &'static str, path: &str, query: &str) -> JoinHandle<(u16, Value)> {
        let (app, path, query) = (self.clone(), path.to_owned(), query.to_owned());
        tokio::spawn(async move { app.poll(token, &path, &query).await })
    }

    async fn say(&self, words: &str) {
        let draft = Draft::direct(&user("bob"), words);
        let sent = self.engine.send(&user("alice"), draft).await;
        sent.expect("it is sent");
    }
}

fn texts(answer: &Value) -> Vec<&str> {
    let frames = answer["frames"].as_array().expect("a list");
    let text = |frame: &'_ Value| frame["entry"]["body"]["text"].is_string();
    frames
        .iter()
        .filter(|frame| text(frame))
        .map(|frame| frame["entry"]["body"]["text"].as_str().unwrap_or_default())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_for_frames_and_a_lost_answer_is_sent_again() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let polling = app.polling("bob/1", &path, "after=0");
    tokio::task::yield_now().await;
    app.say("one").await;
    let (status, lost) = polling.await.expect("no panic");
    assert_eq!(status, 200);
    // The channel's creation and the message are two entries; they may come in one answer or two.
    app.say("two").await;
    let (_, again) = app.poll("bob/1", &path, "after=0&wait_ms=0").await;
    assert_eq!(
        again["frames"][0], lost["frames"][0],
        "again, from the first on"
    );
    let mut seen: Vec<String> = Vec::new();
    let mut after = 0;
    while seen.len() < 2 {
        let (_, answer) = app.poll("bob/1", &path, &format!("after={after}")).await;
        seen.extend(texts(&answer).into_iter().map(str::to_owned));
        after = answer["ack"].as_u64().expect("a number");
    }
    assert_eq!(seen, ["one", "two"], "each once for who acknowledges");
    let began = Instant::now();
    let (_, nothing) = app
        .poll("bob/1", &path, &format!("after={after}&wait_ms=3000"))
        .await;
    assert_eq!(nothing, json!({"frames": [], "ack": after}));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_no_longer_or_not_yet_there_ends_the_session() {
    let app = App::new(|_| {});
    for wrong in ["after=0", "after=99"] {
        let path = app.open("bob/1").await;
        app.say("hello").await;
        let (_, answer) = app.poll("bob/1", &path, "").await;
        let ack = answer["ack"].as_u64().expect("a number");
        assert!(ack > 0);
        app.poll("bob/1", &path, &format!("after={ack}&wait_ms=0"))
            .await;
        let (status, refused) = app.poll("bob/1", &path, wrong).await;
        assert_eq!((status, &refused["code"]), (404, &json!("not_found")));
        let (status, _) = app.poll("bob/1", &path, "wait_ms=0").await;
        assert_eq!(status, 404, "so that the client syncs");
    }
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_nobody_elses() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let session = path.rsplit('/').next().expect("a name");
    let sync = Some(json!({"op": "sync"}));
    for other in ["alice/1", "bob/2"] {
        let op = format!("/v1/op?session={session}");
        let stream = format!("{path}/stream");
        for (method, path, body) in [
            ("GET", &path, None),
            ("GET", &stream, None),
            ("DELETE", &path, None),
            ("POST", &op, sync.clone()),
        ] {
            let (status, refused) = app.ask(method, path, other, body).await;
            assert_eq!(
                (status, &refused["code"]),
                (404, &json!("not_found")),
                "{method} {path} by {other}"
            );
        }
    }
    assert_eq!(app.poll("bob/1", &path, "wait_ms=0").await.0, 200);
    assert_eq!(app.ask("DELETE", &path, "bob/1", None).await.0, 204);
    assert_eq!(app.poll("bob/1", &path, "wait_ms=0").await.0, 404);
    assert_eq!(app.engine.session_count(), 0);
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_after_thirty_seconds_without_a_request() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    for _ in 0..3 {
        advance(Duration::from_secs(25)).await;
        assert_eq!(app.poll("bob/1", &path, "wait_ms=0").await.0, 200);
    }
    // An open poll is a sign of life as long as it lasts.
    let (status, answer) = app.poll("bob/1", &path, "wait_ms=60000").await;
    assert_eq!((status, &answer["close"]), (200, &Value::Null));
    let began = Instant::now();
    let ended = async {
        while app.engine.session_count() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, ended).await.expect("it ends");
    let silent = began.elapsed();
    assert!(
        (Duration::from_secs(29)..=Duration::from_secs(32)).contains(&silent),
        "{silent:?}"
    );
    let (_, told) = app.poll("bob/1", &path, "").await;
    assert_eq!(told["close"], 4009, "who comes back at once is told why");
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(app.poll("bob/1", &path, "").await.0, 404);
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_devices_next_session_replaces_its_first_whatever_the_transport() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let polling = app.polling("bob/1", &path, "");
    tokio::task::yield_now().await;
    let identity = identity("bob/1").expect("a good token");
    let embedded = app.engine.connect(&identity.user, identity.device).await;
    let (_, told) = polling.await.expect("no panic");
    assert_eq!(told["frames"][0]["reason"], "replaced");
    assert_eq!(told["close"], 4001);
    let other = app.open("bob/1").await;
    drop(embedded);
    // Nobody polled when the third came; the second still hears of it.
    app.open("bob/1").await;
    let (_, told) = app.poll("bob/1", &other, "").await;
    assert_eq!(
        (&told["frames"][0]["reason"], &told["close"]),
        (&json!("replaced"), &json!(4001))
    );
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_later_poll_takes_the_place_of_an_earlier_one() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let first = app.polling("bob/1", &path, "");
    tokio::task::yield_now().await;
    let second = app.polling("bob/1", &path, "");
    let (status, answer) = first.await.expect("no panic");
    assert_eq!((status, answer), (200, json!({"frames": []})));
    app.say("hello").await;
    let (_, answer) = second.await.expect("no panic");
    assert_eq!(answer["frames"][0]["op"], "entry");
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_session_are_answered_and_not_told_again() {
    let app = App::new(|_| {});
    let path = app.open("alice/1").await;
    let session = path.rsplit('/').next().expect("a name");
    let send = json!({
        "op": "send", "to": {"user": "bob"}, "client_id": "5f0a2a0e-0000-4000-8000-000000000002",
        "body": {"type": "text", "text": "mine"},
    });
    let op = format!("/v1/op?session={session}");
    let (status, sent) = app.ask("POST", &op, "alice/1", Some(send.clone())).await;
    assert_eq!((status, &sent["seq"]), (200, &json!(2)), "{sent}");
    let (_, again) = app.ask("POST", &op, "alice/1", Some(send)).await;
    assert_eq!(again["duplicate"], true);
    let pull = json!({"op": "pull", "channel": sent["channel"], "after": 0});
    let (_, pulled) = app.ask("POST", &op, "alice/1", Some(pull)).await;
    assert_eq!(pulled["entries"].as_array().map(Vec::len), Some(2));
    let bad = json!({"op": "send"});
    assert_eq!(app.ask("POST", &op, "alice/1", Some(bad)).await.0, 400);
    // The channel's creation is told, the message is not.
    let (_, fetched) = app.poll("alice/1", &path, "wait_ms=0").await;
    assert!(texts(&fetched).is_empty(), "{fetched}");
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fetches_nothing_is_told_the_heads_in_a_bounded_answer() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let words = "x".repeat(50_000);
    for _ in 0..40 {
        app.say(&words).await;
    }
    let (_, answer) = app.poll("bob/1", &path, "").await;
    assert_eq!(answer["frames"][0]["op"], "heads");
    let bytes = answer.to_string().len();
    assert!(bytes < 512 * 1024, "{bytes}");
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_numbered_events_goes_on_where_it_broke_and_says_that_it_is_alive() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let stream = async |last: Option<&str>| {
        let mut request =
            Request::get(format!("{path}/stream")).header("Authorization", "Bearer bob/1");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = app
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body().into_data_stream()
    };
    let mut first = stream(None).await;
    let next = async |stream: &mut axum::body::BodyDataStream| {
        let bytes = timeout(DEADLINE, stream.next()).await.expect("in time");
        let bytes = bytes.map(|bytes| bytes.expect("sound").to_vec());
        bytes.map(|bytes| String::from_utf8(bytes).expect("text"))
    };
    let began = Instant::now();
    assert_eq!(next(&mut first).await.as_deref(), Some(":\n\n"));
    assert!(began.elapsed() < Duration::from_secs(15));
    app.say("one").await;
    let event = next(&mut first).await.expect("it goes on");
    assert!(
        event.starts_with("id: 1\ndata: {\"op\":\"entry\""),
        "{event}"
    );
    drop(first);
    app.say("two").await;
    let mut again = stream(Some("0")).await;
    let events = next(&mut again).await.expect("it goes on");
    assert!(events.starts_with("id: 1\n"), "{events}");
    let identity = identity("bob/1").expect("a good token");
    app.engine.revoke(&identity.user, identity.device).await;
    let mut rest = String::new();
    while let Some(events) = next(&mut again).await {
        rest.push_str(&events);
    }
    assert!(rest.contains("\"reason\":\"revoked\""), "{rest}");
    assert!(
        rest.ends_with("event: close\ndata: {\"code\":4003}\n\n"),
        "{rest}"
    );
    assert_eq!(app.engine.session_count(), 0);
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_and_no_more() {
    let app = App::new(|settings| {
        settings.poll_sessions_max = 3;
        settings.poll_sessions_per_user_max = 2;
    });
    let refused = async |token: &str| {
        let hello = json!({"client": "t/1"});
        let (status, refusal) = app.ask("POST", "/v1/poll", token, Some(hello)).await;
        assert!(refusal["retry_after_ms"].is_u64(), "{refusal}");
        status
    };
    let first = app.open("bob/1").await;
    app.open("bob/2").await;
    assert_eq!(refused("bob/3").await, 429);
    app.open("alice/1").await;
    assert_eq!(refused("alice/2").await, 503);
    app.ask("DELETE", &first, "bob/1", None).await;
    let admitted = async {
        while app
            .ask("POST", "/v1/poll", "bob/3", Some(json!({"client": "t/1"})))
            .await
            .0
            != 201
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, admitted)
        .await
        .expect("there is room again");
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_refused() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    for query in ["wait_ms=60001", "wait_ms=-1", "after=x"] {
        let (status, refused) = app.poll("bob/1", &path, query).await;
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("bad_request")),
            "{query}"
        );
    }
    for hello in [
        json!({}),
        json!({"client": ""}),
        json!({"client": "t/1", "heartbeat_ms": 1}),
    ] {
        let (status, _) = app.ask("POST", "/v1/poll", "bob/1", Some(hello)).await;
        assert_eq!(status, 400);
    }
    assert_eq!(app.poll("bob/1", "/v1/poll/nonsense", "").await.0, 400);
    app.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn every_task_ends_when_the_server_stops() {
    let app = App::new(|_| {});
    let path = app.open("bob/1").await;
    let unheard = app.open("carol/1").await;
    let polling = app.polling("bob/1", &path, "");
    tokio::task::yield_now().await;
    app.engine.drain(Duration::from_millis(100)).await;
    let (_, told) = polling.await.expect("no panic");
    assert_eq!(
        (&told["frames"][0]["reason"], &told["close"]),
        (&json!("drain"), &json!(4001)),
        "{told}"
    );
    let hello = json!({"client": "t/1"});
    assert_eq!(
        app.ask("POST", "/v1/poll", "bob/1", Some(hello)).await.0,
        503
    );
    app.settings.tasks.close();
    let began = Instant::now();
    app.settings.tasks.wait().await;
    assert!(
        began.elapsed() <= app.settings.close_wait_max,
        "{:?}",
        began.elapsed()
    );
    assert_eq!(app.poll("carol/1", &unheard, "").await.0, 404);
    app.engine.shutdown().await;
}
