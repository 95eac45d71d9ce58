//! Who is seen as what and when, on the real clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Client, Server, token};
use crate::over::Over;

/// How often a client that waits says that it is alive.
const BEAT: Duration = Duration::from_secs(5);
/// What is told at once is told within this time, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(2);

over_every_transport!(
    statuses_are_seen_and_kept,
    strangers_are_refused_and_who_ceases_to_be_a_contact_goes,
);

/// Makes two users contacts, by the tokens of both.
async fn befriend(server: &Server, one: (&str, &str), other: (&str, &str)) {
    for ((_, token), (whom, _)) in [(one, other), (other, one)] {
        let path = format!("/v1/contacts/{whom}");
        let (status, answer) = server.http("PUT", &path, Some(token), None).await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// Alice, connected and a contact of all of these.
async fn alice_with_contacts(server: &Server, names: &[&str]) -> Client {
    let alice_token = token("alice", 1);
    for name in names {
        befriend(server, ("alice", &alice_token), (name, &token(name, 1))).await;
    }
    Client::log_in(server, "alice", 1).await
}

/// The next change that a client is told within this time, while it stays alive.
async fn told(client: &mut Client, within: Duration) -> Option<Value> {
    let end = Instant::now() + within;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if let Ok(push) = timeout(left.min(BEAT), client.push("presence")).await {
            return Some(push);
        }
        if Instant::now() >= end {
            return None;
        }
        client.say(json!({"op": "ping"})).await;
    }
}

async fn watch(client: &mut Client, names: &[&str]) -> Value {
    client.must(json!({"op": "watch", "users": names})).await
}

fn wall_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(since.as_millis()).expect("a small number")
}

#[tokio::test]
async fn offline_thirty_seconds_after_the_last_frame_of_the_last_device() {
    let (server, _folder) = Server::fresh().await;
    let names = ["dropped", "silent", "back", "two-devices"];
    let mut alice = alice_with_contacts(&server, &names).await;
    let dropped = Client::log_in(&server, "dropped", 1).await;
    let silent = Client::log_in(&server, "silent", 1).await;
    let back = Client::log_in(&server, "back", 1).await;
    let laptop = Client::log_in(&server, "two-devices", 1).await;
    let mut phone = Client::log_in(&server, "two-devices", 2).await;
    let (last_frame, last_frame_ms) = (Instant::now(), wall_ms());
    // Sockets that end without a word, as of processes that are killed.
    drop((dropped, back, laptop));
    let answer = watch(&mut alice, &names).await;
    let seen = answer["presence"].as_array().expect("a list");
    assert!(
        seen.iter().all(|user| user["state"] == "online"),
        "{answer}"
    );
    assert_eq!(seen.len(), names.len(), "{answer}");
    let early = told(&mut alice, Duration::from_secs(20)).await;
    assert_eq!(early, None);
    let mut back = Client::log_in(&server, "back", 1).await;
    phone.say(json!({"op": "ping"})).await;
    let mut gone = Vec::new();
    for _ in 0..2 {
        let push = told(&mut alice, Duration::from_secs(15)).await;
        let push = push.expect("two users go");
        let silence = last_frame.elapsed();
        assert!(
            (Duration::from_secs(29)..=Duration::from_secs(31)).contains(&silence),
            "30 s after the last frame, give or take one: {silence:?}"
        );
        assert_eq!(push["state"], "offline", "{push}");
        let last_seen_ms = push["last_seen_ms"].as_u64().expect("a time");
        assert!(
            last_seen_ms.abs_diff(last_frame_ms) <= 1_000,
            "last seen with the last frame, at {last_frame_ms}: {push}"
        );
        gone.push(push["user"].as_str().expect("a user").to_owned());
    }
    gone.sort();
    assert_eq!(gone, ["dropped", "silent"]);
    for client in [&mut phone, &mut back] {
        client.say(json!({"op": "ping"})).await;
    }
    let more = told(&mut alice, Duration::from_secs(3)).await;
    assert_eq!(more, None, "who is back, or has another device, is here");
    drop(silent);
}

#[tokio::test]
async fn log_out_is_seen_at_once() {
    let (server, _folder) = Server::fresh().await;
    let user = json!({"user": "bob", "password": "correct horse battery"});
    let (status, _) = server
        .http("POST", "/v1/users", None, Some(user.clone()))
        .await;
    assert_eq!(status, 201);
    let mut sessions = Vec::new();
    for name in ["a laptop", "a phone"] {
        let mut session = user.clone();
        session["device"] = json!({"name": name, "platform": "test"});
        let (_, answer) = server
            .http("POST", "/v1/sessions", None, Some(session))
            .await;
        let token = answer["token"].as_str().expect("a token").to_owned();
        let mut client = Client::open(&server).await;
        client.hello(&token).await;
        sessions.push((token, client));
    }
    let alice_token = token("alice", 1);
    befriend(&server, ("alice", &alice_token), ("bob", &sessions[0].0)).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    watch(&mut alice, &["bob"]).await;
    let log_out = async |token: &str| {
        let (status, answer) = server
            .http("DELETE", "/v1/sessions/current", Some(token), None)
            .await;
        assert!((200..300).contains(&status), "{status} {answer}");
    };
    log_out(&sessions[0].0).await;
    assert_eq!(
        told(&mut alice, AT_ONCE).await,
        None,
        "the other device is still here"
    );
    log_out(&sessions[1].0).await;
    let push = told(&mut alice, AT_ONCE).await.expect("at once");
    assert_eq!(push["state"], "offline", "{push}");
    assert!(push["last_seen_ms"].is_u64(), "{push}");
}

async fn statuses_are_seen_and_kept(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = alice_with_contacts(&server, &["bob"]).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let answer = alice.must(json!({"op": "watch", "contacts": true})).await;
    assert_eq!(
        answer["presence"],
        json!([{"user": "bob", "state": "online"}])
    );
    for (status, seen) in [
        (
            json!({"state": "away", "text": "lunch"}),
            json!({"state": "away", "text": "lunch"}),
        ),
        (json!({"state": "busy"}), json!({"state": "busy"})),
    ] {
        let mut request = status.clone();
        request["op"] = json!("status");
        bob.must(request).await;
        let push = told(&mut alice, 2 * AT_ONCE).await.expect("a change");
        let mut expected = seen;
        expected["op"] = json!("presence");
        expected["user"] = json!("bob");
        assert_eq!(push, expected);
    }
    let hidden_ms = wall_ms();
    bob.must(json!({"op": "status", "state": "invisible"}))
        .await;
    let push = told(&mut alice, 2 * AT_ONCE).await.expect("a change");
    assert_eq!(push["state"], "offline", "{push}");
    let last_seen_ms = push["last_seen_ms"].as_u64().expect("a time");
    assert!(last_seen_ms.abs_diff(hidden_ms) <= 1_000, "{push}");
    // Another device: invisible as well, and seen as little.
    let mut phone = Client::log_in(&server, "bob", 2).await;
    drop(bob);
    assert_eq!(told(&mut alice, 2 * AT_ONCE).await, None);
    let answer = watch(&mut alice, &["bob"]).await;
    assert_eq!(answer["presence"][0]["last_seen_ms"], last_seen_ms);
    // Many changes at once: the first one is told, and the last one two seconds later.
    for number in 0..20 {
        let text = number.to_string();
        phone
            .must(json!({"op": "status", "state": "online", "text": text}))
            .await;
    }
    let mut pushes = Vec::new();
    while let Some(push) = told(&mut alice, 2 * AT_ONCE).await {
        pushes.push((Instant::now(), push));
    }
    let apart = pushes.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(
        apart
            .into_iter()
            .all(|apart| apart > Duration::from_millis(1_900)),
        "{pushes:?}"
    );
    assert_eq!(pushes.last().expect("a change").1["text"], "19");
}

async fn strangers_are_refused_and_who_ceases_to_be_a_contact_goes(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = alice_with_contacts(&server, &["bob", "carol"]).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let mut carol = Client::log_in(&server, "carol", 1).await;
    let _dave = Client::log_in(&server, "dave", 1).await;
    let answer = watch(&mut alice, &["dave", "bob", "carol"]).await;
    assert_eq!(answer["refused"], json!(["dave"]), "{answer}");
    assert_eq!(answer["presence"].as_array().map(Vec::len), Some(2));
    for (path, client, name) in [
        ("/v1/contacts/alice", &mut bob, "bob"),
        ("/v1/blocks/alice", &mut carol, "carol"),
    ] {
        let method = if name == "bob" { "DELETE" } else { "PUT" };
        let (status, answer) = server.http(method, path, Some(&token(name, 1)), None).await;
        assert!((200..300).contains(&status), "{status} {answer}");
        let push = told(&mut alice, AT_ONCE).await.expect("at once");
        assert_eq!(
            (&push["user"], &push["state"]),
            (&json!(name), &json!("offline"))
        );
        client.must(json!({"op": "status", "state": "busy"})).await;
    }
    assert_eq!(told(&mut alice, 2 * AT_ONCE).await, None);
    let answer = watch(&mut alice, &["bob", "carol"]).await;
    assert_eq!(answer["refused"], json!(["bob"]));
    assert_eq!(
        answer["presence"],
        json!([{"user": "carol", "state": "offline"}]),
        "the blocked cannot tell"
    );
    let long = json!({"op": "status", "state": "away", "text": "x".repeat(101)});
    assert_eq!(alice.refused(long).await, "too_large");
    let unknown = json!({"op": "status", "state": "asleep"});
    assert_eq!(alice.refused(unknown).await, "bad_request");
}
