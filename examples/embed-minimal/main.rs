//! The smallest program with chat in it: no network, no server, one file.
//!
//! `cargo run -p chat-examples --bin embed-minimal`

use chat_core::proto::wire::Push;
use chat_core::proto::{Body, DeviceId, UserId};
use chat_core::{Draft, Engine, Outgoing};
use chat_store_sqlite::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "chat.db".into());
    let store = SqliteStore::open(&path).await?;
    let engine = Engine::builder()
        .messages(store.clone())
        .users(store.clone())
        .build()?;
    let (alice, bob): (UserId, UserId) = ("alice".parse()?, "bob".parse()?);

    // Bob's phone: a session is a stream of what a socket would get.
    let phone: DeviceId = "0d2f3c1a-5b6e-4f70-8a91-b2c3d4e5f607".parse()?;
    let mut session = engine.connect(&bob, phone).await?;

    // Returns when the message is on disk.
    let receipt = engine.send(&alice, Draft::direct(&bob, "hello")).await?;
    println!(
        "stored as entry {} of channel {}",
        receipt.seq, receipt.channel
    );

    while let Outgoing::Shared(push) = session.next().await {
        if let Push::Entry(push) = push.push()
            && let Some(message) = push.entry.as_message()
        {
            let Some(Body::Text { text, .. }) = &message.body else {
                continue;
            };
            println!("{} says {text:?}", push.entry.from);
            break;
        }
    }
    drop(session);
    engine.shutdown().await;
    store.close().await?;
    Ok(())
}
