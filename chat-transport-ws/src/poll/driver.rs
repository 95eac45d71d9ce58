//! The task that owns a session without a socket.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chat_core::proto::Rejection;
use chat_core::proto::wire::{Answer, CloseCode, Format, ServerFrame, encode};
use chat_core::{Engine, Outgoing, Session};
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::handle::{Batch, Fetch, Fetched, Frame, Request, ToFetch};
use super::sent::Sent;
use crate::state::Shared;

/// How long the last frames of a session that has ended wait to be fetched: as long as a client may be silent.
const ENDED_KEPT: Duration = Duration::from_secs(30);
/// How often an ended session looks whether the server stops, which it must not hold up.
const STOP_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// A session without a socket, from its beginning to its end.
pub(super) struct Driver {
    engine: Engine,
    session: Session,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    fetches: mpsc::Receiver<ToFetch>,
    /// Where the answers to requests go, by the id that the session knows them by.
    asking: BTreeMap<u32, oneshot::Sender<Result<Answer, Rejection>>>,
    next_id: u32,
    outbox: Outbox,
}

/// Frames on their way, and who fetches them.
#[derive(Default)]
struct Outbox {
    sent: Sent,
    close: Option<CloseCode>,
    fetcher: u64,
    /// The number of the frame that the fetcher had last.
    position: u64,
    /// The number of the last frame that any fetcher had.
    handed_over: u64,
    waiting: Option<oneshot::Sender<Fetched>>,
}

enum Event {
    Out(Outgoing),
    Answered(Box<ServerFrame>),
    ToldToEnd,
    Fetch(Option<ToFetch>),
    Request(Request),
}

/// How a session ended.
enum Ended {
    /// Its client did that, or knows.
    ByClient,
    /// The client is to hear of it.
    Closed(CloseCode),
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        session: Session,
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
        fetches: mpsc::Receiver<ToFetch>,
    ) -> Self {
        Self {
            engine,
            session,
            shared,
            requests,
            fetches,
            asking: BTreeMap::new(),
            next_id: 0,
            outbox: Outbox::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let ended = loop {
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            if let Some(ended) = self.take(event) {
                break ended;
            }
        };
        let Self {
            engine,
            session,
            shared,
            requests,
            fetches,
            asking,
            outbox,
            ..
        } = self;
        // From here on the device has no session; who waits for an answer hears that its outcome is unknown.
        drop((session, requests, asking));
        match ended {
            Ended::ByClient => shared.meters.poll_ended("client"),
            Ended::Closed(code) => {
                shared.meters.poll_ended(&code.number().to_string());
                let hurried_max = shared.settings.close_wait_max;
                outbox.see_off(code, &engine, fetches, hurried_max).await;
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.outbox.is_awaited() {
            if let Poll::Ready(Some(outgoing)) = self.session.poll_next_unpin(cx) {
                return Poll::Ready(Event::Out(outgoing));
            }
        } else if let Poll::Ready(answer) = self.session.poll_answer(cx) {
            return Poll::Ready(answer.map_or(Event::ToldToEnd, Event::Answered));
        }
        if let Poll::Ready(fetch) = self.fetches.poll_recv(cx) {
            return Poll::Ready(Event::Fetch(fetch));
        }
        if self.session.accepts()
            && let Poll::Ready(Some(request)) = self.requests.poll_recv(cx)
        {
            return Poll::Ready(Event::Request(request));
        }
        Poll::Pending
    }

    fn take(&mut self, event: Event) -> Option<Ended> {
        match event {
            Event::Out(outgoing) => self.collect(outgoing),
            Event::Answered(answer) => {
                self.give(*answer);
                None
            }
            Event::ToldToEnd => {
                let next = self.session.try_next()?;
                self.collect(next)
            }
            Event::Request(request) => {
                self.session.heard();
                self.begin(request);
                None
            }
            Event::Fetch(Some(ToFetch::Fetch(fetch, reply))) => {
                self.session.heard();
                let is_lost = self.outbox.fetch(fetch, reply).is_err();
                is_lost.then_some(Ended::ByClient)
            }
            Event::Fetch(Some(ToFetch::End(reply))) => {
                // Whoever asked may have gone.
                let _ = reply.send(());
                Some(Ended::ByClient)
            }
            Event::Fetch(None) => Some(Ended::ByClient),
        }
    }

    /// Takes this frame and what else is ready, and hands it over.
    fn collect(&mut self, first: Outgoing) -> Option<Ended> {
        let mut next = Some(first);
        while let Some(outgoing) = next {
            match outgoing {
                Outgoing::Frame(frame) => self.give(*frame),
                Outgoing::Shared(push) => self.outbox.sent.push(push.encoded(Format::Json)),
                Outgoing::Close(close) => return Some(Ended::Closed(close.code)),
            }
            let has_room = self.session.closing().is_some() || !self.outbox.is_full();
            next = if has_room {
                self.session.try_next()
            } else {
                None
            };
        }
        self.outbox.hand_over(false);
        None
    }

    /// Gives an answer to who asked, anything else to who fetches.
    fn give(&mut self, frame: ServerFrame) {
        let (id, answer) = match frame {
            ServerFrame::Ok { id, answer } => (id, Ok(answer)),
            ServerFrame::Error { id, rejection } => (id, Err(rejection)),
            push @ (ServerFrame::Pong | ServerFrame::Push(_)) => {
                self.outbox.sent.push(encode(Format::Json, &push));
                return;
            }
        };
        if let Some(reply) = self.asking.remove(&id) {
            // Whoever asked may have gone; the log has what it has.
            let _ = reply.send(answer);
        }
    }

    fn begin(&mut self, request: Request) {
        self.shared.meters.poll_requests.increment(1);
        match request.frame {
            Frame::Command(op, reply) => {
                self.next_id = self.next_id.wrapping_add(1);
                self.asking.insert(self.next_id, reply);
                match self.shared.rates.operation(self.session.user()) {
                    Ok(()) => self.session.submit(self.next_id, *op, request.bytes),
                    Err(rejection) => self.session.turn_away(self.next_id, &op, rejection),
                }
            }
            Frame::Typing(channel) => self.session.typing(channel),
        }
    }
}

impl Outbox {
    /// Whether somebody waits for frames.
    fn is_awaited(&mut self) -> bool {
        self.waiting.take_if(|reply| reply.is_closed());
        self.waiting.is_some()
    }

    fn is_full(&self) -> bool {
        self.sent.fills_answer()
    }

    /// Answers now, or keeps the fetcher waiting.
    fn fetch(
        &mut self,
        fetch: Fetch,
        reply: oneshot::Sender<Fetched>,
    ) -> Result<(), super::sent::Lost> {
        if fetch.fetcher < self.fetcher {
            let _ = reply.send(Fetched::Displaced);
            return Ok(());
        }
        // One that asks again has had nothing since.
        let unnamed = if fetch.fetcher == self.fetcher {
            self.position
        } else {
            self.handed_over
        };
        let former = self.waiting.take();
        if let Some(former) = former.filter(|_| fetch.fetcher > self.fetcher) {
            let _ = former.send(Fetched::Displaced);
        }
        self.fetcher = fetch.fetcher;
        self.position = fetch.after.unwrap_or(unnamed);
        let found = if fetch.acknowledges {
            self.sent.acknowledge(self.position)
        } else {
            self.sent.passed(self.position)
        };
        if let Err(lost) = found {
            let _ = reply.send(Fetched::Lost);
            return Err(lost);
        }
        self.waiting = Some(reply);
        self.hand_over(fetch.at_once);
        Ok(())
    }

    /// Answers who waits with what there is; with nothing, only if that will do. What is not taken stays.
    fn hand_over(&mut self, nothing_will_do: bool) {
        let (frames, through) = self.sent.after(self.position);
        // Told with the last frames only: who hears of the end asks no more.
        let close = self.close.filter(|_| through == self.sent.last());
        if frames.is_empty() && close.is_none() && !nothing_will_do {
            return;
        }
        if let Some(reply) = self.waiting.take() {
            let handed_over = reply.send(Fetched::Batch(Batch {
                frames,
                through,
                close,
            }));
            if handed_over.is_ok() {
                self.handed_over = self.handed_over.max(through);
            }
        }
    }

    /// Tells who fetches that the session has ended, for as long as somebody may come to hear it.
    async fn see_off(
        mut self,
        code: CloseCode,
        engine: &Engine,
        mut fetches: mpsc::Receiver<ToFetch>,
        hurried_max: Duration,
    ) {
        self.close = Some(code);
        let was_told = self.is_awaited();
        self.hand_over(false);
        let stops = engine.is_draining();
        // Where the token is gone, only a stream that was open before can still come.
        let is_hurried = stops || matches!(code, CloseCode::Revoked | CloseCode::BadToken);
        let kept = match (was_told, is_hurried) {
            (true, true) => Duration::ZERO,
            (false, true) => hurried_max,
            (true | false, false) => ENDED_KEPT,
        };
        let until = Instant::now() + kept;
        while Instant::now() < until && (stops || !engine.is_draining()) {
            let look = until.min(Instant::now() + STOP_LOOK_INTERVAL);
            tokio::select! {
                biased;
                asked = fetches.recv() => match asked {
                    Some(ToFetch::Fetch(fetch, reply)) => {
                        if self.fetch(fetch, reply).is_err() {
                            return;
                        }
                    }
                    Some(ToFetch::End(reply)) => {
                        let _ = reply.send(());
                        return;
                    }
                    None => return,
                },
                () = sleep_until(look) => {}
            }
        }
    }
}
