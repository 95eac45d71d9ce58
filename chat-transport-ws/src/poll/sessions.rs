//! Which sessions without a socket there are, whose they are, how many there may be.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_core::ports::Identity;
use chat_core::proto::{Code, Rejection, UserId};
use chat_core::{Engine, Session};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::driver::Driver;
use super::handle::{Handle, ended};
use crate::state::Shared;

/// Requests of a session that were read and are not begun; handlers of more wait.
const REQUESTS_QUEUED_MAX: usize = 16;
/// Fetches that a session has not looked at; handlers of more wait.
const FETCHES_QUEUED_MAX: usize = 4;
/// When a client that finds no room had better come again.
const RETRY_AFTER_MS: u64 = 5_000;

/// The name of a session in the paths.
pub(crate) type SessionId = Uuid;

/// The sessions without a socket.
#[derive(Debug, Default)]
pub(crate) struct PollSessions {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_id: BTreeMap<SessionId, Arc<Handle>>,
    by_user: BTreeMap<UserId, usize>,
    total: usize,
}

/// Room for one session; dropped, it is free again.
pub(crate) struct Place {
    shared: Arc<Shared>,
    user: UserId,
    id: SessionId,
}

impl PollSessions {
    /// Takes room for a session of this user, before the work of opening it is done.
    pub(crate) fn place(shared: &Arc<Shared>, user: &UserId) -> Result<Place, Rejection> {
        let settings = &shared.settings;
        let mut table = shared.polls.lock();
        if table.total >= settings.poll_sessions_max {
            let full =
                "the server has as many sessions without a socket as it takes: try again later";
            return Err(Rejection::unavailable(full).retry_after_ms(RETRY_AFTER_MS));
        }
        let of_user = table.by_user.entry(user.clone()).or_default();
        if *of_user >= settings.poll_sessions_per_user_max {
            let full = "this user has too many sessions: end one, or wait until one has ended";
            return Err(Rejection::new(Code::RateLimited, full).retry_after_ms(RETRY_AFTER_MS));
        }
        *of_user += 1;
        table.total += 1;
        drop(table);
        shared.meters.polls_open.increment(1);
        Ok(Place {
            shared: Arc::clone(shared),
            user: user.clone(),
            id: Uuid::new_v4(),
        })
    }

    /// The session of this name, if it is the caller's.
    pub(crate) fn find(&self, id: SessionId, caller: &Identity) -> Result<Arc<Handle>, Rejection> {
        let table = self.lock();
        let found = table.by_id.get(&id);
        found
            .filter(|handle| handle.is_of(&caller.user, caller.device))
            .cloned()
            .ok_or_else(ended)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics between two changes that belong together.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Gives the place to a session, which lives in a task of its own from now on.
    pub(crate) fn fill(self, engine: Engine, session: Session) -> SessionId {
        let id = self.id;
        let (requests, requests_in) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let (fetches, fetches_in) = mpsc::channel(FETCHES_QUEUED_MAX);
        let handle = Handle {
            user: session.user().clone(),
            device: session.device(),
            requests,
            fetches,
            fetchers: AtomicU64::new(1),
        };
        let shared = Arc::clone(&self.shared);
        shared.polls.lock().by_id.insert(id, Arc::new(handle));
        let driver = Driver::new(
            engine,
            session,
            Arc::clone(&shared),
            requests_in,
            fetches_in,
        );
        shared.settings.tasks.spawn(async move {
            let _place = self;
            driver.run().await;
        });
        id
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.shared.polls.lock();
        table.by_id.remove(&self.id);
        table.total -= 1;
        if let Some(of_user) = table.by_user.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                table.by_user.remove(&self.user);
            }
        }
        drop(table);
        self.shared.meters.polls_open.decrement(1);
    }
}
