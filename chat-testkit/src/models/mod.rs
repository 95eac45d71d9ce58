//! Ports under random steps: an adapter and a plain model of what it is take the same steps, and after each of them answer
//! the same.
//!
//! The suites prove the contract's sentences one by one; the models find what only a row of steps shows. The seed of a run
//! that fails is in its message, with the shortest steps that were found.
//!
//! | file | holds |
//! |---|---|
//! | `runner` | runs both side by side, and shortens what fails |
//! | `registry`, `presence_bus` | who is where, who sees whom how, and who hears of it |
//! | `router` | who is served where, and what reaches whom |
//! | `people`, `user_store` | users, relations, preferences and logs of their own |
//! | `log_steps`, `logs`, `standing`, `log_store` | channels' logs with inboxes and marks over them |

mod log_steps;
mod log_store;
mod logs;
mod people;
mod presence_bus;
mod registry;
mod router;
mod runner;
mod standing;
mod user_store;

pub use log_store::LogStoreModel;
pub use presence_bus::PresenceBusModel;
pub use router::RouterModel;
pub(crate) use runner::seeded_runner;
pub use runner::{Fault, Model, RUNS, STEPS_MAX};
pub use user_store::UserStoreModel;

use crate::factory::StoreFactory;
use crate::presence_bus::{OpenedPresenceBus, PresenceBusFactory};
use crate::router::{OpenedRouter, RouterFactory};
use crate::skip::Skip;

/// Runs that find no fault say so by returning; what the mounted test calls.
///
/// # Panics
/// With the steps, when the store is not as its model.
pub fn user_store(factory: &dyn StoreFactory) {
    runner::hold::<UserStoreModel>(async || factory.open().await);
}

/// A run of the model of `UserStore` that fails, hardly shortened.
pub fn user_store_fault(factory: &dyn StoreFactory) -> Option<Fault> {
    runner::search::<UserStoreModel>(&async || factory.open().await, 0, 1).err()
}

/// As [`user_store`], for a `MessageStore` with the `InboxStore` over it.
///
/// # Panics
/// With the steps, when the stores are not as their model.
pub fn log_store(factory: &dyn StoreFactory) {
    runner::hold::<LogStoreModel>(async || factory.open().await);
}

/// A run of the model of `MessageStore` and `InboxStore` that fails, hardly shortened.
pub fn log_store_fault(factory: &dyn StoreFactory) -> Option<Fault> {
    runner::search::<LogStoreModel>(&async || factory.open().await, 0, 1).err()
}

/// As [`user_store`], for a `PresenceBus`.
///
/// # Panics
/// With the steps, when the bus is not as its model.
pub fn presence_bus(factory: &dyn PresenceBusFactory) {
    runner::hold::<PresenceBusModel>(async || factory.open().await);
}

/// A run of the model of `PresenceBus` that fails, hardly shortened.
pub fn presence_bus_fault(
    open: impl AsyncFn() -> Result<OpenedPresenceBus, Skip>,
) -> Option<Fault> {
    runner::search::<PresenceBusModel>(&open, 0, 1).err()
}

/// As [`user_store`], for a `Router`.
///
/// # Panics
/// With the steps, when the router is not as its model.
pub fn router(factory: &dyn RouterFactory) {
    runner::hold::<RouterModel>(async || factory.open().await);
}

/// A run of the model of `Router` that fails, hardly shortened.
pub fn router_fault(open: impl AsyncFn() -> Result<OpenedRouter, Skip>) -> Option<Fault> {
    runner::search::<RouterModel>(&open, 0, 1).err()
}
