//! Chat inside an axum application of your own, with your own users and tokens.
//!
//! `cargo run -p chat-examples --bin embed-axum`, then connect to `ws://127.0.0.1:3000/chat/v1/ws` with the token
//! `alice-secret` or `bob-secret`.

use std::path::PathBuf;

use async_trait::async_trait;
use axum::routing::get;
use chat_core::ports::{Authenticator, Identity, PortError};
use chat_core::proto::{DeviceId, UserId};
use chat_core::{Draft, Engine, NewChannel};
use chat_store_sqlite::SqliteStore;

/// The application's own tokens. Here two fixed ones; in earnest whatever your log-in gives out.
struct MyTokens;

#[async_trait]
impl Authenticator for MyTokens {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        let (user, device) = match token {
            "alice-secret" => ("alice", "0d2f3c1a-5b6e-4f70-8a91-b2c3d4e5f601"),
            "bob-secret" => ("bob", "0d2f3c1a-5b6e-4f70-8a91-b2c3d4e5f602"),
            _ => return Ok(None),
        };
        let user: UserId = user.parse().expect("a good name");
        let device: DeviceId = device.parse().expect("a good id");
        Ok(Some(Identity::new(user, device)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments
        .next()
        .map_or_else(|| PathBuf::from("chat.db"), PathBuf::from);
    let address = arguments
        .next()
        .and_then(|address| address.into_string().ok());

    let store = SqliteStore::open(&path).await?;
    let engine = Engine::builder()
        .messages(store.clone())
        .users(store.clone())
        .authenticator(MyTokens)
        .build()?;
    let app = axum::Router::new()
        .route("/", get(|| async { "my application" }))
        .nest("/chat", chat_transport_ws::router(engine.clone()));

    // The application speaks too: as a user, and with its own voice, which no role binds.
    let (alice, bob): (UserId, UserId) = ("alice".parse()?, "bob".parse()?);
    engine.send(&alice, Draft::direct(&bob, "hello")).await?;
    let support = NewChannel::group("support-17")
        .members(vec![alice, bob])
        .external_id("ticket:17");
    // The same external_id finds the same channel: this may run at every start.
    engine.as_system().create_channel(support).await?;

    let listener =
        tokio::net::TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            // Without a signal to wait for, the program ends with its terminal.
            let _signal = tokio::signal::ctrl_c().await;
        })
        .await?;
    engine.shutdown().await;
    store.close().await?;
    Ok(())
}
