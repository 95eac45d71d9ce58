//! The process, a raw client over any transport, a raw HTTP client.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{self, Message};
use uuid::Uuid;

use crate::over::{Home, Over, Transport};
use crate::polled::{Fetching, Polled};

/// Long enough for a busy machine; nothing that is expected takes nearly as long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &str = "a secret that the host and the server share";

/// A server process; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    transport: Transport,
    pub(crate) admin: Option<String>,
    pub(crate) child: Child,
}

impl Server {
    /// On a fresh home, with the host's tokens accepted.
    pub(crate) async fn fresh_over(over: Over) -> (Self, Home) {
        let home = Home::new(over).await;
        (Self::at(&home, over).await, home)
    }

    /// At this home, with the host's tokens accepted.
    pub(crate) async fn at(home: &Home, over: Over) -> Self {
        let mut command = Self::command(home.path());
        command
            .env("CHAT_AUTH__JWT__HS256_SECRET", SECRET)
            .envs(home.variables());
        Self::run(command, &[]).await.over(over)
    }

    /// Its clients connect over this.
    pub(crate) fn over(mut self, over: Over) -> Self {
        self.transport = over.transport;
        self
    }

    /// On a fresh folder, with the host's tokens accepted.
    pub(crate) async fn fresh() -> (Self, TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        (Self::start(folder.path(), &[]).await, folder)
    }

    /// On this folder, with these further arguments.
    pub(crate) async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Self::command(folder);
        command.env("CHAT_AUTH__JWT__HS256_SECRET", SECRET);
        Self::run(command, arguments).await
    }

    /// On a fresh home, with accounts of its own only.
    pub(crate) async fn without_host_over(over: Over) -> (Self, Home) {
        let home = Home::new(over).await;
        let mut command = Self::command(home.path());
        command.envs(home.variables());
        (Self::run(command, &[]).await.over(over), home)
    }

    /// This command, with these further arguments.
    pub(crate) async fn run(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(arguments)
            .spawn()
            .expect("the server's binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut line = async || {
            let line = timeout(DEADLINE, lines.next_line())
                .await
                .expect("it starts in time");
            line.expect("a pipe").expect("it says where it listens")
        };
        let address = after("listening on http://", &line().await);
        let admin = if arguments.contains(&"--admin-listen") {
            Some(after("admin on http://", &line().await))
        } else {
            None
        };
        Self {
            address,
            transport: Transport::WebSocket,
            admin,
            child,
        }
    }

    /// At this home, told by arguments where its stores are.
    pub(crate) async fn start_chosen(home: &Home) -> Self {
        let chosen = home.chosen();
        let arguments: Vec<&str> = chosen.iter().map(String::as_str).collect();
        Self::start(home.path(), &arguments).await
    }

    /// The binary, not yet running, on a free port and without further settings of the environment.
    pub(crate) fn command(folder: &Path) -> Command {
        let mut command = Self::admin_command(folder);
        command
            .env("CHAT_LISTEN", "127.0.0.1:0")
            .arg("--data")
            .arg(folder.join("data"));
        command
    }

    /// The same without any argument, in this folder.
    pub(crate) fn admin_command(folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CHAT_") || name == "RUST_LOG")
            {
                command.env_remove(name);
            }
        }
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Sends a signal, as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .await
            .expect("kill(1) runs");
        assert!(sent.success());
    }

    /// Kills it at once, as a power cut would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.http("GET", path, Some(token), None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> (u16, Value) {
        self.http("POST", path, Some(token), Some(body)).await
    }

    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        http(&self.address, method, path, token, body).await
    }
}

/// Sends a request with a JSON body, if any; the status and the JSON of the answer.
pub(crate) async fn http(
    address: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> (u16, Value) {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        address
    );
    if let Some(token) = token {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    let body = body.map(|body| body.to_string());
    if let Some(body) = &body {
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ));
    }
    let (status, _, body) =
        raw_http(address, &format!("{head}\r\n{}", body.unwrap_or_default())).await;
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&body).expect("JSON")
    };
    (status, body)
}

fn after(prefix: &str, line: &str) -> String {
    line.strip_prefix(prefix)
        .unwrap_or_else(|| panic!("{line:?} begins with {prefix:?}"))
        .to_owned()
}

/// Sends a request as it is; the status, the head in lower case, and the body.
pub(crate) async fn raw_http(address: &str, request: &str) -> (u16, String, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the server listens");
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
    let response = timeout(DEADLINE, exchange)
        .await
        .expect("it answers in time");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

/// A token of the host for this user, on the device with this number.
pub(crate) fn token(user: &str, device: u128) -> String {
    token_until(user, device, 600)
}

/// The same that ends in so many seconds.
pub(crate) fn token_until(user: &str, device: u128, seconds: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let exp = i64::try_from(now).expect("a small number") + seconds;
    let claims = json!({"sub": user, "device": device_id(device), "exp": exp});
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("a token")
}

pub(crate) fn device_id(number: u128) -> String {
    Uuid::from_u128(0x5f0a_2a0e_0000_4000_8000_0000_0000_0000 + number).to_string()
}

pub(crate) fn client_id() -> String {
    Uuid::new_v4().to_string()
}

pub(crate) fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A `send` to this user.
pub(crate) fn send_to(user: &str, client_id: &str, words: &str) -> Value {
    json!({"op": "send", "to": {"user": user}, "client_id": client_id, "body": text(words)})
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    MessagePack,
}

enum Link {
    Socket(Box<WebSocketStream<TcpStream>>),
    Polled(Polled),
}

/// A client that knows nothing but the protocol.
pub(crate) struct Client {
    link: Link,
    format: Format,
    next_id: u32,
    pushes: VecDeque<Value>,
}

impl Client {
    /// Connected, and nothing said.
    pub(crate) async fn open(server: &Server) -> Self {
        let fetching = match server.transport {
            Transport::WebSocket => return Self::open_as(server, Format::Json).await,
            Transport::Poll => Fetching::Poll,
            Transport::Events => Fetching::Events,
        };
        Self::new(
            Link::Polled(Polled::new(&server.address, fetching)),
            Format::Json,
        )
    }

    fn new(link: Link, format: Format) -> Self {
        Self {
            link,
            format,
            next_id: 1,
            pushes: VecDeque::new(),
        }
    }

    pub(crate) async fn open_as(server: &Server, format: Format) -> Self {
        let subprotocol = match format {
            Format::Json => "chat.v1.json",
            Format::MessagePack => "chat.v1.msgpack",
        };
        let mut request = upgrade(server);
        let headers = request.headers_mut();
        headers.insert(
            "Sec-WebSocket-Protocol",
            subprotocol.parse().expect("a header"),
        );
        let socket = Self::try_open(server, request)
            .await
            .expect("the server upgrades");
        Self::new(Link::Socket(Box::new(socket)), format)
    }

    /// Its WebSocket.
    pub(crate) fn socket(&mut self) -> &mut WebSocketStream<TcpStream> {
        match &mut self.link {
            Link::Socket(socket) => socket,
            Link::Polled(_) => panic!("this client has no socket"),
        }
    }

    pub(crate) async fn try_open(
        server: &Server,
        request: Request,
    ) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let stream = TcpStream::connect(&server.address)
            .await
            .expect("the server listens");
        let opened = timeout(DEADLINE, tokio_tungstenite::client_async(request, stream)).await;
        opened
            .expect("it upgrades in time")
            .map(|(socket, _)| socket)
    }

    /// Logged in as this user on the device with this number.
    pub(crate) async fn log_in(server: &Server, user: &str, device: u128) -> Self {
        let mut client = Self::open(server).await;
        client.hello(&token(user, device)).await;
        client
    }

    pub(crate) async fn hello(&mut self, token: &str) -> Value {
        let answer = self
            .ask(json!({"op": "hello", "token": token, "client": "black-box/1.0"}))
            .await;
        assert_eq!(answer["op"], "ok", "{answer}");
        answer
    }

    /// Sends a frame as it is.
    pub(crate) async fn say(&mut self, frame: Value) {
        if let Link::Polled(polled) = &self.link {
            return polled.say(frame);
        }
        let message = match self.format {
            Format::Json => Message::text(frame.to_string()),
            Format::MessagePack => {
                Message::binary(rmp_serde::to_vec_named(&frame).expect("MessagePack"))
            }
        };
        self.say_raw(message).await;
    }

    pub(crate) async fn say_raw(&mut self, message: Message) {
        timeout(DEADLINE, self.socket().send(message))
            .await
            .expect("it reads in time")
            .expect("it reads");
    }

    /// Sends a request under the next id; its answer, whatever comes before it.
    pub(crate) async fn ask(&mut self, mut frame: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        frame["id"] = id.into();
        self.say(frame).await;
        self.answer(id).await
    }

    /// The same; the answer must be `ok`.
    pub(crate) async fn must(&mut self, frame: Value) -> Value {
        let answer = self.ask(frame).await;
        assert_eq!(answer["op"], "ok", "{answer}");
        answer
    }

    /// The same; the answer must be an error, whose code this is.
    pub(crate) async fn refused(&mut self, frame: Value) -> String {
        let answer = self.ask(frame).await;
        assert_eq!(answer["op"], "error", "{answer}");
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{answer}"
        );
        answer["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) async fn answer(&mut self, id: u32) -> Value {
        loop {
            let frame = self
                .next()
                .await
                .unwrap_or_else(|code| panic!("closed with {code} before the answer to {id}"));
            match frame["id"].as_u64() {
                Some(found) => {
                    assert_eq!(found, u64::from(id), "{frame}");
                    return frame;
                }
                None => self.pushes.push_back(frame),
            }
        }
    }

    /// The next push with this op; others before it are dropped.
    pub(crate) async fn push(&mut self, op: &str) -> Value {
        loop {
            let frame = match self.pushes.pop_front() {
                Some(frame) => frame,
                None => self
                    .next()
                    .await
                    .unwrap_or_else(|code| panic!("closed with {code} before {op}")),
            };
            if frame["op"] == op {
                return frame;
            }
        }
    }

    /// The next new message: its channel, seq and text.
    pub(crate) async fn message(&mut self) -> (String, u64, String) {
        loop {
            let push = self.push("entry").await;
            if push["entry"]["kind"] == "message" {
                let of = |value: &Value| value.as_str().expect("text").to_owned();
                let seq = push["entry"]["seq"].as_u64().expect("a number");
                return (
                    of(&push["channel"]),
                    seq,
                    of(&push["entry"]["body"]["text"]),
                );
            }
        }
    }

    /// The next frame, or the code with which the server closed.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        if let Link::Polled(polled) = &mut self.link {
            return polled.next().await;
        }
        loop {
            let message = timeout(DEADLINE, self.socket().next())
                .await
                .expect("something comes in time");
            return match message
                .expect("a close frame comes before the end")
                .expect("a sound WebSocket")
            {
                Message::Text(text) if self.format == Format::Json => {
                    Ok(serde_json::from_str(&text).expect("JSON"))
                }
                Message::Binary(bytes) if self.format == Format::MessagePack => {
                    Ok(rmp_serde::from_slice(&bytes).expect("MessagePack"))
                }
                Message::Close(frame) => Err(frame.map_or(1005, |frame| frame.code.into())),
                Message::Ping(_) | Message::Pong(_) => continue,
                other => panic!("not of this format: {other:?}"),
            };
        }
    }

    /// The code with which the server closes, whatever it says before.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}

/// The request that asks for a WebSocket.
pub(crate) fn upgrade(server: &Server) -> Request {
    format!("ws://{}/v1/ws", server.address)
        .into_client_request()
        .expect("a good address")
}
