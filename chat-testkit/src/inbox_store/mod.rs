//! Proof of the `InboxStore` contract: one case per sentence.

mod changed;
mod copied;
mod last;
mod listing;
mod marks;
mod private;
mod unread;

pub use changed::{
    a_channel_of_withheld_entries_is_not_listed, an_erased_message_mentions_nobody,
    last_follows_edits_and_deletions, what_is_withheld_raises_nothing,
};
pub use copied::{
    a_replaced_copy_is_in_no_read, fan_out_marks_outlive_their_owner,
    rows_of_large_channels_are_read_on_request, updates_converge_in_any_order,
};
pub use last::{last_respects_the_visible_range, left_names_what_was_left};
pub use listing::{
    inbox_follows_the_log, inbox_lists_own_channels_only, inbox_pages_in_order_without_gap,
};
pub use marks::{
    a_mark_is_activity_of_its_owner, marks_never_fall, marks_survive_reopen, raising_twice_is_once,
};
pub use private::{a_private_rise_is_not_shown, a_public_rise_shows_again};
pub use unread::{
    a_new_member_has_nothing_unread, mentions_count_once, own_message_is_read_when_all_before_was,
    unread_is_arithmetic,
};

pub(crate) use copied::ALL_MARKS;
pub(crate) use listing::paged as paged_rows;

#[doc(hidden)]
#[macro_export]
macro_rules! __inbox_store_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) inbox_store:
            inbox_lists_own_channels_only
            inbox_pages_in_order_without_gap
            inbox_follows_the_log
            marks_never_fall
            raising_twice_is_once
            marks_survive_reopen
            a_private_rise_is_not_shown
            a_public_rise_shows_again
            own_message_is_read_when_all_before_was
            unread_is_arithmetic
            a_new_member_has_nothing_unread
            mentions_count_once
            last_respects_the_visible_range
            an_erased_message_mentions_nobody
            last_follows_edits_and_deletions
            what_is_withheld_raises_nothing
            a_channel_of_withheld_entries_is_not_listed
            left_names_what_was_left
            a_mark_is_activity_of_its_owner
            updates_converge_in_any_order
            a_replaced_copy_is_in_no_read
            rows_of_large_channels_are_read_on_request
            fan_out_marks_outlive_their_owner
        }
    };
}

crate::__inbox_store_cases! { __store_table }
