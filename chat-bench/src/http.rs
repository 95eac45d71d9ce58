//! Requests over one kept connection: as much of HTTP/1.1 as our own server's answers need.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// An answer beyond this is none of ours.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a request that may be repeated is, through the death of a server.
const PERSIST_MAX: Duration = Duration::from_secs(120);
/// Between two attempts.
const PERSIST_PAUSE: Duration = Duration::from_millis(50);

/// What is asked for.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// A connection that requests go over, one after another.
pub(crate) struct HttpClient {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

/// A status with its body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body as JSON where the status says that it was done.
    ///
    /// # Errors
    /// When the status is not one of success.
    pub(crate) fn done(&self, what: &str) -> Result<Value, Error> {
        let answer = || Error::Answer {
            what: what.to_owned(),
            answer: format!("{} {}", self.status, String::from_utf8_lossy(&self.body)),
        };
        if !(200..300).contains(&self.status) {
            return Err(answer());
        }
        serde_json::from_slice(&self.body).map_err(|_| answer())
    }
}

impl HttpClient {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    pub(crate) async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Reply, Error> {
        self.request(&Request {
            method: "GET",
            path,
            token,
            body: &[],
        })
        .await
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Reply, Error> {
        let body = serde_json::to_vec(body).expect("a JSON value can be written");
        self.request(&Request {
            method: "POST",
            path,
            token: Some(token),
            body: &body,
        })
        .await
    }

    /// Asks again, the same, until the server is there and able. Also tells whether it took more than one attempt:
    /// then an earlier one may have been carried out.
    pub(crate) async fn persist(&mut self, request: &Request<'_>) -> Result<(Reply, bool), Error> {
        let deadline = Instant::now() + PERSIST_MAX;
        let mut again = false;
        loop {
            let tried = self.request(request).await;
            let unable = match &tried {
                Ok(reply) => matches!(reply.status, 429 | 503 | 504),
                Err(_) => true,
            };
            if !unable || Instant::now() > deadline {
                return tried.map(|reply| (reply, again));
            }
            again = true;
            sleep(PERSIST_PAUSE).await;
        }
    }

    async fn request(&mut self, asked: &Request<'_>) -> Result<Reply, Error> {
        let Request {
            method,
            path,
            token,
            body,
        } = asked;
        let kept = self.stream.take();
        let mut stream = match kept {
            Some(stream) => stream,
            None => connect(self.address).await?,
        };
        let authorization = token.map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{authorization}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let what = || format!("{method} {path}");
        stream
            .write_all(&request)
            .await
            .map_err(Error::io(what()))?;
        let (reply, keep) = read_reply(&mut stream).await.map_err(Error::io(what()))?;
        self.stream = keep.then_some(stream);
        Ok(reply)
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(Error::io(format!("connecting to {address}")))?;
    stream.set_nodelay(true).map_err(Error::io("TCP_NODELAY"))?;
    Ok(stream)
}

async fn read_reply(stream: &mut TcpStream) -> std::io::Result<(Reply, bool)> {
    use std::io::{Error as IoError, ErrorKind};
    let mut bytes = Vec::with_capacity(4096);
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_len]).to_ascii_lowercase();
    let invalid = |what: &str| IoError::new(ErrorKind::InvalidData, format!("{what} in {head:?}"));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| invalid("no status"))?;
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let length: usize = match header("content-length:") {
        Some(length) => length.parse().map_err(|_| invalid("no number"))?,
        None if status == 204 => 0,
        None => return Err(invalid("no content-length")),
    };
    if length > ANSWER_BYTES_MAX {
        return Err(invalid("too long an answer"));
    }
    let mut body = bytes.split_off(head_len);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let keep = header("connection:") != Some("close");
    Ok((Reply { status, body }, keep))
}
