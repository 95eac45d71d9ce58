//! Feeds that go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use chat_core::ports::{
    PRESENCE_FEED_EVENTS_MAX, PortError, PresenceBus, PresenceChange, PresenceEvent, PresenceFeed,
};
use chat_core::proto::{NodeId, UserId};
use tokio::sync::mpsc;

use super::twisted::{PresenceTwist, relay};
use crate::broken::appends::lock;

/// Feeds a transition after the one that followed it.
#[derive(Default)]
pub struct FeedsLate;

#[async_trait]
impl PresenceTwist for FeedsLate {
    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        let mut late = None;
        let swapped = move |event| match late.take() {
            Some(late) => vec![event, late],
            None => {
                late = Some(event);
                Vec::new()
            }
        };
        let (kept, feed) = relay(inner.join(node).await?, 1, swapped);
        keep_open(kept, feed)
    }
}

/// Feeds every node with everybody.
#[derive(Default)]
pub struct WakesNonWatchers {
    nodes: Mutex<BTreeSet<NodeId>>,
}

#[async_trait]
impl PresenceTwist for WakesNonWatchers {
    async fn announce(
        &self,
        inner: &dyn PresenceBus,
        changes: Vec<PresenceChange>,
    ) -> Result<(), PortError> {
        let users: Vec<UserId> = changes.iter().map(|change| change.user.clone()).collect();
        let nodes = lock(&self.nodes).clone();
        for node in &nodes {
            inner.watch(node, &users).await?;
        }
        inner.announce(&changes).await
    }

    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        lock(&self.nodes).insert(node.clone());
        inner.join(node).await
    }
}

/// Feeds how a user is seen whenever a node reports something of them.
#[derive(Default)]
pub struct FeedsWhatNobodySees {
    feeds: Mutex<Vec<mpsc::Sender<PresenceEvent>>>,
}

#[async_trait]
impl PresenceTwist for FeedsWhatNobodySees {
    async fn announce(
        &self,
        inner: &dyn PresenceBus,
        changes: Vec<PresenceChange>,
    ) -> Result<(), PortError> {
        for change in changes {
            let user = change.user.clone();
            inner.announce(&[change]).await?;
            for state in inner.states(&[user]).await? {
                for feed in &*lock(&self.feeds) {
                    // As any feed: what does not fit is left out.
                    drop(feed.try_send(PresenceEvent::Changed(state.clone())));
                }
            }
        }
        Ok(())
    }

    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        let joined = inner.join(node).await?;
        let (sender, feed) = relay(joined, PRESENCE_FEED_EVENTS_MAX, |event| vec![event]);
        lock(&self.feeds).push(sender);
        Ok(feed)
    }
}

/// Ends a watch when it was ended as often as it was begun.
#[derive(Default)]
pub struct CountsWatches {
    counts: Mutex<BTreeMap<(NodeId, UserId), usize>>,
}

#[async_trait]
impl PresenceTwist for CountsWatches {
    async fn watch(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
        users: &[UserId],
    ) -> Result<(), PortError> {
        for user in users {
            *lock(&self.counts)
                .entry((node.clone(), user.clone()))
                .or_default() += 1;
        }
        inner.watch(node, users).await
    }

    async fn unwatch(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
        users: &[UserId],
    ) -> Result<(), PortError> {
        for user in users {
            let left = {
                let mut counts = lock(&self.counts);
                let count = counts.entry((node.clone(), user.clone())).or_default();
                *count = count.saturating_sub(1);
                *count
            };
            if left == 0 {
                inner.unwatch(node, std::slice::from_ref(user)).await?;
            }
        }
        Ok(())
    }
}

/// Goes on feeding.
#[derive(Default)]
pub struct ForgetsUnwatch;

#[async_trait]
impl PresenceTwist for ForgetsUnwatch {
    async fn unwatch(
        &self,
        _inner: &dyn PresenceBus,
        _node: &NodeId,
        _users: &[UserId],
    ) -> Result<(), PortError> {
        Ok(())
    }
}

/// Feeds a node that joins again with whom it watched before.
#[derive(Default)]
pub struct KeepsWatchesOverJoins {
    watched: Mutex<BTreeSet<UserId>>,
}

#[async_trait]
impl PresenceTwist for KeepsWatchesOverJoins {
    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        let feed = inner.join(node).await?;
        let watched: Vec<UserId> = lock(&self.watched).iter().cloned().collect();
        inner.watch(node, &watched).await?;
        Ok(feed)
    }

    async fn watch(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
        users: &[UserId],
    ) -> Result<(), PortError> {
        lock(&self.watched).extend(users.iter().cloned());
        inner.watch(node, users).await
    }
}

/// Leaves out what does not fit, and says nothing.
#[derive(Default)]
pub struct DropsInSilence;

#[async_trait]
impl PresenceTwist for DropsInSilence {
    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        without(inner.join(node).await?, PresenceEvent::Missed)
    }
}

/// Is empty from one moment to the next, and says nothing.
#[derive(Default)]
pub struct HidesItsRestart;

#[async_trait]
impl PresenceTwist for HidesItsRestart {
    async fn join(
        &self,
        inner: &dyn PresenceBus,
        node: &NodeId,
    ) -> Result<PresenceFeed, PortError> {
        without(inner.join(node).await?, PresenceEvent::Restarted)
    }
}

fn without(feed: PresenceFeed, hidden: PresenceEvent) -> Result<PresenceFeed, PortError> {
    let shown = move |event| {
        if event == hidden {
            Vec::new()
        } else {
            vec![event]
        }
    };
    // One event at a time: what the feed behind it leaves out stays out.
    let (kept, feed) = relay(feed, 1, shown);
    keep_open(kept, feed)
}

/// The feed, open for as long as somebody reads it.
fn keep_open(
    kept: mpsc::Sender<PresenceEvent>,
    feed: PresenceFeed,
) -> Result<PresenceFeed, PortError> {
    tokio::spawn(async move { kept.closed().await });
    Ok(feed)
}
