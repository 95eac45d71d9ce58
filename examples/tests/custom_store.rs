//! The store of the example holds the contracts, like any adapter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chat_examples::journal_store::JournalStore;
use chat_testkit::broken::{BROKEN, Broken};
use chat_testkit::case::run_on_stores;
use chat_testkit::{Guard, Opened, Skip, StoreFactory, Stores};

// Step 9: Mount the suites

struct Journals;

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    async fn stores(&self) -> Stores {
        let store = Arc::new(
            JournalStore::open(&self.journal())
                .await
                .expect("the journal opens"),
        );
        Stores::new(store.clone()).with_inbox(store)
    }
}

#[async_trait]
impl StoreFactory for Journals {
    async fn open(&self) -> Result<Opened, Skip> {
        let folder = Folder {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        Ok(Opened::new(folder.stores().await, folder))
    }
}

#[async_trait]
impl Guard for Folder {
    async fn reopen(&mut self) -> Stores {
        self.stores().await
    }
}

chat_testkit::message_store_suite!(Journals);
chat_testkit::inbox_store_suite!(Journals);

// Step 10: Break it on purpose, and kill it

/// Journals, broken in one way.
struct BrokenJournals(Broken);

#[async_trait]
impl StoreFactory for BrokenJournals {
    async fn open(&self) -> Result<Opened, Skip> {
        Ok(Journals.open().await?.wrapped((self.0.wrap)()))
    }
}

#[test]
fn the_suites_catch_every_broken_journal() {
    let logs = chat_testkit::message_store::CASES;
    let cases = || logs.iter().chain(chat_testkit::inbox_store::CASES);
    let mut tried = 0;
    for broken in BROKEN {
        let Some(case) = cases().find(|case| case.name == broken.caught_by) else {
            // A case of a port that the journal is no store of.
            continue;
        };
        let run = || run_on_stores(&BrokenJournals(*broken), case.run);
        let caught = catch_unwind(AssertUnwindSafe(run));
        assert!(caught.is_err(), "{} passes {}", broken.name, case.name);
        tried += 1;
    }
    assert!(
        tried > 30,
        "the kit has more ways to break a store than {tried}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_a_crash_cut_off_is_forgotten() -> Result<(), Box<dyn std::error::Error>> {
    use chat_core::{Draft, Engine};
    use std::io::Write;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("journal");
    let (alice, bob) = ("alice".parse()?, "bob".parse()?);
    let engine = Engine::builder()
        .messages(JournalStore::open(&path).await?)
        .build()?;
    engine.send(&alice, Draft::direct(&bob, "kept")).await?;
    engine.shutdown().await;

    std::fs::OpenOptions::new()
        .append(true)
        .open(&path)?
        .write_all(b"{\"channel\":\"cut o")?;
    let engine = Engine::builder()
        .messages(JournalStore::open(&path).await?)
        .build()?;
    let receipt = engine.send(&alice, Draft::direct(&bob, "goes on")).await?;
    assert_eq!((receipt.seq.0, receipt.n.0), (3, 2));
    engine.shutdown().await;
    let engine = Engine::builder()
        .messages(JournalStore::open(&path).await?)
        .build()?;
    assert_eq!(
        engine
            .send(&alice, Draft::direct(&bob, "and on"))
            .await?
            .seq
            .0,
        4
    );
    engine.shutdown().await;
    Ok(())
}
