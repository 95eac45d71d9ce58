//! One connection.

use std::time::Duration;

use bytes::Bytes;
use chat_proto::wire::{ClientFrame, Format, decode_server, encode_client};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::driver::{Driver, Flow};
use crate::socket::{Incoming, Lost, Outgoing};

/// Until the server has said how often it wants a sign of life.
const HEARTBEAT_FIRST: Duration = Duration::from_secs(10);
/// However often the server wants one.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// Heartbeats without a frame of the server, in tenths, after which it is taken for gone.
const SILENT_HEARTBEATS_TENTHS: u32 = 25;

/// When the other side last gave a sign of life, and this one.
struct Pulse {
    heard: Instant,
    pinged: Instant,
}

impl Driver {
    /// Serves a connection until it is gone or not wanted any more.
    pub(crate) async fn session(&mut self, mut incoming: Incoming, mut outgoing: Outgoing) -> Flow {
        self.machine.connected(self.now_ms());
        match self.serve(&mut incoming, &mut outgoing).await {
            Ok(Flow::DropConnection) => Flow::GoOn,
            Ok(flow) => {
                outgoing.close().await;
                flow
            }
            Err(lost) => {
                tracing::debug!(error = %lost, "the connection is gone");
                if let Lost::Closed(code) = lost {
                    if let Some(code) = code {
                        self.machine.closing(code);
                    }
                    outgoing.answer_close().await;
                }
                Flow::GoOn
            }
        }
    }

    async fn serve(
        &mut self,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> Result<Flow, Lost> {
        let mut pulse = Pulse {
            heard: Instant::now(),
            pinged: Instant::now(),
        };
        loop {
            if self.pass_on(outgoing) {
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
            let takes_commands = outgoing.has_room();
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
                message = incoming.next(), if readable => {
                    pulse.heard = Instant::now();
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
                        outgoing.queue(message(self.format, &ClientFrame::Ping));
                    }
                    self.tick().await;
                }
            }
        }
    }

    /// Passes on what the machine yields. Returns whether it wants the connection closed.
    fn pass_on(&mut self, outgoing: &mut Outgoing) -> bool {
        let format = self.format;
        self.dispatch(|frame| outgoing.queue(message(format, &frame)))
    }

    fn heard(&mut self, message: Message) -> Result<(), Lost> {
        let bytes = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                return Ok(());
            }
        };
        let frame = decode_server(self.format, bytes)?;
        self.machine.received(self.now_ms(), frame)?;
        Ok(())
    }
}

fn message(format: Format, frame: &ClientFrame) -> Message {
    let bytes = encode_client(format, frame);
    match format {
        Format::Json => {
            Message::text(String::from_utf8(bytes).expect("the writer of JSON writes UTF-8"))
        }
        Format::MessagePack => Message::binary(bytes),
    }
}
