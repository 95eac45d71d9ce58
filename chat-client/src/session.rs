//! One connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use chat_proto::wire::{ClientFrame, CloseCode, Format, decode_server, encode_client};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::driver::{Driver, Flow, Socket};

/// Frames that wait for a server that does not read, beyond which no command is taken.
const FRAMES_MAX: usize = 256;
/// For the last frames and the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Until the server has said how often it wants a sign of life.
const HEARTBEAT_FIRST: Duration = Duration::from_secs(10);
/// However often the server wants one.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// Heartbeats without a frame of the server, in tenths, after which it is taken for gone.
const SILENT_HEARTBEATS_TENTHS: u32 = 25;

/// The writing side of a connection.
struct Outgoing {
    sink: SplitSink<Socket, Message>,
    frames: VecDeque<ClientFrame>,
    unflushed: bool,
    format: Format,
}

/// When the other side last gave a sign of life, and this one.
struct Pulse {
    heard: Instant,
    pinged: Instant,
}

impl Driver {
    /// Serves a connection until it is gone or not wanted any more.
    pub(crate) async fn session(&mut self, socket: Socket) -> Flow {
        let (sink, mut stream) = socket.split();
        let mut outgoing = Outgoing {
            sink,
            frames: VecDeque::new(),
            unflushed: false,
            format: self.format,
        };
        self.machine.connected(self.now_ms());
        match self.serve(&mut outgoing, &mut stream).await {
            Ok(Flow::DropConnection) => Flow::GoOn,
            Ok(flow) => {
                outgoing.close().await;
                flow
            }
            Err(error) => {
                tracing::debug!(%error, "the connection is gone");
                Flow::GoOn
            }
        }
    }

    async fn serve(
        &mut self,
        outgoing: &mut Outgoing,
        stream: &mut SplitStream<Socket>,
    ) -> Result<Flow, Lost> {
        let mut pulse = Pulse {
            heard: Instant::now(),
            pinged: Instant::now(),
        };
        loop {
            if self.dispatch(&mut outgoing.frames) {
                return Ok(Flow::GoOn);
            }
            let heartbeat = self.machine.heartbeat_ms();
            let heartbeat = heartbeat
                .map_or(HEARTBEAT_FIRST, Duration::from_millis)
                .max(HEARTBEAT_MIN);
            let readable = self.events.has_room();
            if !readable {
                // Nobody listens: what the server says meanwhile is not heard.
                pulse.heard = Instant::now();
            }
            let silent_at = pulse.heard + heartbeat * SILENT_HEARTBEATS_TENTHS / 10;
            let ping_at = pulse.pinged + heartbeat;
            let deadline = self.deadline().min(ping_at).min(silent_at);
            let (stop, events) = (self.stop.clone(), self.events.clone());
            let takes_commands = outgoing.frames.len() < FRAMES_MAX;
            let (pending, commands) = self.inbox();
            // In no order: neither an application that talks without a pause nor such a server shuts out the other.
            tokio::select! {
                () = stop.cancelled() => return Ok(Flow::Stop),
                written = outgoing.write(), if outgoing.is_pending() => written?,
                command = Self::next_command(pending, commands), if takes_commands => {
                    let Some(command) = command else {
                        return Ok(Flow::Stop);
                    };
                    match self.carry_out(command).await {
                        Flow::GoOn => {}
                        flow @ (Flow::DropConnection | Flow::Stop) => return Ok(flow),
                    }
                }
                message = stream.next(), if readable => {
                    pulse.heard = Instant::now();
                    let Some(message) = message else {
                        return Err(Lost::Closed);
                    };
                    self.heard(message?)?;
                }
                () = events.room(), if !readable => {}
                () = tokio::time::sleep_until(deadline) => {
                    let now = Instant::now();
                    if now >= silent_at {
                        return Err(Lost::Silent);
                    }
                    if now >= ping_at {
                        pulse.pinged = now;
                        outgoing.frames.push_back(ClientFrame::Ping);
                    }
                    self.tick().await;
                }
            }
        }
    }

    fn heard(&mut self, message: Message) -> Result<(), Lost> {
        let bytes = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            Message::Close(frame) => {
                let number = frame.map(|frame| u16::from(frame.code));
                if let Some(code) = number.and_then(CloseCode::from_number) {
                    self.machine.closing(code);
                }
                return Err(Lost::Closed);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
        };
        let frame = decode_server(self.format, bytes)?;
        self.machine.received(self.now_ms(), frame)?;
        Ok(())
    }
}

impl Outgoing {
    fn is_pending(&self) -> bool {
        self.unflushed || !self.frames.is_empty()
    }

    /// Hands frames to the socket as it takes them, and flushes when none is left.
    ///
    /// # Cancellation
    /// A frame is in the queue until the socket has it.
    async fn write(&mut self) -> Result<(), tungstenite::Error> {
        while !self.frames.is_empty() {
            poll_fn(|cx| self.sink.poll_ready_unpin(cx)).await?;
            if let Some(frame) = self.frames.pop_front() {
                self.unflushed = true;
                let bytes = encode_client(self.format, &frame);
                let message = match self.format {
                    Format::Json => Message::text(
                        String::from_utf8(bytes).expect("the writer of JSON writes UTF-8"),
                    ),
                    Format::MessagePack => Message::binary(bytes),
                };
                self.sink.start_send_unpin(message)?;
            }
        }
        poll_fn(|cx| self.sink.poll_flush_unpin(cx)).await?;
        self.unflushed = false;
        Ok(())
    }

    /// Says goodbye, as far as the server still listens.
    async fn close(mut self) {
        let goodbye = async {
            self.write().await?;
            self.sink.close().await
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the server did not wait for the goodbye"),
            Err(_) => tracing::debug!("the server does not read the goodbye"),
        }
    }
}

/// Why a connection is gone.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the server closed it")]
    Closed,
    #[error("the server has been silent for too long")]
    Silent,
    #[error(transparent)]
    Broken(#[from] tungstenite::Error),
    #[error(transparent)]
    Unreadable(#[from] chat_proto::wire::Unreadable),
}
