//! A connection with a session: frames in, frames out.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chat_core::proto::Rejection;
use chat_core::proto::wire::{
    ClientFrame, CloseCode, DecodeError, Format, ServerFrame, decode_client,
};
use chat_core::{Outgoing, Session};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ending::Ending;
use super::hello::{queue, queue_bytes};
use crate::state::Shared;
use crate::websocket::{Fault, Inbound, Socket};

/// Bytes of frames that go out in one write, reached by its last frame: a socket that is behind catches up in few system
/// calls, and one that is not gets each frame at once.
const WRITE_BYTES: usize = 64 * 1024;
/// Room for ids that a connection keeps while no request is outstanding.
const IDS_KEPT: usize = 4;

/// A connection whose client has logged in.
pub(super) struct Connection<S> {
    socket: Socket<S>,
    session: Session,
    format: Format,
    from: Option<IpAddr>,
    shared: Arc<Shared>,
    /// Ids of requests without an answer yet; one that was repeated is in it twice.
    outstanding: Vec<u32>,
    /// The peer's turn: neither side can keep the other from being heard.
    listens_first: bool,
}

enum Event {
    Out(Outgoing),
    In(Result<Inbound, Fault>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(
        socket: Socket<S>,
        session: Session,
        format: Format,
        from: Option<IpAddr>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            socket,
            session,
            format,
            from,
            shared,
            outstanding: Vec::new(),
            listens_first: false,
        }
    }

    /// Serves the connection until it ends; gives the socket back, for the goodbye. The session has ended then.
    pub(super) async fn run(mut self) -> (Socket<S>, Ending) {
        loop {
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            let ending = match event {
                Event::Out(first) => self.say(first).await,
                Event::In(Ok(inbound)) => self.hear(inbound).await,
                Event::In(Err(fault)) => Some(Ending::Fault(fault)),
            };
            if let Some(ending) = ending {
                return (self.socket, ending);
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let listens_first = std::mem::take(&mut self.listens_first);
        if listens_first && let Poll::Ready(inbound) = self.poll_inbound(cx) {
            return Poll::Ready(Event::In(inbound));
        }
        if let Poll::Ready(Some(outgoing)) = Pin::new(&mut self.session).poll_next(cx) {
            return Poll::Ready(Event::Out(outgoing));
        }
        if listens_first {
            return Poll::Pending;
        }
        self.poll_inbound(cx).map(Event::In)
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, Fault>> {
        if self.session.accepts() {
            self.socket.poll_next(cx)
        } else {
            Poll::Pending
        }
    }

    /// Writes this frame and what else is ready.
    async fn say(&mut self, first: Outgoing) -> Option<Ending> {
        let mut next = Some(first);
        let mut frames = 0;
        while let Some(outgoing) = next {
            match outgoing {
                Outgoing::Frame(frame) => {
                    self.settle(&frame);
                    queue(&mut self.socket, self.format, &frame);
                }
                Outgoing::Shared(push) => {
                    queue_bytes(&mut self.socket, self.format, &push.encoded(self.format))
                }
                // What was queued before goes out together with the close frame.
                Outgoing::Close(close) => return Some(Ending::Close(close.code)),
            }
            frames += 1;
            next = if self.socket.queued_bytes() < WRITE_BYTES {
                self.session.try_next()
            } else {
                None
            };
        }
        self.shared.meters.frames_out.increment(frames);
        self.listens_first = true;
        self.flush().await
    }

    async fn flush(&mut self) -> Option<Ending> {
        self.shared.meters.writes.increment(1);
        // Exclusive, though it only looks: a session may cross threads and not be shared by them.
        let session = &mut self.session;
        let gives_up = move || session.closing().is_some();
        let flushed = self
            .socket
            .flush(self.shared.settings.write_stall_max, gives_up);
        flushed.await.err().map(Ending::Fault)
    }

    /// Forgets the request that this frame answers.
    fn settle(&mut self, frame: &ServerFrame) {
        let id = match frame {
            ServerFrame::Ok { id, .. } | ServerFrame::Error { id, .. } => id,
            ServerFrame::Pong | ServerFrame::Push(_) => return,
        };
        if let Some(index) = self
            .outstanding
            .iter()
            .position(|outstanding| outstanding == id)
        {
            self.outstanding.swap_remove(index);
        }
        if self.outstanding.is_empty() {
            self.outstanding.shrink_to(IDS_KEPT);
        }
    }

    async fn hear(&mut self, inbound: Inbound) -> Option<Ending> {
        self.session.heard();
        match (inbound, self.format) {
            (Inbound::Text(frame), Format::Json)
            | (Inbound::Binary(frame), Format::MessagePack) => self.dispatch(&frame),
            (Inbound::Text(_), Format::MessagePack) | (Inbound::Binary(_), Format::Json) => {
                Some(Ending::Close(CloseCode::BadFrame))
            }
            (Inbound::Ping(payload), _) => {
                self.socket.queue_pong(&payload);
                self.flush().await
            }
            (Inbound::Pong, _) => None,
            (Inbound::Close(code), _) => Some(Ending::Left(code)),
        }
    }

    fn dispatch(&mut self, frame: &[u8]) -> Option<Ending> {
        self.shared.meters.frames_in.increment(1);
        match decode_client(self.format, frame) {
            Ok(ClientFrame::Command { id, op }) => {
                if self.begin(id) {
                    match self.count() {
                        Ok(()) => self.session.submit(id, op, frame.len()),
                        Err(rejection) => self.session.turn_away(id, &op, rejection),
                    }
                }
            }
            Ok(ClientFrame::Ping) => self.session.pong(),
            Ok(ClientFrame::Typing(typing)) => {
                // Volatile, and without an answer: over the limit it is lost.
                if self.count().is_ok() {
                    self.session.typing(typing.channel);
                }
            }
            Ok(ClientFrame::Hello { id, .. }) => {
                if self.begin(id) {
                    self.session.refuse(
                        id,
                        Rejection::bad_request("this connection has said hello already"),
                    );
                }
            }
            Err(DecodeError::Refused { id, rejection }) => {
                if self.begin(id) {
                    self.session.refuse(id, rejection);
                }
            }
            Err(DecodeError::Unreadable(_)) => return Some(Ending::Close(CloseCode::BadFrame)),
        }
        None
    }

    /// Counts an operation of this user from this address.
    fn count(&self) -> Result<(), Rejection> {
        let rates = &self.shared.rates;
        rates.request(self.from)?;
        rates.operation(self.session.user())
    }

    /// Notes a request; refuses it if its id is taken.
    fn begin(&mut self, id: u32) -> bool {
        let taken = self.outstanding.contains(&id);
        self.outstanding.push(id);
        if taken {
            let rejection = Rejection::bad_request(
                "a request with this id has not been answered yet: take another id",
            );
            self.session.refuse(id, rejection);
        }
        !taken
    }
}
