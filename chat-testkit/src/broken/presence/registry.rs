//! Registries that go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chat_core::ports::{PortError, PresenceBus, PresenceChange, PresenceStep, UserPresence};
use chat_core::proto::people::{Shown, Status};
use chat_core::proto::{NodeId, Timestamp, UserId};

use super::twisted::PresenceTwist;
use crate::broken::appends::lock;

/// The lives of nodes that announced each user.
#[derive(Default)]
struct Lives(Mutex<BTreeMap<UserId, BTreeSet<(NodeId, u64)>>>);

impl Lives {
    /// Those that announced the user up to now; an arrival is one of them.
    fn noted(&self, change: &PresenceChange) -> BTreeSet<(NodeId, u64)> {
        let mut lives = lock(&self.0);
        let of_user = lives.entry(change.user.clone()).or_default();
        if matches!(change.step, PresenceStep::Here(_)) {
            of_user.insert((change.node.clone(), change.node_epoch));
        }
        of_user.clone()
    }
}

/// Takes a user for gone when one of their nodes is.
#[derive(Default)]
pub struct ForgetsTheSecondNode(Lives);

#[async_trait]
impl PresenceTwist for ForgetsTheSecondNode {
    async fn announce(
        &self,
        inner: &dyn PresenceBus,
        changes: Vec<PresenceChange>,
    ) -> Result<(), PortError> {
        for change in changes {
            let lives = self.0.noted(&change);
            if change.step != PresenceStep::Gone {
                inner.announce(&[change]).await?;
                continue;
            }
            for (node, node_epoch) in lives {
                let gone = PresenceChange {
                    node,
                    node_epoch,
                    ..change.clone()
                };
                inner.announce(&[gone]).await?;
            }
        }
        Ok(())
    }
}

/// Counts announcements, and waits for as many departures.
#[derive(Default)]
pub struct CountsAnnouncements {
    counts: Mutex<BTreeMap<(UserId, NodeId, u64), i64>>,
}

#[async_trait]
impl PresenceTwist for CountsAnnouncements {
    async fn announce(
        &self,
        inner: &dyn PresenceBus,
        mut changes: Vec<PresenceChange>,
    ) -> Result<(), PortError> {
        changes.retain(|change| {
            let life = (change.user.clone(), change.node.clone(), change.node_epoch);
            let mut counts = lock(&self.counts);
            let count = counts.entry(life).or_default();
            match change.step {
                PresenceStep::Here(_) => *count += 1,
                PresenceStep::Gone => *count -= 1,
                PresenceStep::Status(_) => {}
            }
            change.step != PresenceStep::Gone || *count <= 0
        });
        inner.announce(&changes).await
    }
}

/// Takes a departure for that of whichever life announced the user.
#[derive(Default)]
pub struct AnybodyTakesBack(Lives);

#[async_trait]
impl PresenceTwist for AnybodyTakesBack {
    fn change(&self, mut change: PresenceChange) -> PresenceChange {
        let any = self.0.noted(&change).into_iter().next();
        if change.step == PresenceStep::Gone
            && let Some((node, node_epoch)) = any
        {
            (change.node, change.node_epoch) = (node, node_epoch);
        }
        change
    }
}

/// Takes the status that it hears last for the newest.
#[derive(Default)]
pub struct LastStatusStands {
    heard: AtomicU64,
}

#[async_trait]
impl PresenceTwist for LastStatusStands {
    fn change(&self, mut change: PresenceChange) -> PresenceChange {
        if let PresenceStep::Here(status) | PresenceStep::Status(status) = &mut change.step {
            status.rev = 1_000 + self.heard.fetch_add(1, Ordering::Relaxed);
        }
        change
    }
}

/// Takes a status for a sign of life.
#[derive(Default)]
pub struct StatusBringsOnline;

#[async_trait]
impl PresenceTwist for StatusBringsOnline {
    fn change(&self, mut change: PresenceChange) -> PresenceChange {
        if let PresenceStep::Status(status) = &change.step {
            change.step = PresenceStep::Here(status.clone());
        }
        change
    }
}

/// Knows no invisible users.
#[derive(Default)]
pub struct ShowsTheInvisible;

#[async_trait]
impl PresenceTwist for ShowsTheInvisible {
    fn change(&self, mut change: PresenceChange) -> PresenceChange {
        if let PresenceStep::Here(status) | PresenceStep::Status(status) = &mut change.step
            && status.state == Status::Invisible
        {
            status.state = Status::Online;
        }
        change
    }
}

/// Tells when a user was last here, also if nobody could see them.
#[derive(Default)]
pub struct UnfreezesLastSeen {
    left: Mutex<BTreeMap<UserId, Timestamp>>,
}

#[async_trait]
impl PresenceTwist for UnfreezesLastSeen {
    async fn announce(
        &self,
        inner: &dyn PresenceBus,
        changes: Vec<PresenceChange>,
    ) -> Result<(), PortError> {
        for change in &changes {
            if change.step == PresenceStep::Gone {
                lock(&self.left).insert(change.user.clone(), change.at);
            }
        }
        inner.announce(&changes).await
    }

    async fn states(
        &self,
        inner: &dyn PresenceBus,
        users: &[UserId],
    ) -> Result<Vec<UserPresence>, PortError> {
        let mut states = inner.states(users).await?;
        for state in &mut states {
            let shown = &mut state.shown;
            if shown.state == Shown::Offline {
                let left = lock(&self.left).get(&shown.user).copied();
                shown.last_seen_ms = shown.last_seen_ms.max(left);
            }
        }
        Ok(states)
    }
}

/// Answers by the names of users, each once.
#[derive(Default)]
pub struct StatesByName;

#[async_trait]
impl PresenceTwist for StatesByName {
    async fn states(
        &self,
        inner: &dyn PresenceBus,
        users: &[UserId],
    ) -> Result<Vec<UserPresence>, PortError> {
        let names: BTreeSet<UserId> = users.iter().cloned().collect();
        inner.states(&names.into_iter().collect::<Vec<_>>()).await
    }
}

/// Counts from the beginning when its registry does.
#[derive(Default)]
pub struct RevsBeginAgain;

#[async_trait]
impl PresenceTwist for RevsBeginAgain {
    async fn states(
        &self,
        inner: &dyn PresenceBus,
        users: &[UserId],
    ) -> Result<Vec<UserPresence>, PortError> {
        let mut states = inner.states(users).await?;
        for state in &mut states {
            state.rev.generation = 0;
        }
        Ok(states)
    }
}
