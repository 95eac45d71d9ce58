//! No stored entry may ever make another user's sync fail, loop or stop early: logs that no rule would have let happen,
//! before every reader.
//!
//! Whatever wrote them (an older version, a newer one, a repair by hand), places and counts of the entries are right and
//! nothing else about them need be.
//!
//! | file | holds |
//! |---|---|
//! | `log` | entries of any kind with anything in them, appended past the rules |
//! | `readers` | every request that reads, over them |
//! | `client` | a client that syncs and is pushed to, through a session |

mod client;
mod log;
mod readers;

use chat_core::proto::{Code, Head};
use chat_core::{Draft, Engine};
use proptest::test_runner::TestError;

use crate::engine::{SEED_VARIABLE, seeds};
use crate::factory::{Opened, StoreFactory};
use crate::models::seeded_runner;
use client::Client;
use log::{Written, scenes};
use readers::Reader;

/// Logs of a test; as many as a debug build reads in a few seconds on real files.
pub const RUNS: u32 = 24;

/// Attempts to find a shorter log that fails too.
const SHRINKS_MAX: u32 = 100;

/// Appends such logs to the factory's stores and reads them as every member; what the mounted test calls.
///
/// # Panics
/// With the seed and the log, when a reader fails, loops or stops early.
pub fn hostile_entries(factory: &dyn StoreFactory) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test may start threads");
    if let Err(skip) = runtime.block_on(factory.open()) {
        skip.announce();
        return;
    }
    for seed in seeds(1) {
        let outcome = seeded_runner(seed, RUNS, SHRINKS_MAX).run(&scenes(), |scene| {
            runtime.block_on(async {
                let opened = factory
                    .open()
                    .await
                    .expect("what opened before opens again");
                let written = scene.write(opened.messages()).await;
                read_by_all(&opened, &written).await;
            });
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(difference, scene)) => {
                panic!("{SEED_VARIABLE}={seed}: {difference}\n{scene:#?}")
            }
            Err(TestError::Abort(reason)) => panic!("no logs were found: {reason}"),
        }
    }
}

async fn read_by_all(opened: &Opened, written: &Written) {
    let engine = Engine::builder()
        .stores(opened.messages().clone(), opened.inbox().clone())
        .build()
        .expect("all parts are there, in a runtime");
    let mut clients = Vec::new();
    for viewer in written.viewers() {
        let reader = Reader::new(&engine, written, viewer);
        reader.read_everything().await;
        if reader.is_member() {
            for entries in [0, 50] {
                let mut client = Client::connect(&engine, viewer, entries).await;
                client.reach(written.channel(), written.head()).await;
                clients.push(client);
            }
        }
    }
    go_on(&engine, written, &mut clients).await;
    engine.shutdown().await;
}

/// One more ordinary message, where the rules still know what is allowed, arrives at all who are here.
async fn go_on(engine: &Engine, written: &Written, clients: &mut [Client]) {
    let draft = Draft::channel(written.channel(), "an ordinary message");
    match engine.send(written.owner(), draft).await {
        Ok(receipt) => {
            assert!(
                !written.met_unknown(),
                "nobody decides past an unknown kind"
            );
            let head = Head {
                seq: receipt.seq,
                n: receipt.n,
            };
            for client in clients {
                client.reach(written.channel(), head).await;
            }
        }
        Err(rejection) if written.met_unknown() => {
            assert_eq!(rejection.code, Code::Unavailable, "{rejection:?}");
        }
        Err(rejection) => {
            let is_ruled = matches!(rejection.code, Code::Forbidden | Code::NotFound);
            assert!(is_ruled, "the log makes a message {rejection:?}");
        }
    }
}
