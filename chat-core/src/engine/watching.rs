//! How sessions begin to watch, and what the bus feeds this node with.
//!
//! A watch is in this node's list, and only then is it looked up whether the two are contacts: who ends that takes the watch
//! out of the list, or is seen by the look-up. Then it is at the bus, confirmed, and only then are states read. What happened
//! before that is read; what happens after it is fed; nothing falls between. A read and a fed state meet in their revs: the
//! newer stands.
//!
//! What can go wrong between two steps (each tried in `chat-core/tests/presence`):
//!
//! | between | and then | so |
//! |---|---|---|
//! | the list and the look-up | the two cease to be contacts | the watch is refused, whichever comes first |
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

use chat_proto::people::{ContactState, UserEntry, UserEntryKind};
use chat_proto::wire::{Unwatch, Watch, WatchAnswer};
use chat_proto::{Rejection, UserId};
use tokio::time::Instant;

use super::engine::{Engine, Inner};
use super::watches::gone;
use crate::caller::Caller;
use crate::ports::{Payload, PeopleQuery, PortError, PresenceEvent, PresenceFeed, Retry};
use crate::session::SessionShared;

/// Wait before the bus is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Time for all nodes to announce their users after the bus was restarted: until then who is not announced yet is not gone.
const RESTART_GRACE: Duration = Duration::from_secs(5);
/// Who begins to watch waits this long for the bus when the engine has just started.
const BUS_WAIT: Duration = Duration::from_secs(5);
/// Users in one call of the bus.
const BUS_USERS_MAX: usize = 500;

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
        let max = inner.parts.settings.watches_per_session_max;
        let asked = match watch {
            Watch::Users(users) => users.into_iter().collect(),
            Watch::Contacts => inner.contact_ids(&caller.user, max).await?,
        };
        let begun = inner.watches.begin(&session, &asked, max).map_err(|_| {
            Rejection::too_large(format!("a connection watches at most {max} users"))
        })?;
        let answer = inner.confirm_watches(&session, &asked).await;
        if answer.is_err() {
            inner.watches.end(session.id, &begun);
        }
        Ok(answer?)
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
    /// Nobody of this user's sessions here may watch the other any more: they see them go.
    pub(super) fn cut_watches(&self, watcher: &UserId, watched: &UserId) {
        let now = self.parts.clock.now();
        self.registry.each_of(watcher, |session| {
            self.watches.cut(session.id, watched, now)
        });
    }

    /// Ends the watches, here and on other nodes, that these new entries of a user's own log leave no right to.
    pub(super) async fn end_watches(&self, user: &UserId, entries: &[UserEntry]) {
        for (watcher, watched) in entries.iter().filter_map(|entry| ended_watch(user, entry)) {
            self.cut_watches(watcher, watched);
            let payload = Payload::WatchEnds {
                watcher: watcher.clone(),
                watched: watched.clone(),
            };
            self.publish_to_nodes_of(std::slice::from_ref(watcher), self.envelope(payload))
                .await;
        }
    }

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

    /// The user's contacts; a page more than `max` at the most.
    async fn contact_ids(&self, user: &UserId, max: usize) -> Result<BTreeSet<UserId>, PortError> {
        let mut contacts = BTreeSet::new();
        let mut after = None;
        loop {
            let query = PeopleQuery {
                user: user.clone(),
                after,
                limit: BUS_USERS_MAX,
            };
            let page = self.parts.users.contacts(query).await?;
            after = page.people.last().map(|(user, _)| user.clone());
            let found = page.people.into_iter();
            contacts.extend(
                found
                    .filter(|(_, state)| *state == ContactState::Contact)
                    .map(|(user, _)| user),
            );
            if !page.more || contacts.len() > max {
                return Ok(contacts);
            }
        }
    }

    /// From the list to the answer.
    async fn confirm_watches(
        &self,
        session: &SessionShared,
        asked: &BTreeSet<UserId>,
    ) -> Result<WatchAnswer, PortError> {
        let relations = self.parts.users.relations(&session.user, asked).await?;
        let relation = |user: &UserId| relations.get(user).copied().unwrap_or_default();
        let (contacts, refused): (BTreeSet<_>, BTreeSet<_>) = asked
            .iter()
            .cloned()
            .partition(|user| relation(user).contact == Some(ContactState::Contact));
        // Asked also of those who block the user, who must not be told from others by the host's rules.
        let denied = self.unwatchable(&session.user, &contacts).await?;
        let refused = &refused | &denied;
        // Contacts who block the user are not to be told from those who are not there.
        let (blockers, watched): (BTreeSet<_>, BTreeSet<_>) = (&contacts - &denied)
            .into_iter()
            .partition(|user| relation(user).blocked);
        self.watches
            .end(session.id, refused.iter().chain(&blockers));
        self.bus_joined().await?;
        self.settle_watches().await?;
        self.read_states(&watched).await?;
        let mut presence = self.watches.answer(session.id, &watched);
        let told: BTreeSet<UserId> = presence.iter().map(|known| known.user.clone()).collect();
        // Whose watch was ended meanwhile is no contact any more.
        let refused = refused.into_iter().chain(&watched - &told).collect();
        presence.extend(blockers.iter().map(|user| gone(user, None)));
        presence.sort_by(|one, other| one.user.cmp(&other.user));
        Ok(WatchAnswer { presence, refused })
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
                Ok(()) => {
                    for user in chunk {
                        confirmed.remove(user);
                    }
                }
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

/// Who may not watch whom any more, by this entry of a user's own log.
fn ended_watch<'a>(user: &'a UserId, entry: &'a UserEntry) -> Option<(&'a UserId, &'a UserId)> {
    match &entry.kind {
        UserEntryKind::Contact(change) if change.state != Some(ContactState::Contact) => {
            Some((user, &change.user))
        }
        UserEntryKind::Block(change) if !change.removed => Some((&change.user, user)),
        // No other kind says how two users stand to each other.
        _ => None,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
