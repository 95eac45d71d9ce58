//! Engines under every interleaving: several over one set of stores and one router, with seeded chaos at every await, and
//! the laws of delivery held against what clients were told, what devices have and what the log holds.
//!
//! One seed is one run: a single thread, the runtime's clock paused. An adapter author runs the same over stores of
//! their own:
//!
//! ```
//! use chat_core::memory::MemoryStore;
//! use chat_testkit::engine::{Ports, Scenario, seeds};
//!
//! for seed in seeds(2) {
//!     Scenario::storm().run(seed, || Ports::over(MemoryStore::new())).assert_clean();
//! }
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `scenario` | what happens in a run, and how it ends |
//! | `fleet` | engines over one set of ports, each behind chaos of its own |
//! | `device`, `held` | an honest client: pushes, gaps, pulls, syncs, an outbox |
//! | `callers` | senders without a session, who try again elsewhere, twice at once, or never |
//! | `crowd` | a channel of very many, most of whom are away |
//! | `journal` | what every command was told |
//! | `verdict` | all of it held to the laws |
//! | [`gates`] | every interleaving of a device's attachment with an append |
//! | [`faults`] | ports that are broken on purpose |
//! | `seeds` | which runs, and how to repeat one |

mod callers;
mod crowd;
mod device;
pub mod faults;
mod fleet;
pub mod gates;
mod held;
mod journal;
mod scenario;
mod seeds;
mod verdict;

pub use crowd::Crowd;
pub use fleet::{Ports, RuntimeClock};
pub use scenario::{Channel, Scenario};
pub use seeds::{SEED_VARIABLE, seeds};
pub use verdict::{Breach, Rule, Verdict};
