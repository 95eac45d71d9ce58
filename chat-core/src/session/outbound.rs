//! The queue towards a session. It never waits and never grows beyond its bound: the log is durable, so what does not
//! fit is left out and the client told which heads to pull.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use chat_proto::wire::{
    Answer, ChannelHead, GoAway, GoAwayReason, HeadsPush, Push, ServerFrame, SharedPush,
};
use chat_proto::{ChannelId, Head, Limits, Rejection, UserId};
use futures_util::task::AtomicWaker;

use super::session::{Close, Outgoing};
use crate::lock::lock;

/// What a queued answer counts, in bytes: those that are large are never queued, see [`super::Session`].
const ANSWER_BYTES: usize = 192;
/// What a channel's head counts while it waits to be told.
const HEAD_BYTES: usize = 96;

/// A session's queue, shared by everybody who has something to tell it.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    bytes_max: usize,
    /// How watched users are now seen: the newest of each, said behind everything else. Only the number of watched users
    /// bounds it, which have a bound of their own.
    presence: BTreeMap<UserId, Arc<SharedPush>>,
    /// The same users in the order in which they came.
    presence_order: VecDeque<UserId>,
    /// Entries that were left out: the highest head of each channel.
    behind: BTreeMap<ChannelId, Head>,
    /// Commands that were begun and whose answer the transport has not taken yet.
    in_flight: usize,
    in_flight_bytes: usize,
    close: Option<Close>,
}

#[derive(Debug)]
enum Item {
    /// The answer to a command of so many bytes.
    Answer(Box<ServerFrame>, usize),
    Control(Box<ServerFrame>),
    Entry(Arc<SharedPush>),
    Volatile(Arc<SharedPush>),
}

impl Outbound {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                bytes_max,
                ..Queue::default()
            }),
            waker: AtomicWaker::new(),
        }
    }

    /// Counts a command until its [`answer`](Self::answer) is taken.
    pub(crate) fn begin_command(&self, bytes: usize) {
        let mut queue = self.lock();
        queue.in_flight += 1;
        queue.in_flight_bytes += bytes;
    }

    /// Whether one more command may be begun.
    pub(crate) fn admits(&self, limits: &Limits) -> bool {
        let queue = self.lock();
        queue.in_flight < limits.commands_in_flight_max
            && queue.in_flight_bytes <= limits.inbound_bytes_in_flight_max
            && queue.close.is_none()
    }

    /// Whether the answers to all commands have been taken.
    pub(crate) fn has_answered_all(&self) -> bool {
        self.lock().in_flight == 0
    }

    /// Answers a command that was counted with these bytes.
    pub(crate) fn answer(&self, id: u32, bytes: usize, answer: Result<Answer, Rejection>) {
        self.lock()
            .push(Item::Answer(Box::new(frame_of(id, answer)), bytes));
        self.waker.wake();
    }

    /// Queues a frame that must not be left out.
    pub(crate) fn control(&self, frame: ServerFrame) {
        self.lock().push(Item::Control(Box::new(frame)));
        self.waker.wake();
    }

    /// Queues entries, in the order of their logs.
    pub(crate) fn entries<'a>(&self, pushes: impl Iterator<Item = &'a Arc<SharedPush>>) {
        let mut queue = self.lock();
        let mut any = false;
        for push in pushes {
            queue.push(Item::Entry(Arc::clone(push)));
            any = true;
        }
        drop(queue);
        if any {
            self.waker.wake();
        }
    }

    /// Queues what may be lost.
    pub(crate) fn volatile(&self, push: &Arc<SharedPush>) {
        self.lock().push(Item::Volatile(Arc::clone(push)));
        self.waker.wake();
    }

    /// Queues how a user is now seen, instead of what is queued of them.
    pub(crate) fn push_presence(&self, user: &UserId, push: &Arc<SharedPush>) {
        let mut queue = self.lock();
        if queue.close.is_some() {
            return;
        }
        let queued = queue.presence.insert(user.clone(), Arc::clone(push));
        if queued.is_none() {
            queue.presence_order.push_back(user.clone());
        }
        drop(queue);
        self.waker.wake();
    }

    /// Takes back what is queued of a user.
    pub(crate) fn forget_presence(&self, user: &UserId) {
        let mut queue = self.lock();
        if queue.presence.remove(user).is_some() {
            queue.presence_order.retain(|queued| queued != user);
        }
    }

    /// Tells a channel's head instead of its entries.
    pub(crate) fn head(&self, channel: ChannelId, head: Head) {
        self.lock().leave_out(channel, head);
        self.waker.wake();
    }

    /// Ends the session: what is queued is still said, and nothing more. The first close stands.
    pub(crate) fn close(&self, close: Close) {
        self.lock().close.get_or_insert(close);
        self.waker.wake();
    }

    /// Ends the session after telling why, and when to come back.
    pub(crate) fn go_away(&self, reason: GoAwayReason, reconnect_after_ms: u64) {
        let goaway = GoAway {
            reason,
            reconnect_after_ms,
            url: None,
        };
        let mut queue = self.lock();
        if queue.close.is_none() {
            let frame = ServerFrame::Push(Push::GoAway(goaway));
            queue.push(Item::Control(Box::new(frame)));
            queue.close.get_or_insert(Close::new(reason.close_code()));
        }
        drop(queue);
        self.waker.wake();
    }

    /// Whether the session has been told to end.
    pub(crate) fn closing(&self) -> Option<Close> {
        self.lock().close
    }

    /// The next frame, if there is one now.
    pub(crate) fn take(&self) -> Option<Outgoing> {
        self.lock().take()
    }

    /// The next frame, or a wake-up when there is one.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        if let Some(next) = self.take() {
            return Poll::Ready(next);
        }
        self.waker.register(cx.waker());
        // Once more: something may have come between the look and the registration.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// The first answer, whatever stands before it, or a wake-up when there is one; `None` when the session was told to end
    /// and no answer is left.
    pub(crate) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Option<Box<ServerFrame>>> {
        let look = || {
            let mut queue = self.lock();
            match queue.take_answer() {
                None if queue.close.is_none() => Poll::Pending,
                answer => Poll::Ready(answer),
            }
        };
        let found = look();
        if found.is_ready() {
            return found;
        }
        self.waker.register(cx.waker());
        // Once more: something may have come between the look and the registration.
        look()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

impl Queue {
    fn push(&mut self, item: Item) {
        if self.close.is_some() {
            return;
        }
        // A frame of any legal size fits a queue that is within its bound, so that a long text is not left out only because
        // something short stands before it.
        if self.bytes > self.bytes_max {
            self.shed();
        }
        if self.close.is_none() {
            self.bytes += item.bytes();
            self.items.push_back(item);
        }
    }

    /// Volatile frames go first, then entries become heads, then the session ends.
    fn shed(&mut self) {
        self.retain(|item| !matches!(item, Item::Volatile(_)));
        if self.bytes <= self.bytes_max {
            return;
        }
        let items = std::mem::take(&mut self.items);
        self.bytes = self.behind.len() * HEAD_BYTES;
        let mut newest_of_user = None;
        for item in items {
            match item {
                Item::Entry(push) => match push.push() {
                    Push::Entry(entry) => self.leave_out(entry.channel, entry.entry.head()),
                    // Of the user's own log the newest entry is enough: the client sees the gap before it.
                    Push::User(_) => newest_of_user = Some(push),
                    Push::Heads(_)
                    | Push::Read(_)
                    | Push::Delivered(_)
                    | Push::Presence(_)
                    | Push::Typing(_)
                    | Push::GoAway(_) => {}
                },
                Item::Answer(..) | Item::Control(_) | Item::Volatile(_) => {
                    self.bytes += item.bytes();
                    self.items.push_back(item);
                }
            }
        }
        if let Some(push) = newest_of_user {
            self.bytes += push.size_bytes();
            self.items.push_back(Item::Entry(push));
        }
        if self.bytes > self.bytes_max {
            self.items.clear();
            self.behind.clear();
            self.presence.clear();
            self.presence_order.clear();
            self.bytes = 0;
            self.close = Some(Close::slow());
        }
    }

    fn leave_out(&mut self, channel: ChannelId, head: Head) {
        if self.close.is_some() {
            return;
        }
        let bytes = &mut self.bytes;
        self.behind
            .entry(channel)
            .and_modify(|known| *known = (*known).max(head))
            .or_insert_with(|| {
                *bytes += HEAD_BYTES;
                head
            });
    }

    fn retain(&mut self, keep: impl Fn(&Item) -> bool) {
        let bytes = &mut self.bytes;
        self.items.retain(|item| {
            let keeps = keep(item);
            if !keeps {
                *bytes -= item.bytes();
            }
            keeps
        });
    }

    fn take(&mut self) -> Option<Outgoing> {
        if !self.behind.is_empty() {
            // Before any later entry of these channels, so that the client pulls at once.
            self.bytes -= self.behind.len() * HEAD_BYTES;
            let behind = std::mem::take(&mut self.behind);
            let channels = behind
                .into_iter()
                .map(|(channel, head)| ChannelHead { channel, head })
                .collect();
            return Some(Outgoing::Frame(Box::new(ServerFrame::Push(Push::Heads(
                HeadsPush { channels },
            )))));
        }
        if let Some(item) = self.items.pop_front() {
            self.bytes -= item.bytes();
            if self.items.is_empty() {
                // A burst leaves no memory behind in an idle session.
                self.items.shrink_to(4);
            }
            return Some(match item {
                Item::Answer(frame, bytes) => {
                    self.end_command(bytes);
                    Outgoing::Frame(frame)
                }
                Item::Control(frame) => Outgoing::Frame(frame),
                Item::Entry(push) | Item::Volatile(push) => Outgoing::Shared(push),
            });
        }
        if let Some(user) = self.presence_order.pop_front() {
            let push = self.presence.remove(&user);
            return Some(Outgoing::Shared(push.expect("both hold the same users")));
        }
        self.close.map(Outgoing::Close)
    }

    fn take_answer(&mut self) -> Option<Box<ServerFrame>> {
        if self.in_flight == 0 {
            return None;
        }
        let is_answer = |item: &Item| matches!(item, Item::Answer(..));
        let index = self.items.iter().position(is_answer)?;
        let item = self.items.remove(index)?;
        self.bytes -= item.bytes();
        match item {
            Item::Answer(frame, bytes) => {
                self.end_command(bytes);
                Some(frame)
            }
            Item::Control(_) | Item::Entry(_) | Item::Volatile(_) => None,
        }
    }

    fn end_command(&mut self, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Answer(..) | Self::Control(_) => ANSWER_BYTES,
            Self::Entry(push) | Self::Volatile(push) => push.size_bytes(),
        }
    }
}

/// The frame that answers a request.
pub(super) fn frame_of(id: u32, answer: Result<Answer, Rejection>) -> ServerFrame {
    match answer {
        Ok(answer) => ServerFrame::Ok { id, answer },
        Err(rejection) => ServerFrame::Error { id, rejection },
    }
}

#[cfg(test)]
mod tests {
    use chat_proto::people::{Presence, ProfileChange, Shown, UserEntry, UserEntryKind};
    use chat_proto::wire::{CloseCode, EntryPush, TypingPush, UserPush};
    use chat_proto::{Body, ClientId, Entry, EntryKind, MessageId, Timestamp, entry};
    use uuid::Uuid;

    use super::*;

    fn channel() -> ChannelId {
        ChannelId::external("outbound")
    }

    fn user() -> UserId {
        "alice".parse().expect("a good name")
    }

    fn entry(seq: u64) -> Arc<SharedPush> {
        let message = entry::Message {
            client_id: ClientId::from_uuid(Uuid::from_u128(u128::from(seq))),
            body: Some(Body::text("x".repeat(100))),
            erased: false,
            rev: None,
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
        };
        let entry = Entry {
            seq: chat_proto::Seq(seq),
            n: chat_proto::Ordinal(seq),
            message: MessageId(seq),
            at: Timestamp(0),
            from: user(),
            device: None,
            withheld: false,
            kind: EntryKind::Message(message),
        };
        Arc::new(SharedPush::new(Push::Entry(EntryPush {
            channel: channel(),
            entry: Arc::new(entry),
        })))
    }

    fn own(seq: u64) -> Arc<SharedPush> {
        let entry = UserEntry {
            seq: chat_proto::Seq(seq),
            at: Timestamp(0),
            kind: UserEntryKind::Profile(ProfileChange::default()),
        };
        Arc::new(SharedPush::new(Push::User(UserPush { entry })))
    }

    fn typing() -> Arc<SharedPush> {
        Arc::new(SharedPush::new(Push::Typing(TypingPush {
            channel: channel(),
            user: user(),
        })))
    }

    #[test]
    fn volatile_frames_go_first() {
        let outbound = Outbound::new(2 * entry(1).size_bytes() + typing().size_bytes());
        outbound.volatile(&typing());
        outbound.entries([entry(1), entry(2)].iter());
        outbound.entries([entry(3)].iter().take(0));
        outbound.volatile(&typing());
        let mut entries = 0;
        while let Some(next) = outbound.take() {
            match next {
                Outgoing::Shared(push) => {
                    entries += u64::from(matches!(push.push(), Push::Entry(_)))
                }
                Outgoing::Frame(_) | Outgoing::Close(_) => panic!("nothing was left out: {next:?}"),
            }
        }
        assert_eq!(entries, 2);
    }

    #[test]
    fn a_backlog_becomes_one_heads_frame_and_answers_remain() {
        let outbound = Outbound::new(3 * entry(1).size_bytes());
        outbound.begin_command(10);
        outbound.answer(7, 10, Ok(Answer::Done));
        for seq in 1..=1_000 {
            outbound.entries([entry(seq)].iter());
        }
        let Some(Outgoing::Frame(first)) = outbound.take() else {
            panic!("heads come first")
        };
        let ServerFrame::Push(Push::Heads(heads)) = *first else {
            panic!("heads come first: {first:?}")
        };
        assert_eq!(heads.channels.len(), 1);
        let told = heads.channels[0].head.seq.0;
        let (mut answers, mut next) = (0, told + 1);
        while let Some(outgoing) = outbound.take() {
            match outgoing {
                Outgoing::Frame(frame) => {
                    answers += u64::from(matches!(*frame, ServerFrame::Ok { id: 7, .. }))
                }
                Outgoing::Shared(push) => {
                    let Push::Entry(push) = push.push() else {
                        panic!("only entries were pushed")
                    };
                    // What follows the told head is contiguous with it: nothing is lost without notice.
                    assert_eq!(push.entry.seq.0, next);
                    next += 1;
                }
                Outgoing::Close(close) => panic!("{close:?}"),
            }
        }
        assert_eq!((answers, next), (1, 1_001));
        assert!(outbound.has_answered_all());
    }

    #[test]
    fn of_the_users_own_log_the_newest_entry_stays() {
        let outbound = Outbound::new(3 * own(1).size_bytes());
        for seq in 1..=100 {
            outbound.entries([own(seq)].iter());
        }
        let (mut last, mut taken) = (0, 0);
        while let Some(Outgoing::Shared(push)) = outbound.take() {
            let Push::User(push) = push.push() else {
                panic!("only entries of the user's own log were pushed")
            };
            assert!(push.entry.seq.0 > last, "in their order");
            last = push.entry.seq.0;
            taken += 1;
        }
        assert_eq!(last, 100, "the client sees how far the log goes");
        assert!(taken < 10, "and the queue stays within its bound");
        assert!(outbound.closing().is_none());
    }

    #[test]
    fn answers_may_be_taken_ahead_of_pushes() {
        let outbound = Outbound::new(1_000_000);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        outbound.entries([entry(1)].iter());
        outbound.begin_command(10);
        assert!(outbound.poll_answer(&mut cx).is_pending());
        outbound.answer(7, 10, Ok(Answer::Done));
        outbound.entries([entry(2)].iter());
        let Poll::Ready(Some(answer)) = outbound.poll_answer(&mut cx) else {
            panic!("the answer is there")
        };
        assert!(matches!(*answer, ServerFrame::Ok { id: 7, .. }));
        assert!(outbound.has_answered_all());
        assert!(outbound.poll_answer(&mut cx).is_pending());
        outbound.close(Close::slow());
        assert!(matches!(outbound.poll_answer(&mut cx), Poll::Ready(None)));
        let left: Vec<_> = std::iter::from_fn(|| outbound.take()).take(3).collect();
        assert!(
            matches!(
                left[..],
                [Outgoing::Shared(_), Outgoing::Shared(_), Outgoing::Close(_)]
            ),
            "the pushes stayed, in their order: {left:?}"
        );
    }

    #[test]
    fn control_over_the_bound_ends_the_session_as_slow() {
        let outbound = Outbound::new(10 * ANSWER_BYTES);
        for _ in 0..20 {
            outbound.control(ServerFrame::Pong);
        }
        let Some(Outgoing::Close(close)) = outbound.take() else {
            panic!("the session ends")
        };
        assert_eq!(close.code, CloseCode::Slow);
    }

    #[test]
    fn one_frame_of_any_size_fits_an_empty_queue() {
        let outbound = Outbound::new(1);
        outbound.entries([entry(1)].iter());
        assert!(matches!(outbound.take(), Some(Outgoing::Shared(_))));
        assert!(outbound.take().is_none());
    }

    #[test]
    fn of_a_watched_user_only_the_newest_state_waits_behind_all_else() {
        let outbound = Outbound::new(10_000);
        let told = |name: &str, state| {
            let user: UserId = name.parse().expect("a good name");
            let presence = Presence {
                user: user.clone(),
                state,
                text: None,
                last_seen_ms: None,
            };
            outbound.push_presence(&user, &Arc::new(SharedPush::new(Push::Presence(presence))));
            user
        };
        let bob = told("bob", Shown::Online);
        told("alice", Shown::Away);
        told("carol", Shown::Busy);
        told("bob", Shown::Offline);
        outbound.forget_presence(&told("dave", Shown::Online));
        outbound.entries([entry(1)].iter());
        let mut order = Vec::new();
        while let Some(Outgoing::Shared(push)) = outbound.take() {
            match push.push() {
                Push::Presence(presence) => order.push((presence.user.to_string(), presence.state)),
                _ => order.push(("entry".to_owned(), Shown::Online)),
            }
        }
        let expected = [
            ("entry", Shown::Online),
            (bob.as_str(), Shown::Offline),
            ("alice", Shown::Away),
            ("carol", Shown::Busy),
        ];
        assert_eq!(
            order,
            expected.map(|(name, state)| (name.to_owned(), state))
        );
    }
}
