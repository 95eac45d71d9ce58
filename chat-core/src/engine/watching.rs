//! How sessions begin to watch, and what the bus feeds this node with.
//!
//! A watch is in this node's list, then at the bus, confirmed, and only then are states read. What happened before that is
//! read; what happens after it is fed; nothing falls between. A read and a fed state meet in their revs: the newer stands.
//!
//! What can go wrong between two steps (each tried in `chat-core/tests/presence.rs`):
//!
//! | between | and then | so |
//! |---|---|---|
//! | the list and the bus | the bus refuses | the watch is taken back and refused as `unavailable` |
//! | the bus and the read of states | a transition is fed | its rev stands, whichever comes first |
//! | the read of states and the answer | a transition is fed | the answer tells it, and no push does |
//! | one session's end and another's beginning | both concern one user | the bus is told what the list then says |
//! | a transition and its feeding | the feed is full | the bus says so, and all states are read again |
//! | a transition and the next one | the bus is restarted | everybody here is announced, and after a time for the other nodes to do so states are read again |
//! | a feed and the next one | transitions are lost | who watches begins anew: watched, then read |
//! | a watch and its session's end | the bus does not take it back | it is asked again with the next change; what it still feeds concerns nobody |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::wire::{Unwatch, Watch, WatchAnswer};
use chat_proto::{Rejection, UserId};
use tokio::time::Instant;

use super::engine::{Engine, Inner};
use super::watches::gone;
use crate::caller::Caller;
use crate::ports::{PortError, PresenceEvent, PresenceFeed, Retry};
use crate::session::SessionShared;

/// Wait before the bus is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Time for all nodes to announce their users after the bus was restarted: until then who is not announced yet is not gone.
const RESTART_GRACE: Duration = Duration::from_secs(5);
/// Who begins to watch waits this long for the bus when the engine has just started.
const BUS_WAIT: Duration = Duration::from_secs(5);
/// Users in one call of the bus.
const BUS_USERS_MAX: usize = 500;

/// Whom a user may watch, of those they asked for.
#[derive(Default)]
struct Admission {
    watched: BTreeSet<UserId>,
    /// They block the user, who must not be able to tell.
    blockers: BTreeSet<UserId>,
    refused: Vec<UserId>,
}

impl Engine {
    pub(super) fn spawn_watches(&self) {
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let stop = inner.stop.clone();
            // Ending here loses nothing: presence is volatile.
            let _stopped = stop.run_until_cancelled(inner.follow_presence()).await;
        });
    }

    /// Begins to tell a session how others are seen.
    pub(super) async fn watch(
        &self,
        caller: &Caller,
        watch: Watch,
        origin: Option<u64>,
    ) -> Result<WatchAnswer, Rejection> {
        let inner = &self.inner;
        let session = inner.watching_session(caller, origin)?;
        watch.check(self.limits())?;
        let admission = match watch {
            Watch::Users(users) => inner.admit_watches(&caller.user, users).await?,
            Watch::Contacts => inner.admit_contacts(&caller.user).await?,
        };
        let watched = &admission.watched;
        let max = inner.parts.settings.watches_per_session_max;
        let begun = inner.watches.begin(&session, watched, max).map_err(|_| {
            Rejection::too_large(format!("a connection watches at most {max} users"))
        })?;
        let confirmed = async {
            inner.bus_joined().await?;
            inner.settle_watches().await?;
            inner.read_states(watched).await
        };
        if let Err(error) = confirmed.await {
            inner.watches.end(session.id, &begun);
            return Err(error.into());
        }
        let mut presence = inner.watches.answer(session.id, watched);
        presence.extend(admission.blockers.iter().map(|user| gone(user, None)));
        presence.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(WatchAnswer {
            presence,
            refused: admission.refused,
        })
    }

    /// Tells a session of these users no longer.
    pub(super) fn unwatch(
        &self,
        caller: &Caller,
        unwatch: &Unwatch,
        origin: Option<u64>,
    ) -> Result<(), Rejection> {
        let session = self.inner.watching_session(caller, origin)?;
        unwatch.check(self.limits())?;
        self.inner.watches.end(session.id, &unwatch.users);
        Ok(())
    }
}

impl Inner {
    /// Says what was put off until now.
    pub(super) fn push_due(&self, now_ms: u64) {
        self.watches.push_due(now_ms);
    }

    fn watching_session(
        &self,
        caller: &Caller,
        origin: Option<u64>,
    ) -> Result<Arc<SessionShared>, Rejection> {
        origin
            .and_then(|id| self.registry.session(&caller.user, id))
            .ok_or_else(|| Rejection::bad_request("only a connection can watch: open one"))
    }

    async fn admit_watches(
        &self,
        _user: &UserId,
        users: Vec<UserId>,
    ) -> Result<Admission, PortError> {
        Ok(Admission {
            refused: users,
            ..Admission::default()
        })
    }

    async fn admit_contacts(&self, _user: &UserId) -> Result<Admission, PortError> {
        Ok(Admission::default())
    }

    async fn follow_presence(&self) {
        loop {
            match self.parts.presence.join(&self.parts.node).await {
                Ok(feed) => {
                    self.follow_feed(feed).await;
                    self.watches.joined.send_replace(false);
                }
                Err(error) => tracing::warn!(%error, "the presence bus does not answer"),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn follow_feed(&self, mut feed: PresenceFeed) {
        // The bus may have forgotten this node and everybody on it.
        self.presence.tell_all(self.parts.clock.now());
        self.watches.confirmed.lock().await.clear();
        self.watches.put_back(self.watches.watched());
        self.watches.joined.send_replace(true);
        let mut reread_at = Some(Instant::now());
        loop {
            tokio::select! {
                // What is rare comes first: a feed that is never empty must not keep it waiting.
                biased;
                () = until(reread_at) => {
                    reread_at = None;
                    if let Err(error) = self.settle_and_read_all().await {
                        tracing::warn!(%error, "presence could not be read; retrying");
                        reread_at = Some(Instant::now() + AGAIN_AFTER);
                    }
                }
                () = self.watches.ended.notified() => {
                    if let Err(error) = self.settle_watches().await {
                        tracing::warn!(%error, "watches could not be told; retrying");
                        reread_at.get_or_insert(Instant::now() + AGAIN_AFTER);
                    }
                }
                event = feed.recv() => match event {
                    Some(PresenceEvent::Changed(presence)) => {
                        self.watches.see(presence, self.elapsed_ms());
                    }
                    Some(PresenceEvent::Missed) => {
                        reread_at.get_or_insert(Instant::now() + AGAIN_AFTER);
                    }
                    Some(PresenceEvent::Restarted) => {
                        self.presence.tell_all(self.parts.clock.now());
                        reread_at = Some(Instant::now() + RESTART_GRACE);
                    }
                    None => return,
                },
            }
        }
    }

    async fn settle_and_read_all(&self) -> Result<(), PortError> {
        self.settle_watches().await?;
        self.read_states(&self.watches.watched().into_iter().collect())
            .await
    }

    /// Tells the bus whom this node watches now, as far as that has changed.
    async fn settle_watches(&self) -> Result<(), PortError> {
        let mut confirmed = self.watches.confirmed.lock().await;
        let (begun, ended): (Vec<_>, Vec<_>) = self
            .watches
            .take_unsettled()
            .into_iter()
            .filter(|(user, is_watched)| confirmed.contains(user) != *is_watched)
            .partition(|(_, is_watched)| *is_watched);
        let users = |changes: Vec<(UserId, bool)>| changes.into_iter().map(|(user, _)| user);
        let (begun, ended) = (
            users(begun).collect::<Vec<_>>(),
            users(ended).collect::<Vec<_>>(),
        );
        let (bus, node) = (&self.parts.presence, &self.parts.node);
        let mut outcome = Ok(());
        for chunk in begun.chunks(BUS_USERS_MAX) {
            match bus.watch(node, chunk).await {
                Ok(()) => confirmed.extend(chunk.iter().cloned()),
                Err(error) => {
                    self.watches.put_back(chunk.iter().cloned());
                    outcome = Err(error);
                }
            }
        }
        for chunk in ended.chunks(BUS_USERS_MAX) {
            match bus.unwatch(node, chunk).await {
                Ok(()) => confirmed.retain(|user| !chunk.contains(user)),
                Err(error) => {
                    tracing::warn!(%error, "watches were not taken back; asking again with the next change");
                    self.watches.put_back(chunk.iter().cloned());
                }
            }
        }
        outcome
    }

    async fn read_states(&self, users: &BTreeSet<UserId>) -> Result<(), PortError> {
        let users: Vec<UserId> = users.iter().cloned().collect();
        for chunk in users.chunks(BUS_USERS_MAX) {
            let now_ms = self.elapsed_ms();
            for presence in self.parts.presence.states(chunk).await? {
                self.watches.see(presence, now_ms);
            }
        }
        Ok(())
    }

    async fn bus_joined(&self) -> Result<(), PortError> {
        let mut joined = self.watches.joined.subscribe();
        let waited = tokio::time::timeout(BUS_WAIT, joined.wait_for(|joined| *joined)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(PortError::unavailable("presence.join", Retry::Safe)),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
