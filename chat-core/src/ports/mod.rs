//! The ports: what the engine needs of the world. Each trait's documentation is its contract, in MUST sentences;
//! the name in brackets behind a sentence is the conformance case that proves it.

mod accounts;
mod authenticator;
mod authorizer;
mod clock;
mod directory;
mod error;
mod id_generator;
mod inbox_store;
mod inbox_update;
mod message_store;
mod presence_bus;
mod router;
mod user_store;

pub use accounts::{Account, Accounts, NewAccount, NewPassword, NewToken, TokenHash, TokenOwner};
pub use authenticator::{Authenticator, Identity};
pub use authorizer::{Authorizer, Operation, Verdict};
pub use clock::Clock;
pub use directory::Directory;
pub use error::{PortError, PortErrorKind, Retry};
pub use id_generator::IdGenerator;
pub use inbox_store::{
    InboxPage, InboxPosition, InboxQuery, InboxRow, InboxStore, LeftChannel, Mark, MarkKind,
    MarkRise,
};
pub use inbox_update::{FanOutMark, InboxCapabilities, InboxStanding, InboxUpdate, RowUpdate};
pub use message_store::{
    AnnotatedMessage, Append, AppendOutcome, AppendRecord, BodyNote, EntriesPage, EntriesQuery,
    FoundKey, KeyQuery, Loaded, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage,
    MessagesQuery, PageLimit, SetBody, StoreCapabilities, Targets, TargetsQuery,
};
pub use presence_bus::{
    PRESENCE_FEED_EVENTS_MAX, PresenceBus, PresenceChange, PresenceEvent, PresenceFeed,
    PresenceRev, PresenceStep, UserPresence,
};
pub use router::{Envelope, Payload, Router, RouterFeed};
pub use user_store::{
    Device, DeviceSeen, KeptStatus, PeoplePage, PeopleQuery, PrefsWrite, Profile, ProfileWrite,
    RelationWrite, UserEntriesPage, UserEntriesQuery, UserStatus, UserStore, WrittenEntries,
};
