//! Which store, refusals, readiness, schemas, epochs.

use std::process::Stdio;

use chat_testkit::Skip;
use scylla::client::session_builder::SessionBuilder;
use serde_json::json;
use sqlx::Executor;
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::harness::{Client, DEADLINE, SECRET, Server, client_id, raw_http, send_to, token};
use crate::over::{Home, Over};

/// What the program says, to both, and its exit code.
async fn ended(mut command: Command) -> (Option<i32>, String) {
    command.stderr(Stdio::piped());
    let ended = timeout(DEADLINE, command.output())
        .await
        .expect("in time")
        .expect("it ran");
    let said = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What an operator asks of the program.
fn admin(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Server::admin_command(home.path());
    command.arg("admin").args(arguments);
    command
}

#[tokio::test]
async fn a_store_that_is_not_reachable_keeps_the_server_from_starting() {
    let home = Home::new(Over::WEBSOCKET).await;
    // Nobody listens on it: it was free a moment ago, and belongs to nobody.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    for (name, store) in [
        (
            "CHAT_STORES__USERS",
            format!("postgres://u:hunter2@{free}/chat"),
        ),
        (
            "CHAT_STORES__MESSAGES",
            format!("postgres://u:hunter2@{free}/chat"),
        ),
        (
            "CHAT_STORES__MESSAGES",
            format!("cassandra://u:hunter2@{free}/chat"),
        ),
    ] {
        let mut command = Server::command(home.path());
        command.env(name, &store).env("RUST_LOG", "trace");
        let (code, said) = ended(command).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&free.to_string()), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_hold_it_is_refused_as_a_setting() {
    let home = Home::new(Over::WEBSOCKET).await;
    for (arguments, tells) in [
        (["--users", "cassandra://u:hunter2@a/chat"], "stores.users"),
        (
            ["--messages", "mysql://u:hunter2@a/chat"],
            "stores.messages",
        ),
        (
            ["--messages", "cassandra://u:hunter2@a/Chat"],
            "stores.messages",
        ),
    ] {
        let mut command = Server::command(home.path());
        command.args(arguments);
        let (code, said) = ended(command).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(tells) && !said.contains("hunter2"), "{said}");
    }
    assert!(!home.path().join("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn messages_and_users_can_be_in_files_apart() {
    let home = Home::new(Over::WEBSOCKET).await;
    let [messages, users] = ["messages.db", "users.db"]
        .map(|name| format!("sqlite:{}", home.path().join(name).display()));
    let arguments = ["--messages", &messages, "--users", &users];
    for _ in 0..2 {
        let server = Server::start(home.path(), &arguments).await;
        let mut alice = Client::log_in(&server, "alice", 1).await;
        alice.must(send_to("bob", &client_id(), "hello")).await;
        server.kill().await;
    }
    assert!(!home.path().join("data").exists(), "nothing is in it");
    let draw = [
        "epoch",
        "draw",
        arguments[0],
        arguments[1],
        arguments[2],
        arguments[3],
    ];
    let (code, said) = ended(admin(&home, &draw)).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("the new epoch is").count(), 2, "{said}");
}

#[tokio::test]
async fn operators_are_told_what_is_missing() {
    let home = Home::new(Over::WEBSOCKET).await;
    for (arguments, code, tells) in [
        (&["epoch", "draw"][..], 2, "--messages"),
        (&["schema", "apply"], 2, "--messages"),
        (
            &["schema", "apply", "--users", "cassandra://a/chat"],
            2,
            "stores.users",
        ),
        (
            &["epoch", "draw", "--messages", "sqlite:nowhere/chat.db"],
            1,
            "nowhere/chat.db",
        ),
    ] {
        let (found, said) = ended(admin(&home, arguments)).await;
        assert_eq!(found, Some(code), "{said}");
        assert!(said.contains(tells), "{said}");
    }
}

over_every_store!(a_new_epoch_is_told_to_every_client);

async fn a_new_epoch_is_told_to_every_client(over: Over) {
    let home = Home::new(over).await;
    let chosen = home.chosen();
    let apply: Vec<&str> = ["schema", "apply"]
        .into_iter()
        .chain(chosen.iter().map(String::as_str))
        .collect();
    for _ in 0..2 {
        let (code, said) = ended(admin(&home, &apply)).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("the schema is up to date"), "{said}");
    }
    let server = Server::start_chosen(&home).await;
    let mut alice = Client::open(&server).await;
    let before = alice.hello(&token("alice", 1)).await["epoch"].clone();
    alice.must(send_to("bob", &client_id(), "before")).await;
    server.kill().await;
    let draw: Vec<&str> = ["epoch", "draw"]
        .into_iter()
        .chain(chosen.iter().map(String::as_str))
        .collect();
    let (code, said) = ended(admin(&home, &draw)).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        said.matches("the new epoch is").count(),
        1,
        "one store: {said}"
    );
    let server = Server::start_chosen(&home).await;
    let mut alice = Client::open(&server).await;
    let hello = alice.hello(&token("alice", 1)).await;
    assert!(before.is_string() && hello["epoch"] != before, "{hello}");
    let synced = alice.must(json!({"op": "sync"})).await;
    assert_eq!(synced["channels"][0]["last"]["body"]["text"], "before");
}

#[tokio::test]
async fn a_keyspace_is_made_served_and_given_another_life() {
    let points = std::env::var("CHAT_TEST_CASSANDRA").unwrap_or_default();
    if points.is_empty() {
        return Skip("cassandra").announce();
    }
    let home = Home::new(Over::WEBSOCKET).await;
    let keyspace = format!("test_{}", Uuid::new_v4().simple());
    let url = format!("cassandra://{points}/{keyspace}?allow_single_node=true");
    let (code, said) = ended(admin(&home, &["epoch", "draw", "--messages", &url])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("admin schema apply"), "what to do: {said}");
    for _ in 0..2 {
        let (code, said) = ended(admin(&home, &["schema", "apply", "--messages", &url])).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&keyspace), "{said}");
    }
    let mut epochs = Vec::new();
    for _ in 0..2 {
        let (code, said) = ended(admin(&home, &["epoch", "draw", "--messages", &url])).await;
        assert_eq!(code, Some(0), "{said}");
        epochs.push(said);
    }
    assert_ne!(epochs[0], epochs[1]);
    // Messages there, users in a file.
    let arguments = ["--messages", &url, "--admin-listen", "127.0.0.1:0"];
    let server = Server::start(home.path(), &arguments).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let key = client_id();
    let sent = alice.must(send_to("bob", &key, "kept")).await;
    server.kill().await;
    let server = Server::start(home.path(), &arguments).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let again = alice.must(send_to("bob", &key, "kept")).await;
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&sent["seq"], &json!(true)),
        "a retry after the kill"
    );
    let request = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let ready = raw_http(&server.admin.clone().expect("an address"), request).await;
    assert_eq!((ready.0, ready.2.as_str()), (200, r#"{"ready":true}"#));
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let pull = json!({"op": "pull", "channel": sent["channel"], "after": 1});
    let pulled = bob.must(pull).await;
    assert_eq!(pulled["entries"][0]["body"]["text"], "kept", "{pulled}");
    server.kill().await;
    let session = SessionBuilder::new()
        .known_nodes(points.split(','))
        .build()
        .await
        .expect("Cassandra answers");
    let drop_it = format!("DROP KEYSPACE {keyspace}");
    session
        .query_unpaged(drop_it, ())
        .await
        .expect("it is ours");
}

#[tokio::test]
async fn a_server_whose_database_is_gone_is_not_ready_and_heals() {
    let Some(over) = Over::postgres() else {
        return;
    };
    let home = Home::new(over).await;
    let mut command = Server::command(home.path());
    command
        .env("CHAT_AUTH__JWT__HS256_SECRET", SECRET)
        .envs(home.variables());
    let server = Server::run(command, &["--admin-listen", "127.0.0.1:0"]).await;
    let admin = server.admin.clone().expect("an address");
    let ready = async || {
        let request = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        raw_http(&admin, request).await
    };
    assert_eq!(ready().await.0, 200);
    let mut alice = Client::log_in(&server, "alice", 1).await;
    alice.must(send_to("bob", &client_id(), "before")).await;
    home.let_nobody_in(true).await;
    let key = client_id();
    let refused = alice.refused(send_to("bob", &key, "meanwhile")).await;
    assert!(
        ["unavailable", "unknown_outcome"].contains(&refused.as_str()),
        "{refused}"
    );
    let (status, _, body) = until(503, &ready).await;
    assert!(status == 503 && body.contains("\"ready\":false"), "{body}");
    home.let_nobody_in(false).await;
    assert_eq!(until(200, &ready).await.0, 200);
    let sent = alice.must(send_to("bob", &key, "meanwhile")).await;
    assert_eq!(sent["seq"], 3, "{sent}");
    let mut db = home.database().await;
    db.execute("SELECT 1").await.expect("the database answers");
}

/// The first answer with this status, or the last one in time.
async fn until(
    status: u16,
    ask: &impl AsyncFn() -> (u16, String, String),
) -> (u16, String, String) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = ask().await;
        if answer.0 == status || tokio::time::Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
