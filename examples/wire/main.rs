//! A WebSocket by hand: sends each line of its input as a frame and prints each frame that comes.
//!
//! `cargo run -p chat-examples --bin wire -- http://127.0.0.1:8080/v1/ws`

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// After the last line of input, frames are printed until none has come for this long.
const QUIET: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:8080/v1/ws".to_owned());
    let (socket, _) = connect_async(url.replacen("http", "ws", 1)).await?;
    let (mut sink, mut frames) = socket.split();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut open = true;
    loop {
        tokio::select! {
            line = lines.next_line(), if open => match line? {
                Some(line) if line.is_empty() => {}
                Some(line) => sink.send(Message::text(line)).await?,
                None => open = false,
            },
            frame = frames.next() => match frame {
                Some(Ok(Message::Text(text))) => println!("{text}"),
                Some(Ok(Message::Close(reason))) => {
                    println!("closed: {reason:?}");
                    return Ok(());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            () = tokio::time::sleep(QUIET), if !open => break,
        }
    }
    sink.send(Message::Close(None)).await?;
    Ok(())
}
