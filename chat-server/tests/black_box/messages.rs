//! 1-on-1 messages, retries, pages, limits.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, Server, client_id, send_to, text, token};
use crate::over::Over;

over_every_transport_and_store!(
    two_users_talk_and_all_their_devices_see_it,
    a_retry_finds_the_first_and_another_content_is_a_conflict,
    pages_have_the_promised_shape,
    limits_are_exact,
    commands_of_one_connection_keep_their_order,
);

async fn two_users_talk_and_all_their_devices_see_it(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut phone = Client::log_in(&server, "alice", 1).await;
    let mut laptop = Client::log_in(&server, "alice", 2).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let sent = phone.must(send_to("bob", &client_id(), "hello")).await;
    assert_eq!(
        (sent["seq"].as_u64(), sent["n"].as_u64()),
        (Some(2), Some(1)),
        "the channel's creation is entry 1"
    );
    assert!(
        sent["message"].is_string() && sent["at"].is_u64() && sent.get("duplicate").is_none(),
        "{sent}"
    );
    let channel = sent["channel"].as_str().expect("text").to_owned();
    for client in [&mut bob, &mut laptop] {
        assert_eq!(
            client.message().await,
            (channel.clone(), 2, "hello".to_owned())
        );
    }
    let reply = json!({"op": "send", "to": {"channel": channel}, "client_id": client_id(), "body": text("hi"), "reply_to": 2});
    assert_eq!(bob.must(reply).await["seq"], 3);
    for client in [&mut phone, &mut laptop] {
        assert_eq!(
            client.message().await,
            (channel.clone(), 3, "hi".to_owned()),
            "the sender's own is not pushed to it"
        );
    }
    bob.must(json!({"op": "read", "channel": channel, "seq": 3}))
        .await;
    let mark = phone.push("read").await;
    assert_eq!(
        (mark["user"].as_str(), mark["seq"].as_u64()),
        (Some("bob"), Some(3))
    );
    laptop
        .say(json!({"op": "typing", "channel": channel}))
        .await;
    assert_eq!(bob.push("typing").await["user"], "alice");
}

async fn a_retry_finds_the_first_and_another_content_is_a_conflict(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let key = client_id();
    let first = alice.must(send_to("bob", &key, "once")).await;
    alice.must(send_to("bob", &client_id(), "between")).await;
    let mut retry = send_to("bob", &key, "once");
    retry["retry"] = true.into();
    let again = alice.must(retry.clone()).await;
    let mut from_elsewhere = Client::log_in(&server, "alice", 2).await;
    let elsewhere = from_elsewhere.must(retry.clone()).await;
    let channel = first["channel"].as_str().expect("text");
    let body = json!({"client_id": key, "body": text("once")});
    let (status, over_http) = server
        .post(
            &format!("/v1/channels/{channel}/messages"),
            &token("alice", 3),
            body,
        )
        .await;
    assert_eq!(status, 200);
    for found in [&again, &elsewhere, &over_http] {
        for field in ["channel", "seq", "n", "message", "at"] {
            assert_eq!(found[field], first[field], "{field} of {found}");
        }
        assert_eq!(found["duplicate"], true);
    }
    assert_eq!(
        alice.refused(send_to("bob", &key, "twice")).await,
        "conflict"
    );
}

async fn pages_have_the_promised_shape(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut channel = Value::Null;
    for number in 1..=20 {
        channel = alice
            .must(send_to("bob", &client_id(), &format!("message {number}")))
            .await["channel"]
            .clone();
    }
    let pulled = alice
        .must(json!({"op": "pull", "channel": channel, "after": 5, "limit": 4}))
        .await;
    assert_eq!(seqs(&pulled["entries"]), [6, 7, 8, 9]);
    assert_eq!(pulled["head"], json!({"seq": 21, "n": 20}));
    let newest = alice
        .must(json!({"op": "history", "channel": channel, "limit": 3}))
        .await;
    assert_eq!(seqs(&newest["messages"]), [19, 20, 21]);
    assert_eq!(
        (
            &newest["more_before"],
            &newest["more_after"],
            &newest["as_of"]
        ),
        (&json!(true), &json!(false), &json!(21))
    );
    assert_eq!(newest["messages"][0]["reactions"], json!([]));
    let before = alice
        .must(json!({"op": "history", "channel": channel, "before": 4}))
        .await;
    assert_eq!(seqs(&before["messages"]), [2, 3]);
    assert_eq!(
        (&before["more_before"], &before["more_after"]),
        (&json!(false), &json!(true))
    );
    let around = alice
        .must(json!({"op": "history", "channel": channel, "around": 10, "limit": 5}))
        .await;
    assert!(seqs(&around["messages"]).contains(&10), "{around}");

    let mut bob = Client::open(&server).await;
    let epoch = bob.hello(&token("bob", 1)).await["epoch"].clone();
    let synced = bob.must(json!({"op": "sync", "entries": 2})).await;
    let summary = &synced["channels"][0];
    assert_eq!(summary["channel"], channel);
    assert_eq!(
        (&summary["type"], &summary["peer"], &summary["members"]),
        (&json!("direct"), &json!("alice"), &json!(2))
    );
    assert_eq!(
        (&summary["unread"], &summary["head"]),
        (&json!(20), &json!({"seq": 21, "n": 20}))
    );
    assert_eq!(summary["last"]["body"]["text"], "message 20");
    assert_eq!(seqs(&summary["entries"]), [20, 21]);
    assert_eq!(summary["gap"], json!({"from": 1, "to": 19}));
    assert_eq!(
        (&synced["left"], synced["since"].is_string()),
        (&json!([]), true)
    );
    let mut cursors = serde_json::Map::new();
    cursors.insert(channel.as_str().expect("text").to_owned(), json!([21, 0]));
    let since = json!({"op": "sync", "epoch": epoch, "since": synced["since"], "cursors": cursors});
    assert!(bob.must(since).await.get("reset").is_none());
    let stale = json!({"op": "sync", "epoch": client_id()});
    assert_eq!(bob.must(stale).await["reset"], true);
    let path = format!(
        "/v1/channels/{}/entries?after=5&limit=4",
        channel.as_str().expect("text")
    );
    let (_, over_http) = server.get(&path, &token("bob", 2)).await;
    assert_eq!(
        over_http["entries"], pulled["entries"],
        "the same without a socket"
    );
}

async fn limits_are_exact(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    // The channel's creation is pushed with the first message; the long one is to have the queue for itself.
    alice.must(send_to("bob", &client_id(), "first")).await;
    assert_eq!(bob.message().await.2, "first");
    let longest = "😀".repeat(100_000);
    alice.must(send_to("bob", &client_id(), &longest)).await;
    assert_eq!(bob.message().await.2, longest, "byte for byte");
    assert_eq!(
        alice
            .refused(send_to("bob", &client_id(), &format!("{longest}x")))
            .await,
        "too_large"
    );
    assert_eq!(
        alice.refused(send_to("bob", &client_id(), "")).await,
        "bad_request"
    );
    let mut cursors = serde_json::Map::new();
    for _ in 0..2_001 {
        cursors.insert(client_id(), json!([1, 1]));
    }
    assert_eq!(
        alice
            .refused(json!({"op": "sync", "cursors": cursors}))
            .await,
        "too_large"
    );
    alice.must(json!({"op": "sync"})).await;
}

#[tokio::test]
async fn a_frame_beyond_the_limit_closes_the_socket() {
    let (server, _folder) = Server::fresh().await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    alice.say_raw(Message::text("x".repeat(1_310_721))).await;
    assert_eq!(alice.closed().await, 1009);
    bob.must(json!({"op": "sync"})).await;
}

async fn commands_of_one_connection_keep_their_order(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    for id in 1_000..1_200_u32 {
        let mut frame = send_to("bob", &client_id(), &id.to_string());
        frame["id"] = id.into();
        alice.say(frame).await;
    }
    for (id, seq) in (1_000..1_200_u32).zip(2..) {
        assert_eq!(alice.answer(id).await["seq"], seq, "answer {id}");
    }
}

fn seqs(entries: &Value) -> Vec<u64> {
    let entries = entries.as_array().expect("a list");
    entries
        .iter()
        .map(|entry| entry["seq"].as_u64().expect("a number"))
        .collect()
}
