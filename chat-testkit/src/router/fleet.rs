//! Nodes of a case, and what reaches them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chat_core::ports::{Envelope, Payload, Router, RouterFeed};
use chat_core::proto::{ChannelId, Head, NodeId, UserId};

use super::factory::{NODES, OpenedRouter};
use crate::names::{fresh_channel, fresh_node};

/// An envelope that has not arrived by then does not arrive.
const ARRIVAL_SECONDS_MAX: u64 = 20;

/// The number of an envelope behind which nothing comes.
const LAST: u64 = u64::MAX >> 1;

/// Nodes that have joined, with their feeds.
pub(crate) struct Fleet {
    routers: [Arc<dyn Router>; NODES],
    nodes: Vec<NodeId>,
    pub(super) feeds: Vec<RouterFeed>,
}

impl Fleet {
    pub(crate) async fn join(opened: &OpenedRouter) -> Self {
        let routers = opened.routers.clone();
        let nodes: Vec<NodeId> = (0..NODES).map(|_| fresh_node("node")).collect();
        let mut feeds = Vec::new();
        for (router, node) in routers.iter().zip(&nodes) {
            feeds.push(router.join(node).await.expect("the router answers"));
        }
        Self {
            routers,
            nodes,
            feeds,
        }
    }

    pub(crate) fn name(&self, node: usize) -> &NodeId {
        &self.nodes[node]
    }

    pub(crate) async fn attach(&self, node: usize, user: &UserId) {
        let attached = self.routers[node].attach(self.name(node), user).await;
        attached.expect("the router answers");
    }

    pub(crate) async fn detach(&self, node: usize, user: &UserId) {
        let detached = self.routers[node].detach(self.name(node), user).await;
        detached.expect("the router answers");
    }

    pub(crate) async fn locate(&self, asker: usize, users: &[UserId]) -> BTreeSet<NodeId> {
        let located = self.routers[asker].locate(self.name(asker), users).await;
        let located = located.expect("the router answers");
        let distinct: BTreeSet<NodeId> = located.iter().cloned().collect();
        assert_eq!(distinct.len(), located.len(), "each node is named once");
        distinct
    }

    /// Leaves, and joins again as the same node.
    pub(crate) async fn rejoin(&mut self, node: usize) {
        let left = self.routers[node].leave(self.name(node)).await;
        left.expect("the router answers");
        let feed = self.routers[node].join(self.name(node)).await;
        self.feeds[node] = feed.expect("the router answers");
    }

    pub(crate) async fn leave_topic(&self, node: usize, channel: ChannelId) {
        let left = self.routers[node]
            .leave_topic(self.name(node), channel)
            .await;
        left.expect("the router answers");
    }

    pub(crate) async fn join_topic(&self, node: usize, channel: ChannelId) {
        let joined = self.routers[node]
            .join_topic(self.name(node), channel)
            .await;
        joined.expect("the router answers");
    }

    pub(crate) async fn publish(&self, from: usize, to: usize, channel: ChannelId, number: u64) {
        let envelope = numbered(self.name(from), channel, number);
        let sent = self.routers[from].publish(self.name(to), envelope).await;
        sent.expect("the router answers");
    }

    pub(crate) async fn publish_topic(&self, from: usize, channel: ChannelId, number: u64) {
        let envelope = numbered(self.name(from), channel, number);
        let sent = self.routers[from].publish_topic(channel, envelope).await;
        sent.expect("the router answers");
    }

    /// The next envelope: who sent it, and its number.
    pub(crate) async fn receive(&mut self, node: usize) -> (usize, u64) {
        let envelope = self.envelope(node).await;
        self.read(&envelope)
    }

    /// The next envelope.
    pub(crate) async fn envelope(&mut self, node: usize) -> Arc<Envelope> {
        let deadline = Duration::from_secs(ARRIVAL_SECONDS_MAX);
        let envelope = tokio::time::timeout(deadline, self.feeds[node].recv()).await;
        envelope
            .expect("an envelope arrives")
            .expect("a feed is open while its node has not left")
    }

    /// Nothing waits for the node, nor is on its way: an envelope from each other node comes first.
    pub(crate) async fn assert_silent(&mut self, node: usize) {
        for from in (0..NODES).filter(|from| *from != node) {
            self.publish(from, node, fresh_channel(), LAST).await;
            assert_eq!(
                self.receive(node).await,
                (from, LAST),
                "nothing else was sent to the node"
            );
        }
    }

    /// What has been sent to the node and not received, by the sender; all of it, for an envelope from each other node
    /// comes behind it.
    pub(crate) async fn received(&mut self, node: usize) -> [Vec<u64>; NODES] {
        let mut received = [const { Vec::new() }; NODES];
        for from in (0..NODES).filter(|from| *from != node) {
            self.publish(from, node, fresh_channel(), LAST).await;
        }
        let mut open = NODES - 1;
        while open > 0 {
            match self.receive(node).await {
                (_, LAST) => open -= 1,
                (from, number) => received[from].push(number),
            }
        }
        received
    }

    pub(crate) fn read(&self, envelope: &Envelope) -> (usize, u64) {
        let from = self.nodes.iter().position(|node| *node == envelope.from);
        let from = from.expect("an envelope tells its sender");
        let Payload::Head { head, .. } = &envelope.payload else {
            panic!("an envelope arrives as it was sent: {envelope:?}");
        };
        (from, head.seq.0)
    }
}

pub(super) fn numbered(from: &NodeId, channel: ChannelId, number: u64) -> Arc<Envelope> {
    let payload = Payload::Head {
        channel,
        head: Head::new(number, number),
        recipients: Vec::new(),
    };
    Arc::new(Envelope {
        from: from.clone(),
        payload,
    })
}
