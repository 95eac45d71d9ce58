//! What comes too often is refused, and what is behind it waits.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Client, DEADLINE, Server, client_id, raw_http, send_to, token};
use crate::over::Over;

over_every_transport!(a_burst_is_taken_and_what_is_behind_the_first_refusal_waits);

/// A server with these settings.
async fn server(settings: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("chat.toml");
    std::fs::write(&config, settings).expect("written");
    let arguments = [
        "--config",
        config.to_str().expect("text"),
        "--admin-listen",
        "127.0.0.1:0",
    ];
    (Server::start(folder.path(), &arguments).await, folder)
}

async fn a_burst_is_taken_and_what_is_behind_the_first_refusal_waits(over: Over) {
    let settings = "[rates]\noperations_per_user_per_s = 1\noperations_per_user_burst = 20\n";
    let (server, _folder) = server(settings).await;
    let server = server.over(over);
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut refused = None;
    for _ in 0..100 {
        let key = client_id();
        let answer = alice.ask(send_to("bob", &key, "again")).await;
        if answer["op"] == "error" {
            refused = Some((key, answer));
            break;
        }
    }
    let (key, refusal) = refused.expect("the burst has an end");
    assert_eq!(refusal["code"], "rate_limited");
    let wait_ms = refusal["retry_after_ms"].as_u64().expect("a number");
    assert!((1..=1_001).contains(&wait_ms), "{refusal}");
    // Until the refused one comes again nothing passes it, also when the limit would let it.
    let behind = loop {
        let answer = alice.ask(send_to("bob", &client_id(), "behind")).await;
        if answer["code"] != "rate_limited" {
            break answer;
        }
    };
    assert_eq!(behind["code"], "unavailable", "{behind}");
    let again = loop {
        let answer = alice.ask(send_to("bob", &key, "again")).await;
        if answer["code"] != "rate_limited" {
            break answer;
        }
    };
    assert_eq!(again["op"], "ok", "{again}");
    let mut bob = Client::log_in(&server, "bob", 1).await;
    bob.must(json!({"op": "sync"})).await;
}

#[tokio::test]
async fn requests_and_connects_over_the_limit_are_told_when_to_come_again() {
    let settings = "[rates]\noperations_per_user_per_s = 1\noperations_per_user_burst = 3\n\
                    connects_per_user_per_minute = 2\n";
    let (server, _folder) = server(settings).await;
    let alice = token("alice", 1);
    let get = format!(
        "GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {alice}\r\n\r\n"
    );
    let (head, body) = loop {
        let (status, head, body) = raw_http(&server.address, &get).await;
        if status != 200 {
            assert_eq!(status, 429, "{body}");
            break (head, body);
        }
    };
    assert!(head.contains("\r\nretry-after: 1"), "{head}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["code"], "rate_limited");
    for _ in 0..2 {
        Client::log_in(&server, "bob", 1).await;
    }
    let mut third = Client::open(&server).await;
    let hello = json!({"op": "hello", "token": token("bob", 1), "client": "t/1"});
    assert_eq!(third.refused(hello).await, "rate_limited");
    assert_eq!(third.closed().await, 4029);
    let admin = server.admin.clone().expect("an address");
    let scrape = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (_, _, metrics) = raw_http(&admin, scrape).await;
    for limit in ["user_operations", "user_connects"] {
        let line = format!("chat_rate_limited_total{{limit=\"{limit}\"}} 1");
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    for name in [
        "chat_poll_sessions",
        "chat_event_streams",
        "chat_websockets",
    ] {
        assert!(metrics.contains(name), "{name} in\n{metrics}");
    }
}

#[tokio::test]
async fn an_address_is_limited_only_where_it_counts() {
    let settings = "[http]\ncounts_loopback = true\n[rates]\nlog_ins_per_address_per_minute = 2\n";
    let (counting, _folder) = server(settings).await;
    let log_in = json!({"user": "nobody", "password": "correct horse battery"});
    let tries = async |server: &Server| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let tried = server.http("POST", "/v1/sessions", None, Some(log_in.clone()));
            statuses.push(tried.await.0);
        }
        statuses
    };
    assert_eq!(tries(&counting).await, [401, 401, 429]);
    let (sparing, _folder) = server("[rates]\nlog_ins_per_address_per_minute = 2\n").await;
    assert_eq!(tries(&sparing).await, [401, 401, 401]);
}

#[tokio::test]
async fn guessing_is_slowed_down_alike_for_names_that_exist_and_names_that_do_not() {
    let (server, _folder) = server("").await;
    let good = json!({"user": "alice", "password": "correct horse battery"});
    let signed_up = server.http("POST", "/v1/users", None, Some(good)).await;
    assert_eq!(signed_up.0, 201);
    for name in ["alice", "nobody"] {
        let guess = json!({"user": name, "password": "wrong horse battery"});
        let mut answers = Vec::new();
        for _ in 0..6 {
            let tried = server.http("POST", "/v1/sessions", None, Some(guess.clone()));
            answers.push(tried.await);
        }
        let (last, free) = answers.split_last().expect("six");
        assert!(free.iter().all(|(status, _)| *status == 401), "{free:?}");
        assert_eq!(
            (last.0, &last.1["code"]),
            (429, &json!("rate_limited")),
            "{name}"
        );
        assert!(
            last.1["retry_after_ms"]
                .as_u64()
                .is_some_and(|ms| ms <= 1_001)
        );
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_name_that_does_not_exist_are_answered_with_the_same_bytes() {
    let (server, _folder) = server("").await;
    let good = json!({"user": "alice", "password": "correct horse battery"});
    let signed_up = server.http("POST", "/v1/users", None, Some(good)).await;
    assert_eq!(signed_up.0, 201);
    let answer_to = async |name: &str| {
        let guess = json!({"user": name, "password": "wrong horse battery"}).to_string();
        let request = format!(
            "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{guess}",
            guess.len()
        );
        let (status, head, body) = raw_http(&server.address, &request).await;
        let head: Vec<String> = head
            .lines()
            .filter(|line| !line.starts_with("date:"))
            .map(str::to_owned)
            .collect();
        (status, head, body)
    };
    let known = answer_to("alice").await;
    assert_eq!(known.0, 401, "{known:?}");
    for unknown in ["nobody", "no such name at all", ""] {
        assert_eq!(answer_to(unknown).await, known, "{unknown:?}");
    }
}

#[tokio::test]
async fn guessing_the_current_password_is_slowed_down_as_at_the_log_in() {
    let (server, _folder) = server("").await;
    let good = json!({"user": "alice", "password": "correct horse battery"});
    let signed_up = server.http("POST", "/v1/users", None, Some(good.clone()));
    assert_eq!(signed_up.await.0, 201);
    let log_in = || server.http("POST", "/v1/sessions", None, Some(good.clone()));
    let (_, session) = log_in().await;
    let token = session["token"].as_str().expect("text");
    let change = async |current: &str| {
        let passwords = json!({"current": current, "new": "another good password"});
        let changed = server.http("PUT", "/v1/me/password", Some(token), Some(passwords));
        changed.await
    };
    for _ in 0..5 {
        assert_eq!(change("wrong horse battery").await.0, 403);
    }
    let (status, refusal) = change("wrong horse battery").await;
    assert_eq!((status, &refusal["code"]), (429, &json!("rate_limited")));
    assert_eq!(log_in().await.0, 429, "one row of wrong ones");
    // The name has logged in here: the right one gets in within about a second.
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (status, answer) = change("correct horse battery").await;
        if status == 204 {
            break;
        }
        assert_eq!(status, 429, "{answer}");
        assert!(Instant::now() < deadline, "locked out");
    }
}
