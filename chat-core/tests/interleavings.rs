//! Several engines over one store, every interleaving: the laws hold whatever pauses, fails or is lost.

use chat_core::memory::MemoryStore;
use chat_testkit::engine::gates::{Place, attach_meets_append};
use chat_testkit::engine::{Ports, Scenario, seeds};

/// Runs of each scenario; as many as a few seconds hold.
const SEEDS: u64 = 20;

fn stores() -> [fn() -> MemoryStore; 2] {
    [MemoryStore::new, MemoryStore::key_value]
}

fn hold(scenario: Scenario) {
    for seed in seeds(SEEDS) {
        for store in stores() {
            scenario.run(seed, || Ports::over(store())).assert_clean();
        }
    }
}

#[test]
fn a_group_in_a_storm() {
    hold(Scenario::storm());
}

#[test]
fn more_messages_than_a_state_remembers_keys_of() {
    for seed in seeds(3) {
        for store in stores() {
            let scenario = Scenario::storm().messages(60);
            scenario.run(seed, || Ports::over(store())).assert_clean();
        }
    }
}

#[test]
fn two_users_in_a_storm() {
    hold(Scenario::storm().direct());
}

#[test]
fn a_large_channel_in_a_storm() {
    hold(Scenario::storm().large());
}

#[test]
fn late_members_see_nothing_earlier_in_a_storm() {
    hold(Scenario::storm().history_from_joining());
}

#[test]
fn a_group_by_hints_alone() {
    hold(Scenario::pauses());
}

#[test]
fn two_users_by_hints_alone() {
    hold(Scenario::pauses().direct());
}

#[test]
fn a_large_channel_by_hints_alone() {
    hold(Scenario::pauses().large());
}

#[test]
fn one_seed_is_one_run() {
    let run = || {
        let verdict = Scenario::storm().run(5, || Ports::over(MemoryStore::new()));
        format!("{:?}", verdict.report)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_message_reaches_a_device_that_attaches_meanwhile() {
    for place in [Place::Group, Place::NewDirect, Place::Large] {
        for store in stores() {
            let lacking = attach_meets_append(place, || Ports::over(store()));
            assert!(lacking.is_empty(), "{lacking:#?}");
        }
    }
}

#[test]
fn a_run_by_the_real_clock_holds_as_well() {
    for store in stores() {
        let scenario = Scenario::storm().engines(2);
        let verdict = scenario.run_in_real_time(1, || async { Ports::over(store()) });
        verdict.assert_clean();
    }
}
