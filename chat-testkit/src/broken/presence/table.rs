//! Which case catches which broken bus.

use std::sync::Arc;

use chat_core::ports::PresenceBus;

use super::twisted::{PresenceTwist, TwistedPresence};
use super::{feeds, registry};

/// A broken bus, and the case that must catch it.
#[derive(Clone, Copy)]
pub struct BrokenBus {
    /// What is broken.
    pub name: &'static str,
    /// The case that catches it.
    pub caught_by: &'static str,
    /// Words of the message with which the case fails, so that it is not caught for another reason.
    pub law: &'static str,
    /// Breaks a bus that is sound.
    pub wrap: fn(Arc<dyn PresenceBus>) -> Arc<dyn PresenceBus>,
}

/// All of them.
pub const BROKEN_BUSES: &[BrokenBus] = &[
    BrokenBus {
        name: "forgets_the_second_node",
        caught_by: "online_until_the_last_node_is_gone",
        law: "online while any node's life announces them",
        wrap: twisted::<registry::ForgetsTheSecondNode>,
    },
    BrokenBus {
        name: "counts_announcements",
        caught_by: "announcing_twice_is_once",
        law: "taken back by one departure",
        wrap: twisted::<registry::CountsAnnouncements>,
    },
    BrokenBus {
        name: "anybody_takes_back",
        caught_by: "a_stranger_cannot_take_back",
        law: "who did not announce a user cannot take them back",
        wrap: twisted::<registry::AnybodyTakesBack>,
    },
    BrokenBus {
        name: "last_status_stands",
        caught_by: "the_newest_status_stands",
        law: "does not take the place of a newer one",
        wrap: twisted::<registry::LastStatusStands>,
    },
    BrokenBus {
        name: "status_brings_online",
        caught_by: "a_status_brings_nobody_online",
        law: "a status alone brings nobody online",
        wrap: twisted::<registry::StatusBringsOnline>,
    },
    BrokenBus {
        name: "shows_the_invisible",
        caught_by: "the_invisible_are_seen_as_offline",
        law: "who comes invisible was never seen",
        wrap: twisted::<registry::ShowsTheInvisible>,
    },
    BrokenBus {
        name: "unfreezes_last_seen",
        caught_by: "last_seen_is_frozen_while_invisible",
        law: "last seen when they became so",
        wrap: twisted::<registry::UnfreezesLastSeen>,
    },
    BrokenBus {
        name: "states_by_name",
        caught_by: "states_in_order",
        law: "states come in the order asked",
        wrap: twisted::<registry::StatesByName>,
    },
    BrokenBus {
        name: "feeds_late",
        caught_by: "watched_transitions_are_fed_in_order",
        law: "is fed, in order",
        wrap: twisted::<feeds::FeedsLate>,
    },
    BrokenBus {
        name: "wakes_non_watchers",
        caught_by: "only_watchers_are_fed",
        law: "who did not watch a user is fed nothing of them",
        wrap: twisted::<feeds::WakesNonWatchers>,
    },
    BrokenBus {
        name: "feeds_what_nobody_sees",
        caught_by: "what_nobody_sees_is_not_fed",
        law: "a change that nobody sees is not fed",
        wrap: twisted::<feeds::FeedsWhatNobodySees>,
    },
    BrokenBus {
        name: "revs_begin_again",
        caught_by: "revs_rise_over_generations",
        law: "a higher rev than the one before",
        wrap: twisted::<registry::RevsBeginAgain>,
    },
    BrokenBus {
        name: "counts_watches",
        caught_by: "watching_twice_is_once",
        law: "one end ends a watch",
        wrap: twisted::<feeds::CountsWatches>,
    },
    BrokenBus {
        name: "forgets_unwatch",
        caught_by: "unwatched_users_are_not_fed",
        law: "fed nothing more of them",
        wrap: twisted::<feeds::ForgetsUnwatch>,
    },
    BrokenBus {
        name: "keeps_watches_over_joins",
        caught_by: "joining_again_begins_anew",
        law: "begins with nothing watched",
        wrap: twisted::<feeds::KeepsWatchesOverJoins>,
    },
    BrokenBus {
        name: "drops_in_silence",
        caught_by: "a_full_feed_says_that_it_missed",
        law: "followed by word of it",
        wrap: twisted::<feeds::DropsInSilence>,
    },
    BrokenBus {
        name: "hides_its_restart",
        caught_by: "a_restarted_registry_says_so",
        law: "says so first",
        wrap: twisted::<feeds::HidesItsRestart>,
    },
];

fn twisted<T: PresenceTwist + Default>(inner: Arc<dyn PresenceBus>) -> Arc<dyn PresenceBus> {
    Arc::new(TwistedPresence::new(inner, T::default()))
}
