//! Who came and who went, told to the bus: transitions only, never a beat.
//!
//! A user is offline 30 s after the last sign of life, at once on log-out; who is back before that was never away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_proto::{DeviceId, UserId};
use tokio::sync::Notify;

use super::engine::{Engine, Inner};
use crate::ports::PresenceChange;

/// Wait before the bus is told again what it did not take.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Transitions that the bus has not been told yet, and users who may be back in a moment.
pub(super) struct Presence {
    inner: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Users without a session: when the last one was heard.
    gone: BTreeMap<UserId, u64>,
    /// What the bus must be told; the newest transition of a user stands.
    untold: BTreeMap<UserId, bool>,
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    pub(super) fn spawn_presence(&self) {
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let stop = inner.stop.clone();
            let _stopped = stop.run_until_cancelled(inner.tell_presence()).await;
        });
    }

    /// Tells the bus that everybody on this node is gone, as far as it takes it.
    pub(super) async fn flush_presence(&self) {
        {
            let mut state = self.inner.presence.lock();
            let gone = std::mem::take(&mut state.gone);
            state
                .untold
                .extend(gone.into_keys().map(|user| (user, false)));
        }
        self.inner.tell_once().await;
    }
}

impl Inner {
    /// A user's first session began.
    pub(super) fn came(&self, user: &UserId) {
        let mut state = self.presence.lock();
        let was_here = state.gone.remove(user).is_some();
        if !was_here {
            state.untold.insert(user.clone(), true);
            drop(state);
            self.presence.changed.notify_one();
        }
    }

    /// A user's last session ended; it was last heard at this time of the engine's life.
    pub(super) fn went(&self, user: &UserId, heard_ms: u64) {
        self.presence.lock().gone.insert(user.clone(), heard_ms);
    }

    /// A device logged out: if it was the user's only one, the user is gone at once.
    pub(super) fn presence_ends(&self, user: &UserId, device: DeviceId) {
        let mut others = false;
        self.registry
            .each_of(user, |session| others |= session.device != device);
        if !others {
            let mut state = self.presence.lock();
            // In the past, so that the next turn of the wheel tells it.
            state.gone.insert(user.clone(), 0);
        }
    }

    /// Who was not heard of until `heard_before_ms` and has no session is offline.
    pub(super) fn expire_presence(&self, heard_before_ms: u64) {
        let mut state = self.presence.lock();
        let due: Vec<UserId> = state
            .gone
            .iter()
            .filter(|(_, heard_ms)| **heard_ms <= heard_before_ms)
            .map(|(user, _)| user.clone())
            .collect();
        if due.is_empty() {
            return;
        }
        for user in due {
            state.gone.remove(&user);
            state.untold.insert(user, false);
        }
        drop(state);
        self.presence.changed.notify_one();
    }

    async fn tell_presence(&self) {
        loop {
            self.presence.changed.notified().await;
            while !self.tell_once().await {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    async fn tell_once(&self) -> bool {
        let untold = std::mem::take(&mut self.presence.lock().untold);
        if untold.is_empty() {
            return true;
        }
        let at = self.parts.clock.now();
        let changes: Vec<PresenceChange> = untold
            .iter()
            .map(|(user, online)| PresenceChange {
                user: user.clone(),
                node: self.parts.node.clone(),
                node_epoch: self.parts.node_epoch,
                online: *online,
                at,
            })
            .collect();
        match self.parts.presence.announce(&changes).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, users = changes.len(), "presence could not be told; retrying");
                let mut state = self.presence.lock();
                for (user, online) in untold {
                    state.untold.entry(user).or_insert(online);
                }
                false
            }
        }
    }
}
