//! What an application hears.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use chat_proto::sync::{Event, Progress};
use chat_proto::{ChannelId, Seq};
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// Events that wait for the application, beyond which the socket is not read. What one frame of the server brought
/// always fits.
pub(crate) const EVENTS_MAX: usize = 1_024;
/// Bytes of events that wait for the application, beyond which the socket is not read.
pub(crate) const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The events of a client, in order; ends when the client has stopped and all were taken.
///
/// While 1,024 events or 4 MiB wait here, the client reads nothing from its socket: nothing is lost, and
/// [`crate::Client::send`] does not return. So do not wait for a `send` in the task that takes the events.
///
/// An entry counts as taken when the next event is asked for. One that was handed out and not dealt with when the
/// program crashed comes again after the restart, if the client has a stored state.
#[derive(Debug)]
pub struct Events {
    queue: Arc<EventQueue>,
}

impl Events {
    pub(crate) fn new(queue: Arc<EventQueue>) -> Self {
        Self { queue }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        // Before the look: an event that comes in between wakes.
        self.queue.waker.register(cx.waker());
        self.queue.take()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

/// Between the client's task and the application.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    inner: Mutex<Inner>,
    waker: AtomicWaker,
    room: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<(u64, Event)>,
    /// Rises when logs are dropped, so that an entry of before is not taken for one of after.
    generation: u64,
    bytes: usize,
    /// Per log the last entry that the application has dealt with, where later ones were queued, and the last
    /// of those.
    undone: BTreeMap<LogName, Undone>,
    handed_out: Option<(u64, LogName, Seq)>,
    stopped: bool,
    abandoned: bool,
}

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LogName {
    Channel(ChannelId),
    User,
}

#[derive(Debug)]
struct Undone {
    done: Seq,
    last: Seq,
    since_generation: u64,
}

impl EventQueue {
    /// Queues an event, whatever room there is: the task looks before it reads the next frame.
    pub(crate) fn push(&self, event: Event) {
        let mut inner = self.lock();
        if inner.abandoned {
            return;
        }
        let generation = inner.generation;
        if let Some((log, seq)) = place_of(&event) {
            inner
                .undone
                .entry(log)
                .and_modify(|undone| undone.last = seq)
                .or_insert(Undone {
                    done: seq.previous(),
                    last: seq,
                    since_generation: generation,
                });
        }
        match &event {
            // What was told of these logs says nothing about those that follow.
            Event::Left { channel } => {
                inner.undone.remove(&LogName::Channel(*channel));
                inner.generation += 1;
            }
            Event::Reset => {
                inner.undone.clear();
                inner.generation += 1;
            }
            _ => {}
        }
        inner.bytes += size_bytes(&event);
        inner.events.push_back((generation, event));
        drop(inner);
        self.waker.wake();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.lock().has_room()
    }

    /// Returns when there may be room again.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }

    /// Moves the cursors back to what the application has dealt with. Returns whether there was any to move.
    pub(crate) fn hold_back(&self, progress: &mut Progress) -> bool {
        let inner = self.lock();
        for (log, undone) in &inner.undone {
            match log {
                LogName::Channel(channel) => progress.hold_back(*channel, undone.done),
                LogName::User => progress.hold_back_user(undone.done),
            }
        }
        !inner.undone.is_empty()
    }

    /// Nothing will be queued any more.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.waker.wake();
    }

    fn take(&self) -> Poll<Option<Event>> {
        let mut inner = self.lock();
        inner.finish_handed_out();
        let Some((generation, event)) = inner.events.pop_front() else {
            return if inner.stopped {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        inner.bytes -= size_bytes(&event);
        if let Some((log, seq)) = place_of(&event) {
            inner.handed_out = Some((generation, log, seq));
        }
        let has_room = inner.has_room();
        drop(inner);
        if has_room {
            self.room.notify_one();
        }
        Poll::Ready(Some(event))
    }

    fn abandon(&self) {
        let mut inner = self.lock();
        inner.abandoned = true;
        inner.events.clear();
        inner.bytes = 0;
        drop(inner);
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that holds the lock leaves it half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self) -> bool {
        self.events.len() < EVENTS_MAX && self.bytes < EVENT_BYTES_MAX
    }

    fn finish_handed_out(&mut self) {
        let Some((generation, log, seq)) = self.handed_out.take() else {
            return;
        };
        if let Some(undone) = self.undone.get_mut(&log)
            && undone.since_generation <= generation
        {
            if undone.last == seq {
                self.undone.remove(&log);
            } else {
                undone.done = seq;
            }
        }
    }
}

/// The place of the entry that an event tells, if it tells one.
fn place_of(event: &Event) -> Option<(LogName, Seq)> {
    match event {
        Event::Entry { channel, entry } => Some((LogName::Channel(*channel), entry.seq)),
        Event::UserEntry { entry } => Some((LogName::User, entry.seq)),
        _ => None,
    }
}

/// Roughly the bytes that an event occupies.
fn size_bytes(event: &Event) -> usize {
    let carried = match event {
        Event::Entry { entry, .. } => entry.size_bytes(),
        Event::UserEntry { entry } => entry.size_bytes(),
        Event::Presence { presence } => presence.size_bytes(),
        Event::ChannelChanged { summary } => {
            512 + summary.last.as_ref().map_or(0, |entry| entry.size_bytes())
        }
        _ => 64,
    };
    64 + carried
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chat_proto::sync::ChannelProgress;
    use chat_proto::{Entry, EntryKind, Head, MessageId, Ordinal, Timestamp};
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn entry(channel: ChannelId, seq: u64) -> Event {
        let entry = Arc::new(Entry {
            seq: Seq(seq),
            n: Ordinal(0),
            message: MessageId(seq),
            at: Timestamp(0),
            from: "bob".parse().expect("a good name"),
            device: None,
            withheld: false,
            kind: EntryKind::Unknown {
                kind: "x".into(),
                fields: serde_json::Map::new(),
            },
        });
        Event::Entry { channel, entry }
    }

    fn cursor(queue: &EventQueue, channel: ChannelId) -> u64 {
        let mut progress = Progress::default();
        let known = ChannelProgress {
            cursor: Seq(9),
            visible_from: Seq(1),
            head: Head::EMPTY,
            read: Head::EMPTY,
        };
        progress.channels.insert(channel, known);
        queue.hold_back(&mut progress);
        progress.channels[&channel].cursor.0
    }

    #[test]
    fn an_entry_is_done_when_the_next_event_is_asked_for() {
        let channel = ChannelId::external("x");
        let queue = Arc::new(EventQueue::default());
        let mut events = Events::new(Arc::clone(&queue));
        assert_eq!(cursor(&queue, channel), 9);
        for seq in 7..=9 {
            queue.push(entry(channel, seq));
        }
        assert_eq!(cursor(&queue, channel), 6);
        for done in [6, 7, 8] {
            assert!(events.next().now_or_never().flatten().is_some());
            assert_eq!(cursor(&queue, channel), done);
        }
        assert!(events.next().now_or_never().is_none());
        assert_eq!(cursor(&queue, channel), 9);
        queue.stop();
        assert_eq!(events.next().now_or_never(), Some(None));
    }

    #[test]
    fn an_entry_of_before_a_reset_is_not_taken_for_one_of_after() {
        let channel = ChannelId::external("x");
        let queue = Arc::new(EventQueue::default());
        let mut events = Events::new(Arc::clone(&queue));
        queue.push(entry(channel, 1));
        queue.push(Event::Reset);
        queue.push(entry(channel, 1));
        queue.push(entry(channel, 2));
        assert_eq!(cursor(&queue, channel), 0);
        for _ in 0..3 {
            assert!(events.next().now_or_never().flatten().is_some());
            assert_eq!(cursor(&queue, channel), 0, "entry 1 is not done");
        }
    }
}
