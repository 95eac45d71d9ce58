//! What a client must do to miss nothing and show nothing twice.
//!
//! [`SyncMachine`] is that, without a socket, a clock or chance: connections, frames, time and commands go in;
//! frames to send and [`Event`]s for the application come out. A program around it moves bytes and keeps time.
//!
//! ```
//! use chat_proto::sync::{Output, Settings, SyncMachine};
//! use chat_proto::wire::{ClientFrame, Hello};
//!
//! let hello = Hello { token: "secret".into(), client: "doc/1.0".into(), heartbeat_ms: None };
//! let mut machine = SyncMachine::new(Settings::default(), hello);
//! machine.connected(0);
//! assert!(matches!(machine.poll(), Some(Output::Frame(ClientFrame::Hello { .. }))));
//! // The connection breaks before the answer: the machine says when to come back.
//! let reconnect = machine.disconnected(100, 7).expect("nothing final has happened");
//! assert!(reconnect.at_ms >= 100);
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `machine` | what goes in and comes out; its parts below `machine/`, the user's own log in `own` |
//! | `log` | one channel: its cursor, and entries that wait for those before them |
//! | `strangers` | entries of channels that the client does not know yet |
//! | `command` | what becomes an entry of a log |
//! | `outbox` | commands until they are acknowledged |
//! | `marks` | read and delivered marks until they are durable |
//! | `catchup` | which `sync` frames are still to be asked |
//! | `requests` | what is outstanding on the connection |
//! | `reconnect` | when to come back |
//! | `timers` | what is due, and when |
//! | `event` | what comes out |
//! | `settings` | every bound, and what a client may choose |
//! | `snapshot` | what survives a restart |

mod catchup;
mod command;
mod event;
mod log;
mod machine;
mod marks;
mod outbox;
mod reconnect;
mod requests;
mod settings;
mod snapshot;
mod strangers;
mod timers;

pub use command::Command;
pub use event::{Ending, Event, Output, RequestError, SendRefused};
pub use machine::SyncMachine;
pub use reconnect::{Backoff, Reconnect};
pub use settings::{GapPolicy, Settings};
pub use snapshot::{ChannelProgress, OutboxSnapshot, Progress, SyncSnapshot};
