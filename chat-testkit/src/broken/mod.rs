//! Stores that each break one sentence of a contract, around stores that keep it: the suites must catch every one.
//!
//! An adapter author reads them as a list of what goes wrong in stores.

mod appends;
mod bodies;
mod copied;
mod inbox;
mod messages;
mod people;
pub mod presence;
mod reads;
mod routers;
mod rows;
mod table;
mod users;
mod views;

pub use appends::{
    AcknowledgesTheLoser, ClaimsMoreThanIsDurable, CutsLongBodies, EndsTextAtZero,
    ForgetsDepartures, ForgetsUnknownFields, KnownKeyAppendedAgain, NotWrittenClaimedAfterTimeout,
    NumberGivenOutBeforeCommit, ResolvesByReading, TearsCreationFromFirstMessage,
    VisibleOutOfOrder,
};
pub use bodies::{
    BodiesSetLater, ByTheLetter, CopiesAsSent, CountsWhatIsWithheld, EditsKeepTheirBodies,
    ForgetsThatItIsWithheld, HeadAfterAnnotations, LastSetWins, ListsWhatIsWithheld, NotesInMemory,
    NotesWhatWasSent, RowsByTheLetter, TargetsWithoutPins,
};
pub use copied::{CopiesOnce, KeepsLargeRows, LastToldWins, TakesMarksOfTheLiving};
pub use inbox::{InboxTwist, TwistedInbox};
pub use messages::{MessagesTwist, TwistedMessages};
pub use people::{
    AsksByAnOldLook, AsksOnOneSide, BlockPagesEndEarly, ContactPagesSkip, DevicesAnewAtEverySight,
    DevicesById, DropsWhatTheBlockedAsk, HidesBlocksOfOthers, HolesInTheUsersLog,
    KeepsForgottenDevices, KeepsFormerDrafts, NamelessAtFirstSight, OneLogForAll, PreferencesOfAll,
    ProfilesFallBack, RemovesOneSide, ReplacesPreferences, SilentAboutDevices, StatusWithoutText,
    StatusesWithoutRevs, TakesRelationsToOneself, TellsOnlyWhoDidIt, UserPageBytesForgotten,
    UserPagesOffByOne, UserSeqBehindTheLog, UserSeqFromOne, WritesDraftsAgain,
};
pub use presence::{BROKEN_BUSES, BrokenBus};
pub use reads::{
    BytesForgotten, HeadApartFromEntries, KeysForgotten, KeysOfAnySender, LeaksAcrossChannels,
    LoadsWithoutKeys, MoreForgotten, PagesByMessageId, PagesOffByOne, RangeOffByOne,
    StateBehindTheLog,
};
pub use routers::{BROKEN_ROUTERS, BrokenRouter};
pub use rows::{
    CountsEntriesAsMessages, CountsMentionsTwice, InboxBehindTheLog, LeftSinceIsExclusive,
    MarksFall, MarksLiftEverybody, MarksLostOnReopen, NewMembersHaveAllUnread,
    OwnMessageAlwaysRead, RaisingAddsUp, ShowsWhatIsNotVisible, SkipsTies,
};
pub use table::{BROKEN, Broken, Wrap};
pub use users::{TwistedUsers, UsersTwist};
pub use views::{EpochDrawnAnew, HeadsWithoutTheAbsent, MemberPagesRepeat, SuccessorByName};
