//! From the upgrade to a session.

use chat_core::Session;
use chat_core::proto::wire::{
    Answer, ClientFrame, CloseCode, DecodeError, Format, Hello, ServerFrame, decode_client, encode,
};
use chat_core::proto::{Code, Rejection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::ending::Ending;
use crate::opening::Introduction;
use crate::state::Transport;
use crate::websocket::{Inbound, Socket};

/// Reads `hello` and answers it.
pub(super) async fn greet<S>(
    transport: &Transport,
    socket: &mut Socket<S>,
    format: Format,
) -> Result<Session, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let overdue = Ending::Close(CloseCode::HelloOverdue);
    let first = timeout(
        transport.shared.settings.hello_max,
        first_frame(transport, socket, format),
    );
    let (id, outcome) = match first.await.map_err(|_| overdue)?? {
        First::Hello(id, hello) => (id, open(transport, hello).await),
        First::Other(id, rejection) => (id, Err((rejection, CloseCode::BadFrame))),
    };
    let (frame, mut outcome) = match outcome {
        Ok((session, frame)) => (frame(id), Ok(session)),
        Err((rejection, close)) => (
            ServerFrame::Error { id, rejection },
            Err(Ending::Close(close)),
        ),
    };
    queue(socket, format, &frame);
    transport.shared.meters.frames_out.increment(1);
    let gives_up = || {
        outcome
            .as_mut()
            .is_ok_and(|session: &mut Session| session.closing().is_some())
    };
    socket
        .flush(transport.shared.settings.write_stall_max, gives_up)
        .await?;
    socket.allow(transport.engine.limits().frame_bytes_max);
    outcome
}

/// Queues one frame as a message of its format.
pub(super) fn queue<S>(socket: &mut Socket<S>, format: Format, frame: &ServerFrame)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    queue_bytes(socket, format, &encode(format, frame));
}

/// Queues an encoded frame as a message of its format.
pub(super) fn queue_bytes<S>(socket: &mut Socket<S>, format: Format, frame: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match format {
        Format::Json => socket.queue_text(frame),
        Format::MessagePack => socket.queue_binary(frame),
    }
}

enum First {
    Hello(u32, Hello),
    /// Anything else that can be answered.
    Other(u32, Rejection),
}

async fn first_frame<S>(
    transport: &Transport,
    socket: &mut Socket<S>,
    format: Format,
) -> Result<First, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let frame = match (socket.next().await?, format) {
            (Inbound::Text(frame), Format::Json)
            | (Inbound::Binary(frame), Format::MessagePack) => frame,
            (Inbound::Text(_), Format::MessagePack) | (Inbound::Binary(_), Format::Json) => {
                return Err(Ending::Close(CloseCode::BadFrame));
            }
            (Inbound::Ping(payload), _) => {
                socket.queue_pong(&payload);
                socket
                    .flush(transport.shared.settings.write_stall_max, || false)
                    .await?;
                continue;
            }
            (Inbound::Pong, _) => continue,
            (Inbound::Close(code), _) => return Err(Ending::Left(code)),
        };
        transport.shared.meters.frames_in.increment(1);
        return match decode_client(format, &frame) {
            Ok(ClientFrame::Hello { id, hello }) => Ok(First::Hello(id, hello)),
            Ok(ClientFrame::Command { id, .. }) => Ok(First::Other(
                id,
                Rejection::bad_request("say hello first: nothing else is accepted before it"),
            )),
            Err(DecodeError::Refused { id, rejection }) => Ok(First::Other(id, rejection)),
            Ok(ClientFrame::Typing(_) | ClientFrame::Ping) | Err(DecodeError::Unreadable(_)) => {
                Err(Ending::Close(CloseCode::BadFrame))
            }
        };
    }
}

type Opened = (Session, Box<dyn FnOnce(u32) -> ServerFrame + Send>);

async fn open(transport: &Transport, hello: Hello) -> Result<Opened, (Rejection, CloseCode)> {
    let introduction = Introduction::new(hello.client, hello.heartbeat_ms)
        .map_err(|rejection| (rejection, CloseCode::BadFrame))?;
    let refused = |rejection: Rejection| {
        let close = close_of(rejection.code);
        (rejection, close)
    };
    let identity = transport
        .engine
        .authenticate(&hello.token)
        .await
        .map_err(refused)?;
    let rates = &transport.shared.rates;
    rates.connect(&identity.user).map_err(refused)?;
    let (session, answer) = introduction
        .open(&transport.engine, identity)
        .await
        .map_err(refused)?;
    Ok((
        session,
        Box::new(move |id| ServerFrame::Ok {
            id,
            answer: Answer::Hello(answer),
        }),
    ))
}

fn close_of(code: Code) -> CloseCode {
    match code {
        Code::Unauthenticated => CloseCode::BadToken,
        Code::RateLimited => CloseCode::TooManyConnections,
        // The token may be good: the client is to come again.
        _ => CloseCode::GoingAway,
    }
}
