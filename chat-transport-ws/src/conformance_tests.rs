//! The Autobahn cases against the accept loop, the handshake and the reader and writer of messages, with an echo in place
//! of a session. Needs the runner `kosoku` (PyPI) on the path or in `CHAT_TEST_KOSOKU`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use chat_testkit::Skip;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use super::*;
use crate::listener::{ServeSettings, serve};
use crate::websocket::{Fault, Inbound, PartialBytes};

/// The cases need messages of 16 MiB.
const LARGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a server takes in production.
const USUAL_BYTES_MAX: usize = 1_310_720;
const RUN_MAX: Duration = Duration::from_secs(240);
/// Cases without compression, which is not offered.
const CASES: usize = 301;
/// Ask that bad UTF-8 is noticed inside a frame that has not arrived in full.
const NON_STRICT: [&str; 2] = ["6.4.3", "6.4.4"];

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
            let written: Result<(), Fault> = socket.flush(RUN_MAX, || false).await;
            if written.is_err() {
                return;
            }
        }
    };
    Ok(switch(accepted, request, &TaskTracker::new(), speak))
}

/// Runs all cases against an echo with this limit; the verdicts by case.
async fn run(kosoku: &Path, bytes_max: usize) -> serde_json::Map<String, Value> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let router = Router::new().route("/", get(move |request| echo(bytes_max, request)));
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let served = tokio::spawn(serve(listener, router, ServeSettings::default(), stopped));
    let reports = tempfile::tempdir().expect("a temporary folder");
    let mut runner = Command::new(kosoku);
    runner
        .args(["-x", "12.*", "-x", "13.*", "-o"])
        .arg(reports.path())
        .arg(&address);
    runner
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let ended = timeout(RUN_MAX, runner.status()).await.expect("in time");
    ended.expect("the runner runs");
    stop.cancel();
    served.await.expect("no panic");
    let index = std::fs::read(reports.path().join("index.json")).expect("a report");
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    let agent = index.as_object().and_then(|agents| agents.values().next());
    agent.and_then(Value::as_object).expect("one agent").clone()
}

fn runner() -> Option<std::path::PathBuf> {
    let set = std::env::var_os("CHAT_TEST_KOSOKU").map(std::path::PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || {
        std::env::split_paths(&path)
            .map(|folder| folder.join("kosoku"))
            .find(|file| file.is_file())
    };
    set.or_else(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_autobahn_cases_pass() {
    let Some(kosoku) = runner() else {
        return Skip("kosoku").announce();
    };
    let (large, usual) = tokio::join!(run(&kosoku, LARGE_BYTES_MAX), run(&kosoku, USUAL_BYTES_MAX));
    assert_eq!((large.len(), usual.len()), (CASES, CASES));
    let passes = |case: &str, verdict: &Value| match verdict["behavior"].as_str() {
        Some("OK" | "INFORMATIONAL") => true,
        Some("NON-STRICT") => NON_STRICT.contains(&case),
        _ => false,
    };
    let failed: Vec<_> = large
        .iter()
        .filter(|(case, verdict)| !passes(case, verdict))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for (case, verdict) in &usual {
        // At the usual limit only the cases about large messages may change, and they end with a clear code.
        let too_large = case.starts_with("9.") && verdict["remoteCloseCode"] == 1009;
        assert!(passes(case, verdict) || too_large, "{case}: {verdict}");
    }
}
