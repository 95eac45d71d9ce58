//! The suites catch every broken store, each by the case that names what is broken.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_trait::async_trait;
use chat_testkit::broken::{BROKEN, Broken};
use chat_testkit::case::{StoreCase, run_on_stores};
use chat_testkit::{
    MemoryStores, Opened, Skip, StoreFactory, inbox_store, message_store, user_store,
};

/// One test a broken store.
macro_rules! caught {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                assert_caught(stringify!($name));
            }
        )*

        #[test]
        fn every_broken_store_has_a_test() {
            let tests = BTreeSet::from([$(stringify!($name)),*]);
            let table: BTreeSet<&str> = BROKEN.iter().map(|broken| broken.name).collect();
            assert_eq!(tests, table);
            assert_eq!(table.len(), BROKEN.len(), "each name is one broken store's");
        }
    };
}

caught! {
    not_written_claimed_after_timeout
    number_given_out_before_commit
    acknowledges_the_loser
    claims_more_than_is_durable
    tears_creation_from_first_message
    known_key_appended_again
    keys_of_any_sender
    lost_on_reopen
    cuts_long_bodies
    ends_text_at_zero
    forgets_unknown_fields
    visible_out_of_order
    head_apart_from_entries
    pages_off_by_one
    pages_by_message_id
    bytes_forgotten
    more_forgotten
    state_behind_the_log
    loads_without_keys
    keys_forgotten
    range_off_by_one
    forgets_departures
    member_pages_repeat
    successor_by_name
    leaks_across_channels
    heads_without_the_absent
    epoch_drawn_anew
    forgets_departures_in_inboxes
    skips_ties
    inbox_behind_the_log
    marks_fall
    raising_adds_up
    marks_lost_on_reopen
    shows_private_rises
    drops_private_rises
    hides_for_ever
    own_message_always_read
    counts_entries_as_messages
    new_members_have_all_unread
    counts_mentions_twice
    shows_what_is_not_visible
    left_since_is_exclusive
    marks_lift_everybody
    last_told_wins
    copies_once
    keeps_large_rows
    takes_marks_of_the_living
    epoch_of_users_drawn_anew
    nameless_at_first_sight
    devices_anew_at_every_sight
    devices_by_id
    keeps_forgotten_devices
    silent_about_devices
    user_seq_from_one
    user_seq_behind_the_log
    holes_in_the_users_log
    one_log_for_all
    user_pages_off_by_one
    user_page_bytes_forgotten
    tells_only_who_did_it
    writes_drafts_again
    asks_on_one_side
    removes_one_side
    asks_by_an_old_look
    drops_what_the_blocked_ask
    contact_pages_skip
    block_pages_end_early
    hides_blocks_of_others
    takes_relations_to_oneself
    replaces_preferences
    keeps_former_drafts
    preferences_of_all
    profiles_fall_back
    status_without_text
    statuses_without_revs
    targets_without_pins
    last_set_wins
    edits_keep_their_bodies
    copies_as_sent
    bodies_set_later
    head_after_annotations
    counts_what_is_withheld
    forgets_that_it_is_withheld
    notes_in_memory
    mentions_of_the_erased
    last_as_sent
    withheld_is_activity
    lists_what_is_withheld
    users_lost_on_reopen
}

#[test]
fn every_case_of_logs_inboxes_and_users_catches_something() {
    let catching: BTreeSet<&str> = BROKEN.iter().map(|broken| broken.caught_by).collect();
    let cases: BTreeSet<&str> = cases().map(|case| case.name).collect();
    assert_eq!(catching, cases);
}

/// Sound stores in memory, broken in one way.
struct BrokenStores(Broken);

#[async_trait]
impl StoreFactory for BrokenStores {
    async fn open(&self) -> Result<Opened, Skip> {
        let sound = MemoryStores::with_key_search().open().await?;
        Ok(sound.wrapped((self.0.wrap)()))
    }
}

fn assert_caught(name: &str) {
    let broken = BROKEN.iter().find(|broken| broken.name == name);
    let broken = *broken.expect("the table holds every broken store");
    let case = cases().find(|case| case.name == broken.caught_by);
    let case = case.expect("a suite has the case");
    let run = || run_on_stores(&BrokenStores(broken), case.run);
    let panic = catch_unwind(AssertUnwindSafe(run));
    let panic = panic.expect_err("the case passes over the broken store");
    let message = message(&*panic);
    assert!(
        message.contains(broken.law),
        "caught, but not for `{}`: {message:.1000}",
        broken.law
    );
}

fn cases() -> impl Iterator<Item = &'static StoreCase> {
    message_store::CASES
        .iter()
        .chain(inbox_store::CASES)
        .chain(user_store::CASES)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let borrowed = panic.downcast_ref::<&str>().map(ToString::to_string);
    owned.or(borrowed).unwrap_or_default()
}
