//! Carries envelopes between nodes of one process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_proto::{ChannelId, NodeId, UserId};
use metrics::counter;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::lock::lock;
use crate::ports::{Envelope, PortError, Router, RouterFeed};

/// Envelopes that wait for a node at the most; the newest is dropped then.
pub const FEED_ENVELOPES_MAX: usize = 1_024;

/// A [`Router`] between the nodes of one process that share it. Envelopes that find a full or absent receiver are
/// dropped and counted in `chat_router_dropped_total`.
pub struct MemoryRouter {
    registry: Mutex<Registry>,
    feed_envelopes_max: usize,
}

#[derive(Default)]
struct Registry {
    /// Every node that joined or attached somebody, with the way to it once it joined.
    nodes: BTreeMap<NodeId, Option<mpsc::Sender<Arc<Envelope>>>>,
    /// How many attachments a node has of a user.
    served: HashMap<UserId, BTreeMap<NodeId, usize>>,
    topics: HashMap<ChannelId, BTreeSet<NodeId>>,
}

impl MemoryRouter {
    /// A router with no node, whose feeds hold [`FEED_ENVELOPES_MAX`].
    pub fn new() -> Self {
        Self::with_feed_capacity(FEED_ENVELOPES_MAX)
    }

    /// A router whose feeds hold so many envelopes, at least one.
    pub fn with_feed_capacity(envelopes_max: usize) -> Self {
        Self {
            registry: Mutex::default(),
            feed_envelopes_max: envelopes_max.max(1),
        }
    }
}

impl Default for MemoryRouter {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    fn deliver(&self, to: &NodeId, envelope: Arc<Envelope>) {
        let reason = match self.nodes.get(to) {
            Some(Some(sender)) => match sender.try_send(envelope) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) => "full",
                Err(TrySendError::Closed(_)) => "gone",
            },
            Some(None) | None => "gone",
        };
        counter!("chat_router_dropped_total", "reason" => reason).increment(1);
    }
}

#[async_trait]
impl Router for MemoryRouter {
    async fn join(&self, node: &NodeId) -> Result<RouterFeed, PortError> {
        let (sender, feed) = mpsc::channel(self.feed_envelopes_max);
        lock(&self.registry)
            .nodes
            .insert(node.clone(), Some(sender));
        Ok(feed)
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        registry.nodes.remove(node);
        registry.served.retain(|_, nodes| {
            nodes.remove(node);
            !nodes.is_empty()
        });
        registry.topics.retain(|_, nodes| {
            nodes.remove(node);
            !nodes.is_empty()
        });
        Ok(())
    }

    async fn attach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        registry.nodes.entry(node.clone()).or_default();
        *registry
            .served
            .entry(user.clone())
            .or_default()
            .entry(node.clone())
            .or_default() += 1;
        Ok(())
    }

    async fn detach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        let Some(nodes) = registry.served.get_mut(user) else {
            return Ok(());
        };
        if let Some(attachments) = nodes.get_mut(node) {
            *attachments -= 1;
            if *attachments == 0 {
                nodes.remove(node);
            }
        }
        if nodes.is_empty() {
            registry.served.remove(user);
        }
        Ok(())
    }

    async fn locate(&self, asker: &NodeId, users: &[UserId]) -> Result<Vec<NodeId>, PortError> {
        let registry = lock(&self.registry);
        // A program with one node must not pay a look-up per recipient of every message.
        if registry.nodes.keys().all(|node| node == asker) {
            return Ok(Vec::new());
        }
        let served = users.iter().filter_map(|user| registry.served.get(user));
        let nodes: BTreeSet<&NodeId> = served
            .flat_map(BTreeMap::keys)
            .filter(|node| *node != asker)
            .collect();
        Ok(nodes.into_iter().cloned().collect())
    }

    async fn publish(&self, to: &NodeId, envelope: Arc<Envelope>) -> Result<(), PortError> {
        lock(&self.registry).deliver(to, envelope);
        Ok(())
    }

    async fn join_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        lock(&self.registry)
            .topics
            .entry(channel)
            .or_default()
            .insert(node.clone());
        Ok(())
    }

    async fn leave_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        let mut registry = lock(&self.registry);
        if let Some(nodes) = registry.topics.get_mut(&channel) {
            nodes.remove(node);
            if nodes.is_empty() {
                registry.topics.remove(&channel);
            }
        }
        Ok(())
    }

    async fn publish_topic(
        &self,
        channel: ChannelId,
        envelope: Arc<Envelope>,
    ) -> Result<(), PortError> {
        let registry = lock(&self.registry);
        let listeners = registry.topics.get(&channel);
        for node in listeners
            .into_iter()
            .flatten()
            .filter(|node| **node != envelope.from)
        {
            registry.deliver(node, Arc::clone(&envelope));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Payload;

    fn user(name: &str) -> UserId {
        name.parse().expect("a good name")
    }

    fn typing(from: &NodeId, who: &str) -> Arc<Envelope> {
        let channel = ChannelId::external("room");
        let payload = Payload::Typing {
            channel,
            user: user(who),
            recipients: Vec::new(),
        };
        Arc::new(Envelope {
            from: from.clone(),
            payload,
        })
    }

    fn heard(feed: &mut RouterFeed) -> Vec<String> {
        std::iter::from_fn(|| feed.try_recv().ok())
            .map(|envelope| match &envelope.payload {
                Payload::Typing { user, .. } => user.to_string(),
                other => panic!("only typing was sent, not {other:?}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn attachments_are_counted() -> Result<(), PortError> {
        let router = MemoryRouter::new();
        let (a, b, ann) = (NodeId::new("a"), NodeId::new("b"), user("ann"));
        router.attach(&b, &ann).await?;
        router.attach(&b, &ann).await?;
        router.detach(&b, &ann).await?;
        let found = router.locate(&a, &[user("bob"), ann.clone()]).await?;
        assert_eq!(found, std::slice::from_ref(&b));
        assert_eq!(router.locate(&b, std::slice::from_ref(&ann)).await?, []);
        router.detach(&b, &ann).await?;
        router.detach(&b, &ann).await?;
        assert_eq!(router.locate(&a, &[ann]).await?, []);
        Ok(())
    }

    #[tokio::test]
    async fn a_full_receiver_stops_nobody() -> Result<(), PortError> {
        let router = MemoryRouter::with_feed_capacity(2);
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        let mut feed = router.join(&b).await?;
        for who in ["one", "two", "three"] {
            router.publish(&b, typing(&a, who)).await?;
        }
        assert_eq!(heard(&mut feed), ["one", "two"]);
        router.publish(&b, typing(&a, "four")).await?;
        assert_eq!(heard(&mut feed), ["four"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_publisher_does_not_hear_itself() -> Result<(), PortError> {
        let router = MemoryRouter::new();
        let (a, b, topic) = (
            NodeId::new("a"),
            NodeId::new("b"),
            ChannelId::external("hall"),
        );
        let (mut feed_a, mut feed_b) = (router.join(&a).await?, router.join(&b).await?);
        router.join_topic(&a, topic).await?;
        router.join_topic(&b, topic).await?;
        router.publish_topic(topic, typing(&a, "ann")).await?;
        assert_eq!((heard(&mut feed_a).len(), heard(&mut feed_b).len()), (0, 1));
        router.leave(&b).await?;
        router.publish_topic(topic, typing(&a, "ann")).await?;
        assert!(
            feed_b.recv().await.is_none(),
            "who left hears the end of the feed"
        );
        Ok(())
    }
}
