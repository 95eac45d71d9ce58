//! A `PresenceBus` that does what another does, but for one thing.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{
    PortError, PresenceBus, PresenceChange, PresenceEvent, PresenceFeed, UserPresence,
};
use chat_core::proto::{NodeId, UserId};
use tokio::sync::mpsc;

/// What a [`TwistedPresence`] does otherwise than its bus; what is not overridden it does alike.
#[async_trait]
pub trait PresenceTwist: Send + Sync + 'static {
    /// Instead of each change that [`PresenceBus::announce`] is given.
    fn change(&self, change: PresenceChange) -> PresenceChange {
        change
    }

    /// Instead of [`PresenceBus::announce`].
    async fn announce(
        &self,
        inner: &dyn PresenceBus,
        changes: Vec<PresenceChange>,
    ) -> Result<(), PortError> {
        inner.announce(&changes).await
    }

    /// Instead of [`PresenceBus::states`].
    async fn states(
        &self,
        inner: &dyn PresenceBus,
        users: &[UserId],
    ) -> Result<Vec<UserPresence>, PortError> {
        inner.states(users).await
    }

    /// Instead of [`PresenceBus::join`].
    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        inner.join(node).await
    }

    /// Instead of [`PresenceBus::watch`].
    async fn watch(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
        users: &[UserId],
    ) -> Result<(), PortError> {
        inner.watch(node, users).await
    }

    /// Instead of [`PresenceBus::unwatch`].
    async fn unwatch(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
        users: &[UserId],
    ) -> Result<(), PortError> {
        inner.unwatch(node, users).await
    }
}

/// A bus with one twist.
pub struct TwistedPresence<T> {
    inner: Arc<dyn PresenceBus>,
    twist: T,
}

impl<T: PresenceTwist> TwistedPresence<T> {
    /// The bus with this twist.
    pub fn new(inner: Arc<dyn PresenceBus>, twist: T) -> Self {
        Self { inner, twist }
    }
}

#[async_trait]
impl<T: PresenceTwist> PresenceBus for TwistedPresence<T> {
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError> {
        let changes = changes.iter().cloned();
        let changes = changes.map(|change| self.twist.change(change)).collect();
        self.twist.announce(&*self.inner, changes).await
    }

    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError> {
        self.twist.states(&*self.inner, users).await
    }

    async fn join(&self, node: &NodeId) -> Result<PresenceFeed, PortError> {
        self.twist.join(&*self.inner, node).await
    }

    async fn watch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        self.twist.watch(&*self.inner, node, users).await
    }

    async fn unwatch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        self.twist.unwatch(&*self.inner, node, users).await
    }
}

/// A feed that holds `events_max` and gets of each event of another one what `twist` makes of it; and its sending end.
pub(super) fn relay(
    mut feed: PresenceFeed,
    events_max: usize,
    mut twist: impl FnMut(PresenceEvent) -> Vec<PresenceEvent> + Send + 'static,
) -> (mpsc::Sender<PresenceEvent>, PresenceFeed) {
    let (sender, twisted) = mpsc::channel(events_max);
    let relayed = sender.downgrade();
    // It ends with the feed that it reads, or with the one that it fills.
    tokio::spawn(async move {
        while let Some(event) = feed.recv().await {
            for event in twist(event) {
                let Some(sender) = relayed.upgrade() else {
                    return;
                };
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        }
    });
    (sender, twisted)
}
