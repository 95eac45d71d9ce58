//! The sessions of this node, by user.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chat_proto::wire::SharedPush;
use chat_proto::{DeviceId, Timestamp, UserId};

use super::order::{CommandOrder, Turn};
use super::outbound::Outbound;
use super::session::Close;
use crate::lock::lock;

/// Locks over the map: enough that deliveries on few cores seldom meet.
const SHARDS: usize = 64;

/// What the engine keeps of a session.
#[derive(Debug)]
pub(crate) struct SessionShared {
    /// Unique on this node.
    pub(crate) id: u64,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) outbound: Outbound,
    /// Milliseconds of the engine's own clock at the last inbound frame.
    pub(crate) heard_ms: AtomicU64,
    pub(crate) order: CommandOrder,
    /// The router has confirmed this session's attachment, which its end takes back.
    pub(crate) attached: AtomicBool,
}

impl SessionShared {
    pub(crate) fn new(
        id: u64,
        user: UserId,
        device: DeviceId,
        expires_at: Option<Timestamp>,
        outbound: Outbound,
    ) -> Self {
        Self {
            id,
            user,
            device,
            expires_at,
            outbound,
            heard_ms: AtomicU64::new(0),
            order: CommandOrder::default(),
            attached: AtomicBool::new(false),
        }
    }

    /// When its client was last heard, in milliseconds of the engine's own clock.
    pub(crate) fn heard_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    /// A command was answered; a client that lets more fail than are remembered is sent away.
    pub(crate) fn settle(&self, turn: &Turn, may_come_again: bool) {
        if self.order.settle(turn, may_come_again).is_err() {
            self.outbound.close(Close::slow());
        }
    }
}

/// A push that goes to everybody but the session whose answer tells the same.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) push: Arc<SharedPush>,
    pub(crate) but: Option<u64>,
}

/// All sessions of this node.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    next_id: AtomicU64,
    count: AtomicU64,
}

type Shard = HashMap<UserId, Vec<Arc<SessionShared>>>;

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next_id: AtomicU64::new(1),
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// How many sessions there are.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds a session; tells the device's former one. `None` when the user has
    /// `max` sessions already.
    pub(crate) fn insert(&self, session: &Arc<SessionShared>, max: usize) -> Option<Inserted> {
        let mut shard = lock(self.shard(&session.user));
        // Exactly as many as there are: most users have one device, and there are many users.
        let sessions = shard
            .entry(session.user.clone())
            .or_insert_with(|| Vec::with_capacity(1));
        let replaced = sessions
            .iter()
            .position(|other| other.device == session.device);
        if replaced.is_none() && sessions.len() >= max {
            return None;
        }
        let replaced = replaced.map(|index| sessions.swap_remove(index));
        sessions.push(Arc::clone(session));
        drop(shard);
        if replaced.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        Some(Inserted { replaced })
    }

    /// Removes a session; `false` when it had been replaced.
    pub(crate) fn remove(&self, session: &SessionShared) -> bool {
        let mut shard = lock(self.shard(&session.user));
        let Some(sessions) = shard.get_mut(&session.user) else {
            return false;
        };
        let Some(index) = sessions.iter().position(|other| other.id == session.id) else {
            return false;
        };
        sessions.swap_remove(index);
        if sessions.is_empty() {
            shard.remove(&session.user);
        }
        drop(shard);
        self.count.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Whether the user has a session here.
    pub(crate) fn serves(&self, user: &UserId) -> bool {
        lock(self.shard(user)).contains_key(user)
    }

    /// The user's session of this id.
    pub(crate) fn session(&self, user: &UserId, id: u64) -> Option<Arc<SessionShared>> {
        let shard = lock(self.shard(user));
        let mut sessions = shard.get(user)?.iter();
        sessions.find(|session| session.id == id).cloned()
    }

    /// Calls `visit` for each session of the user.
    pub(crate) fn each_of(&self, user: &UserId, mut visit: impl FnMut(&Arc<SessionShared>)) {
        if let Some(sessions) = lock(self.shard(user)).get(user) {
            sessions.iter().for_each(&mut visit);
        }
    }

    /// Every session, for draining; not in any order.
    pub(crate) fn all(&self) -> Vec<Arc<SessionShared>> {
        self.shards
            .iter()
            .flat_map(|shard| lock(shard).values().flatten().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Queues these pushes for every session of these users. No allocation and no wait for any of them.
    pub(crate) fn deliver<'a>(
        &self,
        users: impl Iterator<Item = &'a UserId>,
        deliveries: &[Delivery],
    ) -> usize {
        let mut delivered = 0;
        for user in users {
            self.each_of(user, |session| {
                let pushes = deliveries
                    .iter()
                    .filter(|delivery| delivery.but != Some(session.id));
                session
                    .outbound
                    .entries(pushes.map(|delivery| &delivery.push));
                delivered += deliveries.len();
            });
        }
        delivered
    }

    fn shard(&self, user: &UserId) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(user);
        let index = usize::try_from(hash % SHARDS as u64).expect("a shard's index is small");
        &self.shards[index]
    }
}

/// What adding a session changed.
#[derive(Debug)]
pub(crate) struct Inserted {
    pub(crate) replaced: Option<Arc<SessionShared>>,
}
