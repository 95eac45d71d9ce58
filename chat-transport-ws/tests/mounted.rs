//! The router inside a host's own application, and behind the accept loop.

use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use chat_core::Engine;
use chat_core::memory::MemoryStore;
use chat_core::ports::{Authenticator, Identity, PortError};
use chat_core::proto::DeviceId;
use chat_transport_ws::{ServeSettings, TransportSettings, router, router_with, serve};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const DEADLINE: Duration = Duration::from_secs(20);

/// Takes any user id for a token.
struct Trusting;

#[async_trait]
impl Authenticator for Trusting {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        let device = "5f0a2a0e-0000-4000-8000-000000000001".parse::<DeviceId>();
        Ok(token
            .parse()
            .ok()
            .zip(device.ok())
            .map(|(user, device)| Identity::new(user, device)))
    }
}

fn engine() -> Engine {
    let engine = Engine::builder()
        .messages(MemoryStore::new())
        .authenticator(Trusting);
    engine.build().expect("all it needs")
}

/// Served by the accept loop until told to stop.
async fn served(
    router: Router,
    settings: ServeSettings,
) -> (String, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        // A dropped sender stops it too.
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve(listener, router, settings, stopped));
    (address, stop, server)
}

async fn get_raw(address: &str, path: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .await
            .expect("it answers");
        response
    };
    timeout(DEADLINE, exchange).await.expect("in time")
}

async fn log_in(address: &str, path: &str, user: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let opened = tokio_tungstenite::client_async(format!("ws://{address}{path}"), stream).await;
    let (mut socket, response) = opened.expect("it upgrades");
    assert!(
        response.headers().get("sec-websocket-protocol").is_none(),
        "none was asked for"
    );
    let hello = json!({"op": "hello", "id": 1, "token": user, "client": "t/1"});
    socket
        .send(Message::text(hello.to_string()))
        .await
        .expect("it reads");
    assert_eq!(next(&mut socket).await["op"], "ok");
    socket
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let message = timeout(DEADLINE, socket.next()).await.expect("in time");
    match message.expect("open").expect("sound") {
        Message::Close(frame) => json!({"closed": frame.map(|frame| u16::from(frame.code))}),
        message => serde_json::from_str(message.to_text().expect("text")).expect("JSON"),
    }
}

#[tokio::test]
async fn it_mounts_into_a_hosts_own_application() {
    let engine = engine();
    let app = Router::new()
        .route("/", get(|| async { "the host's" }))
        .nest("/chat", router(engine.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    // The host's own way to serve.
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    assert!(get_raw(&address, "/").await.ends_with("the host's"));
    assert!(
        get_raw(&address, "/chat/v1/connect")
            .await
            .contains(&format!("ws://{address}/chat/v1/ws"))
    );
    assert!(
        get_raw(&address, "/chat/v1/nothing")
            .await
            .contains("\"code\":\"not_found\"")
    );
    let mut alice = log_in(&address, "/chat/v1/ws", "alice").await;
    let mut bob = log_in(&address, "/chat/v1/ws", "bob").await;
    let send = json!({
        "op": "send", "id": 2, "to": {"user": "bob"}, "client_id": "5f0a2a0e-0000-4000-8000-000000000002",
        "body": {"type": "text", "text": "hello"},
    });
    alice
        .send(Message::text(send.to_string()))
        .await
        .expect("it reads");
    assert_eq!(next(&mut alice).await["seq"], 2);
    let text = loop {
        let push = next(&mut bob).await;
        if push["entry"]["kind"] == "message" {
            break push["entry"]["body"]["text"].clone();
        }
    };
    assert_eq!(text, "hello");
    engine.shutdown().await;
    server.abort();
}

#[tokio::test]
async fn a_draining_server_takes_no_new_sockets_and_waits_for_the_old() {
    let engine = engine();
    let settings = TransportSettings::default();
    let sockets = settings.tasks.clone();
    let (address, stop, server) = served(
        router_with(engine.clone(), settings),
        ServeSettings::default(),
    )
    .await;
    let mut alice = log_in(&address, "/v1/ws", "alice").await;
    engine.drain(Duration::from_millis(100)).await;
    assert_eq!(next(&mut alice).await["reason"], "drain");
    assert_eq!(next(&mut alice).await["closed"], 4001);
    drop(alice);
    let stream = TcpStream::connect(&address)
        .await
        .expect("it listens still");
    let refused = tokio_tungstenite::client_async(format!("ws://{address}/v1/ws"), stream).await;
    match refused {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "1");
        }
        other => panic!("{other:?}"),
    }
    sockets.close();
    timeout(DEADLINE, sockets.wait())
        .await
        .expect("every socket's task ends");
    stop.send(()).expect("it runs");
    timeout(DEADLINE, server)
        .await
        .expect("it stops")
        .expect("no panic");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_full_server_says_so_until_somebody_leaves() {
    let engine = engine();
    let mut settings = ServeSettings::default();
    settings.connections_max = 1;
    let (address, _stop, _server) = served(router(engine.clone()), settings).await;
    let alice = log_in(&address, "/v1/ws", "alice").await;
    let refusal = get_raw(&address, "/v1/connect").await.to_lowercase();
    assert!(refusal.starts_with("http/1.1 503 "), "{refusal}");
    assert!(
        refusal.contains("retry-after: ") && refusal.contains("\"code\":\"unavailable\""),
        "{refusal}"
    );
    drop(alice);
    let admitted = async {
        while !get_raw(&address, "/v1/connect")
            .await
            .starts_with("HTTP/1.1 200 ")
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, admitted)
        .await
        .expect("a socket that left is counted no longer");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let engine = engine();
    let mut settings = ServeSettings::default();
    settings.head_max = Duration::from_millis(200);
    let (address, _stop, _server) = served(router(engine.clone()), settings).await;
    let mut slow = TcpStream::connect(&address).await.expect("it listens");
    slow.write_all(b"GET /v1/connect HTTP/1.1\r\nHost: ")
        .await
        .expect("it reads");
    let mut response = Vec::new();
    timeout(DEADLINE, slow.read_to_end(&mut response))
        .await
        .expect("it is cut off")
        .expect("without a reset");
    let mut large = TcpStream::connect(&address).await.expect("it listens");
    let head = format!(
        "GET /v1/connect HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    large.write_all(head.as_bytes()).await.expect("it reads");
    let mut response = String::new();
    timeout(DEADLINE, large.read_to_string(&mut response))
        .await
        .expect("it is refused")
        .expect("text");
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    engine.shutdown().await;
}
