//! Who watches whom on this node, and what watchers have been told: state only.
//!
//! A session hears of a user whom it watches at most once in an interval; what changes within it is put off to its end and
//! told as it then is. So the last state always arrives, and a user who flaps costs each watcher one push an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chat_proto::people::{Presence, Shown};
use chat_proto::wire::{Push, SharedPush};
use chat_proto::{Timestamp, UserId};
use tokio::sync::{Notify, watch};

use crate::lock::lock;
use crate::ports::{PresenceRev, UserPresence};
use crate::session::SessionShared;

/// The watches of this node's sessions.
pub(super) struct Watches {
    inner: Mutex<State>,
    interval_ms: u64,
    /// Whom the bus feeds this node with. Held while it is told, so that a watch that begins and one that ends meet in the
    /// end that sessions want.
    pub(super) confirmed: tokio::sync::Mutex<BTreeSet<UserId>>,
    /// Watches ended without anybody to wait for the bus.
    pub(super) ended: Notify,
    /// Whether the bus feeds this node at all: those who begin to watch wait for it.
    pub(super) joined: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    watched: BTreeMap<UserId, Watched>,
    watchers: BTreeMap<u64, Watcher>,
    /// Users whose first watch began or last one ended since the bus was told.
    unsettled: BTreeSet<UserId>,
    /// Pushes that were put off: when, to which session, of whom.
    due: BTreeSet<(u64, u64, UserId)>,
}

/// A user whom sessions watch.
#[derive(Default)]
struct Watched {
    latest: Option<Arc<Seen>>,
    watchers: BTreeSet<u64>,
}

/// How a user is seen, encoded once for all watchers.
struct Seen {
    rev: PresenceRev,
    push: Arc<SharedPush>,
}

/// A session that watches.
struct Watcher {
    session: Arc<SessionShared>,
    users: BTreeMap<UserId, Told>,
}

/// What a watcher knows of a user.
#[derive(Default)]
struct Told {
    /// Absent until the request to watch is answered: its answer tells first.
    seen: Option<Arc<Seen>>,
    pushed_ms: Option<u64>,
    due_ms: Option<u64>,
}

/// A session may not watch so many users.
#[derive(Debug)]
pub(super) struct TooMany;

impl Watches {
    pub(super) fn new(interval: Duration) -> Self {
        let interval_ms = u64::try_from(interval.as_millis()).expect("an interval is short");
        Self {
            inner: Mutex::default(),
            interval_ms,
            confirmed: tokio::sync::Mutex::default(),
            ended: Notify::new(),
            joined: watch::Sender::new(false),
        }
    }

    /// A session begins to watch these users; tells whom it did not watch before.
    pub(super) fn begin(
        &self,
        session: &Arc<SessionShared>,
        users: &BTreeSet<UserId>,
        max: usize,
    ) -> Result<Vec<UserId>, TooMany> {
        let state = &mut *self.lock();
        let known = state.watchers.get(&session.id).map(|known| &known.users);
        let new: Vec<UserId> = users
            .iter()
            .filter(|user| known.is_none_or(|known| !known.contains_key(*user)))
            .cloned()
            .collect();
        if known.map_or(0, BTreeMap::len) + new.len() > max {
            return Err(TooMany);
        }
        if new.is_empty() {
            return Ok(new);
        }
        let watcher = state.watchers.entry(session.id).or_insert_with(|| Watcher {
            session: Arc::clone(session),
            users: BTreeMap::new(),
        });
        for user in &new {
            watcher.users.insert(user.clone(), Told::default());
            let watched = state.watched.entry(user.clone()).or_default();
            if watched.watchers.is_empty() {
                state.unsettled.insert(user.clone());
            }
            watched.watchers.insert(session.id);
        }
        Ok(new)
    }

    /// How these users are seen, for the answer to a session; of those whom it does not watch, or not any more, nothing.
    pub(super) fn answer(&self, session: u64, users: &BTreeSet<UserId>) -> Vec<Presence> {
        let state = &mut *self.lock();
        let Some(watcher) = state.watchers.get_mut(&session) else {
            return Vec::new();
        };
        let mut answer = Vec::with_capacity(users.len());
        for user in users {
            let latest = state
                .watched
                .get(user)
                .and_then(|known| known.latest.as_ref());
            if let (Some(told), Some(latest)) = (watcher.users.get_mut(user), latest) {
                told.seen = Some(Arc::clone(latest));
                // The answer stands for what is queued.
                watcher.session.outbound.forget_presence(user);
                answer.push(latest.presence().clone());
            }
        }
        answer
    }

    /// A session watches these users no longer.
    pub(super) fn end<'a>(&self, session: u64, users: impl IntoIterator<Item = &'a UserId>) {
        let state = &mut *self.lock();
        let mut last = false;
        for user in users {
            last |= state.end(session, user);
        }
        if last {
            self.ended.notify_one();
        }
    }

    /// A session may not watch the user any more: it sees them go, now.
    pub(super) fn cut(&self, session: u64, user: &UserId, now: Timestamp) {
        let state = &mut *self.lock();
        let watcher = state.watchers.get(&session);
        let Some((watcher, told)) = watcher.and_then(|known| Some((known, known.users.get(user)?)))
        else {
            return;
        };
        let seen = told.seen.as_ref().map(|seen| seen.presence().state);
        let session_shared = Arc::clone(&watcher.session);
        let last = state.end(session, user);
        if seen.is_some_and(|seen| seen != Shown::Offline) {
            let push = Push::Presence(gone(user, Some(now)));
            session_shared
                .outbound
                .push_presence(user, &Arc::new(SharedPush::new(push)));
        }
        if last {
            self.ended.notify_one();
        }
    }

    /// A session ended.
    pub(super) fn forget_session(&self, session: u64) {
        let state = &mut *self.lock();
        let Some(watcher) = state.watchers.get(&session) else {
            return;
        };
        let users: Vec<UserId> = watcher.users.keys().cloned().collect();
        let mut last = false;
        for user in &users {
            last |= state.end(session, user);
        }
        if last {
            self.ended.notify_one();
        }
    }

    /// A user is seen so; what is older than what is known tells nothing.
    pub(super) fn see(&self, presence: UserPresence, now_ms: u64) {
        let state = &mut *self.lock();
        let UserPresence { shown, rev } = presence;
        let user = shown.user.clone();
        let Some(watched) = state.watched.get_mut(&user) else {
            return;
        };
        let known = watched.latest.as_ref();
        if known.is_some_and(|known| known.rev >= rev) {
            return;
        }
        let seen = Arc::new(Seen::new(shown, rev));
        watched.latest = Some(Arc::clone(&seen));
        for session in &watched.watchers {
            if let Some(watcher) = state.watchers.get_mut(session)
                && let Some(put_off_ms) = watcher.tell(&user, &seen, now_ms, self.interval_ms)
            {
                state.due.insert((put_off_ms, *session, user.clone()));
            }
        }
    }

    /// Says what was put off until now.
    pub(super) fn push_due(&self, now_ms: u64) {
        let state = &mut *self.lock();
        while let Some(first) = state.due.first()
            && first.0 <= now_ms
        {
            let (_, session, user) = state.due.pop_first().expect("there is a first one");
            let latest = state
                .watched
                .get(&user)
                .and_then(|known| known.latest.as_ref());
            if let Some(latest) = latest
                && let Some(watcher) = state.watchers.get_mut(&session)
            {
                if let Some(told) = watcher.users.get_mut(&user) {
                    told.due_ms = None;
                }
                // Its interval is over, so nothing is put off again.
                watcher.tell(&user, latest, now_ms, self.interval_ms);
            }
        }
    }

    /// Everybody who is watched.
    pub(super) fn watched(&self) -> Vec<UserId> {
        self.lock().watched.keys().cloned().collect()
    }

    /// Whom the bus must be told of, and whether somebody watches them.
    pub(super) fn take_unsettled(&self) -> Vec<(UserId, bool)> {
        let state = &mut *self.lock();
        let unsettled = std::mem::take(&mut state.unsettled);
        let watched = |user: UserId| {
            let is_watched = state.watched.contains_key(&user);
            (user, is_watched)
        };
        unsettled.into_iter().map(watched).collect()
    }

    /// The bus did not take these.
    pub(super) fn put_back(&self, users: impl IntoIterator<Item = UserId>) {
        self.lock().unsettled.extend(users);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.inner)
    }
}

impl State {
    /// The session watches the user no longer; whether nobody does.
    fn end(&mut self, session: u64, user: &UserId) -> bool {
        let Some(watcher) = self.watchers.get_mut(&session) else {
            return false;
        };
        let Some(told) = watcher.users.remove(user) else {
            return false;
        };
        watcher.session.outbound.forget_presence(user);
        if watcher.users.is_empty() {
            self.watchers.remove(&session);
        }
        if let Some(due_ms) = told.due_ms {
            self.due.remove(&(due_ms, session, user.clone()));
        }
        let watched = self.watched.get_mut(user);
        let watched = watched.expect("who is watched is in both lists");
        watched.watchers.remove(&session);
        let last = watched.watchers.is_empty();
        if last {
            self.watched.remove(user);
            self.unsettled.insert(user.clone());
        }
        last
    }
}

impl Watcher {
    /// Tells the session, or answers until when that is put off.
    fn tell(
        &mut self,
        user: &UserId,
        latest: &Arc<Seen>,
        now_ms: u64,
        interval_ms: u64,
    ) -> Option<u64> {
        let told = self.users.get_mut(user)?;
        let seen = told.seen.as_mut()?;
        if told.due_ms.is_some() {
            return None;
        }
        let due_ms = told
            .pushed_ms
            .map_or(now_ms, |pushed_ms| pushed_ms + interval_ms);
        if seen.presence() == latest.presence() {
            return None;
        }
        if due_ms > now_ms {
            told.due_ms = Some(due_ms);
            return Some(due_ms);
        }
        *seen = Arc::clone(latest);
        told.pushed_ms = Some(now_ms);
        self.session.outbound.push_presence(user, &latest.push);
        None
    }
}

impl Seen {
    fn new(presence: Presence, rev: PresenceRev) -> Self {
        Self {
            rev,
            push: Arc::new(SharedPush::new(Push::Presence(presence))),
        }
    }

    fn presence(&self) -> &Presence {
        match self.push.push() {
            Push::Presence(presence) => presence,
            _ => unreachable!("made of a presence"),
        }
    }
}

/// A user as those see them who may not.
pub(super) fn gone(user: &UserId, last_seen_ms: Option<Timestamp>) -> Presence {
    Presence {
        user: user.clone(),
        state: Shown::Offline,
        text: None,
        last_seen_ms,
    }
}
