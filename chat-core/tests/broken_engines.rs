//! An engine over a port that is broken on purpose behaves as if it were broken itself: the interleavings must find each
//! fault, by the law that it breaks.

use chat_testkit::engine::faults::{FaultyStore, HastyRouter, StoreFault};
use chat_testkit::engine::gates::{Place, attach_meets_append};
use chat_testkit::engine::{Rule, Scenario};
use chat_testkit::history::Law;

/// Seeds within which a fault must be found.
const SEEDS: u64 = 30;

/// Runs the scenario until the rule is broken.
fn caught(fault: StoreFault, rule: Rule, scenario: Scenario) {
    let found = (0..SEEDS).any(|seed| scenario.run(seed, || FaultyStore::ports(fault)).broke(rule));
    assert!(found, "{fault:?} does not break {rule:?} in {SEEDS} runs");
}

#[test]
fn a_key_searched_only_after_a_lost_race_stores_twice() {
    let fault = StoreFault::KeySearchedOnlyAfterALostRace;
    // More messages than a state remembers keys of.
    let scenario = Scenario::storm().messages(60);
    caught(fault, Rule::Law(Law::KeysAreOnce), scenario);
}

#[test]
fn a_head_read_apart_from_the_fold_moves_what_was_acknowledged() {
    let fault = StoreFault::HeadReadApartFromTheFold;
    let rule = Rule::Law(Law::AcknowledgedKeepsItsPlace);
    caught(fault, rule, Scenario::storm());
}

#[test]
fn a_head_read_apart_from_the_fold_stores_twice() {
    let fault = StoreFault::HeadReadApartFromTheFold;
    caught(fault, Rule::Law(Law::KeysAreOnce), Scenario::pauses());
}

#[test]
fn a_head_read_apart_from_the_fold_lets_the_removed_speak() {
    let fault = StoreFault::HeadReadApartFromTheFold;
    caught(fault, Rule::OnlyMembersAct, Scenario::storm());
}

#[test]
fn not_written_claimed_after_a_time_out_is_in_the_log() {
    let fault = StoreFault::NotWrittenClaimedAfterATimeOut;
    caught(fault, Rule::Law(Law::RejectedIsAbsent), Scenario::storm());
}

#[test]
fn an_inbox_read_before_the_attachment_misses_a_message() {
    let lacking = attach_meets_append(Place::Group, HastyRouter::ports);
    assert!(!lacking.is_empty());
}

#[test]
fn a_number_given_out_before_commit_leaves_a_hole() {
    let fault = StoreFault::NumberGivenOutBeforeCommit;
    caught(fault, Rule::Law(Law::SeqIsContiguous), Scenario::storm());
}

#[test]
fn entries_visible_out_of_order_come_on_pages_with_gaps() {
    let fault = StoreFault::VisibleOutOfOrder;
    caught(fault, Rule::PagesAreContiguous, Scenario::storm());
}

#[test]
fn an_acknowledged_append_that_is_lost_is_missed() {
    let fault = StoreFault::AcknowledgedIsLost;
    let rule = Rule::Law(Law::AcknowledgedIsPresent);
    caught(fault, rule, Scenario::storm());
}

#[test]
fn a_load_that_misses_the_last_entry_lets_the_removed_speak() {
    let fault = StoreFault::LoadMissesTheLastEntry;
    caught(fault, Rule::OnlyMembersAct, Scenario::storm());
}

#[test]
fn stale_memberships_let_the_removed_speak() {
    let fault = StoreFault::StaleMemberships;
    caught(fault, Rule::OnlyMembersAct, Scenario::storm().large());
}

#[test]
fn targets_that_forget_deletions_let_the_deleted_be_changed() {
    let fault = StoreFault::TargetsForgetDeletions;
    caught(fault, Rule::NothingFollowsADeletion, Scenario::storm());
}

#[test]
fn erasures_that_are_not_done_are_told_all_the_same() {
    let fault = StoreFault::ErasuresAreNotDone;
    caught(fault, Rule::BodiesFollowTheLog, Scenario::storm());
}
