//! What connects nodes, with a layer around it.

use std::sync::Arc;

use async_trait::async_trait;
use chat_proto::{ChannelId, NodeId, UserId};

use super::{Decorated, Layer};
use crate::ports::{
    Envelope, PortError, PresenceBus, PresenceChange, PresenceFeed, Router, RouterFeed,
    UserPresence,
};

#[async_trait]
impl<L: Layer> Router for Decorated<dyn Router, L> {
    async fn join(&self, node: &NodeId) -> Result<RouterFeed, PortError> {
        let feed = self
            .layer
            .write("router.join", self.inner.join(node))
            .await?;
        Ok(self.layer.feed(feed))
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        self.layer
            .write("router.leave", self.inner.leave(node))
            .await
    }

    async fn attach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        self.layer
            .write("router.attach", self.inner.attach(node, user))
            .await
    }

    async fn detach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        self.layer
            .write("router.detach", self.inner.detach(node, user))
            .await
    }

    async fn locate(&self, asker: &NodeId, users: &[UserId]) -> Result<Vec<NodeId>, PortError> {
        self.layer
            .read("router.locate", self.inner.locate(asker, users))
            .await
    }

    async fn publish(&self, to: &NodeId, envelope: Arc<Envelope>) -> Result<(), PortError> {
        self.layer
            .write("router.publish", self.inner.publish(to, envelope))
            .await
    }

    async fn join_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        self.layer
            .write("router.join_topic", self.inner.join_topic(node, channel))
            .await
    }

    async fn leave_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        self.layer
            .write("router.leave_topic", self.inner.leave_topic(node, channel))
            .await
    }

    async fn publish_topic(
        &self,
        channel: ChannelId,
        envelope: Arc<Envelope>,
    ) -> Result<(), PortError> {
        self.layer
            .write(
                "router.publish_topic",
                self.inner.publish_topic(channel, envelope),
            )
            .await
    }
}

#[async_trait]
impl<L: Layer> PresenceBus for Decorated<dyn PresenceBus, L> {
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError> {
        self.layer
            .write("presence.announce", self.inner.announce(changes))
            .await
    }

    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError> {
        self.layer
            .read("presence.states", self.inner.states(users))
            .await
    }

    async fn join(&self, node: &NodeId) -> Result<PresenceFeed, PortError> {
        self.layer
            .write("presence.join", self.inner.join(node))
            .await
    }

    async fn watch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        self.layer
            .write("presence.watch", self.inner.watch(node, users))
            .await
    }

    async fn unwatch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        self.layer
            .write("presence.unwatch", self.inner.unwatch(node, users))
            .await
    }
}
