//! The local members of large channels. A large channel has no roster in memory, so each node keeps those of its
//! members whom it serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;
use chat_proto::{ChannelId, Seq, UserId};

/// Local members by large channel, and large channels by local member.
pub(super) struct Topics {
    inner: Mutex<Inner>,
    /// The topics that the router was told of and confirmed. Held while it is told, so that a join and a leave that meet
    /// end as the local members want it.
    pub(super) followed: tokio::sync::Mutex<BTreeSet<ChannelId>>,
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
            followed: tokio::sync::Mutex::default(),
        }
    }

    /// Adds a local member.
    pub(super) fn add(&self, channel: ChannelId, user: &UserId) {
        let mut inner = self.lock();
        inner.users.entry(user.clone()).or_default().insert(channel);
        let topic = inner.channels.entry(channel).or_default();
        topic.users.insert(user.clone());
    }

    /// Removes a local member.
    pub(super) fn remove(&self, channel: ChannelId, user: &UserId) {
        let mut inner = self.lock();
        if let Some(channels) = inner.users.get_mut(user) {
            channels.remove(&channel);
            if channels.is_empty() {
                inner.users.remove(user);
            }
        }
        if let Some(topic) = inner.channels.get_mut(&channel) {
            topic.users.remove(user);
            if topic.users.is_empty() {
                inner.channels.remove(&channel);
            }
        }
    }

    /// Whether the channel has local members.
    pub(super) fn has(&self, channel: ChannelId) -> bool {
        self.lock().channels.contains_key(&channel)
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

    /// Whether the local members are known to be those before this entry.
    pub(super) fn fit(&self, channel: ChannelId, first: Seq) -> Fit {
        let inner = self.lock();
        let applied = inner.channels.get(&channel).map(|topic| topic.applied);
        if applied.map(Seq::next) == Some(first) {
            Fit::Next
        } else {
            Fit::Gap
        }
    }

    /// Notes that the local members are those behind this entry, or of later.
    pub(super) fn applied(&self, channel: ChannelId, last: Seq) {
        if let Some(topic) = self.lock().channels.get_mut(&channel) {
            topic.applied = topic.applied.max(last);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}
