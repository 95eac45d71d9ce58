//! A channel of a hundred thousand, in memory.

use chat_core::memory::MemoryStore;
use chat_testkit::engine::{Crowd, Ports};

#[tokio::test]
async fn a_hundred_thousand_members_come_talk_and_go() {
    let crowd = Crowd {
        members: 100_000,
        online: 2_000,
    };
    crowd.run(Ports::over(MemoryStore::new())).await;
}
