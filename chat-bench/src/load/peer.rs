//! One connection of a measurement: sends, counts what comes.

use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

use chat_proto::{ChannelId, DeviceId, UserId};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

use super::tally::Tally;
use crate::error::Error;
use crate::jwt::Signer;
use crate::socket::{Kind, Socket, leading_number, number_after};

/// Logins at a time.
const CONNECTING_MAX: usize = 64;
/// Stands before the time in a text; nothing else in a frame has it.
const TIME_MARK: u8 = b'@';
/// The mark and the time, in nanoseconds with leading zeros.
const TIME_BYTES: usize = 20;

/// Who connects.
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) token: String,
}

/// Where a message goes, as it stands in the frame.
#[derive(Clone)]
pub(crate) struct To(String);

/// A connection that sends one message at a time.
pub(crate) struct Peer {
    pub(crate) socket: Socket,
    tally: Rc<Tally>,
    to: Option<To>,
    text_rest: String,
    reads_times: bool,
    rng: SmallRng,
    frame: Vec<u8>,
    /// The command that waits for its answer, and since when.
    awaited: Option<(u32, u64)>,
    last_id: u32,
    head: u64,
}

/// What a frame meant for the peer.
#[derive(PartialEq, Eq)]
pub(crate) enum Heard {
    /// Its own message is durable.
    Acked,
    /// Something else.
    Other,
}

impl To {
    pub(crate) fn user(user: &UserId) -> Self {
        Self(format!(r#"{{"user":"{user}"}}"#))
    }

    pub(crate) fn channel(channel: ChannelId) -> Self {
        Self(format!(r#"{{"channel":"{channel}"}}"#))
    }
}

/// Users `PREFIX0`, `PREFIX1` and so on with one device each.
pub(crate) fn callers(signer: &Signer, prefix: &str, count: usize) -> Result<Vec<Caller>, Error> {
    let caller = |at: usize| {
        let user: UserId = format!("{prefix}{at}").parse().map_err(|refused| {
            Error::Invalid(format!("{prefix}{at} cannot be a user: {refused:?}"))
        })?;
        let token = signer.token(&user, DeviceId::from_uuid(Uuid::new_v4()));
        Ok(Caller { user, token })
    };
    (0..count).map(caller).collect()
}

/// Logs all of them in, some at a time.
pub(crate) async fn connect_all(
    address: SocketAddr,
    callers: &[Caller],
    read_bytes: usize,
) -> Result<Vec<Socket>, Error> {
    stream::iter(
        callers
            .iter()
            .map(|caller| caller.token.clone())
            .collect::<Vec<_>>(),
    )
    .map(|token| Socket::connect(address, token, read_bytes))
    .buffered(CONNECTING_MAX)
    .try_collect()
    .await
}

impl Peer {
    /// A peer that sends texts of `text_bytes` to `to`, or only listens.
    pub(crate) fn new(socket: Socket, tally: Rc<Tally>, to: Option<To>, text_bytes: usize) -> Self {
        Self {
            socket,
            tally,
            to,
            text_rest: "x".repeat(text_bytes.saturating_sub(TIME_BYTES)),
            reads_times: true,
            rng: SmallRng::from_os_rng(),
            frame: Vec::with_capacity(512 + text_bytes),
            awaited: None,
            last_id: 0,
            head: 0,
        }
    }

    /// Counts deliveries without reading when they were sent, which at saturation tells nothing.
    pub(crate) fn without_times(mut self) -> Self {
        self.reads_times = false;
        self
    }

    /// Whether an answer is outstanding.
    pub(crate) fn is_waiting(&self) -> bool {
        self.awaited.is_some()
    }

    /// Sends the next message, unless it only listens or the measurement is ending.
    pub(crate) async fn send(&mut self) -> Result<(), Error> {
        let Some(to) = &self.to else { return Ok(()) };
        if self.tally.stopping.get() {
            return Ok(());
        }
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let id = self.last_id;
        let client_id = Builder::from_random_bytes(self.rng.random()).into_uuid();
        let now = self.tally.now_ns();
        self.frame.clear();
        write!(
            self.frame,
            r#"{{"op":"send","id":{id},"to":{},"client_id":"{client_id}","after":{},"body":{{"type":"text","text":"@{now:019}{}"}}}}"#,
            to.0, self.head, self.text_rest,
        )
        .expect("a vector takes every byte");
        self.awaited = Some((id, now));
        self.tally.in_flight.set(self.tally.in_flight.get() + 1);
        self.socket.send(&self.frame).await
    }

    /// Counts one frame.
    pub(crate) fn hear(&mut self, frame: &Range<usize>) -> Result<Heard, Error> {
        let payload = self.socket.payload(frame);
        match self.socket.kind(frame) {
            Kind::Ok(id) => {
                if let Some((awaited, sent_ns)) = self.awaited
                    && awaited == id
                {
                    self.head = number_after(payload, br#""seq":"#).unwrap_or(self.head);
                    self.awaited = None;
                    self.tally.in_flight.set(self.tally.in_flight.get() - 1);
                    self.tally.count_ack(sent_ns);
                    return Ok(Heard::Acked);
                }
            }
            Kind::Entry => {
                if self.reads_times {
                    if let Some(sent_ns) = sent_ns(payload) {
                        self.tally.count_delivery(Some(sent_ns));
                    }
                    self.head = number_after(payload, br#""seq":"#).unwrap_or(self.head);
                } else {
                    self.tally.count_delivery(None);
                }
            }
            Kind::Heads => self.tally.heads.set(self.tally.heads.get() + 1),
            Kind::Error => {
                return Err(Error::Answer {
                    what: "sending".to_owned(),
                    answer: self.socket.text(frame),
                });
            }
            Kind::Pong | Kind::Other => {}
        }
        Ok(Heard::Other)
    }

    /// Sends one message after the other, each when the former is acknowledged, and counts all that comes, until the
    /// connection fails or the task is aborted.
    pub(crate) async fn converse(mut self) -> Result<(), Error> {
        self.send().await?;
        loop {
            let frame = self.socket.next().await?;
            if self.hear(&frame)? == Heard::Acked {
                self.send().await?;
            }
        }
    }
}

/// When the message in a frame was sent.
fn sent_ns(payload: &[u8]) -> Option<u64> {
    let at = payload.iter().position(|byte| *byte == TIME_MARK)?;
    leading_number(&payload[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_found_in_a_text() {
        assert_eq!(sent_ns(br#"{"text":"@0000000000000000042xxx"}"#), Some(42));
        assert_eq!(sent_ns(br#"{"kind":"created"}"#), None);
    }
}
