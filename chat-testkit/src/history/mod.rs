//! What clients sent and what devices saw, held to the laws of delivery.
//!
//! The checker is pure: a test or a load generator records, then checks. A device's log takes 32 bytes an entry, and each
//! is read once, so that a quarter of a million entries on many devices are checked in seconds; [`Checker`] takes devices
//! one at a time where they do not fit into memory together.
//!
//! ```
//! use chat_testkit::history::{DeviceLog, Digest, History, Outcome, Sent};
//! use chat_testkit::names::{fresh_client_id, fresh_device, fresh_user};
//!
//! let mut history = History::default();
//! history.sent.push(Sent {
//!     user: fresh_user("alice"),
//!     device: fresh_device(),
//!     channel: chat_testkit::names::fresh_channel(),
//!     client_id: fresh_client_id(),
//!     body: Some(Digest::of_text("hello")),
//!     outcome: Outcome::Unknown,
//! });
//! let report = history.check();
//! assert!(report.is_clean(), "{report}");
//! assert_eq!((report.commands, report.unknown_written), (1, 0));
//! ```

mod checker;
mod digest;
mod law;
mod observation;
mod report;

pub use checker::Checker;
pub use digest::Digest;
pub use law::Law;
pub use observation::{ChannelLog, DeviceLog, History, Outcome, Seen, SeenBody, Sent, Stored};
pub use report::{Report, VIOLATIONS_KEPT_MAX, Violation};

#[cfg(test)]
mod tests;
