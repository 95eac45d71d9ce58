//! Kill, restart, drain, settings, the admin port.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::harness::{Client, DEADLINE, Server, client_id, raw_http, send_to};
use crate::over::{Home, Over};

over_every_transport_and_store!(
    what_was_acknowledged_survives_a_kill,
    term_sends_everybody_away_and_ends_well,
);

async fn what_was_acknowledged_survives_a_kill(over: Over) {
    let home = Home::new(over).await;
    let server = Server::at(&home, over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut acknowledged = Vec::new();
    let key = client_id();
    let first = alice.must(send_to("bob", &key, "first")).await;
    for number in 0..50 {
        let sent = alice
            .must(send_to("bob", &client_id(), &number.to_string()))
            .await;
        acknowledged.push((sent["seq"].clone(), number.to_string()));
    }
    server.kill().await;
    let server = Server::at(&home, over).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let pulled = bob
        .must(json!({"op": "pull", "channel": first["channel"], "after": 2}))
        .await;
    let entries = pulled["entries"].as_array().expect("a list");
    let found: Vec<(Value, String)> = entries
        .iter()
        .map(|entry| {
            (
                entry["seq"].clone(),
                entry["body"]["text"].as_str().expect("text").to_owned(),
            )
        })
        .collect();
    assert_eq!(found, acknowledged);
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let again = alice.must(send_to("bob", &key, "first")).await;
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&first["seq"], &json!(true)),
        "a retry after the kill"
    );
}

async fn term_sends_everybody_away_and_ends_well(over: Over) {
    let home = Home::new(over).await;
    let mut server = Server::at(&home, over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let sent = alice
        .must(send_to("bob", &client_id(), "before the end"))
        .await;
    let began = Instant::now();
    server.signal("TERM").await;
    for client in [&mut alice, &mut bob] {
        let goaway = client.push("goaway").await;
        assert_eq!(goaway["reason"], "drain");
        assert!(goaway["reconnect_after_ms"].is_u64(), "{goaway}");
        assert_eq!(client.closed().await, 4001);
    }
    let ended = timeout(Duration::from_secs(15), server.child.wait())
        .await
        .expect("within 15 s")
        .expect("it ran");
    assert!(ended.success(), "{ended}");
    assert!(began.elapsed() < Duration::from_secs(15));
    let server = Server::at(&home, over).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let pulled = bob
        .must(json!({"op": "pull", "channel": sent["channel"], "after": 1}))
        .await;
    assert_eq!(pulled["entries"][0]["body"]["text"], "before the end");
}

#[tokio::test]
async fn settings_that_cannot_work_end_the_process_with_2_and_one_message() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unknown = folder.path().join("unknown.toml");
    std::fs::write(&unknown, "lisen = \"127.0.0.1:0\"\n").expect("written");
    let unknown = unknown.to_str().expect("text");
    for (arguments, variables, tells) in [
        (&["--config", unknown][..], &[][..], "lisen"),
        (
            &["--config", "/nowhere/chat.toml"],
            &[],
            "/nowhere/chat.toml",
        ),
        (&["--port", "8080"], &[], "--port"),
        (&["--listen", "here"], &[], "here"),
        (&[], &[("CHAT_LISTN", "127.0.0.1:0")], "listn"),
        (
            &[],
            &[("CHAT_AUTH__JWT__HS256_SECRET", "tiny")],
            "auth.jwt.hs256_secret",
        ),
        (
            &[],
            &[("CHAT_HTTP__CONNECTIONS_MAX", "0")],
            "http.connections_max",
        ),
    ] {
        let mut command = Server::command(folder.path());
        command
            .args(arguments)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped());
        let ended = timeout(DEADLINE, command.output())
            .await
            .expect("at once")
            .expect("it ran");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(tells), "{tells}: {stderr}");
        assert!(!stderr.contains("tiny"), "{stderr}");
    }
}

#[tokio::test]
async fn a_folder_belongs_to_one_server() {
    let (_server, folder) = Server::fresh().await;
    let mut second = Server::command(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let ended = timeout(DEADLINE, second.wait())
        .await
        .expect("at once")
        .expect("it ran");
    assert_eq!(ended.code(), Some(1));
    let mut stderr = String::new();
    second
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .await
        .expect("text");
    assert!(stderr.contains("chat.db"), "{stderr}");
}

#[tokio::test]
async fn the_admin_port_tells_health_readiness_and_numbers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &["--admin-listen", "127.0.0.1:0"]).await;
    let admin = server.admin.clone().expect("an address");
    let get = async |path: &str| {
        raw_http(
            &admin,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        .await
    };
    assert_eq!(get("/healthz").await.0, 200);
    let (status, _, body) = get("/readyz").await;
    assert_eq!((status, body.as_str()), (200, r#"{"ready":true}"#));
    let mut alice = Client::log_in(&server, "alice", 1).await;
    alice.must(send_to("bob", &client_id(), "counted")).await;
    let (_, _, metrics) = get("/metrics").await;
    for line in [
        "chat_sessions 1",
        "chat_websockets 1",
        "chat_websocket_frames_in_total 2",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in\n{metrics}"
        );
    }
    assert_eq!(get("/nothing").await.0, 404);
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(
        raw_http(&server.address, request).await.0,
        404,
        "not for users"
    );
}
