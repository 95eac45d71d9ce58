//! Proof of the `Router` contract: one case per sentence.

mod cases;
mod factory;
mod fleet;
mod payloads;

pub use cases::{
    a_full_receiver_stops_nobody, a_publisher_does_not_hear_itself, attached_is_located,
    attachments_are_counted, detached_is_not_located, envelopes_arrive_as_they_were_sent,
    envelopes_keep_their_order, joined_topics_are_heard, locate_leaves_out_the_asker,
};
pub use factory::{NODES, OpenedRouter, RouterFactory, open};
pub(crate) use fleet::Fleet;

#[doc(hidden)]
#[macro_export]
macro_rules! __router_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) router:
            attached_is_located
            detached_is_not_located
            attachments_are_counted
            locate_leaves_out_the_asker
            envelopes_arrive_as_they_were_sent
            envelopes_keep_their_order
            joined_topics_are_heard
            a_publisher_does_not_hear_itself
            a_full_receiver_stops_nobody
        }
    };
}

crate::__router_cases! { __router_table }
