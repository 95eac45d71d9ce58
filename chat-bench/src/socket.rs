//! A WebSocket client that costs next to nothing, so that the server is what a measurement measures.
//!
//! It knows just what our server sends: one unfragmented frame an object, the answer's `op` first. Anything else is an
//! error, never a guess. Real clients are in `chat-client`; the replay uses those.

use std::net::SocketAddr;
use std::ops::Range;

use chat_proto::wire::{ClientFrame, Format, Hello, encode_client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Error;

/// The buffer of a socket that is mostly silent.
pub(crate) const READ_SMALL_BYTES: usize = 1024;
/// The buffer of a socket into which much flows.
pub(crate) const READ_LARGE_BYTES: usize = 64 * 1024;
/// Beyond this no frame of a server goes.
const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What the client's bytes are masked with. Masks protect proxies from pages; there is neither here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const OPCODE_TEXT: u8 = 1;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;
const OPCODE_PONG: u8 = 10;

/// A logged-in connection.
pub(crate) struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
    /// Of `received`, what has not been taken yet.
    fresh: Range<usize>,
    outgoing: Vec<u8>,
}

/// What a frame is, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer to the command of this id.
    Ok(u32),
    /// A refusal.
    Error,
    Entry,
    Heads,
    Pong,
    /// Marks, typing and what else may be passed over.
    Other,
}

impl Socket {
    /// Connects and logs in.
    pub(crate) async fn connect(
        address: SocketAddr,
        token: String,
        read_bytes: usize,
    ) -> Result<Self, Error> {
        let mut stream = TcpStream::connect(address)
            .await
            .map_err(Error::io(format!("connecting to {address}")))?;
        stream.set_nodelay(true).map_err(Error::io("TCP_NODELAY"))?;
        upgrade(&mut stream, address).await?;
        let mut socket = Self {
            stream,
            received: vec![0; read_bytes],
            fresh: 0..0,
            outgoing: Vec::with_capacity(512),
        };
        let hello = Hello {
            token,
            client: "chat-bench/0.1".to_owned(),
            heartbeat_ms: None,
        };
        socket
            .send(&encode_client(
                Format::Json,
                &ClientFrame::Hello { id: 0, hello },
            ))
            .await?;
        let frame = socket.next().await?;
        match socket.kind(&frame) {
            Kind::Ok(0) => Ok(socket),
            _ => Err(Error::Answer {
                what: "logging in".to_owned(),
                answer: socket.text(&frame),
            }),
        }
    }

    /// Writes one text frame in one piece.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> Result<(), Error> {
        let out = &mut self.outgoing;
        out.clear();
        out.push(0x80 | OPCODE_TEXT);
        match payload.len() {
            length @ 0..=125 => out.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&MASK);
        let start = out.len();
        out.extend_from_slice(payload);
        for chunk in out[start..].chunks_mut(4) {
            for (byte, mask) in chunk.iter_mut().zip(MASK) {
                *byte ^= mask;
            }
        }
        self.stream
            .write_all(&self.outgoing)
            .await
            .map_err(Error::io("writing a frame"))
    }

    /// The next frame, as its place in the buffer: it holds until `next` is called again.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Range<usize>, Error> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            self.make_room()?;
            let end = self.fresh.end;
            let count = self
                .stream
                .read(&mut self.received[end..])
                .await
                .map_err(Error::io("reading a frame"))?;
            if count == 0 {
                return Err(closed("without a close frame"));
            }
            self.fresh.end += count;
        }
    }

    /// The next frame if it is in the buffer already.
    pub(crate) fn take(&mut self) -> Result<Option<Range<usize>>, Error> {
        while let Some((opcode, payload)) = self.parse()? {
            self.fresh.start = payload.end;
            match opcode {
                OPCODE_TEXT => return Ok(Some(payload)),
                OPCODE_PING | OPCODE_PONG => {}
                OPCODE_CLOSE => {
                    let payload = &self.received[payload];
                    let code = payload
                        .first_chunk()
                        .map_or(0, |code| u16::from_be_bytes(*code));
                    return Err(closed(&format!("with {code}")));
                }
                other => {
                    return Err(Error::Invalid(format!(
                        "the server sent a frame of opcode {other}"
                    )));
                }
            }
        }
        Ok(None)
    }

    /// What the frame begins with.
    pub(crate) fn kind(&self, frame: &Range<usize>) -> Kind {
        kind(self.payload(frame))
    }

    pub(crate) fn payload(&self, frame: &Range<usize>) -> &[u8] {
        &self.received[frame.clone()]
    }

    pub(crate) fn text(&self, frame: &Range<usize>) -> String {
        String::from_utf8_lossy(self.payload(frame)).into_owned()
    }

    /// One whole frame in the buffer: its opcode and where its payload is.
    fn parse(&self) -> Result<Option<(u8, Range<usize>)>, Error> {
        let bytes = &self.received[self.fresh.clone()];
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x80 == 0 || second & 0x80 != 0 {
            return Err(Error::Invalid(
                "the server sent a fragment, or a masked frame".to_owned(),
            ));
        }
        let (head, length) = match second & 0x7f {
            126 => match rest.first_chunk::<2>() {
                Some(length) => (4, usize::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(length) => (
                    10,
                    usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX),
                ),
                None => return Ok(None),
            },
            length => (2, usize::from(length)),
        };
        if length > FRAME_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "the server sent a frame of {length} bytes"
            )));
        }
        let start = self.fresh.start + head;
        let payload = start..start + length;
        Ok((payload.end <= self.fresh.end).then_some((first & 0x0f, payload)))
    }

    /// Makes sure that there is room behind what has not been taken.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.fresh.is_empty() {
            self.fresh = 0..0;
        } else if self.fresh.end == self.received.len() {
            self.received.copy_within(self.fresh.clone(), 0);
            self.fresh = 0..self.fresh.len();
        }
        if self.fresh.end == self.received.len() {
            if self.received.len() > FRAME_BYTES_MAX {
                return Err(Error::Invalid(
                    "the server sent a frame without end".to_owned(),
                ));
            }
            self.received.resize(self.received.len() * 2, 0);
        }
        Ok(())
    }
}

/// The number behind a name such as `"seq":` in a frame.
pub(crate) fn number_after(payload: &[u8], name: &[u8]) -> Option<u64> {
    let at = payload
        .windows(name.len())
        .position(|window| window == name)?;
    leading_number(&payload[at + name.len()..])
}

/// The decimal number at the start.
pub(crate) fn leading_number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let mut any = false;
    let mut number = 0u64;
    for digit in digits {
        any = true;
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    any.then_some(number)
}

fn kind(payload: &[u8]) -> Kind {
    let Some(rest) = payload.strip_prefix(br#"{"op":""#) else {
        return Kind::Other;
    };
    if let Some(rest) = rest.strip_prefix(br#"ok","id":"#) {
        return leading_number(rest)
            .and_then(|id| u32::try_from(id).ok())
            .map_or(Kind::Other, Kind::Ok);
    }
    if rest.starts_with(br#"entry""#) {
        Kind::Entry
    } else if rest.starts_with(br#"heads""#) {
        Kind::Heads
    } else if rest.starts_with(br#"pong""#) {
        Kind::Pong
    } else if rest.starts_with(br#"error""#) {
        Kind::Error
    } else {
        Kind::Other
    }
}

async fn upgrade(stream: &mut TcpStream, address: SocketAddr) -> Result<(), Error> {
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        Format::Json.subprotocol()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(Error::io("asking for a WebSocket"))?;
    // The server says nothing more before `hello`, so that whatever comes belongs to the answer.
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        if stream
            .read_buf(&mut answer)
            .await
            .map_err(Error::io("asking for a WebSocket"))?
            == 0
        {
            break;
        }
    }
    if answer.starts_with(b"HTTP/1.1 101 ") {
        return Ok(());
    }
    Err(Error::Answer {
        what: "asking for a WebSocket".to_owned(),
        answer: String::from_utf8_lossy(&answer).into_owned(),
    })
}

fn closed(how: &str) -> Error {
    Error::Invalid(format!("the server closed a connection {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart_by_their_first_bytes() {
        assert_eq!(kind(br#"{"op":"ok","id":17,"seq":3}"#), Kind::Ok(17));
        assert_eq!(kind(br#"{"op":"entry","channel":"x"}"#), Kind::Entry);
        assert_eq!(kind(br#"{"op":"heads","channels":[]}"#), Kind::Heads);
        assert_eq!(kind(br#"{"op":"error","id":1}"#), Kind::Error);
        assert_eq!(kind(br#"{"op":"pong"}"#), Kind::Pong);
        assert_eq!(kind(br#"{"op":"typing"}"#), Kind::Other);
    }

    #[test]
    fn numbers_are_found_behind_their_names() {
        assert_eq!(
            number_after(br#"{"id":1,"seq":42,"n":7}"#, br#""seq":"#),
            Some(42)
        );
        assert_eq!(number_after(br#"{"id":1}"#, br#""seq":"#), None);
        assert_eq!(leading_number(b"99999999999999999999"), None);
    }
}
