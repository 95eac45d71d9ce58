//! Why a connection ends, and how the peer hears of it.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use chat_core::proto::wire::{CloseCode, Format};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::hello::greet;
use crate::meters::Meters;
use crate::state::Transport;
use crate::websocket::{Fault, Socket};

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The server has a reason of the protocol.
    Close(CloseCode),
    /// The peer closed, with a code if it gave one.
    Left(Option<u16>),
    /// The connection cannot go on.
    Fault(Fault),
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Serves a connection from its upgrade to its end.
pub(crate) async fn serve<S>(
    transport: Transport,
    mut socket: Socket<S>,
    format: Format,
    from: Option<IpAddr>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let shared = Arc::clone(&transport.shared);
    let _open = shared.meters.opened();
    // Boxed, and gone before the session begins: what logging in needs must not stay with every idle connection.
    let greeted = boxed(greet(&transport, &mut socket, format)).await;
    drop(transport);
    let (socket, ending) = match greeted {
        Ok(session) => {
            Connection::new(socket, session, format, from, Arc::clone(&shared))
                .run()
                .await
        }
        Err(ending) => (socket, ending),
    };
    let wait_max = shared.settings.close_wait_max;
    match ending {
        Ending::Close(code) => {
            Meters::closed(code.number());
            boxed(socket.close(code.number(), code.reason(), wait_max)).await;
        }
        Ending::Left(code) => boxed(socket.answer_close(code, wait_max)).await,
        Ending::Fault(fault) => {
            if let Some(code) = fault.close_code() {
                Meters::closed(code);
                boxed(socket.close(code, &fault.to_string(), wait_max)).await;
            }
        }
    }
}

fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}
