//! Who is on this node, told to the bus: transitions only, never a beat.
//!
//! A user is gone 30 s after the last sign of life of the last device, at once when that one logs out; who is back before
//! was never away. What is told is where the user stands when it is told, not each step on the way there.
//!
//! What can go wrong between two steps (each tried in `chat-core/tests/presence`):
//!
//! | between | and then | so |
//! |---|---|---|
//! | the last session's end and 30 s | a device is back | nothing is told |
//! | a device's end and another's | the other one was heard of longer ago | the later sign of life counts |
//! | a socket's silence and its close | its transport takes time to close it | the silence counts, not the close |
//! | log-out and the end of its session | another device connects | it is here, whatever the first one still does |
//! | a transition and its telling | the bus refuses it | it is told again each second, as the user then stands |
//! | a status and its telling | another node tells an older one | the bus lets the higher rev stand |
//! | becoming invisible and its telling | the user goes | the bus is told of both, so that last seen is when they became so |
//! | a telling and the next one | the bus loses what it held | everybody who is here is told again |
//! | a telling and its answer | the engine stops | the answer is waited for: what is refused is told once more |
//! | the engine's stop and its end | users are still here | all are told as gone |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chat_proto::people::Status;
use chat_proto::wire::{CloseCode, SetStatus};
use chat_proto::{DeviceId, Rejection, Timestamp, UserId};
use tokio::sync::Notify;

use super::engine::{Engine, Inner};
use crate::lock::lock;
use crate::ports::{KeptStatus, Payload, PortError, PresenceChange, PresenceStep, UserStatus};
use crate::session::SessionShared;

/// Wait before the bus is told again what it did not take.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Users in one call of the bus.
const ANNOUNCED_USERS_MAX: usize = 500;

/// Who is on this node, and what of it the bus has not been told.
pub(super) struct Presence {
    inner: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    here: BTreeMap<UserId, Here>,
    /// Users with a device that left or fell silent: those of `here` to look at.
    leaving: BTreeSet<UserId>,
    untold: Untold,
}

/// A user who is here for others, with a session or without.
struct Here {
    status: KeptStatus,
    status_at: Timestamp,
    /// Devices whose sessions ended, and when they were last heard.
    left: BTreeMap<DeviceId, u64>,
}

/// What the bus must be told.
#[derive(Default)]
struct Untold {
    /// Users who came, went or are seen otherwise, and when.
    users: BTreeMap<UserId, Timestamp>,
    /// Statuses of users who are not on this node, and since when; told first.
    statuses: BTreeMap<UserId, (KeptStatus, Timestamp)>,
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Somebody of this user fell silent.
    pub(super) fn look_at(&self, user: &UserId) {
        let mut state = self.lock();
        if state.here.contains_key(user) {
            state.leaving.insert(user.clone());
        }
    }

    /// Everybody who is here must be told again.
    pub(super) fn tell_all(&self, at: Timestamp) {
        let state = &mut *self.lock();
        for user in state.here.keys() {
            state.untold.users.entry(user.clone()).or_insert(at);
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.inner)
    }
}

impl State {
    fn leave(&mut self, user: &UserId, at: Timestamp) {
        let here = self.here.remove(user);
        self.leaving.remove(user);
        self.untold.users.insert(user.clone(), at);
        // The bus may not have heard of it yet, and must not take this moment for the last one that others could see.
        if let Some(here) = here
            && here.status.state == Status::Invisible
        {
            let hidden = (here.status, here.status_at);
            self.untold.statuses.insert(user.clone(), hidden);
        }
    }
}

impl Engine {
    pub(super) fn spawn_presence(&self) {
        let inner = Arc::clone(&self.inner);
        self.inner
            .tasks
            .spawn(async move { inner.tell_presence().await });
    }

    /// Sets how a user wants to be seen, on all devices and across connections.
    ///
    /// # Errors
    /// `too_large` for a long text; `unavailable` or `unknown_outcome` when it could not be kept.
    pub async fn set_status(&self, user: &UserId, status: SetStatus) -> Result<(), Rejection> {
        status.check(self.limits())?;
        let users = &self.inner.parts.users;
        let status = UserStatus {
            state: status.state,
            text: status.text,
        };
        let set = users.set_status(user, status).await;
        // Also where nobody knows whether it was set: others see what is kept.
        let kept = self.inner.kept_status(user).await;
        if let Ok(status) = &kept {
            self.inner.see_as(user, status, true);
            let payload = Payload::Status {
                user: user.clone(),
                status: status.clone(),
            };
            let envelope = self.inner.envelope(payload);
            self.inner
                .publish_to_nodes_of(std::slice::from_ref(user), envelope)
                .await;
        }
        set?;
        kept?;
        Ok(())
    }

    /// Tells the bus that everybody on this node is gone, as far as it takes it.
    pub(super) async fn flush_presence(&self) {
        let now = self.now();
        {
            let state = &mut *self.inner.presence.lock();
            let here = state.here.iter().map(|(user, here)| {
                let heard_ms = here.left.values().copied().max();
                let at = heard_ms.map_or(now, |heard_ms| self.inner.clock_at(heard_ms));
                (user.clone(), at)
            });
            for (user, at) in here.collect::<Vec<_>>() {
                state.leave(&user, at);
            }
        }
        while self.inner.tell_some().await == Told::Some {}
    }
}

/// What became of telling the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    All,
    Some,
    Refused,
}

impl Inner {
    /// A user's session began.
    pub(super) fn came(&self, session: &SessionShared, status: KeptStatus) {
        let now = self.parts.clock.now();
        let state = &mut *self.presence.lock();
        let known = state.here.get_mut(&session.user);
        let news = known
            .as_ref()
            .is_none_or(|here| here.status.rev < status.rev);
        match known {
            Some(here) => {
                here.left.remove(&session.device);
                if news {
                    (here.status, here.status_at) = (status, now);
                }
            }
            None => {
                let here = Here {
                    status,
                    status_at: now,
                    left: BTreeMap::new(),
                };
                state.here.insert(session.user.clone(), here);
            }
        }
        if news {
            state.untold.users.insert(session.user.clone(), now);
            self.presence.changed.notify_one();
        }
    }

    /// A user's session ended.
    pub(super) fn went(&self, session: &SessionShared) {
        if is_revoked(session) {
            return;
        }
        let devices_max = self.parts.settings.sessions_per_user_max;
        let state = &mut *self.presence.lock();
        if let Some(here) = state.here.get_mut(&session.user) {
            here.left.insert(session.device, session.heard_ms());
            if here.left.len() > devices_max {
                forget_earliest(&mut here.left);
            }
            state.leaving.insert(session.user.clone());
        }
    }

    /// A device logged out: if it was the user's last one here, the user is gone at once.
    pub(super) fn presence_ends(&self, user: &UserId, device: DeviceId) {
        let state = &mut *self.presence.lock();
        let Some(here) = state.here.get_mut(user) else {
            return;
        };
        here.left.remove(&device);
        let mut others = !here.left.is_empty();
        self.registry.each_of(user, |session| {
            others |= session.device != device || session.outbound.closing().is_none();
        });
        if !others {
            state.leave(user, self.parts.clock.now());
            self.presence.changed.notify_one();
        }
    }

    /// Who was not heard of after `heard_before_ms` is gone.
    pub(super) fn expire_presence(&self, heard_before_ms: u64) {
        let state = &mut *self.presence.lock();
        let leaving: Vec<UserId> = state.leaving.iter().cloned().collect();
        let mut any = false;
        for user in leaving {
            let Some(here) = state.here.get_mut(&user) else {
                state.leaving.remove(&user);
                continue;
            };
            let mut heard_ms = here.left.values().copied().max().unwrap_or_default();
            here.left.retain(|_, heard_ms| *heard_ms > heard_before_ms);
            let none_left = here.left.is_empty();
            self.registry.each_of(&user, |session| {
                if !is_revoked(session) {
                    heard_ms = heard_ms.max(session.heard_ms());
                }
            });
            if heard_ms <= heard_before_ms {
                state.leave(&user, self.clock_at(heard_ms));
                any = true;
            } else if none_left {
                // A session is here, which will be looked at when it falls silent.
                state.leaving.remove(&user);
            }
        }
        if any {
            self.presence.changed.notify_one();
        }
    }

    /// A user wants to be seen so; `anywhere` also if they are on other nodes only.
    pub(super) fn see_as(&self, user: &UserId, status: &KeptStatus, anywhere: bool) {
        let now = self.parts.clock.now();
        let state = &mut *self.presence.lock();
        match state.here.get_mut(user) {
            Some(here) if here.status.rev < status.rev => {
                (here.status, here.status_at) = (status.clone(), now);
                state.untold.users.insert(user.clone(), now);
            }
            None if anywhere => {
                let said = (status.clone(), now);
                state.untold.statuses.insert(user.clone(), said);
            }
            Some(_) | None => return,
        }
        self.presence.changed.notify_one();
    }

    /// Whether others see the user as offline wherever they are: then they hear of nothing that the user does without
    /// writing.
    pub(super) async fn is_invisible(&self, user: &UserId) -> Result<bool, PortError> {
        let here = self
            .presence
            .lock()
            .here
            .get(user)
            .map(|here| here.status.state);
        let state = match here {
            Some(state) => state,
            None => self.kept_status(user).await?.state,
        };
        Ok(state == Status::Invisible)
    }

    /// How a user wants to be seen.
    pub(super) async fn kept_status(&self, user: &UserId) -> Result<KeptStatus, PortError> {
        let asked = BTreeSet::from([user.clone()]);
        let kept = self.parts.users.statuses(&asked).await?.remove(user);
        Ok(kept.unwrap_or_default())
    }

    /// What the clock said at this time of the engine's life.
    fn clock_at(&self, heard_ms: u64) -> Timestamp {
        let ago_ms = self.elapsed_ms().saturating_sub(heard_ms);
        Timestamp(self.parts.clock.now().0.saturating_sub(ago_ms))
    }

    /// Tells the bus until the engine stops: then what is being told is told to its end, and the rest is flushed.
    async fn tell_presence(&self) {
        let changed = || {
            self.stop
                .run_until_cancelled(self.presence.changed.notified())
        };
        while changed().await.is_some() {
            loop {
                match self.tell_some().await {
                    Told::All => break,
                    Told::Some => {}
                    Told::Refused => {
                        let wait = tokio::time::sleep(RETRY_AFTER);
                        if self.stop.run_until_cancelled(wait).await.is_none() {
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn tell_some(&self) -> Told {
        let (changes, untold) = self.untold_changes();
        if changes.is_empty() {
            return Told::All;
        }
        let Err(error) = self.parts.presence.announce(&changes).await else {
            return Told::Some;
        };
        tracing::warn!(%error, changes = changes.len(), "presence could not be told; retrying");
        let state = &mut *self.presence.lock();
        for (user, at) in untold.users {
            state.untold.users.entry(user).or_insert(at);
        }
        for (user, said) in untold.statuses {
            state.untold.statuses.entry(user).or_insert(said);
        }
        Told::Refused
    }

    /// The next changes to tell, each as the user now stands, and what they were made of.
    fn untold_changes(&self) -> (Vec<PresenceChange>, Untold) {
        let state = &mut *self.presence.lock();
        let users = take_some(&mut state.untold.users);
        let statuses = take_some(&mut state.untold.statuses);
        let change = |user: &UserId, step, at| PresenceChange {
            user: user.clone(),
            node: self.parts.node.clone(),
            node_epoch: self.parts.node_epoch,
            step,
            at,
        };
        let said = statuses
            .iter()
            .map(|(user, (status, at))| change(user, PresenceStep::Status(status.clone()), *at));
        let told = users.iter().map(|(user, at)| match state.here.get(user) {
            Some(here) => change(user, PresenceStep::Here(here.status.clone()), *at),
            None => change(user, PresenceStep::Gone, *at),
        });
        let changes = said.chain(told).collect();
        (changes, Untold { users, statuses })
    }
}

/// A session of a device that logged out says its last words, and stands for nobody.
fn is_revoked(session: &SessionShared) -> bool {
    session
        .outbound
        .closing()
        .is_some_and(|close| close.code == CloseCode::Revoked)
}

fn forget_earliest(left: &mut BTreeMap<DeviceId, u64>) {
    let earliest = left.iter().min_by_key(|(_, heard_ms)| **heard_ms);
    if let Some(device) = earliest.map(|(device, _)| *device) {
        left.remove(&device);
    }
}

/// As much as one call of the bus takes; the rest stays.
fn take_some<T>(untold: &mut BTreeMap<UserId, T>) -> BTreeMap<UserId, T> {
    let next = untold.keys().nth(ANNOUNCED_USERS_MAX).cloned();
    let rest = next.map_or_else(BTreeMap::new, |next| untold.split_off(&next));
    std::mem::replace(untold, rest)
}
