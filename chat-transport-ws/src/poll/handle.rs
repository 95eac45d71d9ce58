//! What a handler can ask of a session.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chat_core::proto::wire::{Answer, ClientOp, CloseCode};
use chat_core::proto::{ChannelId, DeviceId, Rejection, UserId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// A fetch in between that finds nothing shows the session that its client is still there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A session, as handlers see it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) fetches: mpsc::Sender<ToFetch>,
    pub(super) fetchers: AtomicU64,
}

/// A client's frame, and where its answer goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) frame: Frame,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) enum Frame {
    Command(Box<ClientOp>, oneshot::Sender<Result<Answer, Rejection>>),
    Typing(ChannelId),
}

/// What a session is asked besides a client's frames.
#[derive(Debug)]
pub(super) enum ToFetch {
    Fetch(Fetch, oneshot::Sender<Fetched>),
    End(oneshot::Sender<()>),
}

/// Frames are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    /// Who wants them; a later one takes the place of an earlier one.
    pub(super) fetcher: u64,
    /// Those after this number; absent: those that were never sent.
    pub(crate) after: Option<u64>,
    /// Whether the client has all up to `after`; else a stream has sent it.
    pub(crate) acknowledges: bool,
    /// Whether an answer without frames will do.
    pub(super) at_once: bool,
}

/// What a fetch finds.
#[derive(Debug)]
pub(super) enum Fetched {
    Batch(Batch),
    /// Another fetcher has come.
    Displaced,
    /// Frames after `after` are no longer kept.
    Lost,
}

/// Frames in their order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) frames: Vec<Bytes>,
    /// The number of the last one, or what was asked for if there is none.
    pub(crate) through: u64,
    /// The session has ended, and there are no more.
    pub(crate) close: Option<CloseCode>,
}

impl Handle {
    /// Whether it is this user's, on this device.
    pub(super) fn is_of(&self, user: &UserId, device: DeviceId) -> bool {
        self.user == *user && self.device == device
    }

    /// Carries out a request in the order in which requests arrive.
    ///
    /// # Cancellation
    /// What has been handed over is carried out.
    pub(crate) async fn run(&self, op: ClientOp, bytes: usize) -> Result<Answer, Rejection> {
        let (reply, answer) = oneshot::channel();
        let frame = Frame::Command(Box::new(op), reply);
        let handed_over = self.requests.send(Request { frame, bytes }).await;
        handed_over.map_err(|_| ended())?;
        let unknown = |_| {
            Err(Rejection::unknown_outcome(
                "the session ended on the way: retry with the same client_id",
            ))
        };
        answer.await.unwrap_or_else(unknown)
    }

    /// The user types.
    pub(crate) async fn typing(&self, channel: ChannelId) -> Result<(), Rejection> {
        let frame = Frame::Typing(channel);
        let handed_over = self.requests.send(Request { frame, bytes: 0 }).await;
        handed_over.map_err(|_| ended())
    }

    /// Somebody who fetches frames, in the place of whoever did.
    pub(crate) fn fetcher(&self, after: Option<u64>, acknowledges: bool) -> Fetch {
        Fetch {
            fetcher: self.fetchers.fetch_add(1, Ordering::Relaxed),
            after,
            acknowledges,
            at_once: false,
        }
    }

    /// The frames, as soon as there are any or the session ends; after this time none. `None` when another fetcher has come.
    ///
    /// # Errors
    /// `not_found` when the session has ended, or cannot go on from there.
    ///
    /// # Cancellation
    /// Loses nothing: what nobody took is kept until it is acknowledged.
    pub(crate) async fn fetch(
        &self,
        fetch: Fetch,
        wait: Duration,
    ) -> Result<Option<Batch>, Rejection> {
        let deadline = Instant::now() + wait;
        loop {
            let now = Instant::now();
            let at_once = now >= deadline;
            let (reply, fetched) = oneshot::channel();
            let fetch = Fetch { at_once, ..fetch };
            let asked = self.fetches.send(ToFetch::Fetch(fetch, reply)).await;
            asked.map_err(|_| ended())?;
            let look = deadline.min(now + SIGN_OF_LIFE);
            let fetched = if at_once {
                fetched.await
            } else if let Ok(fetched) = timeout_at(look, fetched).await {
                fetched
            } else {
                continue;
            };
            return match fetched.map_err(|_| ended())? {
                Fetched::Batch(batch) => Ok(Some(batch)),
                Fetched::Displaced => Ok(None),
                Fetched::Lost => Err(lost()),
            };
        }
    }

    /// Ends the session.
    pub(crate) async fn end(&self) -> Result<(), Rejection> {
        let (reply, ending) = oneshot::channel();
        let asked = self.fetches.send(ToFetch::End(reply)).await;
        asked.map_err(|_| ended())?;
        ending.await.map_err(|_| ended())
    }
}

pub(super) fn ended() -> Rejection {
    Rejection::not_found("there is no such session, or it has ended: open one, and sync")
}

fn lost() -> Rejection {
    Rejection::not_found(
        "the frames after this number are no longer there, so the session was ended: open one, and sync",
    )
}
