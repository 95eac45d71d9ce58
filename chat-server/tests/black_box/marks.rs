//! Read and delivered marks, and who is shown them.

use serde_json::{Value, json};

use crate::harness::{Client, Server, client_id, send_to, text, token};
use crate::over::Over;

over_every_transport_and_store!(
    a_read_mark_reaches_a_device_that_was_away_with_the_head_in_hand,
    receipts_tell_how_far_everybody_is,
    a_mention_counts_once_however_often_its_message_is_sent,
);

async fn a_read_mark_reaches_a_device_that_was_away_with_the_head_in_hand(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut phone = Client::log_in(&server, "bob", 1).await;
    let sent = alice.must(send_to("bob", &client_id(), "hello")).await;
    let channel = sent["channel"].as_str().expect("text").to_owned();
    let held = |read: u64| json!({"op": "sync", "cursors": {channel.clone(): [2, read]}});
    phone
        .must(json!({"op": "read", "channel": channel, "seq": 2}))
        .await;
    // The laptop has every entry, and knows of no mark but the first.
    let mut laptop = Client::log_in(&server, "bob", 2).await;
    let synced = laptop.must(held(1)).await;
    assert_eq!(
        (
            &synced["channels"][0]["read"]["seq"],
            &synced["channels"][0]["unread"]
        ),
        (&json!(2), &json!(0)),
        "{synced}"
    );
    let synced = laptop.must(held(2)).await;
    assert_eq!(synced["channels"], json!([]), "there is nothing new");
}

async fn receipts_tell_how_far_everybody_is(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let sent = alice.must(send_to("bob", &client_id(), "one")).await;
    alice.must(send_to("bob", &client_id(), "two")).await;
    let channel = &sent["channel"];
    let asked = json!({"op": "receipts", "channel": channel});
    bob.must(json!({"op": "delivered", "channel": channel, "seq": 3}))
        .await;
    bob.must(json!({"op": "read", "channel": channel, "seq": 2}))
        .await;
    let expected = json!([
        {"user": "alice", "read": 3, "delivered": 3},
        {"user": "bob", "read": 2, "delivered": 3},
    ]);
    assert_eq!(alice.must(asked.clone()).await["marks"], expected);
    let mut carol = Client::log_in(&server, "carol", 1).await;
    assert_eq!(carol.refused(asked).await, "not_found");
    let new = json!({"client_id": client_id(), "title": "Tea", "members": ["bob"]});
    let (_, group) = server.post("/v1/channels", &token("alice", 1), new).await;
    let asked = json!({"op": "receipts", "channel": group["channel"]});
    let expected = json!([{"user": "alice", "read": 1}, {"user": "bob", "read": 1}]);
    assert_eq!(bob.must(asked).await["marks"], expected);
}

async fn a_mention_counts_once_however_often_its_message_is_sent(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let mut message = send_to("bob", &client_id(), "@bob");
    message["mentions"] = json!(["bob"]);
    let first = alice.must(message.clone()).await;
    for _ in 0..2 {
        message["retry"] = json!(true);
        assert_eq!(alice.must(message.clone()).await["seq"], first["seq"]);
    }
    let more = json!({"op": "send", "to": {"channel": first["channel"]}, "client_id": client_id(), "body": text("more")});
    alice.must(more).await;
    let counts = |synced: &Value| {
        let row = &synced["channels"][0];
        (row["unread"].clone(), row["mentions"].clone())
    };
    let sync = json!({"op": "sync"});
    assert_eq!(counts(&bob.must(sync.clone()).await), (json!(2), json!(1)));
    bob.must(json!({"op": "read", "channel": first["channel"], "seq": first["seq"]}))
        .await;
    assert_eq!(counts(&bob.must(sync).await), (json!(1), json!(0)));
}
