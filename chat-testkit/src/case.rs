//! Runs one case against one adapter.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::factory::{Opened, StoreFactory};
use crate::presence_bus::OpenedPresenceBus;
use crate::router::OpenedRouter;
use crate::skip::Skip;

/// A case that has not ended by then hangs.
pub const CASE_SECONDS_MAX: u64 = 120;

/// Threads that a case's tasks run on: enough to race, few enough to run many cases side by side.
const WORKER_THREADS: usize = 2;

/// A case of a store suite, by name.
#[derive(Clone, Copy)]
pub struct StoreCase {
    /// As the contract names it.
    pub name: &'static str,
    /// What it does with freshly opened stores; panics where the contract is broken.
    pub run: fn(Opened) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A case of the suite of `PresenceBus`, by name.
#[derive(Clone, Copy)]
pub struct PresenceBusCase {
    /// As the contract names it.
    pub name: &'static str,
    /// What it does with a freshly opened bus; panics where the contract is broken.
    pub run: fn(OpenedPresenceBus) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A case of the suite of `Router`, by name.
#[derive(Clone, Copy)]
pub struct RouterCase {
    /// As the contract names it.
    pub name: &'static str,
    /// What it does with freshly opened routers; panics where the contract is broken.
    pub run: fn(OpenedRouter) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Opens stores and runs a case on them; what the tests of a store suite call.
///
/// # Panics
/// When the stores break the sentence that the case proves, or the case does not end.
pub fn run_on_stores<C>(factory: &dyn StoreFactory, case: impl FnOnce(Opened) -> C)
where
    C: Future<Output = ()>,
{
    run(async {
        match factory.open().await {
            Ok(opened) => case(opened).await,
            Err(skip) => skip.announce(),
        }
    });
}

/// Runs a case on what was opened for it, if anything; what the tests of the other suites call.
///
/// # Panics
/// As [`run_on_stores`].
pub fn run_on<T, C>(opened: impl Future<Output = Result<T, Skip>>, case: impl FnOnce(T) -> C)
where
    C: Future<Output = ()>,
{
    run(async {
        match opened.await {
            Ok(opened) => case(opened).await,
            Err(skip) => skip.announce(),
        }
    });
}

fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .expect("a test may start threads");
    let ended = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(CASE_SECONDS_MAX), Box::pin(case)).await
    });
    assert!(
        ended.is_ok(),
        "the case did not end within {CASE_SECONDS_MAX} s"
    );
}

/// The results of tasks, in order; a panic in one of them is the caller's.
pub(crate) async fn join_all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("a task of the case was cancelled: {error}"),
            },
        }
    }
    results
}
