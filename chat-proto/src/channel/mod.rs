//! Every rule of chat, as two pure functions over a channel's state: [`decide`] says whether a wish may happen and
//! what is recorded, [`evolve`] what a record means.
//!
//! | to learn | read |
//! |---|---|
//! | what can be wished | [`Command`], [`Action`] |
//! | who may what | [`may`] |
//! | what is known of a channel | [`ChannelState`], [`Snapshot`] |
//! | what must be looked up before deciding | [`needs`], [`Context`], [`Target`], [`Reception`] |
//! | what a page of history shows beside a message | [`Annotations`] |
//! | what a store writes beside the log | [`member_changes`], [`mark_after_own_message`] |
//!
//! ```
//! use chat_proto::channel::{Action, Context, Decision, NewMessage, Reception, decide, evolve, needs, stamp};
//! use chat_proto::{Body, ChannelId, ChannelState, ClientId, Command, DeviceId, Limits, MessageId, Timestamp, UserId};
//!
//! let (alice, bob): (UserId, UserId) = ("alice".parse()?, "bob".parse()?);
//! let device: DeviceId = "5f0a2a0e-0000-4000-8000-000000000001".parse()?;
//! let client_id: ClientId = "5f0a2a0e-0000-4000-8000-000000000002".parse()?;
//! let hello = NewMessage { direct_to: Some(bob.clone()), ..NewMessage::new(Body::text("hello")) };
//! let command = Command::of_device(alice.clone(), device, Some(client_id), Action::Send(hello));
//!
//! let mut state = ChannelState::empty(ChannelId::direct(&alice, &bob));
//! assert!(needs(&state, &command).people.contains(&bob));
//! let limits = Limits::default();
//! // Looked up as `needs` asks: bob exists, and takes messages of alice.
//! let context = Context { reception: Some(Reception::default()), ..Context::new(&limits) };
//! let Decision::Record(drafts) = decide(&state, &command, &context)? else { unreachable!() };
//! let records = stamp(&state, &command, drafts, &[MessageId(1), MessageId(2)], Timestamp(1_700_000_000_000));
//! for record in &records {
//!     evolve(&mut state, &record.entry, record.key.as_ref());
//! }
//! assert_eq!((state.head().seq.0, state.head().n.0, state.member_count()), (2, 1, 2));
//! # Ok::<(), chat_proto::Rejection>(())
//! ```

mod command;
mod context;
mod decide;
mod evolve;
mod may;
mod recent;
mod roster;
mod snapshot;
mod stamp;
mod state;
mod target;
mod unread;
mod views;

pub use command::{Action, Command, CommandKey, ContentHash, NewBody, NewChannel, NewMessage};
pub use context::{Context, Needs, Reception, needs};
pub use decide::{Decision, Draft, decide};
pub use evolve::evolve;
pub use may::{Operation, may};
pub use recent::RecentKey;
pub use roster::{Member, successor};
pub use snapshot::Snapshot;
pub use stamp::stamp;
pub use state::{ChannelState, Meta};
pub use target::{Annotations, Target};
pub use unread::{mark_after_own_message, unread};
pub use views::{MemberChange, member_changes};
