//! One coarse wheel for all heartbeats: no timer per connection. A session is looked at when it would have been silent
//! too long, and put back to when it will be if it was heard since.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use chat_proto::wire::CloseCode;

use super::engine::{Engine, Inner};
use crate::lock::lock;
use crate::session::{Close, SessionShared};

/// The wheel's grain: a silence is noticed at most this much late.
const TICK: Duration = Duration::from_millis(500);

/// Sessions by the tick at which they are looked at next.
pub(super) struct Beats {
    silence_ms: u64,
    wheel: Vec<Mutex<Vec<Weak<SessionShared>>>>,
}

impl Beats {
    pub(super) fn new(silence_max: Duration) -> Self {
        let silence_ms = u64::try_from(silence_max.as_millis()).expect("a silence is short");
        let slots = usize::try_from(silence_ms / tick_ms()).expect("a silence is short") + 3;
        Self {
            silence_ms,
            wheel: (0..slots).map(|_| Mutex::default()).collect(),
        }
    }

    /// Begins to watch a session.
    pub(super) fn watch(&self, session: &Arc<SessionShared>) {
        self.put(Arc::downgrade(session), session.heard_ms());
    }

    fn put(&self, session: Weak<SessionShared>, heard_ms: u64) {
        // Rounded up: never early.
        let tick = (heard_ms + self.silence_ms).div_ceil(tick_ms());
        lock(self.slot(tick)).push(session);
    }

    fn slot(&self, tick: u64) -> &Mutex<Vec<Weak<SessionShared>>> {
        let index =
            usize::try_from(tick % self.wheel.len() as u64).expect("a slot's index is small");
        &self.wheel[index]
    }
}

fn tick_ms() -> u64 {
    u64::try_from(TICK.as_millis()).expect("a tick is short")
}

impl Engine {
    pub(super) fn spawn_beats(&self) {
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let stop = inner.stop.clone();
            let _stopped = stop.run_until_cancelled(inner.turn()).await;
        });
    }
}

impl Inner {
    async fn turn(&self) {
        let mut done = self.elapsed_ms() / tick_ms();
        loop {
            let rest_ms = tick_ms() - self.elapsed_ms() % tick_ms();
            tokio::time::sleep(Duration::from_millis(rest_ms)).await;
            let now_ms = self.elapsed_ms();
            // Every slot that has come due, also when this task was late.
            while done < now_ms / tick_ms() {
                done += 1;
                self.look_at(done, now_ms);
            }
            if let Some(heard_before_ms) = now_ms.checked_sub(self.beats.silence_ms) {
                self.expire_presence(heard_before_ms);
            }
            self.push_due(now_ms);
        }
    }

    fn look_at(&self, tick: u64, now_ms: u64) {
        let sessions = std::mem::take(&mut *lock(self.beats.slot(tick)));
        let now = self.parts.clock.now();
        for weak in sessions {
            let Some(session) = weak.upgrade() else {
                continue;
            };
            let heard_ms = session.heard_ms();
            if session.expires_at.is_some_and(|at| at <= now) {
                session.outbound.close(Close::new(CloseCode::BadToken));
            } else if heard_ms + self.beats.silence_ms <= now_ms {
                session.outbound.close(Close::new(CloseCode::Idle));
                self.presence.look_at(&session.user);
            } else {
                self.beats.put(weak, heard_ms);
            }
        }
    }
}
