//! The suites of `PresenceBus` and `Router` catch everything that is broken, each by the case that names what is broken.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chat_testkit::broken::{BROKEN_BUSES, BROKEN_ROUTERS};
use chat_testkit::case::run_on;
use chat_testkit::presence_bus::{self, OpenedPresenceBus};
use chat_testkit::router::{self, OpenedRouter};

#[test]
fn every_broken_bus_is_caught_by_name() {
    for broken in BROKEN_BUSES {
        let mut cases = presence_bus::CASES.iter();
        let case = cases.find(|case| case.name == broken.caught_by);
        let case = case.expect("the suite has the case");
        let opened = async {
            let mut opened = OpenedPresenceBus::memory();
            opened.bus = (broken.wrap)(opened.bus);
            Ok(opened)
        };
        assert_caught(broken.name, broken.law, || run_on(opened, case.run));
    }
}

#[test]
fn every_broken_router_is_caught_by_name() {
    for broken in BROKEN_ROUTERS {
        let mut cases = router::CASES.iter();
        let case = cases.find(|case| case.name == broken.caught_by);
        let case = case.expect("the suite has the case");
        let opened = async { Ok(OpenedRouter::shared(broken.open())) };
        assert_caught(broken.name, broken.law, || run_on(opened, case.run));
    }
}

#[test]
fn every_case_catches_something() {
    let catching: BTreeSet<&str> = BROKEN_BUSES.iter().map(|broken| broken.caught_by).collect();
    let cases: BTreeSet<&str> = presence_bus::CASES.iter().map(|case| case.name).collect();
    assert_eq!(catching, cases);
    let catching = BROKEN_ROUTERS.iter().map(|broken| broken.caught_by);
    let cases: BTreeSet<&str> = router::CASES.iter().map(|case| case.name).collect();
    assert_eq!(catching.collect::<BTreeSet<&str>>(), cases);
}

/// Runs the case, which must fail for this law.
fn assert_caught(name: &str, law: &str, run: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(run));
    let panic = panic
        .err()
        .unwrap_or_else(|| panic!("{name}: the case passes over it"));
    let message = message(&*panic);
    assert!(
        message.contains(law),
        "{name}: caught, but not for `{law}`: {message:.1000}"
    );
}

fn message(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let borrowed = panic.downcast_ref::<&str>().map(ToString::to_string);
    owned.or(borrowed).unwrap_or_default()
}
