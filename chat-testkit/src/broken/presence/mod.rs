//! Buses that each break one sentence of the `PresenceBus` contract, around one that keeps it.

mod feeds;
mod registry;
mod table;
mod twisted;

pub use feeds::{
    CountsWatches, DropsInSilence, FeedsLate, FeedsWhatNobodySees, ForgetsUnwatch, HidesItsRestart,
    KeepsWatchesOverJoins, WakesNonWatchers,
};
pub use registry::{
    AnybodyTakesBack, CountsAnnouncements, ForgetsTheSecondNode, LastStatusStands, RevsBeginAgain,
    ShowsTheInvisible, StatesByName, StatusBringsOnline, UnfreezesLastSeen,
};
pub use table::{BROKEN_BUSES, BrokenBus};
pub use twisted::{PresenceTwist, TwistedPresence};
