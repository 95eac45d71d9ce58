//! Who is online, for nodes of one process.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use chat_proto::{NodeId, Timestamp, UserId};

use super::lock;
use crate::ports::{PortError, PresenceBus, PresenceChange, UserPresence};

/// A [`PresenceBus`] between the nodes of one process that share it.
#[derive(Default)]
pub struct MemoryPresenceBus {
    users: Mutex<HashMap<UserId, Presence>>,
}

#[derive(Default)]
struct Presence {
    /// The lives of nodes that announced the user and have not taken it back.
    here: BTreeSet<(NodeId, u64)>,
    last_seen: Option<Timestamp>,
}

impl MemoryPresenceBus {
    /// Nobody is online.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl PresenceBus for MemoryPresenceBus {
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError> {
        let mut users = lock(&self.users);
        for change in changes {
            let node_life = (change.node.clone(), change.node_epoch);
            if change.online {
                users
                    .entry(change.user.clone())
                    .or_default()
                    .here
                    .insert(node_life);
            } else if let Some(presence) = users.get_mut(&change.user)
                && presence.here.remove(&node_life)
            {
                presence.last_seen = presence.last_seen.max(Some(change.at));
            }
        }
        Ok(())
    }

    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError> {
        let known = lock(&self.users);
        let state = |user: &UserId| {
            let presence = known.get(user);
            let online = presence.is_some_and(|presence| !presence.here.is_empty());
            let last_seen = presence
                .filter(|_| !online)
                .and_then(|presence| presence.last_seen);
            UserPresence {
                user: user.clone(),
                online,
                last_seen,
            }
        };
        Ok(users.iter().map(state).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().expect("a good name")
    }

    fn change(node: &'static str, node_epoch: u64, online: bool, at: u64) -> PresenceChange {
        PresenceChange {
            user: user("ann"),
            node: NodeId::new(node),
            node_epoch,
            online,
            at: Timestamp(at),
        }
    }

    async fn ann(bus: &MemoryPresenceBus) -> (bool, Option<Timestamp>) {
        let states = bus.states(&[user("ann")]).await.expect("memory answers");
        (states[0].online, states[0].last_seen)
    }

    #[tokio::test]
    async fn online_until_the_last_node_is_gone() {
        let bus = MemoryPresenceBus::new();
        assert_eq!(ann(&bus).await, (false, None));
        let here = [
            change("a", 1, true, 1),
            change("b", 1, true, 2),
            change("b", 1, true, 2),
        ];
        bus.announce(&here).await.expect("memory answers");
        bus.announce(&[change("a", 1, false, 3)])
            .await
            .expect("memory answers");
        assert_eq!(ann(&bus).await, (true, None));
        bus.announce(&[change("b", 1, false, 4)])
            .await
            .expect("memory answers");
        assert_eq!(ann(&bus).await, (false, Some(Timestamp(4))));
    }

    #[tokio::test]
    async fn a_stranger_cannot_take_back() {
        let bus = MemoryPresenceBus::new();
        bus.announce(&[change("a", 2, true, 1)])
            .await
            .expect("memory answers");
        bus.announce(&[change("a", 1, false, 9)])
            .await
            .expect("memory answers");
        assert_eq!(ann(&bus).await, (true, None));
        bus.announce(&[change("a", 2, false, 3)])
            .await
            .expect("memory answers");
        assert_eq!(ann(&bus).await, (false, Some(Timestamp(3))));
    }
}
