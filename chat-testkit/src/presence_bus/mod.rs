//! Proof of the `PresenceBus` contract: one case per sentence.

mod factory;
mod feed;
mod registry;
mod report;
mod status;

pub use factory::{OpenedPresenceBus, PresenceBusFactory, Restart, open};
pub use feed::{
    a_full_feed_says_that_it_missed, a_restarted_registry_says_so, joining_again_begins_anew,
    only_watchers_are_fed, unwatched_users_are_not_fed, watched_transitions_are_fed_in_order,
    watching_twice_is_once, what_nobody_sees_is_not_fed,
};
pub use registry::{
    a_stranger_cannot_take_back, announcing_twice_is_once, online_until_the_last_node_is_gone,
    revs_rise_over_generations, states_in_order,
};
pub use status::{
    a_status_brings_nobody_online, last_seen_is_frozen_while_invisible,
    the_invisible_are_seen_as_offline, the_newest_status_stands,
};

#[doc(hidden)]
#[macro_export]
macro_rules! __presence_bus_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) presence_bus:
            online_until_the_last_node_is_gone
            announcing_twice_is_once
            a_stranger_cannot_take_back
            the_newest_status_stands
            a_status_brings_nobody_online
            the_invisible_are_seen_as_offline
            last_seen_is_frozen_while_invisible
            states_in_order
            watched_transitions_are_fed_in_order
            only_watchers_are_fed
            what_nobody_sees_is_not_fed
            revs_rise_over_generations
            watching_twice_is_once
            unwatched_users_are_not_fed
            joining_again_begins_anew
            a_full_feed_says_that_it_missed
            a_restarted_registry_says_so
        }
    };
}

crate::__presence_bus_cases! { __presence_bus_table }
