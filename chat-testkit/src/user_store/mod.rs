//! Proof of the `UserStore` contract: one case per sentence.

mod cases;
mod log;
mod own;
mod person;
mod relations;

pub use cases::{
    a_forgotten_device_is_gone, an_empty_log_is_at_zero, devices_are_the_users_own,
    first_sight_makes_a_user, seeing_again_changes_only_the_time,
    the_epoch_of_users_outlives_reopen, users_survive_reopen,
};
pub use log::{
    a_write_answers_what_it_wrote, devices_are_told_by_the_log, logs_are_the_users_own,
    pages_of_the_users_log_are_exact, the_users_log_is_contiguous, user_seq_is_the_end_of_the_log,
    what_is_so_already_adds_no_entry,
};
pub use own::{
    a_profile_changes_by_field, a_status_is_kept_and_not_logged, each_status_has_a_higher_rev,
    only_the_current_draft_is_in_the_log, preferences_are_the_users_own,
    preferences_merge_by_field,
};
pub(crate) use person::draft;
pub use relations::{
    blocks_are_listed_in_pages, contacts_are_listed_in_pages, nobody_is_related_to_themselves,
    putting_asks_and_then_accepts, relations_show_both_sides, removing_ends_it_on_both_sides,
    the_blocked_cannot_tell, two_who_put_each_other_at_once_are_contacts,
};

#[doc(hidden)]
#[macro_export]
macro_rules! __user_store_cases {
    ($then:ident $(, $with:expr)?) => {
        $crate::$then! {
            ($($with)?) user_store:
            first_sight_makes_a_user
            seeing_again_changes_only_the_time
            devices_are_the_users_own
            a_forgotten_device_is_gone
            devices_are_told_by_the_log
            an_empty_log_is_at_zero
            user_seq_is_the_end_of_the_log
            the_users_log_is_contiguous
            logs_are_the_users_own
            pages_of_the_users_log_are_exact
            a_write_answers_what_it_wrote
            what_is_so_already_adds_no_entry
            nobody_is_related_to_themselves
            putting_asks_and_then_accepts
            removing_ends_it_on_both_sides
            two_who_put_each_other_at_once_are_contacts
            the_blocked_cannot_tell
            contacts_are_listed_in_pages
            blocks_are_listed_in_pages
            relations_show_both_sides
            preferences_merge_by_field
            preferences_are_the_users_own
            only_the_current_draft_is_in_the_log
            a_profile_changes_by_field
            a_status_is_kept_and_not_logged
            each_status_has_a_higher_rev
            users_survive_reopen
            the_epoch_of_users_outlives_reopen
        }
    };
}

crate::__user_store_cases! { __store_table }
