//! Bytes to messages. Pure: it is given bytes and gives messages, and waits for nothing.

use std::io::Cursor;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::fault::Fault;
use super::partial::{PartialBytes, Share};

/// Payload of a control frame at the most.
const CONTROL_BYTES_MAX: u64 = 125;
/// Empty fragments of one message at the most: they cost without end what no limit on bytes counts.
const EMPTY_FRAGMENTS_MAX: u32 = 1_024;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// A text message, which is UTF-8.
    Text(BytesMut),
    /// A binary message.
    Binary(BytesMut),
    /// To be answered with the same bytes.
    Ping(BytesMut),
    /// A sign of life.
    Pong,
    /// The peer closes, with a code if it gave one.
    Close(Option<u16>),
}

/// Reads the frames of one connection. Holds no memory while nothing has arrived in part.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: BytesMut,
    head: Option<Head>,
    message: Option<Box<Fragments>>,
    bytes_max: usize,
    share: Share,
    /// Of a frame that nobody wants: what is still to come.
    skip_bytes: u64,
    discards: bool,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    bytes: usize,
}

#[derive(Debug)]
struct Fragments {
    kind: Data,
    bytes: BytesMut,
    /// Of a text: how much of it is known to be UTF-8.
    checked: usize,
    empty: u32,
}

impl Fragments {
    fn new(kind: Data) -> Self {
        Self {
            kind,
            bytes: BytesMut::new(),
            checked: 0,
            empty: 0,
        }
    }

    /// Adds a fragment; what cannot become UTF-8 any more is refused before the rest has come.
    fn add(&mut self, fragment: &[u8]) -> Result<(), Fault> {
        self.bytes.extend_from_slice(fragment);
        if fragment.is_empty() {
            self.empty += 1;
            if self.empty > EMPTY_FRAGMENTS_MAX {
                return Err(Fault::Protocol("a message has too many empty fragments"));
            }
        }
        if self.kind == Data::Text {
            match std::str::from_utf8(&self.bytes[self.checked..]) {
                Ok(_) => self.checked = self.bytes.len(),
                // A character that the next fragment may complete.
                Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
                Err(_) => return Err(Fault::NotUtf8),
            }
        }
        Ok(())
    }

    fn complete(self) -> Result<Inbound, Fault> {
        match self.kind {
            Data::Text if self.checked < self.bytes.len() => Err(Fault::NotUtf8),
            Data::Text => Ok(Inbound::Text(self.bytes)),
            Data::Binary | Data::Continue | Data::Reserved(_) => Ok(Inbound::Binary(self.bytes)),
        }
    }
}

impl Reader {
    pub(crate) fn new(bytes_max: usize, partial_bytes: Arc<PartialBytes>) -> Self {
        Self {
            buffer: BytesMut::new(),
            head: None,
            message: None,
            bytes_max,
            share: Share::new(partial_bytes),
            skip_bytes: 0,
            discards: false,
        }
    }

    /// Allows messages of so many bytes.
    pub(crate) fn allow(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// From now on messages are skipped; only control frames are read.
    pub(crate) fn discard(&mut self) {
        self.discards = true;
        self.message = None;
    }

    /// Takes bytes that arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if it is there in full.
    ///
    /// # Errors
    /// When the peer breaks a rule or a limit. After `TooLarge` the reader goes on behind the frame.
    pub(crate) fn next(&mut self) -> Result<Option<Inbound>, Fault> {
        loop {
            self.skip();
            let head = match self.head.take() {
                Some(head) => head,
                None => match self.read_head()? {
                    Some(head) => head,
                    None => return Ok(self.wait()),
                },
            };
            if self.discards && matches!(head.opcode, OpCode::Data(_)) {
                self.skip_bytes = head.bytes as u64;
                continue;
            }
            if self.buffer.len() < head.bytes {
                self.head = Some(head);
                let begun = self
                    .message
                    .as_ref()
                    .map_or(0, |message| message.bytes.len());
                return if self.share.hold(begun + self.buffer.len()) {
                    Ok(None)
                } else {
                    Err(Fault::Busy)
                };
            }
            let mut payload = if self.buffer.len() == head.bytes {
                std::mem::take(&mut self.buffer)
            } else {
                self.buffer.split_to(head.bytes)
            };
            unmask(&mut payload, head.mask);
            if let Some(inbound) = self.complete(head, payload)? {
                return Ok(Some(inbound));
            }
        }
    }

    fn skip(&mut self) {
        let here = self
            .buffer
            .len()
            .min(usize::try_from(self.skip_bytes).unwrap_or(usize::MAX));
        self.buffer.advance(here);
        self.skip_bytes -= here as u64;
    }

    /// Nothing can be read: gives back the memory, unless it holds something.
    fn wait(&mut self) -> Option<Inbound> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        if self.message.is_none() {
            self.share.hold(0);
        }
        None
    }

    fn read_head(&mut self) -> Result<Option<Head>, Fault> {
        let mut cursor = Cursor::new(&self.buffer[..]);
        let parsed =
            FrameHeader::parse(&mut cursor).map_err(|_| Fault::Protocol("unknown opcode"))?;
        let Some((header, bytes)) = parsed else {
            return Ok(None);
        };
        let read = usize::try_from(cursor.position()).expect("a position in a buffer");
        self.buffer.advance(read);
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Fault::Protocol(
                "a reserved bit is set and no extension was agreed on",
            ));
        }
        let mask = header
            .mask
            .ok_or(Fault::Protocol("a client masks its frames"))?;
        match (header.opcode, &self.message) {
            (OpCode::Control(_), _) if !header.is_final || bytes > CONTROL_BYTES_MAX => {
                return Err(Fault::Protocol(
                    "a control frame is whole and has at most 125 bytes",
                ));
            }
            (OpCode::Data(_), _) if self.discards => {}
            (OpCode::Data(Data::Continue), None) => {
                return Err(Fault::Protocol("a continuation continues a message"));
            }
            (OpCode::Data(Data::Text | Data::Binary | Data::Reserved(_)), Some(_)) => {
                return Err(Fault::Protocol("a message ends before the next begins"));
            }
            (OpCode::Control(_) | OpCode::Data(_), _) => {}
        }
        let begun = self
            .message
            .as_ref()
            .map_or(0, |message| message.bytes.len());
        let allowed = self.bytes_max.saturating_sub(begun);
        match usize::try_from(bytes) {
            // Control frames are small, and what is discarded takes no memory.
            Ok(bytes)
                if bytes <= allowed
                    || self.discards
                    || matches!(header.opcode, OpCode::Control(_)) =>
            {
                Ok(Some(Head {
                    opcode: header.opcode,
                    is_final: header.is_final,
                    mask,
                    bytes,
                }))
            }
            Ok(_) | Err(_) => {
                self.skip_bytes = bytes;
                Err(Fault::TooLarge {
                    bytes_max: self.bytes_max,
                })
            }
        }
    }

    fn complete(&mut self, head: Head, payload: BytesMut) -> Result<Option<Inbound>, Fault> {
        match head.opcode {
            OpCode::Control(Control::Ping) => Ok(Some(Inbound::Ping(payload))),
            OpCode::Control(Control::Pong) => Ok(Some(Inbound::Pong)),
            OpCode::Control(Control::Close) => close(&payload).map(Some),
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                Err(Fault::Protocol("unknown opcode"))
            }
            OpCode::Data(Data::Continue) => self.extend(head.is_final, &payload),
            OpCode::Data(kind @ (Data::Text | Data::Binary)) if head.is_final => {
                message(kind, payload).map(Some)
            }
            OpCode::Data(kind @ (Data::Text | Data::Binary)) => {
                let mut fragments = Box::new(Fragments::new(kind));
                fragments.add(&payload)?;
                self.message = Some(fragments);
                Ok(None)
            }
        }
    }

    fn extend(&mut self, is_final: bool, payload: &[u8]) -> Result<Option<Inbound>, Fault> {
        let Some(mut fragments) = self.message.take() else {
            return Err(Fault::Protocol("a continuation continues a message"));
        };
        fragments.add(payload)?;
        if is_final {
            return fragments.complete().map(Some);
        }
        self.message = Some(fragments);
        Ok(None)
    }
}

fn message(kind: Data, bytes: BytesMut) -> Result<Inbound, Fault> {
    if kind != Data::Text {
        return Ok(Inbound::Binary(bytes));
    }
    match std::str::from_utf8(&bytes) {
        Ok(_) => Ok(Inbound::Text(bytes)),
        Err(_) => Err(Fault::NotUtf8),
    }
}

fn close(payload: &[u8]) -> Result<Inbound, Fault> {
    match payload {
        [] => Ok(Inbound::Close(None)),
        [_] => Err(Fault::Protocol("a close code has two bytes")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(Fault::Protocol("a close code that no peer may send"));
            }
            std::str::from_utf8(reason).map_err(|_| Fault::NotUtf8)?;
            Ok(Inbound::Close(Some(code)))
        }
    }
}

/// Eight bytes at a time: the compiler makes vectors of it.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let masked = u64::from_ne_bytes(chunk.try_into().expect("a chunk has eight bytes"));
        chunk.copy_from_slice(&(masked ^ wide).to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
