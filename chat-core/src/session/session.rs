//! What a transport drives: frames in, frames out.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chat_proto::wire::{Answer, ClientOp, CloseCode, HelloAnswer, ServerFrame, SharedPush};
use chat_proto::{ChannelId, DeviceId, Rejection, UserId};
use futures_util::Stream;
use futures_util::future::{BoxFuture, poll_fn};

use super::outbound::frame_of;
use super::registry::SessionShared;
use crate::caller::Caller;
use crate::engine::{Engine, Reply};

/// Channels in which a session remembers when it last passed on that its user types.
const TYPING_CHANNELS_MAX: usize = 16;
/// One "is typing" in a channel is passed on in this time.
const TYPING_INTERVAL_MS: u64 = 3_000;

/// A frame for the client.
#[derive(Debug)]
pub enum Outgoing {
    /// For this session alone.
    Frame(Box<ServerFrame>),
    /// For many sessions: encoded once.
    Shared(Arc<SharedPush>),
    /// The end; nothing follows.
    Close(Close),
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code for the transport's close.
    pub code: CloseCode,
}

impl Close {
    /// The session ends with this code.
    pub const fn new(code: CloseCode) -> Self {
        Self { code }
    }

    pub(crate) const fn slow() -> Self {
        Self::new(CloseCode::Slow)
    }
}

/// One device on this node. Owned by the task that serves its connection; dropping it ends it.
///
/// Frames come out of [`next`](Self::next) (or the [`Stream`]); what the client says goes into
/// [`submit`](Self::submit). While [`accepts`](Self::accepts) is false the transport reads no further frame, so that a
/// client which does not read its answers is not read either.
pub struct Session {
    engine: Engine,
    shared: Arc<SessionShared>,
    hello: Option<Box<HelloAnswer>>,
    /// A page that is being produced; at most one, never queued, so that memory does not depend on what was asked.
    page: Option<Page>,
    /// When the user was last passed on as typing.
    typed: BTreeMap<ChannelId, u64>,
    ended: bool,
}

struct Page {
    id: u32,
    /// What has been asked for, until everything before it has been answered.
    waiting: Option<ClientOp>,
    answer: Option<BoxFuture<'static, Result<Answer, Rejection>>>,
}

impl Session {
    pub(crate) fn new(engine: Engine, shared: Arc<SessionShared>, hello: HelloAnswer) -> Self {
        Self {
            engine,
            shared,
            hello: Some(Box::new(hello)),
            page: None,
            typed: BTreeMap::new(),
            ended: false,
        }
    }

    /// Who.
    pub fn user(&self) -> &UserId {
        &self.shared.user
    }

    /// With which device.
    pub fn device(&self) -> DeviceId {
        self.shared.device
    }

    /// Unique among the sessions that this engine ever had.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// What answers `hello`, with the heartbeat interval that was agreed; to be taken once.
    pub fn hello_answer(&mut self, heartbeat_ms: u64) -> Option<HelloAnswer> {
        let mut hello = *self.hello.take()?;
        hello.heartbeat_ms = heartbeat_ms;
        Some(hello)
    }

    /// A frame came in, of whatever kind: the client is alive.
    pub fn heard(&self) {
        self.engine.heard(&self.shared);
    }

    /// Begins to carry out a request of `bytes` bytes; its answer comes out of [`next`](Self::next).
    ///
    /// Commands to one channel are carried out and answered in the order of these calls. A request that reads waits for
    /// the commands before it, so that it sees them.
    pub fn submit(&mut self, id: u32, op: ClientOp, bytes: usize) {
        let reply = |channel, client_id| {
            self.shared.outbound.begin_command(bytes);
            let turn = self.shared.order.take_turn(channel, client_id);
            Reply::session(Arc::clone(&self.shared), id, bytes, turn)
        };
        let Err(op) = self.engine.submit_op(&self.caller(), op, reply, bytes) else {
            return;
        };
        if self.page.is_some() {
            // Only a transport that ignores `accepts` gets here.
            self.refuse(
                id,
                Rejection::unavailable("an earlier request is being answered: retry"),
            );
            return;
        }
        self.page = Some(Page {
            id,
            waiting: Some(*op),
            answer: None,
        });
    }

    /// Refuses a request that may come again, before it reaches the engine: as after any such refusal, later commands to its
    /// channel wait until it has.
    pub fn turn_away(&mut self, id: u32, op: &ClientOp, rejection: Rejection) {
        if let Some((channel, client_id)) = op.command_channel(&self.shared.user) {
            let turn = self.shared.order.take_turn(channel, client_id);
            self.shared.settle(&turn, rejection.code.is_transient());
        }
        self.refuse(id, rejection);
    }

    /// Answers a request with a refusal.
    pub fn refuse(&self, id: u32, rejection: Rejection) {
        self.shared.outbound.begin_command(0);
        self.shared.outbound.answer(id, 0, Err(rejection));
    }

    /// Answers a ping.
    pub fn pong(&self) {
        self.shared.outbound.control(ServerFrame::Pong);
    }

    /// The user types; others in the channel hear of it, at most once in 3 s.
    pub fn typing(&mut self, channel: ChannelId) {
        let now_ms = self.engine.elapsed_ms();
        let typed = &mut self.typed;
        typed.retain(|_, at_ms| now_ms < *at_ms + TYPING_INTERVAL_MS);
        if typed.len() >= TYPING_CHANNELS_MAX || typed.contains_key(&channel) {
            return;
        }
        typed.insert(channel, now_ms);
        self.engine.spawn_typing(self.caller(), channel);
    }

    /// Whether the transport may read a further frame.
    pub fn accepts(&self) -> bool {
        self.page.is_none() && self.shared.outbound.admits(self.engine.limits())
    }

    /// Whether the session was told to end: a transport that cannot write gives up then.
    pub fn closing(&self) -> Option<Close> {
        self.shared.outbound.closing()
    }

    /// Ends the session with this code: what was queued is still said.
    pub fn close(&self, code: CloseCode) {
        self.shared.outbound.close(Close::new(code));
    }

    /// The next frame for the client. After [`Outgoing::Close`] it never resolves again.
    ///
    /// # Cancellation
    /// Loses nothing: what was not returned comes next time.
    pub async fn next(&mut self) -> Outgoing {
        poll_fn(|cx| self.poll_outgoing(cx)).await
    }

    /// The next frame, if there is one now: for filling one write with many frames.
    pub fn try_next(&mut self) -> Option<Outgoing> {
        if self.ended {
            return None;
        }
        let next = self.shared.outbound.take();
        self.ended = matches!(next, Some(Outgoing::Close(_)));
        next
    }

    /// The next answer, ahead of the pushes that are queued, which stay where they are: for transports that answer each
    /// request by itself and hand over pushes when they are asked for them. `None` when the session was told to end: then
    /// what is queued is to be taken with [`try_next`](Self::try_next).
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Box<ServerFrame>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.poll_page(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(Box::new(frame))),
            Poll::Pending => self.shared.outbound.poll_answer(cx),
        }
    }

    fn caller(&self) -> Caller {
        Caller::device(self.shared.user.clone(), self.shared.device)
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        if self.ended {
            return Poll::Pending;
        }
        if let Poll::Ready(frame) = self.poll_page(cx) {
            return Poll::Ready(Outgoing::Frame(Box::new(frame)));
        }
        let next = self.shared.outbound.poll_take(cx);
        self.ended = matches!(next, Poll::Ready(Outgoing::Close(_)));
        next
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<ServerFrame> {
        let Some(page) = &mut self.page else {
            return Poll::Pending;
        };
        if page.waiting.is_some()
            && self.shared.outbound.has_answered_all()
            && let Some(op) = page.waiting.take()
        {
            let caller = Caller::device(self.shared.user.clone(), self.shared.device);
            let engine = self.engine.clone();
            let origin = self.shared.id;
            page.answer = Some(Box::pin(async move {
                engine.read(&caller, op, Some(origin)).await
            }));
        }
        let Some(answer) = &mut page.answer else {
            return Poll::Pending;
        };
        let Poll::Ready(answer) = answer.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        let id = page.id;
        self.page = None;
        Poll::Ready(frame_of(id, answer))
    }
}

impl Stream for Session {
    type Item = Outgoing;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.poll_outgoing(cx).map(Some)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.detach(&self.shared);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.shared.id)
            .field("user", &self.shared.user)
            .field("device", &self.shared.device)
            .finish_non_exhaustive()
    }
}
