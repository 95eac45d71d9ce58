//! Two servers over one PostgreSQL database serve the same users. Without a router they tell each other nothing: what one
//! acknowledged, the other's clients find at their next sync.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Client, Server, client_id, send_to, text, token};
use crate::over::{Home, Over};

/// Writers of one channel, half of them at each server.
const WRITERS: u128 = 8;
/// Messages of each, one after the other.
const MESSAGES: usize = 12;

/// Two servers over one database; `None` where there is no PostgreSQL.
async fn two_servers() -> Option<(Server, Server, Home)> {
    let over = Over::postgres()?;
    let home = Home::new(over).await;
    let one = Server::at(&home, over).await;
    let other = Server::at(&home, over).await;
    Some((one, other, home))
}

#[tokio::test]
async fn what_one_acknowledged_is_found_by_a_sync_at_the_other() {
    let Some((one, other, _home)) = two_servers().await else {
        return;
    };
    let mut alice = Client::log_in(&one, "alice", 1).await;
    let mut bob = Client::log_in(&other, "bob", 1).await;
    let sent = alice.must(send_to("bob", &client_id(), "across")).await;
    let synced = bob.must(json!({"op": "sync", "entries": 50})).await;
    let summary = &synced["channels"][0];
    assert_eq!(summary["channel"], sent["channel"], "{synced}");
    assert_eq!(
        (&summary["last"]["body"]["text"], &summary["unread"]),
        (&json!("across"), &json!(1)),
        "{synced}"
    );
    let reply = json!({"op": "send", "to": {"channel": sent["channel"]}, "client_id": client_id(),
                       "body": text("and back"), "reply_to": sent["seq"]});
    let replied = bob.must(reply).await;
    assert_eq!(replied["seq"], 3);
    let edit = json!({"op": "edit", "channel": sent["channel"], "seq": sent["seq"],
                      "client_id": client_id(), "body": text("corrected")});
    assert_eq!(
        alice.must(edit).await["seq"],
        4,
        "behind what the other stored"
    );
    for client in [&mut alice, &mut bob] {
        let pull = json!({"op": "pull", "channel": sent["channel"], "after": 1});
        let texts = texts_of(&client.must(pull).await);
        assert_eq!(texts[..2], ["corrected", "and back"]);
    }
}

#[tokio::test]
async fn a_user_is_the_same_at_both() {
    let Some(over) = Over::postgres() else {
        return;
    };
    let (one, home) = Server::without_host_over(over).await;
    let mut command = Server::command(home.path());
    command.envs(home.variables());
    let other = Server::run(command, &[]).await;
    let account = json!({"user": "alice", "password": "correct horse battery"});
    let (status, made) = one
        .http("POST", "/v1/users", None, Some(account.clone()))
        .await;
    assert_eq!(status, 201, "{made}");
    let (status, again) = other
        .http("POST", "/v1/users", None, Some(account.clone()))
        .await;
    assert_eq!(status, 409, "a name is given once: {again}");
    let (status, session) = other
        .http("POST", "/v1/sessions", None, Some(account))
        .await;
    assert_eq!(status, 201, "{session}");
    let token = session["token"].as_str().expect("a token");
    for server in [&one, &other] {
        let (status, me) = server.get("/v1/users/alice", token).await;
        assert_eq!(status, 200, "a token is good at both: {me}");
    }
}

#[tokio::test]
async fn the_same_key_sent_to_both_is_stored_once() {
    let Some((one, other, _home)) = two_servers().await else {
        return;
    };
    let mut at_one = Client::log_in(&one, "alice", 1).await;
    let mut at_other = Client::log_in(&other, "alice", 1).await;
    let mut channel = Value::Null;
    for number in 0..20 {
        let frame = send_to("bob", &client_id(), &number.to_string());
        // At once: whichever is later finds the other's.
        let (first, second) = tokio::join!(at_one.must(frame.clone()), at_other.must(frame));
        assert_eq!(first["seq"], second["seq"], "{first} {second}");
        let duplicates = [&first, &second].map(|answer| answer["duplicate"] == true);
        assert!(duplicates[0] != duplicates[1], "{first} {second}");
        channel = first["channel"].clone();
    }
    let pull = json!({"op": "pull", "channel": channel, "after": 1, "limit": 100});
    let texts = texts_of(&at_one.must(pull).await);
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn writers_at_both_stay_contiguous() {
    let Some((one, other, _home)) = two_servers().await else {
        return;
    };
    let names: Vec<String> = (0..WRITERS).map(|writer| format!("w{writer}")).collect();
    let create = json!({"client_id": client_id(), "title": "Tea", "members": names});
    let (status, created) = one.post("/v1/channels", &token("olga", 1), create).await;
    assert_eq!(status, 201, "{created}");
    let channel = &created["channel"];
    let writing = names.iter().enumerate().map(|(writer, name)| {
        let server = if writer % 2 == 0 { &one } else { &other };
        async move {
            let mut client = Client::log_in(server, name, 1).await;
            let mut acknowledged = Vec::new();
            for number in 0..MESSAGES {
                let words = format!("{name}: {number}");
                let send = json!({"op": "send", "to": {"channel": channel}, "client_id": client_id(),
                                  "body": text(&words)});
                let sent = client.must(send).await;
                acknowledged.push((sent["seq"].as_u64().expect("a number"), words));
            }
            acknowledged
        }
    });
    let mut acknowledged: Vec<(u64, String)> = futures_util::future::join_all(writing)
        .await
        .into_iter()
        .flatten()
        .collect();
    acknowledged.sort();
    let seqs: Vec<u64> = acknowledged.iter().map(|(seq, _)| *seq).collect();
    let count = seqs.len() as u64;
    let contiguous: Vec<u64> = (2..2 + count).collect();
    assert_eq!(
        seqs, contiguous,
        "each seq is given once, and none is left out"
    );
    let distinct: BTreeSet<&String> = acknowledged.iter().map(|(_, words)| words).collect();
    assert_eq!(distinct.len(), acknowledged.len());
    for server in [&one, &other] {
        let mut reader = Client::log_in(server, "olga", 2).await;
        let pull = json!({"op": "pull", "channel": channel, "after": 1, "limit": 500});
        let texts = texts_of(&reader.must(pull).await);
        let expected: Vec<&str> = acknowledged
            .iter()
            .map(|(_, words)| words.as_str())
            .collect();
        assert_eq!(texts, expected);
    }
}

fn texts_of(pulled: &Value) -> Vec<String> {
    let entries = pulled["entries"].as_array().expect("a list");
    entries
        .iter()
        .map(|entry| {
            entry["body"]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}
