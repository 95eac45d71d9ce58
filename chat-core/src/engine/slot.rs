//! One active channel on this node: the commands that wait for it, and its fold between two batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use chat_proto::channel::{Member, MemberChange};
use chat_proto::{ChannelId, ChannelState, Limits, UserId};

use super::submission::Submission;
use crate::lock::lock;

/// A channel's queue and fold. One batch is in flight at a time; everything queued meanwhile goes into the next.
pub(super) struct Slot {
    pub(super) channel: ChannelId,
    inner: Mutex<SlotInner>,
}

#[derive(Default)]
struct SlotInner {
    waiting: VecDeque<Submission>,
    driving: bool,
    folded: Option<Folded>,
    used: u64,
}

/// A channel as far as this node has folded it. Holds committed entries only.
#[derive(Clone)]
pub(super) struct Folded {
    pub(super) state: ChannelState,
    /// Memberships that were looked up, where the state does not know all; as of exactly the state's head.
    pub(super) known: BTreeMap<UserId, Option<Member>>,
}

impl Folded {
    pub(super) fn new(state: ChannelState) -> Self {
        Self {
            state,
            known: BTreeMap::new(),
        }
    }

    /// Keeps looked-up memberships in step with an entry.
    pub(super) fn apply(&mut self, changes: &[MemberChange]) {
        for change in changes {
            if let Some(known) = self.known.get_mut(change.user()) {
                *known = change.applied_to(*known);
            }
        }
    }
}

/// What became of a submission.
pub(super) enum Queued {
    /// Somebody drives the channel already.
    Waits,
    /// The caller must see to it that the channel is driven.
    Drive,
    /// Too many wait.
    Full(Box<Submission>),
}

impl Slot {
    pub(super) fn new(channel: ChannelId) -> Self {
        Self {
            channel,
            inner: Mutex::default(),
        }
    }

    pub(super) fn enqueue(&self, submission: Submission, max: usize) -> Queued {
        let mut inner = self.lock();
        if inner.waiting.len() >= max {
            return Queued::Full(Box::new(submission));
        }
        inner.waiting.push_back(submission);
        if std::mem::replace(&mut inner.driving, true) {
            Queued::Waits
        } else {
            Queued::Drive
        }
    }

    /// What goes into the next append; `None` ends the drive.
    pub(super) fn next_batch(&self) -> Option<VecDeque<Submission>> {
        let mut inner = self.lock();
        let mut batch = VecDeque::new();
        let mut bytes = 0;
        while let Some(next) = inner.waiting.front() {
            bytes += next.bytes;
            let full =
                batch.len() >= Limits::APPEND_ENTRIES_MAX || bytes > Limits::APPEND_BYTES_MAX;
            if full && !batch.is_empty() {
                break;
            }
            batch.extend(inner.waiting.pop_front());
        }
        if batch.is_empty() {
            inner.driving = false;
            return None;
        }
        Some(batch)
    }

    /// After a panic: forgets what it held, so that the next command begins afresh.
    pub(super) fn abandon(&self) {
        let waiting = {
            let mut inner = self.lock();
            inner.folded = None;
            inner.driving = false;
            std::mem::take(&mut inner.waiting)
        };
        // Their replies say that the outcome is unknown; outside the lock, because that wakes sessions.
        drop(waiting);
    }

    pub(super) fn folded(&self) -> Option<Folded> {
        self.lock().folded.clone()
    }

    pub(super) fn put_folded(&self, folded: Folded) {
        self.lock().folded = Some(folded);
    }

    pub(super) fn forget_folded(&self) {
        self.lock().folded = None;
    }

    /// Marks the slot as used at this count of the whole table.
    pub(super) fn touch(&self, used: u64) {
        self.lock().used = used;
    }

    /// When it was last used, if nothing holds it busy.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let inner = self.lock();
        (!inner.driving && inner.waiting.is_empty()).then_some(inner.used)
    }

    fn lock(&self) -> MutexGuard<'_, SlotInner> {
        lock(&self.inner)
    }
}
