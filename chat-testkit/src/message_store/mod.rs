//! Proof of the `MessageStore` contract: one case per sentence.

mod append;
mod bodies;
mod channels;
mod keys;
mod members;
mod pages;
mod targets;
mod visibility;

pub use append::{
    acknowledged_survives_reopen, append_is_prefix_atomic, append_refuses_a_moved_head,
    creation_and_first_message_are_one_unit, one_of_two_racing_appends_wins,
    seq_is_contiguous_under_concurrent_writers,
};
pub use bodies::{
    hostile_bodies_return_exactly, long_bodies_return_exactly, unknown_kinds_are_kept,
};
pub use channels::{
    an_absent_channel_is_empty, channels_are_isolated, epoch_outlives_reopen,
    load_folds_to_the_log, loaded_records_carry_their_keys,
};
pub use keys::{
    append_refuses_a_known_key, find_key_searches_exactly_the_range,
    keys_are_apart_by_sender_and_channel,
};
pub use members::{member_pages_are_exact, members_follow_the_log, successor_is_longest_standing};
pub use pages::{message_pages_are_exact, pages_are_contiguous, pages_respect_bytes_and_hold_one};
pub use targets::{
    a_superseded_body_is_in_no_read, an_append_sets_bodies_at_once,
    an_edit_carries_its_body_while_it_is_current, annotations_are_exact,
    annotations_leave_out_what_is_withheld, bodies_converge_in_any_order,
    body_notes_last_until_dropped, targets_follow_the_log, withheld_is_kept,
};
pub use visibility::{reads_see_what_was_acknowledged, visible_only_in_order};

pub(crate) use append::assert_log;
pub(crate) use channels::assert_state;
pub(crate) use keys::{found, query as key_query};
pub(crate) use members::assert_members;
pub(crate) use pages::{assert_within, every_message};
pub(crate) use targets::{assert_annotated, assert_notes, assert_targets, page as messages_page};

#[doc(hidden)]
#[macro_export]
macro_rules! __message_store_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) message_store:
            seq_is_contiguous_under_concurrent_writers
            append_refuses_a_moved_head
            one_of_two_racing_appends_wins
            append_is_prefix_atomic
            creation_and_first_message_are_one_unit
            append_refuses_a_known_key
            keys_are_apart_by_sender_and_channel
            acknowledged_survives_reopen
            long_bodies_return_exactly
            hostile_bodies_return_exactly
            unknown_kinds_are_kept
            visible_only_in_order
            reads_see_what_was_acknowledged
            pages_are_contiguous
            pages_respect_bytes_and_hold_one
            message_pages_are_exact
            load_folds_to_the_log
            loaded_records_carry_their_keys
            find_key_searches_exactly_the_range
            members_follow_the_log
            member_pages_are_exact
            successor_is_longest_standing
            targets_follow_the_log
            bodies_converge_in_any_order
            an_edit_carries_its_body_while_it_is_current
            a_superseded_body_is_in_no_read
            an_append_sets_bodies_at_once
            annotations_are_exact
            annotations_leave_out_what_is_withheld
            withheld_is_kept
            body_notes_last_until_dropped
            channels_are_isolated
            an_absent_channel_is_empty
            epoch_outlives_reopen
        }
    };
}

crate::__message_store_cases! { __store_table }
