//! A bot that repeats what it hears. It may be stopped and started at will: each message is answered once.
//!
//! `cargo run -p chat-examples --bin echo-bot -- bot TOKEN`, with the token of a log-in as `bot`.

use chat_client::{Client, Draft, Event, Target};
use chat_core::proto::{Body, ClientId, MessageId, UserId};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use uuid::Uuid;

const USAGE: &str = "usage: echo-bot USER TOKEN [URL]\n
USER and TOKEN are those of a log-in (POST /v1/sessions); URL is ws://127.0.0.1:8080/v1/ws unless given.
What the bot has heard is kept in USER.echo-bot.json.";

/// The bot's answer to a message has one key, whenever and however often it is sent.
const ANSWERS: Uuid = Uuid::from_u128(0x5b7e_1c90_2d4f_4a86_93e1_f0c8_7a65_1d3b);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [user, token, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let me: UserId = user.parse()?;
    let url = rest
        .first()
        .map_or("ws://127.0.0.1:8080/v1/ws", String::as_str);
    let (client, mut events) = Client::builder(url, token.as_str())
        .client("echo-bot/1.0")
        .state_file(format!("{user}.echo-bot.json"))
        .connect()
        .await?;
    println!("listening as {me}");

    let mut answers = JoinSet::new();
    while let Some(event) = events.next().await {
        let Event::Entry { channel, entry } = event else {
            continue;
        };
        let Some(message) = entry.as_message() else {
            continue;
        };
        let Some(Body::Text { text, .. }) = &message.body else {
            continue;
        };
        if entry.from == me {
            continue;
        }
        println!("{}: {text}", entry.from);
        let reply = Draft::new(Target::Channel(channel), Body::text(text.as_str()));
        let draft = Draft {
            reply_to: Some(entry.seq),
            ..reply
        };
        let (client, key) = (client.clone(), answer_to(entry.message));
        // Beside the events: an answer is acknowledged only while events are taken.
        answers.spawn(async move {
            if let Err(error) = client.send_with(key, draft).await {
                eprintln!("not answered: {error}");
            }
        });
        while answers.try_join_next().is_some() {}
    }
    client.close().await;
    answers.join_all().await;
    Ok(())
}

fn answer_to(message: MessageId) -> ClientId {
    ClientId::from_uuid(Uuid::new_v5(&ANSWERS, message.to_string().as_bytes()))
}
