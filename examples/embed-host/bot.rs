//! A session in the same process: hears what a socket would hear, and answers.

use std::time::Duration;

use chat_core::proto::wire::Push;
use chat_core::proto::{ChannelId, ClientId, DeviceId, Entry, Rejection};
use chat_core::{Draft, Engine, Outgoing};
use uuid::Uuid;

/// The desk's own device.
const DEVICE: Uuid = Uuid::from_u128(0x0d2f_3c1a_5b6e_4f70_8a91_b2c3_d4e5_f6ff);
/// A session that says nothing for 30 s is taken for dead.
const BEAT: Duration = Duration::from_secs(10);

/// Answers whoever writes in a ticket, until the engine stops.
pub(crate) async fn answer(engine: Engine) -> Result<(), Rejection> {
    let me = engine.as_system().user().clone();
    let mut session = engine.connect(&me, DeviceId::from_uuid(DEVICE)).await?;
    let mut beat = tokio::time::interval(BEAT);
    loop {
        let outgoing = tokio::select! {
            outgoing = session.next() => outgoing,
            _ = beat.tick() => {
                session.heard();
                continue;
            }
        };
        match outgoing {
            // Encoded once for all sessions that get it.
            Outgoing::Shared(push) => {
                if let Push::Entry(push) = push.push()
                    && push.entry.from != me
                {
                    reply(&engine, push.channel, &push.entry).await?;
                }
            }
            // For this session alone: answers to what it asks, and how far logs go if it was too slow for entries.
            Outgoing::Frame(_) => {}
            Outgoing::Close(_) => return Ok(()),
        }
    }
}

async fn reply(engine: &Engine, channel: ChannelId, entry: &Entry) -> Result<(), Rejection> {
    if entry.as_message().is_none() {
        return Ok(());
    }
    // One answer a message, also over a restart.
    let key = Uuid::new_v5(&DEVICE, entry.message.to_string().as_bytes());
    let draft = Draft::channel(channel, "Thank you. An agent will answer soon.")
        .reply_to(entry.seq)
        .client_id(ClientId::from_uuid(key));
    match engine.as_system().send(draft).await {
        // The engine stops, or its store is away: an agent answers anyway.
        Err(rejection) if rejection.code.is_transient() => Ok(()),
        outcome => outcome.map(drop),
    }
}
