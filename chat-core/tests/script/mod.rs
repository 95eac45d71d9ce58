//! Ports whose calls go as a test plans them.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chat_core::decorators::{Decorated, Layer};
use chat_core::memory::MemoryStore;
use chat_core::ports::{
    Append, AppendOutcome, InboxStore, MessageStore, PortError, Retry, Router, RouterFeed,
};
use tokio::sync::Semaphore;

/// What happens to a call of a port.
#[derive(Clone, Copy)]
pub enum Step {
    Pass,
    /// It waits until it is let on.
    Wait,
    /// It waits, and is refused then.
    WaitAndFail,
    /// It is refused, surely not done.
    Fail,
    /// It is done, and its answer waits until it is let on.
    AnswerLate,
    /// It is done, and nobody is told.
    LoseAnswer,
    Panic,
}

/// A port whose next calls go as planned; those that are not planned pass.
#[derive(Clone, Default)]
pub struct Script {
    steps: Arc<Mutex<BTreeMap<&'static str, VecDeque<Step>>>>,
    calls: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    let_on: Arc<LetOn>,
    dead: Arc<AtomicBool>,
}

struct LetOn(Semaphore);

impl Default for LetOn {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Script {
    pub fn plan(&self, op: &'static str, steps: &[Step]) {
        let mut planned = self.steps.lock().expect("no test panics with it");
        planned.entry(op).or_default().extend(steps);
    }

    /// From now on every call fails, and does nothing: for the ports the node behind it is gone.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub fn let_on(&self) {
        self.let_on.0.add_permits(1);
    }

    async fn wait(&self) {
        let permit = self.let_on.0.acquire().await;
        permit.expect("it is never closed").forget();
    }

    /// How often a call was made.
    pub fn calls(&self, op: &'static str) -> usize {
        let calls = self.calls.lock().expect("no test panics with it");
        calls.get(op).copied().unwrap_or_default()
    }

    fn next(&self, op: &'static str) -> Step {
        *self
            .calls
            .lock()
            .expect("no test panics with it")
            .entry(op)
            .or_default() += 1;
        if self.dead.load(Ordering::SeqCst) {
            return Step::Fail;
        }
        let mut planned = self.steps.lock().expect("no test panics with it");
        planned
            .get_mut(op)
            .and_then(VecDeque::pop_front)
            .unwrap_or(Step::Pass)
    }

    pub fn store(&self, store: &MemoryStore) -> Arc<dyn MessageStore> {
        let inner: Arc<dyn MessageStore> = Arc::new(store.clone());
        Arc::new(Decorated::<dyn MessageStore, _>::with_layer(
            inner,
            self.clone(),
        ))
    }

    pub fn inbox(&self, store: &MemoryStore) -> Arc<dyn InboxStore> {
        let inner: Arc<dyn InboxStore> = Arc::new(store.clone());
        Arc::new(Decorated::<dyn InboxStore, _>::with_layer(
            inner,
            self.clone(),
        ))
    }

    pub fn router(&self, router: &Arc<dyn Router>) -> Arc<dyn Router> {
        Arc::new(Decorated::<dyn Router, _>::with_layer(
            Arc::clone(router),
            self.clone(),
        ))
    }
}

impl Layer for Script {
    async fn read<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        self.write(op, call).await
    }

    async fn write<T: Send>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        match self.next(op) {
            Step::Pass => call.await,
            Step::Wait => {
                self.wait().await;
                call.await
            }
            Step::WaitAndFail => {
                self.wait().await;
                Err(PortError::unavailable(op, Retry::Safe))
            }
            Step::AnswerLate => {
                let answer = call.await;
                self.wait().await;
                answer
            }
            Step::Fail => Err(PortError::unavailable(op, Retry::Safe)),
            Step::LoseAnswer => {
                call.await?;
                Err(PortError::unavailable(op, Retry::Unknown))
            }
            Step::Panic => panic!("a port with a fault"),
        }
    }

    async fn append(
        &self,
        op: &'static str,
        store: &Arc<dyn MessageStore>,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        self.write(op, store.append(append)).await
    }

    fn feed(&self, feed: RouterFeed) -> RouterFeed {
        feed
    }
}
