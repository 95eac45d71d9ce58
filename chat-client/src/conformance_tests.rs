//! The Autobahn cases against the client's socket, with an echo in place of a session.

use chat_testkit::autobahn::{CASE_BYTES_MAX, CASES, Kosoku};

use super::*;

const AGENT: &str = "chat-client";

/// Sends back what comes, until the server ends it. Returns how many messages came, and the last.
async fn echo(url: String) -> (usize, Option<Message>) {
    let (mut incoming, mut outgoing) = open(url).await.expect("a handshake");
    let (mut count, mut last) = (0, None);
    loop {
        match incoming.next().await {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                (count, last) = (count + 1, Some(message.clone()));
                outgoing.queue(message);
                if outgoing.write().await.is_err() {
                    return (count, last);
                }
            }
            Ok(_) => {}
            Err(Lost::Closed(_)) => {
                outgoing.answer_close().await;
                return (count, last);
            }
            Err(_) => return (count, last),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_autobahn_cases_pass() {
    let kosoku = match Kosoku::find() {
        Ok(kosoku) => kosoku,
        Err(skip) => return skip.announce(),
    };
    assert_eq!(RECEIVED_FRAME_BYTES_MAX, CASE_BYTES_MAX, "as in production");
    let report = kosoku
        .try_client("client", async |url| {
            let (_, count) = echo(format!("{url}/getCaseCount")).await;
            let count = count.expect("a count").to_string();
            assert_eq!(count, CASES.to_string());
            for case in 1..=CASES {
                echo(format!("{url}/runCase?case={case}&agent={AGENT}")).await;
            }
            echo(format!("{url}/updateReports?agent={AGENT}")).await;
        })
        .await;
    assert_eq!(report.verdicts.len(), CASES);
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    assert!(report.passed, "{:#?}", report.verdicts);
}
