//! The suite of `PresenceBus` catches every broken bus, each by the case that names what is broken.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chat_testkit::broken::{BROKEN_BUSES, BrokenBus};
use chat_testkit::case::run_on;
use chat_testkit::presence_bus::{CASES, OpenedPresenceBus};

#[test]
fn every_broken_bus_is_caught_by_name() {
    for broken in BROKEN_BUSES {
        assert_caught(broken);
    }
}

#[test]
fn every_case_catches_something() {
    let catching: BTreeSet<&str> = BROKEN_BUSES.iter().map(|broken| broken.caught_by).collect();
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(catching, cases);
}

fn assert_caught(broken: &BrokenBus) {
    let name = broken.name;
    let case = CASES.iter().find(|case| case.name == broken.caught_by);
    let case = case.unwrap_or_else(|| panic!("{name}: the suite has the case"));
    let opened = async {
        let mut opened = OpenedPresenceBus::memory();
        opened.bus = (broken.wrap)(opened.bus);
        Ok(opened)
    };
    let panic = catch_unwind(AssertUnwindSafe(|| run_on(opened, case.run)));
    let panic = panic
        .err()
        .unwrap_or_else(|| panic!("{name}: the case passes over it"));
    let message = message(&*panic);
    assert!(
        message.contains(broken.law),
        "{name}: caught, but not for `{}`: {message:.1000}",
        broken.law
    );
}

fn message(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let borrowed = panic.downcast_ref::<&str>().map(ToString::to_string);
    owned.or(borrowed).unwrap_or_default()
}
