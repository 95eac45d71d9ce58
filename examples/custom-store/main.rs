//! An engine over a store of one's own: what was said before is there when the program runs again.
//!
//! `cargo run -p chat-examples --bin custom-store -- /tmp/journal`

use std::path::PathBuf;

use chat_core::proto::wire::{Anchor, Answer, ClientOp, HistoryQuery};
use chat_core::proto::{Body, ChannelId, UserId};
use chat_core::{Caller, Draft, Engine};
use chat_examples::journal_store::JournalStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("chat-journal"), PathBuf::from);
    let engine = Engine::builder()
        .messages(JournalStore::open(&path).await?)
        .build()?;
    let (alice, bob): (UserId, UserId) = ("alice".parse()?, "bob".parse()?);

    let receipt = engine.send(&alice, Draft::direct(&bob, "hello")).await?;
    println!("entry {} is on disk in {}", receipt.seq, path.display());

    let query = HistoryQuery {
        channel: ChannelId::direct(&alice, &bob),
        anchor: Anchor::Newest,
        limit: None,
    };
    let Answer::History(page) = engine
        .run(&Caller::user(bob), ClientOp::History(query))
        .await?
    else {
        return Err("a history was asked for".into());
    };
    for message in page.messages {
        if let Some(Body::Text { text, .. }) = message
            .entry
            .as_message()
            .and_then(|message| message.body.as_ref())
        {
            println!("{} {}: {text}", message.entry.seq, message.entry.from);
        }
    }
    engine.shutdown().await;
    Ok(())
}
