//! Read and delivered marks: merged by maximum, written in bulk, durable when answered, told to whom they concern.
//!
//! While one bulk write is under way the rises that come collect for the next one, so that a store is written to as often
//! as it can answer, not as often as people read. What is durable is told by a task of its own, the newest mark of a user
//! in a channel once, so that a slow router keeps nobody's answer.
//!
//! What can go wrong between two steps (each tried in `chat-core/tests/marks.rs`):
//!
//! | between | and then | so |
//! |---|---|---|
//! | the request and its place in a batch | too many wait already | `unavailable`, with a time to come back |
//! | | the engine is shut down | `unavailable`: nothing was promised |
//! | its place and the write | its session ends | it is written all the same |
//! | | the user rises further, on whichever device | one row is written, all are answered |
//! | | the engine is shut down | it is written and answered before the engine ends |
//! | the write and its end | the store refuses | everybody of that batch hears `unavailable`, the next batch is written |
//! | | the store's answer is lost | everybody of that batch hears `unknown_outcome`; a rise again is the same rise |
//! | | the store panics | those who wait hear `unknown_outcome`, the next rise begins afresh |
//! | | the user is removed | the store drops it |
//! | the end of the write and the telling | the mark rises again | the newer one alone is told |
//! | | too many are untold, or the engine stops | they stay untold: marks are read by `sync` and `receipts` |

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use chat_proto::wire::{Mark, MarkPush, Push};
use chat_proto::{ChannelId, ChannelType, Head, Rejection, UserId};
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;

use super::engine::{Engine, Inner};
use crate::caller::Caller;
use crate::lock::lock;
use crate::ports::{InboxRow, MarkKind, MarkRise, Payload, PortError, Retry};

/// After this time a rise that found no room may come again.
const RETRY_AFTER_MS: u64 = 500;
/// Rises that are told to their channels at the same time.
const TOLD_AT_ONCE_MAX: usize = 32;

/// What merges: a user's rises of a kind, the private ones apart.
type Key = (ChannelId, UserId, MarkKind, bool);
type Waiter = oneshot::Sender<Result<(), Rejection>>;

/// Rises on their way into the store, and from there to those whom they concern.
#[derive(Default)]
pub(super) struct Marks {
    unwritten: Mutex<Unwritten>,
    untold: Mutex<Untold>,
}

#[derive(Default)]
struct Unwritten {
    rises: BTreeMap<Key, Merged>,
    /// Callers whose rises were taken and not answered yet.
    waiting: usize,
    /// A task writes, and will look here again.
    writing: bool,
}

/// The highest of the rises of one key, and everybody who waits for it.
struct Merged {
    rise: MarkRise,
    news: News,
    waiters: Vec<Waiter>,
}

#[derive(Default)]
struct Untold {
    news: BTreeMap<Key, (MarkRise, News)>,
    telling: bool,
}

/// What there is to tell of a rise.
#[derive(Clone, Debug)]
struct News {
    /// Where the mark stood before for those who hear of it.
    former: Head,
    /// Whether more than the user's own devices hear of it.
    concerns_others: bool,
    /// The session that raised it, which knows.
    origin: Option<u64>,
}

impl Engine {
    /// Raises the caller's mark to an entry; beyond the head means the head, and a mark never goes back.
    ///
    /// # Cancellation
    /// A rise that was taken is written: dropping the future only means not hearing of it.
    pub(super) async fn raise(
        &self,
        caller: &Caller,
        mark: Mark,
        kind: MarkKind,
        origin: Option<u64>,
    ) -> Result<(), Rejection> {
        let row = self.readable(caller, mark.channel).await?;
        let private = self.inner.is_invisible(&caller.user).await?;
        // Nobody is ever shown what has arrived at whoever is invisible, or in a group: it would be written for nobody.
        let is_direct = row.meta.channel_type == ChannelType::Direct;
        if kind == MarkKind::Delivered && (private || !is_direct) {
            return Ok(());
        }
        let to = self.inner.point(&row, mark).await?;
        if to == Head::EMPTY {
            return Ok(());
        }
        let rise = MarkRise {
            channel: mark.channel,
            user: caller.user.clone(),
            kind,
            to,
            at: self.now(),
            private,
        };
        let news = self.inner.news(&row, &rise, origin).await?;
        let (waiter, answer) = oneshot::channel();
        self.take_rise(rise, news, waiter)?;
        answer
            .await
            .unwrap_or_else(|_| Err(unconfirmed("the server stopped on the way")))
    }

    /// Puts a rise into the next bulk write.
    fn take_rise(&self, rise: MarkRise, news: News, waiter: Waiter) -> Result<(), Rejection> {
        let inner = &self.inner;
        // Held before the look: a shutdown that has not begun yet then waits for what is spawned here.
        let _token = inner.tasks.token();
        if inner.closed.load(Ordering::Acquire) {
            return Err(Rejection::unavailable(
                "this server is stopping: retry with another",
            ));
        }
        let mut unwritten = lock(&inner.marks.unwritten);
        if unwritten.waiting >= inner.parts.settings.marks_waiting_max {
            return Err(
                Rejection::unavailable("too many marks wait to be written: retry")
                    .retry_after_ms(RETRY_AFTER_MS),
            );
        }
        unwritten.waiting += 1;
        unwritten.merge(rise, news, waiter);
        let writes = std::mem::replace(&mut unwritten.writing, true);
        drop(unwritten);
        if !writes {
            inner.tasks.spawn(write_all(Arc::clone(inner)));
        }
        Ok(())
    }
}

/// Writes until nothing waits.
async fn write_all(inner: Arc<Inner>) {
    let mut guard = AbandonOnPanic {
        marks: &inner.marks,
        armed: true,
    };
    let most = inner.parts.settings.marks_in_write_max.max(1);
    while let Some(mut rises) = inner.marks.next_unwritten() {
        // All that waited goes before what comes meanwhile, so that no channel is passed over for ever.
        while !rises.is_empty() {
            let rest = rises.split_off(rises.len().min(most));
            inner.write(rises).await;
            rises = rest;
        }
    }
    guard.armed = false;
}

struct AbandonOnPanic<'a> {
    marks: &'a Marks,
    armed: bool,
}

impl Drop for AbandonOnPanic<'_> {
    fn drop(&mut self) {
        if self.armed {
            // Whoever waits hears that their answer will not come.
            drop(std::mem::take(&mut *lock(&self.marks.unwritten)));
        }
    }
}

impl Marks {
    /// Everything that waits; `None` ends the writing.
    fn next_unwritten(&self) -> Option<Vec<Merged>> {
        let mut unwritten = lock(&self.unwritten);
        if unwritten.rises.is_empty() {
            unwritten.writing = false;
            return None;
        }
        Some(std::mem::take(&mut unwritten.rises).into_values().collect())
    }

    /// Everything that is untold; `None` ends the telling.
    fn next_untold(&self) -> Option<Vec<(MarkRise, News)>> {
        let mut untold = lock(&self.untold);
        if untold.news.is_empty() {
            untold.telling = false;
            return None;
        }
        Some(std::mem::take(&mut untold.news).into_values().collect())
    }
}

impl Unwritten {
    fn merge(&mut self, rise: MarkRise, news: News, waiter: Waiter) {
        let merged = self.rises.entry(key(&rise)).or_insert_with(|| Merged {
            rise: rise.clone(),
            news: news.clone(),
            waiters: Vec::new(),
        });
        if rise.to > merged.rise.to {
            merged.rise.to = rise.to;
            merged.news.origin = news.origin;
        }
        merged.rise.at = merged.rise.at.max(rise.at);
        merged.waiters.push(waiter);
    }
}

impl Inner {
    async fn write(self: &Arc<Self>, batch: Vec<Merged>) {
        let rises = batch.iter().map(|merged| merged.rise.clone()).collect();
        let written = self.parts.inbox.raise(rises).await;
        if let Err(error) = &written {
            tracing::warn!(%error, marks = batch.len(), "marks could not be written");
        }
        let answered: usize = batch.iter().map(|merged| merged.waiters.len()).sum();
        // Before they hear: who rises again at once finds room.
        lock(&self.marks.unwritten).waiting -= answered;
        for Merged {
            rise,
            news,
            waiters,
        } in batch
        {
            if written.is_ok() && rise.to > news.former {
                self.note_untold(rise, news);
            }
            let answer = match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(refusal(error)),
            };
            for waiter in waiters {
                // Whoever waited may have gone; the mark is where it is.
                drop(waiter.send(answer.clone()));
            }
        }
    }

    /// Has a durable rise told, unless a newer one is told already.
    fn note_untold(self: &Arc<Self>, rise: MarkRise, news: News) {
        let mut untold = lock(&self.marks.untold);
        let key = key(&rise);
        let has_room = untold.news.len() < self.parts.settings.marks_waiting_max;
        if !has_room && !untold.news.contains_key(&key) {
            return;
        }
        untold.news.insert(key, (rise, news));
        if !std::mem::replace(&mut untold.telling, true) {
            self.tasks.spawn(tell_all(Arc::clone(self)));
        }
    }

    /// The entry that a mark names, with its ordinal.
    async fn point(&self, row: &InboxRow, mark: Mark) -> Result<Head, Rejection> {
        if mark.seq >= row.head.seq {
            return Ok(row.head);
        }
        if mark.seq < row.member.visible_from {
            // Nothing that the caller could have read: their mark stays where it is.
            return Ok(Head::EMPTY);
        }
        let entry = self.entry_at(mark.channel, mark.seq).await?;
        Ok(entry.map_or(row.head, |entry| entry.head()))
    }

    async fn news(
        &self,
        row: &InboxRow,
        rise: &MarkRise,
        origin: Option<u64>,
    ) -> Result<News, PortError> {
        // Others are never shown more than the member has read: what rises beyond that is news to them as well.
        let is_ahead = rise.kind == MarkKind::Read && rise.to > row.read;
        let former = if rise.private || is_ahead {
            row.read
        } else {
            let user = std::slice::from_ref(&rise.user);
            let shown = self.parts.inbox.marks(row.channel, user).await?;
            let shown = shown
                .into_iter()
                .next()
                .map(|(_, mark)| mark)
                .unwrap_or_default();
            match rise.kind {
                MarkKind::Read => shown.read,
                MarkKind::Delivered => shown.delivered,
            }
        };
        let is_small = row.member_count <= self.parts.settings.live_receipts_members_max;
        Ok(News {
            former,
            concerns_others: is_small && !rise.private,
            origin,
        })
    }

    async fn tell_mark(&self, rise: MarkRise, news: News) {
        let own = || vec![rise.user.clone()];
        let recipients = if news.concerns_others {
            self.member_ids(rise.channel).await.unwrap_or_else(own)
        } else {
            own()
        };
        let read = rise.kind == MarkKind::Read;
        let push = mark_push(rise.channel, &rise.user, read, rise.to);
        self.push_volatile(&recipients, push, news.origin);
        let payload = Payload::Mark {
            channel: rise.channel,
            user: rise.user,
            read,
            to: rise.to,
            recipients: recipients.clone(),
        };
        self.publish_to_nodes_of(&recipients, self.envelope(payload))
            .await;
    }
}

/// Tells until nothing is untold, or the engine stops.
async fn tell_all(inner: Arc<Inner>) {
    while let Some(news) = inner.marks.next_untold() {
        let telling: Vec<_> = news
            .into_iter()
            .map(|(rise, news)| inner.tell_mark(rise, news))
            .collect();
        let told = stream::iter(telling)
            .buffer_unordered(TOLD_AT_ONCE_MAX)
            .collect::<()>();
        if inner.stop.run_until_cancelled(told).await.is_none() {
            return;
        }
    }
}

/// A mark as sessions are told of it.
pub(super) fn mark_push(channel: ChannelId, user: &UserId, read: bool, to: Head) -> Push {
    let mark = MarkPush {
        channel,
        user: user.clone(),
        seq: to.seq,
        n: to.n,
    };
    if read {
        Push::Read(mark)
    } else {
        Push::Delivered(mark)
    }
}

fn key(rise: &MarkRise) -> Key {
    (rise.channel, rise.user.clone(), rise.kind, rise.private)
}

fn refusal(error: &PortError) -> Rejection {
    match error.retry() {
        Retry::Unknown => unconfirmed("the server could not confirm it"),
        Retry::Never | Retry::Safe => {
            Rejection::unavailable("the server cannot do this now: retry later")
        }
    }
}

fn unconfirmed(why: &str) -> Rejection {
    Rejection::unknown_outcome(format!("{why}: raise the mark again, which does no harm"))
}
