//! Messages in and out of a byte stream.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};

use super::fault::Fault;
use super::partial::PartialBytes;
use super::reader::{Inbound, Reader};

/// Bytes that one read takes: on the stack, so that a connection from which nothing comes holds none.
const READ_BYTES: usize = 16 * 1024;
/// How often a write that waits looks whether it should go on waiting.
const STALL_LOOK: Duration = Duration::from_secs(1);
/// Bytes that are thrown away while the peer has not noticed that the connection is closing.
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xA;
/// The frame is the whole message.
const FINAL: u8 = 0x80;

/// The server's end of a WebSocket.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    reader: Reader,
    /// Frames to write, of which the first `written` bytes are written.
    outbound: Vec<u8>,
    written: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) fn new(
        stream: S,
        message_bytes_max: usize,
        partial_bytes: Arc<PartialBytes>,
    ) -> Self {
        let reader = Reader::new(message_bytes_max, partial_bytes);
        Self {
            stream,
            reader,
            outbound: Vec::new(),
            written: 0,
        }
    }

    /// Allows messages of so many bytes.
    pub(crate) fn allow(&mut self, message_bytes_max: usize) {
        self.reader.allow(message_bytes_max);
    }

    /// The next message.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Inbound, Fault> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, Fault>> {
        loop {
            if let Some(inbound) = self.reader.next()? {
                return Poll::Ready(Ok(inbound));
            }
            let mut chunk = [MaybeUninit::uninit(); READ_BYTES];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Err(Fault::Gone));
            }
            self.reader.push(chunk.filled());
        }
    }

    /// Queues a text message.
    pub(crate) fn queue_text(&mut self, payload: &[u8]) {
        self.queue(TEXT, payload);
    }

    /// Queues a binary message.
    pub(crate) fn queue_binary(&mut self, payload: &[u8]) {
        self.queue(BINARY, payload);
    }

    /// Queues the answer to a ping.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) {
        self.queue(PONG, payload);
    }

    /// Bytes that wait to be written.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.outbound.len() - self.written
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// `Stalled` when nothing could be written for `stall_max`, or a second after `gives_up` says so.
    pub(crate) async fn flush(
        &mut self,
        stall_max: Duration,
        gives_up: impl FnMut() -> bool,
    ) -> Result<(), Fault> {
        // Nearly every write fits the kernel's buffer; only the others need a clock.
        let at_once = poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await;
        match at_once {
            Poll::Ready(written) => written,
            Poll::Pending => Box::pin(self.flush_slowly(stall_max, gives_up)).await,
        }
    }

    async fn flush_slowly(
        &mut self,
        stall_max: Duration,
        mut gives_up: impl FnMut() -> bool,
    ) -> Result<(), Fault> {
        let (mut written, mut since) = (self.written, Instant::now());
        loop {
            if let Ok(done) = timeout(STALL_LOOK, poll_fn(|cx| self.poll_flush(cx))).await {
                return done;
            }
            if self.written != written {
                (written, since) = (self.written, Instant::now());
            }
            if gives_up() || since.elapsed() >= stall_max {
                return Err(Fault::Stalled);
            }
        }
    }

    /// Says goodbye with this code, gives the peer a while to answer, and drops the connection.
    pub(crate) async fn close(mut self, code: u16, reason: &str, wait_max: Duration) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.queue(CLOSE, &payload);
        self.reader.discard();
        // Whether the peer answers changes nothing.
        let _ = timeout(wait_max, self.part()).await;
    }

    /// Answers the peer's close with the same code.
    pub(crate) async fn answer_close(mut self, code: Option<u16>, wait_max: Duration) {
        let payload = code.map(u16::to_be_bytes);
        self.queue(CLOSE, payload.as_ref().map_or(&[], |code| code.as_slice()));
        let goodbye = async {
            poll_fn(|cx| self.poll_flush(cx)).await?;
            poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
            Ok::<(), Fault>(())
        };
        let _ = timeout(wait_max, goodbye).await;
    }

    async fn part(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_flush(cx)).await?;
        loop {
            match self.next().await {
                Ok(Inbound::Close(_)) | Err(Fault::Gone | Fault::Stalled) => break,
                // Where frames begin is no longer known.
                Err(Fault::Protocol(_) | Fault::NotUtf8 | Fault::TooLarge { .. } | Fault::Busy) => {
                    break;
                }
                Ok(Inbound::Text(_) | Inbound::Binary(_) | Inbound::Ping(_) | Inbound::Pong) => {}
            }
        }
        poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
        // A socket that is dropped with unread bytes resets the connection, and the peer loses the close frame.
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            let read = poll_fn(|cx| {
                let mut chunk = [MaybeUninit::uninit(); READ_BYTES];
                let mut chunk = ReadBuf::uninit(&mut chunk);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
                Poll::Ready(Ok::<usize, Fault>(chunk.filled().len()))
            });
            match read.await? {
                0 => break,
                bytes => left = left.saturating_sub(bytes),
            }
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while self.written < self.outbound.len() {
            let written =
                ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outbound[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(Fault::Gone));
            }
            self.written += written;
        }
        // Gives the memory back: most connections are idle most of the time.
        self.outbound = Vec::new();
        self.written = 0;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    fn queue(&mut self, opcode: u8, payload: &[u8]) {
        // The longest head of an unmasked frame.
        self.outbound.reserve(10 + payload.len());
        self.outbound.push(FINAL | opcode);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short), _) if short < 126 => self.outbound.push(short),
            (_, Ok(middle)) => {
                self.outbound.push(126);
                self.outbound.extend_from_slice(&middle.to_be_bytes());
            }
            (_, Err(_)) => {
                self.outbound.push(127);
                self.outbound
                    .extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        self.outbound.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn socket(capacity: usize) -> (Socket<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (ours, theirs) = duplex(capacity);
        (
            Socket::new(ours, 1_000, Arc::new(PartialBytes::new(0))),
            theirs,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_stalls_the_write_and_one_that_reads_slowly_does_not() {
        let (mut socket, mut peer) = socket(1_000);
        socket.queue_text(&[b'x'; 20_000]);
        let reader = tokio::spawn(async move {
            let mut chunk = [0; 1_000];
            for _ in 0..15 {
                tokio::time::sleep(Duration::from_secs(5)).await;
                peer.read_exact(&mut chunk).await.expect("bytes come");
            }
            peer
        });
        let began = Instant::now();
        let flushed = socket.flush(Duration::from_secs(10), || false).await;
        assert!(matches!(flushed, Err(Fault::Stalled)), "{flushed:?}");
        let took = began.elapsed();
        assert!(
            (85..=87).contains(&took.as_secs()),
            "75 s of slow reading, 10 s of none: {took:?}"
        );
        drop(reader.await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_write_gives_up_when_told() {
        let (mut socket, _peer) = socket(10);
        socket.queue_binary(&[0; 100]);
        let began = Instant::now();
        assert!(matches!(
            socket.flush(Duration::from_secs(10), || true).await,
            Err(Fault::Stalled)
        ));
        assert_eq!(began.elapsed(), STALL_LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn heads_have_the_shortest_form_and_no_buffer_remains() {
        let (mut socket, mut peer) = socket(1 << 20);
        for bytes in [0, 125, 126, 65_535, 65_536] {
            socket.queue_binary(&vec![7; bytes]);
        }
        socket
            .flush(Duration::from_secs(1), || false)
            .await
            .expect("there is room");
        assert_eq!(socket.outbound.capacity(), 0);
        drop(socket);
        let mut written = Vec::new();
        peer.read_to_end(&mut written)
            .await
            .expect("it was written");
        let heads: [&[u8]; 5] = [
            &[0x82, 0],
            &[0x82, 125],
            &[0x82, 126, 0, 126],
            &[0x82, 126, 255, 255],
            &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0],
        ];
        let mut rest = written.as_slice();
        for (head, bytes) in heads.into_iter().zip([0, 125, 126, 65_535, 65_536]) {
            assert!(rest.starts_with(head), "{bytes}");
            rest = &rest[head.len() + bytes..];
        }
        assert!(rest.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_the_peer_but_not_for_ever() {
        let (socket, mut peer) = socket(1 << 20);
        let began = Instant::now();
        peer.write_all(&[0x81, 0xff]).await.expect("there is room");
        socket
            .close(4000, "bad frame", Duration::from_secs(2))
            .await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        let mut written = Vec::new();
        peer.read_to_end(&mut written)
            .await
            .expect("it was written");
        assert_eq!(
            written,
            [&[0x88, 11, 0x0f, 0xa0], b"bad frame".as_slice()].concat()
        );

        let (socket, mut peer) = self::socket(1 << 20);
        let began = Instant::now();
        peer.write_all(&[0x82, 0x81, 0, 0, 0, 0, 9, 0x88, 0x80, 0, 0, 0, 0])
            .await
            .expect("there is room");
        let closing =
            tokio::spawn(async move { socket.close(1000, "", Duration::from_secs(2)).await });
        let mut close = [0; 4];
        peer.read_exact(&mut close).await.expect("a close comes");
        drop(peer);
        closing.await.expect("no panic");
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
