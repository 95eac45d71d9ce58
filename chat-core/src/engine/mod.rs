//! The engine: decides, appends and delivers over the ports.
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the handle that everybody holds, and what it is made of |
//! | `builder`, `settings` | how an engine is put together |
//! | `api` | what embedding programs and HTTP handlers call |
//! | `wish`, `submission` | what a client's command wishes; a command on its way, and how its answer gets back |
//! | `channels`, `slot` | one queue and one fold per active channel |
//! | `batch` | from queued commands to one append, and what can go wrong on the way |
//! | `fold`, `plan`, `settle` | the steps of a batch |
//! | `key_search` | the rule that makes a retry find its first result |
//! | `lookups`, `receptions` | what a decision needs beyond the fold; how users take direct messages of others |
//! | `fan_out` | who hears of new entries, on this node and others |
//! | `topics` | the local members of large channels |
//! | `host` | the embedding program's say on what users do |
//! | `hub` | what other nodes tell this one |
//! | `connect` | how a session begins and ends |
//! | `presence` | who came and who went, told to the bus |
//! | `watching`, `watches` | who watches whom, and what watchers are told |
//! | `beats` | one coarse wheel for all heartbeats |
//! | `bodies` | bodies that an append does not set by itself, under a durable note |
//! | `reads`, `history`, `sync` | pages and summaries |
//! | `marks`, `receipts` | read and delivered marks, raised in bulk; how far everybody is |
//! | `people` | what a user has beside channels, and who hears when it changes |

mod api;
mod batch;
mod beats;
mod bodies;
mod builder;
mod channels;
mod connect;
mod copies;
#[expect(
    clippy::module_inception,
    reason = "the main type of the module, in a file of its name"
)]
mod engine;
mod fan_out;
mod fold;
mod history;
mod host;
mod hub;
mod key_search;
mod lookups;
mod marks;
mod people;
mod plan;
mod presence;
mod reads;
mod receipts;
mod receptions;
mod settings;
mod settle;
mod slot;
mod submission;
mod sync;
mod topics;
mod watches;
mod watching;
mod wish;

pub use api::{DeviceList, MemberList, System};
pub use builder::{BuildError, EngineBuilder};
pub use connect::Connect;
pub use engine::Engine;
pub use settings::EngineSettings;
pub(crate) use submission::Reply;
