//! Chat inside a help desk: its tickets are channels, its users and tokens are its own, and so are its rules.
//!
//! `cargo run -p chat-examples --bin embed-host`, then connect to `ws://127.0.0.1:3000/chat/v1/ws` with the token
//! `ada-secret` (agent), `carl-secret` (customer) or `gil-secret` (guest). `docs/embedding.md` explains it part by part.

use std::path::PathBuf;
use std::time::Duration;

use axum::routing::get;
use chat_core::Engine;
use chat_store_sqlite::SqliteStore;
use chat_transport_ws::TransportSettings;

mod bot;
mod desk;
mod rules;
mod tickets;

use desk::Desk;
use tickets::Ticket;

/// The name under which the desk itself acts.
const DESK: &str = "desk";
/// Clients are sent away over this time, so that they do not all come back in one instant.
const DRAIN: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments
        .next()
        .map_or_else(|| PathBuf::from("desk.db"), PathBuf::from);
    let address = arguments
        .next()
        .and_then(|address| address.into_string().ok())
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());

    let desk = Desk::of_today()?;
    let store = SqliteStore::open(&path).await?;
    let engine = Engine::builder()
        .messages(store.clone())
        .users(store.clone())
        .authenticator(desk.clone()) // whom a token stands for
        .directory(desk.clone()) // who exists, and who may talk to whom
        .authorizer(desk.clone()) // what they may do
        .system_user(DESK.parse()?)
        .build()?;

    for ticket in Ticket::of_today()? {
        tickets::open(&engine, &ticket).await?;
        if ticket.is_closed {
            tickets::close(&engine, &ticket).await?;
        }
    }
    let bot = tokio::spawn(bot::answer(engine.clone()));

    let transport = TransportSettings::default();
    let sockets = transport.tasks.clone();
    let app = axum::Router::new()
        .route("/", get(|| async { "the help desk" }))
        .nest(
            "/chat",
            chat_transport_ws::router_with(engine.clone(), transport),
        );

    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let leaving = engine.clone();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            // Without a signal to wait for, the program ends with its terminal.
            let _signal = tokio::signal::ctrl_c().await;
            // Sessions end, and with them the requests that carry them.
            leaving.drain(DRAIN).await;
        })
        .await?;
    engine.shutdown().await; // finishes what was begun
    sockets.close();
    sockets.wait().await; // what was queued is written, and each socket closed
    bot.await??;
    store.close().await?;
    Ok(())
}
