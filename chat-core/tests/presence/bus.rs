//! A bus that notes its calls, and fails, waits and forgets when told so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chat_core::memory::MemoryPresenceBus;
use chat_core::ports::{
    PortError, PresenceBus, PresenceChange, PresenceEvent, PresenceFeed, Retry, UserPresence,
};
use chat_core::proto::{NodeId, UserId};
use tokio::sync::{Notify, mpsc};

/// Around a bus in memory.
pub(crate) struct TestBus {
    pub(crate) inner: MemoryPresenceBus,
    state: Mutex<State>,
    loses_events: Arc<AtomicBool>,
    let_on: Notify,
}

#[derive(Default)]
struct State {
    announced: Vec<PresenceChange>,
    watched: Vec<UserId>,
    unwatched: Vec<UserId>,
    refusals: VecDeque<&'static str>,
    held: Option<&'static str>,
    feeds: Vec<mpsc::Sender<PresenceEvent>>,
}

impl TestBus {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryPresenceBus::new(),
            state: Mutex::default(),
            loses_events: Arc::default(),
            let_on: Notify::new(),
        }
    }

    /// What was announced since this was asked last.
    pub(crate) fn announced(&self) -> Vec<PresenceChange> {
        std::mem::take(&mut self.state().announced)
    }

    /// Who was watched and who no longer, since this was asked last.
    pub(crate) fn watches(&self) -> (Vec<UserId>, Vec<UserId>) {
        let mut state = self.state();
        (
            std::mem::take(&mut state.watched),
            std::mem::take(&mut state.unwatched),
        )
    }

    /// The next calls of this operation are refused.
    pub(crate) fn refuse(&self, op: &'static str, times: usize) {
        let refusals = std::iter::repeat_n(op, times);
        self.state().refusals.extend(refusals);
    }

    /// Calls of this operation wait for [`Self::let_on`]: `announce` before it is done or refused, `states` before it
    /// is answered.
    pub(crate) fn hold(&self, op: &'static str) {
        self.state().held = Some(op);
    }

    pub(crate) fn let_on(&self) {
        self.state().held = None;
        self.let_on.notify_waiters();
    }

    /// Transitions no longer arrive, until an event says so.
    pub(crate) fn lose_events(&self) {
        self.loses_events.store(true, Ordering::SeqCst);
    }

    /// Every feed gets this event.
    pub(crate) async fn say(&self, event: PresenceEvent) {
        self.loses_events.store(false, Ordering::SeqCst);
        let feeds = self.state().feeds.clone();
        for feed in feeds {
            // A node that is gone hears nothing.
            drop(feed.send(event.clone()).await);
        }
    }

    /// Every feed ends.
    pub(crate) fn end_feeds(&self) {
        self.loses_events.store(false, Ordering::SeqCst);
        self.state().feeds.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, op: &'static str) {
        let let_on = self.let_on.notified();
        let held = self.state().held == Some(op);
        if held {
            let_on.await;
        }
    }

    fn refused(&self, op: &'static str) -> Result<(), PortError> {
        let mut state = self.state();
        match state.refusals.iter().position(|refused| *refused == op) {
            Some(place) => {
                state.refusals.remove(place);
                Err(PortError::unavailable(op, Retry::Safe))
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl PresenceBus for TestBus {
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError> {
        self.wait("announce").await;
        self.refused("announce")?;
        self.state().announced.extend(changes.iter().cloned());
        self.inner.announce(changes).await
    }

    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError> {
        self.refused("states")?;
        let states = self.inner.states(users).await;
        self.wait("states").await;
        states
    }

    async fn join(&self, node: &NodeId) -> Result<PresenceFeed, PortError> {
        self.refused("join")?;
        let mut inner = self.inner.join(node).await?;
        let (sender, feed) = mpsc::channel(inner.max_capacity());
        let relayed = sender.downgrade();
        self.state().feeds.push(sender);
        let loses_events = Arc::clone(&self.loses_events);
        tokio::spawn(async move {
            while let Some(event) = inner.recv().await {
                let Some(sender) = relayed.upgrade() else {
                    return;
                };
                if loses_events.load(Ordering::SeqCst) {
                    continue;
                }
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        Ok(feed)
    }

    async fn watch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        self.refused("watch")?;
        self.state().watched.extend(users.iter().cloned());
        self.inner.watch(node, users).await
    }

    async fn unwatch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError> {
        self.refused("unwatch")?;
        self.state().unwatched.extend(users.iter().cloned());
        self.inner.unwatch(node, users).await
    }
}
