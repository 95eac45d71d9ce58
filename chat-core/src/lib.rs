//! The chat engine: ports for stores, routing and identity, and the engine that decides, appends and delivers over
//! them. No database driver and no socket: adapters bring those.
//!
//! | module | holds |
//! |---|---|
//! | [`ports`] | the traits that adapters implement; each one's documentation is its contract |
//! | [`memory`] | adapters that keep everything in memory: the contracts as a program |
//! | [`decorators`] | layers around any adapter: time limits, measurements, seeded chaos |
//! | [`snowflake`] | message ids that sort by time |

pub mod decorators;
pub mod memory;
pub mod ports;
pub mod snowflake;

pub use chat_proto as proto;
