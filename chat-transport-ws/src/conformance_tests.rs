//! The Autobahn cases against the accept loop, the handshake and the reader and writer of messages, with an echo in place
//! of a session.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use chat_core::proto::Limits;
use chat_testkit::autobahn::{CASE_BYTES_MAX, CASES, Kosoku, Report};
use tokio::net::TcpListener;

use super::*;
use crate::listener::{ServeSettings, serve};
use crate::websocket::{Fault, Inbound, PartialBytes};

/// For what the other side does not read.
const FLUSH_MAX: Duration = Duration::from_secs(60);

async fn echo(bytes_max: usize, request: Request) -> Result<Response, ApiError> {
    let settings = TransportSettings::default();
    let accepted = accept(&settings, &request)?;
    let speak = async move |stream| {
        let partial_bytes = Arc::new(PartialBytes::new(usize::MAX));
        let mut socket = Socket::new(stream, bytes_max, partial_bytes);
        let wait_max = settings.close_wait_max;
        loop {
            match socket.next().await {
                Ok(Inbound::Text(text)) => socket.queue_text(&text),
                Ok(Inbound::Binary(bytes)) => socket.queue_binary(&bytes),
                Ok(Inbound::Ping(bytes)) => socket.queue_pong(&bytes),
                Ok(Inbound::Pong) => {}
                Ok(Inbound::Close(code)) => return socket.answer_close(code, wait_max).await,
                Err(fault) => {
                    if let Some(code) = fault.close_code() {
                        socket.close(code, &fault.to_string(), wait_max).await;
                    }
                    return;
                }
            }
            let written: Result<(), Fault> = socket.flush(FLUSH_MAX, || false).await;
            if written.is_err() {
                return;
            }
        }
    };
    Ok(switch(accepted, request, &TaskTracker::new(), speak))
}

/// Runs all cases against an echo with this limit.
async fn run(kosoku: &Kosoku, name: &str, bytes_max: usize) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let router = Router::new().route("/", get(move |request| echo(bytes_max, request)));
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let served = tokio::spawn(serve(listener, router, ServeSettings::default(), stopped));
    let report = kosoku.try_server(name, &address).await;
    stop.cancel();
    served.await.expect("no panic");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn the_autobahn_cases_pass() {
    let kosoku = match Kosoku::find() {
        Ok(kosoku) => kosoku,
        Err(skip) => return skip.announce(),
    };
    let (large, usual) = tokio::join!(
        run(&kosoku, "server-raised", CASE_BYTES_MAX),
        run(&kosoku, "server", Limits::default().frame_bytes_max)
    );
    assert_eq!((large.verdicts.len(), usual.verdicts.len()), (CASES, CASES));
    assert!(large.passed, "{:#?}", large.failures());
    assert!(large.failures().is_empty(), "{:#?}", large.failures());
    // At the usual limit nothing changes but the cases of large messages, and each of those ends with a clear code.
    let changed = |case: &str| usual.verdicts[case].behavior != large.verdicts[case].behavior;
    for (case, verdict) in &usual.verdicts {
        let too_large = case.starts_with("9.") && verdict.close_code == Some(1009);
        assert!(!changed(case) || too_large, "{case}: {verdict:?}");
    }
    assert!(changed("9.1.6"), "a message of 16 MiB is taken for a frame");
}
