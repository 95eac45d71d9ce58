//! A channel of a hundred thousand, in a file.

use chat_store_sqlite::SqliteStore;
use chat_testkit::engine::{Crowd, Ports};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_members_come_talk_and_go() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SqliteStore::open(folder.path().join("chat.db"))
        .await
        .expect("a new store opens");
    let crowd = Crowd {
        members: 100_000,
        online: 2_000,
    };
    crowd.run(Ports::over(store.clone())).await;
    store.close().await.expect("the store closes");
}
