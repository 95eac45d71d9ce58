//! A client without a socket: frames by long polls or server-sent events, requests by `POST /v1/op`, one after the other.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{DEADLINE, http};

/// How frames are fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetching {
    Poll,
    Events,
}

/// A frame, or the code with which the session ended.
type Heard = Result<Value, u16>;

/// A session without a socket, spoken to in frames as a socket would be.
pub(crate) struct Polled {
    says: mpsc::UnboundedSender<Value>,
    hears: mpsc::UnboundedReceiver<Heard>,
    /// Aborted when it is dropped.
    _tasks: JoinSet<()>,
}

impl Polled {
    pub(crate) fn new(address: &str, fetching: Fetching) -> Self {
        let (says, said) = mpsc::unbounded_channel();
        let (hear, hears) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(converse(address.to_owned(), fetching, said, hear));
        Self {
            says,
            hears,
            _tasks: tasks,
        }
    }

    pub(crate) fn say(&self, frame: Value) {
        self.says.send(frame).expect("the session goes on");
    }

    pub(crate) async fn next(&mut self) -> Heard {
        let heard = timeout(DEADLINE, self.hears.recv()).await;
        heard.expect("something comes in time").expect("it goes on")
    }
}

async fn converse(
    address: String,
    fetching: Fetching,
    mut said: mpsc::UnboundedReceiver<Value>,
    hear: mpsc::UnboundedSender<Heard>,
) {
    let mut hello = said.recv().await.expect("hello");
    assert_eq!(hello["op"], "hello", "it comes first");
    let token = hello["token"].take().as_str().expect("text").to_owned();
    let id = hello["id"].clone();
    let (status, opened) = http(&address, "POST", "/v1/poll", Some(&token), Some(hello)).await;
    assert_eq!(status, 201, "{opened}");
    let session = opened["session"].as_str().expect("text").to_owned();
    tell(&hear, answer(status, id, opened));
    let (poll, op) = (
        format!("/v1/poll/{session}"),
        format!("/v1/op?session={session}"),
    );
    let fetch = async {
        match fetching {
            Fetching::Poll => fetch_polls(&address, &poll, &token, &hear).await,
            Fetching::Events => fetch_events(&address, &poll, &token, &hear).await,
        }
    };
    let speak = async {
        while let Some(frame) = said.recv().await {
            let id = frame["id"].clone();
            let (status, answered) = http(&address, "POST", &op, Some(&token), Some(frame)).await;
            if !id.is_null() {
                tell(&hear, answer(status, id, answered));
            }
        }
    };
    tokio::join!(fetch, speak);
}

/// The answer to a request as a socket would get it.
fn answer(status: u16, id: Value, mut answered: Value) -> Value {
    answered["op"] = if status < 300 { "ok" } else { "error" }.into();
    answered["id"] = id;
    answered
}

fn tell(hear: &mpsc::UnboundedSender<Heard>, frame: Value) {
    // The client may have gone.
    let _ = hear.send(Ok(frame));
}

async fn fetch_polls(address: &str, path: &str, token: &str, hear: &mpsc::UnboundedSender<Heard>) {
    let mut after = json!(0);
    loop {
        let path = format!("{path}?after={after}&wait_ms=10000");
        let (status, mut answer) = http(address, "GET", &path, Some(token), None).await;
        assert_eq!(status, 200, "{answer}");
        for frame in answer["frames"].as_array_mut().expect("a list") {
            tell(hear, frame.take());
        }
        if let Some(code) = answer["close"].as_u64() {
            let _ = hear.send(Err(u16::try_from(code).expect("a code")));
            return;
        }
        after = answer["ack"].take();
    }
}

async fn fetch_events(address: &str, path: &str, token: &str, hear: &mpsc::UnboundedSender<Heard>) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // Of a version without chunks, so that the body is what comes.
    let request =
        format!("GET {path}/stream HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    let head = lines.next_line().await.expect("sound").expect("a head");
    assert!(head.contains(" 200 "), "{head}");
    let mut closes = false;
    while let Some(line) = lines.next_line().await.expect("sound") {
        if line == "event: close" {
            closes = true;
        } else if let Some(data) = line.strip_prefix("data: ") {
            let data: Value = serde_json::from_str(data).expect("JSON");
            if !closes {
                tell(hear, data);
                continue;
            }
            let code = data["code"].as_u64().expect("a number");
            let _ = hear.send(Err(u16::try_from(code).expect("a code")));
        }
    }
    assert!(closes, "a stream says why it ends");
}
