//! Who is online, for nodes of one process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use chat_proto::people::{Presence, Shown, Status};
use chat_proto::{NodeId, Timestamp, UserId};
use tokio::sync::mpsc;

use crate::lock::lock;
use crate::ports::{
    KeptStatus, PRESENCE_FEED_EVENTS_MAX, PortError, PortErrorKind, PresenceBus, PresenceChange,
    PresenceEvent, PresenceFeed, PresenceRev, PresenceStep, Retry, UserPresence,
};

/// A [`PresenceBus`] between the nodes of one process that share it.
pub struct MemoryPresenceBus {
    registry: Mutex<Registry>,
}

struct Registry {
    generation: u64,
    users: HashMap<UserId, Record>,
    nodes: BTreeMap<NodeId, Node>,
    watchers: HashMap<UserId, BTreeSet<NodeId>>,
}

/// What is known of a user.
#[derive(Default)]
struct Record {
    /// The lives of nodes that announced the user and have not taken it back.
    here: BTreeSet<(NodeId, u64)>,
    status: KeptStatus,
    /// The last sign of life while the user could be seen.
    last_seen: Option<Timestamp>,
    rev: u64,
}

/// A node that is fed.
struct Node {
    feed: mpsc::Sender<PresenceEvent>,
    /// The feed was full, and its last place has been taken by saying so.
    missed: bool,
}

impl MemoryPresenceBus {
    /// Nobody is online.
    pub fn new() -> Self {
        Self {
            registry: Mutex::new(Registry {
                generation: 1,
                users: HashMap::new(),
                nodes: BTreeMap::new(),
                watchers: HashMap::new(),
            }),
        }
    }

    /// Loses everything but who watches, as a registry in a service of its own does when that is restarted.
    pub fn restart(&self) {
        let mut registry = lock(&self.registry);
        registry.generation += 1;
        registry.users.clear();
        // Nothing else may stand for it: a feed that has no room ends, and its node joins anew.
        registry.nodes.retain(|_, node| {
            node.feed.capacity() > 1 && node.feed.try_send(PresenceEvent::Restarted).is_ok()
        });
    }
}

impl Default for MemoryPresenceBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    fn apply(&mut self, change: &PresenceChange) {
        let Some(transition) = self.step(change) else {
            return;
        };
        let watchers = self.watchers.get(&change.user).into_iter().flatten();
        for watcher in watchers {
            if let Some(node) = self.nodes.get_mut(watcher) {
                node.feed(PresenceEvent::Changed(transition.clone()));
            }
        }
    }

    /// The one step: what others see afterwards, if that is not what they saw before.
    fn step(&mut self, change: &PresenceChange) -> Option<UserPresence> {
        // Of who is nowhere a status is kept all the same: it may be newer than the one that they come with.
        if matches!(change.step, PresenceStep::Gone) && !self.users.contains_key(&change.user) {
            return None;
        }
        let record = self.users.entry(change.user.clone()).or_default();
        let before = record.shown(&change.user);
        record.apply(change);
        if record.shown(&change.user) == before {
            return None;
        }
        record.rev += 1;
        Some(self.presence(&change.user))
    }

    fn presence(&self, user: &UserId) -> UserPresence {
        let record = self.users.get(user);
        UserPresence {
            shown: record.map_or_else(|| Record::default().shown(user), |known| known.shown(user)),
            rev: PresenceRev {
                generation: self.generation,
                rev: record.map_or(0, |known| known.rev),
            },
        }
    }

    /// Refuses a node that did not join, or dropped its feed.
    fn require_joined(&mut self, node: &NodeId, op: &'static str) -> Result<(), PortError> {
        if self
            .nodes
            .get(node)
            .is_some_and(|known| !known.feed.is_closed())
        {
            return Ok(());
        }
        self.forget_node(node);
        Err(PortError::new(PortErrorKind::Unavailable, Retry::Safe, op)
            .with_source("the node did not join"))
    }

    fn forget_node(&mut self, node: &NodeId) {
        self.nodes.remove(node);
        self.watchers.retain(|_, watchers| {
            watchers.remove(node);
            !watchers.is_empty()
        });
    }
}

impl Record {
    fn apply(&mut self, change: &PresenceChange) {
        let was_seen = self.is_seen();
        let life = (change.node.clone(), change.node_epoch);
        let left = match &change.step {
            PresenceStep::Here(status) => {
                self.here.insert(life);
                self.take(status);
                false
            }
            PresenceStep::Gone => self.here.remove(&life),
            PresenceStep::Status(status) => {
                self.take(status);
                false
            }
        };
        // Whoever could not be seen leaves no trace of when they were here.
        if was_seen && (left || !self.is_seen()) {
            self.last_seen = self.last_seen.max(Some(change.at));
        }
    }

    fn take(&mut self, status: &KeptStatus) {
        if status.rev > self.status.rev {
            self.status = status.clone();
        }
    }

    fn is_seen(&self) -> bool {
        !self.here.is_empty() && self.status.state != Status::Invisible
    }

    fn shown(&self, user: &UserId) -> Presence {
        let state = match self.status.state {
            _ if self.here.is_empty() => Shown::Offline,
            Status::Online => Shown::Online,
            Status::Away => Shown::Away,
            Status::Busy => Shown::Busy,
            Status::Invisible => Shown::Offline,
        };
        let offline = state == Shown::Offline;
        Presence {
            user: user.clone(),
            state,
            text: self.status.text.clone().filter(|_| !offline),
            last_seen_ms: self.last_seen.filter(|_| offline),
        }
    }
}

impl Node {
    /// The last place of a feed is kept for saying that something was left out.
    fn feed(&mut self, event: PresenceEvent) {
        if self.feed.capacity() > 1 {
            self.missed = false;
            // Whoever dropped the feed is forgotten at the next join or watch.
            drop(self.feed.try_send(event));
        } else if !self.missed {
            self.missed = self.feed.try_send(PresenceEvent::Missed).is_ok();
        }
    }
}

#[async_trait]
impl PresenceBus for MemoryPresenceBus {
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        changes.iter().for_each(|change| registry.apply(change));
        Ok(())
    }

    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError> {
        let registry = lock(&self.registry);
        Ok(users.iter().map(|user| registry.presence(user)).collect())
    }

    async fn join(&self, node: &NodeId) -> Result<PresenceFeed, PortError> {
        let (feed, events) = mpsc::channel(PRESENCE_FEED_EVENTS_MAX);
        let mut registry = lock(&self.registry);
        registry.forget_node(node);
        let joined = Node {
            feed,
            missed: false,
        };
        registry.nodes.insert(node.clone(), joined);
        Ok(events)
    }

    async fn watch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        registry.require_joined(node, "presence.watch")?;
        for user in users {
            let watchers = registry.watchers.entry(user.clone()).or_default();
            watchers.insert(node.clone());
        }
        Ok(())
    }

    async fn unwatch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        for user in users {
            if let Some(watchers) = registry.watchers.get_mut(user) {
                watchers.remove(node);
                if watchers.is_empty() {
                    registry.watchers.remove(user);
                }
            }
        }
        Ok(())
    }
}
