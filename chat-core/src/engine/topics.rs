//! The local members of large channels. A large channel has no roster in memory, so each node keeps those of its
//! members whom it serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_proto::{ChannelId, Seq, UserId};

/// Local members by large channel, and large channels by local member.
pub(super) struct Topics {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    channels: HashMap<ChannelId, Topic>,
    users: BTreeMap<UserId, BTreeSet<ChannelId>>,
}

#[derive(Default)]
struct Topic {
    users: BTreeSet<UserId>,
    /// The last entry that was applied to `users`.
    applied: Seq,
}

/// Whether what came fits what was applied before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It follows directly.
    Next,
    /// Something may have been missed: the members must be read again.
    Gap,
}

impl Topics {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
        }
    }

    /// Adds a local member; tells whether the topic is new to this node.
    pub(super) fn add(&self, channel: ChannelId, user: &UserId) -> bool {
        let mut inner = self.lock();
        inner.users.entry(user.clone()).or_default().insert(channel);
        let is_new = !inner.channels.contains_key(&channel);
        inner
            .channels
            .entry(channel)
            .or_default()
            .users
            .insert(user.clone());
        is_new
    }

    /// Removes a local member; tells whether the topic is no longer needed.
    pub(super) fn remove(&self, channel: ChannelId, user: &UserId) -> bool {
        let mut inner = self.lock();
        if let Some(channels) = inner.users.get_mut(user) {
            channels.remove(&channel);
            if channels.is_empty() {
                inner.users.remove(user);
            }
        }
        let Some(topic) = inner.channels.get_mut(&channel) else {
            return false;
        };
        topic.users.remove(user);
        let empty = topic.users.is_empty();
        if empty {
            inner.channels.remove(&channel);
        }
        empty
    }

    /// The channels that the user was added to.
    pub(super) fn of_user(&self, user: &UserId) -> Vec<ChannelId> {
        self.lock()
            .users
            .get(user)
            .map(|channels| channels.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The local members.
    pub(super) fn users(&self, channel: ChannelId) -> Vec<UserId> {
        self.lock()
            .channels
            .get(&channel)
            .map(|topic| topic.users.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Notes that entries from `first` to `last` are being applied.
    pub(super) fn applied(&self, channel: ChannelId, first: Seq, last: Seq) -> Fit {
        let mut inner = self.lock();
        let Some(topic) = inner.channels.get_mut(&channel) else {
            return Fit::Gap;
        };
        let fits = topic.applied.next() == first;
        topic.applied = topic.applied.max(last);
        if fits { Fit::Next } else { Fit::Gap }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
