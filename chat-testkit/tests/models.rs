//! The models find what is broken: stores and buses that also the suites catch, and routers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_testkit::broken::{BROKEN, BROKEN_BUSES, BROKEN_ROUTERS, Broken};
use chat_testkit::presence_bus::OpenedPresenceBus;
use chat_testkit::router::OpenedRouter;
use chat_testkit::{
    MemoryStores, Opened, Skip, StoreFactory, inbox_store, message_store, models, user_store,
};

/// Routers that show what is broken only in what an envelope says, or under a flood.
const BROKEN_IN_WHAT_IS_NOT_COUNTED: &[&str] = &["forgets_recipients", "refuses_when_full"];

/// Stores that show what is broken only to somebody who reads while another writes: the steps of a model come one after the
/// other.
const BROKEN_FOR_READERS_BESIDE: &[&str] = &["visible_out_of_order"];

#[test]
fn the_model_of_user_stores_finds_every_one_that_is_broken() {
    let cases: BTreeSet<&str> = user_store::CASES.iter().map(|case| case.name).collect();
    let of_users = BROKEN
        .iter()
        .filter(|broken| cases.contains(broken.caught_by));
    let passed: Vec<&str> = of_users
        .filter(|broken| models::user_store_fault(&BrokenStores(**broken)).is_none())
        .map(|broken| broken.name)
        .collect();
    assert_eq!(passed, [""; 0]);
}

#[test]
fn the_model_of_logs_finds_every_store_that_is_broken() {
    let cases = message_store::CASES.iter().chain(inbox_store::CASES);
    let cases: BTreeSet<&str> = cases.map(|case| case.name).collect();
    let of_logs = BROKEN.iter().filter(|broken| {
        cases.contains(broken.caught_by) && !BROKEN_FOR_READERS_BESIDE.contains(&broken.name)
    });
    let passed: Vec<&str> = of_logs
        .filter(|broken| models::log_store_fault(&BrokenStores(**broken)).is_none())
        .map(|broken| broken.name)
        .collect();
    assert_eq!(passed, [""; 0]);
}

#[test]
fn the_model_of_presence_finds_every_bus_that_is_broken() {
    let passed: Vec<&str> = BROKEN_BUSES
        .iter()
        .filter(|broken| {
            let open = async || {
                let mut opened = OpenedPresenceBus::memory();
                opened.bus = (broken.wrap)(opened.bus);
                Ok(opened)
            };
            models::presence_bus_fault(open).is_none()
        })
        .map(|broken| broken.name)
        .collect();
    assert_eq!(passed, [""; 0]);
}

#[test]
fn the_model_of_routers_finds_every_one_that_is_broken() {
    let passed: Vec<&str> = BROKEN_ROUTERS
        .iter()
        .filter(|broken| {
            let open = async || Ok(OpenedRouter::shared(broken.open()));
            models::router_fault(open).is_none()
        })
        .map(|broken| broken.name)
        .collect();
    assert_eq!(passed, BROKEN_IN_WHAT_IS_NOT_COUNTED);
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
