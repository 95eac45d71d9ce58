//! One WebSocket, as the client opens, reads and writes it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use chat_proto::wire::CloseCode;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Bytes that a socket reads at a time; a client has few connections and their frames are small.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that a socket gathers before it writes.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Bytes of a frame of the server: a page of 1 MiB, or a list of channels with all that is opaque on them.
pub(crate) const RECEIVED_FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Messages that wait for a server that does not read, beyond which none should be queued.
const MESSAGES_MAX: usize = 256;
/// For the last messages and the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The reading side.
pub(crate) struct Incoming {
    stream: SplitStream<Stream>,
}

/// The writing side.
pub(crate) struct Outgoing {
    sink: SplitSink<Stream, Message>,
    messages: VecDeque<Message>,
    unflushed: bool,
}

/// Connects and shakes hands.
pub(crate) async fn open(
    request: impl IntoClientRequest + Unpin,
) -> Result<(Incoming, Outgoing), tungstenite::Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(RECEIVED_FRAME_BYTES_MAX))
        .max_frame_size(Some(RECEIVED_FRAME_BYTES_MAX));
    let without_delay = true;
    let (stream, _) = connect_async_with_config(request, Some(config), without_delay).await?;
    let (sink, stream) = stream.split();
    let outgoing = Outgoing {
        sink,
        messages: VecDeque::new(),
        unflushed: false,
    };
    Ok((Incoming { stream }, outgoing))
}

impl Incoming {
    /// The next sign of life of the server. Pings are answered on the way.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Message, Lost> {
        match self.stream.next().await {
            Some(Ok(Message::Close(frame))) => {
                let number = frame.map(|frame| u16::from(frame.code));
                Err(Lost::Closed(number.and_then(CloseCode::from_number)))
            }
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(error.into()),
            None => Err(Lost::Closed(None)),
        }
    }
}

impl Outgoing {
    pub(crate) fn queue(&mut self, message: Message) {
        self.messages.push_back(message);
    }

    pub(crate) fn has_room(&self) -> bool {
        self.messages.len() < MESSAGES_MAX
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.unflushed || !self.messages.is_empty()
    }

    /// Hands messages to the socket as it takes them, and flushes when none is left.
    ///
    /// # Cancellation
    /// A message is in the queue until the socket has it.
    pub(crate) async fn write(&mut self) -> Result<(), tungstenite::Error> {
        while !self.messages.is_empty() {
            poll_fn(|cx| self.sink.poll_ready_unpin(cx)).await?;
            if let Some(message) = self.messages.pop_front() {
                self.unflushed = true;
                self.sink.start_send_unpin(message)?;
            }
        }
        poll_fn(|cx| self.sink.poll_flush_unpin(cx)).await?;
        self.unflushed = false;
        Ok(())
    }

    /// Says goodbye, as far as the server still listens.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            self.write().await?;
            self.sink.close().await
        };
        end(goodbye).await;
    }

    /// Sends the answer to the server's close frame, which the socket has written already.
    pub(crate) async fn answer_close(mut self) {
        end(self.sink.close()).await;
    }
}

async fn end(goodbye: impl Future<Output = Result<(), tungstenite::Error>>) {
    match tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the server did not wait for the goodbye"),
        Err(_) => tracing::debug!("the server does not read the goodbye"),
    }
}

/// Why a connection is gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the server closed it")]
    Closed(Option<CloseCode>),
    #[error("the server has been silent for too long")]
    Silent,
    #[error(transparent)]
    Broken(#[from] tungstenite::Error),
    #[error(transparent)]
    Unreadable(#[from] chat_proto::wire::Unreadable),
}

#[cfg(test)]
#[path = "conformance_tests.rs"]
mod conformance_tests;
