//! What is done to messages, and what a blocked sender's messages are.

use serde_json::{Value, json};

use crate::harness::{Client, Server, client_id, send_to, text, token};
use crate::over::Over;

over_every_transport_and_store!(
    an_edit_and_a_deletion_reach_everybody_and_leave_no_former_body,
    reactions_and_pins_are_told_and_counted,
    the_blocked_cannot_tell_and_the_blocker_sees_stubs,
);

async fn an_edit_and_a_deletion_reach_everybody_and_leave_no_former_body(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut phone = Client::log_in(&server, "alice", 1).await;
    let mut laptop = Client::log_in(&server, "alice", 2).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let channel = phone
        .must(send_to("bob", &client_id(), "first words"))
        .await["channel"]
        .clone();
    for client in [&mut laptop, &mut bob] {
        client.message().await;
    }
    let change =
        |op: &str, key: &str| json!({"op": op, "channel": channel, "seq": 2, "client_id": key});
    let mut edit = change("edit", &client_id());
    edit["body"] = text("second words");
    assert_eq!(phone.must(edit.clone()).await["seq"], 3);
    for client in [&mut laptop, &mut bob] {
        let entry = client.push("entry").await["entry"].clone();
        assert_eq!(
            (&entry["kind"], &entry["target"], &entry["body"]["text"]),
            (&json!("edit"), &json!(2), &json!("second words"))
        );
    }
    // The same again, from elsewhere.
    edit["retry"] = true.into();
    let again = laptop.must(edit).await;
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&json!(3), &json!(true))
    );
    let page = bob.must(json!({"op": "history", "channel": channel})).await;
    let message = &page["messages"][0];
    assert_eq!(
        (&message["body"]["text"], &message["rev"]),
        (&json!("second words"), &json!(3))
    );

    let mut others = change("edit", &client_id());
    others["body"] = text("not mine");
    assert_eq!(bob.refused(others.clone()).await, "forbidden");
    assert_eq!(
        bob.refused(change("delete", &client_id())).await,
        "forbidden"
    );
    assert_eq!(phone.must(change("delete", &client_id())).await["seq"], 4);
    let deleted = bob.push("entry").await["entry"].clone();
    assert_eq!(
        (&deleted["kind"], &deleted["target"]),
        (&json!("delete"), &json!(2))
    );
    assert_eq!(
        phone.refused(others).await,
        "not_found",
        "no edit follows a deletion"
    );
    assert_eq!(
        phone.must(change("delete", &client_id())).await["duplicate"],
        true
    );
    for client in [&mut phone, &mut bob] {
        let everything = [
            client
                .must(json!({"op": "pull", "channel": channel, "after": 0}))
                .await,
            client
                .must(json!({"op": "history", "channel": channel}))
                .await,
            client.must(json!({"op": "sync", "entries": 50})).await,
        ];
        let everything = json!(everything).to_string();
        assert!(!everything.contains("words"), "{everything}");
        assert!(everything.contains("\"erased\":true"), "{everything}");
    }
}

async fn reactions_and_pins_are_told_and_counted(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let channel = alice.must(send_to("bob", &client_id(), "hello")).await["channel"].clone();
    bob.message().await;
    let react = |emoji: &str, remove: bool| json!({"op": "react", "channel": channel, "seq": 2, "emoji": emoji, "remove": remove, "client_id": client_id()});
    for emoji in ["\u{1f44d}", "+1"] {
        let done = bob.must(react(emoji, false)).await;
        assert!(done.get("duplicate").is_none(), "{done}");
        assert_eq!(next_of_kind(&mut alice, "react").await["emoji"], emoji);
    }
    assert_eq!(
        bob.must(react("+1", false)).await["duplicate"],
        true,
        "it is so already"
    );
    alice.must(react("+1", false)).await;
    let pin = json!({"op": "pin", "channel": channel, "seq": 2, "client_id": client_id()});
    let last = alice.must(pin).await["seq"].clone();
    let mut reply = send_to("bob", &client_id(), "in the thread");
    reply["thread"] = 2.into();
    alice.must(reply).await;
    let page = bob.must(json!({"op": "history", "channel": channel})).await;
    assert_eq!(page["as_of"], last.as_u64().expect("a number") + 1);
    let message = &page["messages"][0];
    assert_eq!(
        message["reactions"],
        json!([
            {"emoji": "\u{1f44d}", "count": 1, "mine": true},
            {"emoji": "+1", "count": 2, "mine": true},
        ])
    );
    assert_eq!(
        (&message["pinned"], &message["replies"]),
        (&json!(true), &json!(1))
    );
    bob.must(react("\u{1f44d}", true)).await;
    let page = alice
        .must(json!({"op": "history", "channel": channel}))
        .await;
    assert_eq!(
        page["messages"][0]["reactions"],
        json!([{"emoji": "+1", "count": 2, "mine": true}])
    );
    for (emoji, code) in [
        ("", "bad_request"),
        ("a b", "bad_request"),
        (&*"x".repeat(65), "too_large"),
    ] {
        assert_eq!(bob.refused(react(emoji, false)).await, code, "{emoji:?}");
    }
}

async fn the_blocked_cannot_tell_and_the_blocker_sees_stubs(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let open = alice.must(send_to("bob", &client_id(), "open")).await;
    let channel = open["channel"].clone();
    bob.message().await;
    bob.must(json!({"op": "read", "channel": channel, "seq": 2}))
        .await;
    let blocked = server
        .http("PUT", "/v1/blocks/alice", Some(&token("bob", 1)), None)
        .await;
    assert_eq!(blocked.0, 200, "{blocked:?}");

    let hidden = alice
        .must(send_to("bob", &client_id(), "secret words"))
        .await;
    let fields = |answer: &Value| -> Vec<String> {
        answer
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(fields(&hidden), fields(&open), "an answer like any other");
    let react = json!({"op": "react", "channel": channel, "seq": 3, "emoji": "+", "client_id": client_id()});
    alice.must(react).await;
    let own = alice
        .must(json!({"op": "pull", "channel": channel, "after": 2}))
        .await;
    assert_eq!(kinds(&own), ["message", "react"]);

    let seen = bob
        .must(json!({"op": "pull", "channel": channel, "after": 0}))
        .await;
    assert_eq!(kinds(&seen), ["created", "message", "withheld", "withheld"]);
    assert_eq!(seen["head"], json!({"seq": 4, "n": 2}));
    let summary = bob.must(json!({"op": "sync"})).await["channels"][0].clone();
    assert_eq!(
        (&summary["unread"], &summary["last"]["seq"]),
        (&json!(0), &json!(2)),
        "{summary}"
    );
    let target = json!({"op": "react", "channel": channel, "seq": 3, "emoji": "-", "client_id": client_id()});
    assert_eq!(
        bob.refused(target).await,
        "not_found",
        "what was withheld is not there"
    );

    let unblocked = server
        .http("DELETE", "/v1/blocks/alice", Some(&token("bob", 1)), None)
        .await;
    assert_eq!(unblocked.0, 204, "{unblocked:?}");
    alice.must(send_to("bob", &client_id(), "open again")).await;
    assert_eq!(bob.message().await.2, "open again");
    let everything = [
        bob.must(json!({"op": "pull", "channel": channel, "after": 0}))
            .await,
        bob.must(json!({"op": "history", "channel": channel})).await,
        bob.must(json!({"op": "sync", "entries": 50})).await,
    ];
    assert_eq!(
        kinds(&everything[0])[2..],
        ["withheld", "withheld", "message"]
    );
    assert!(
        !json!(everything).to_string().contains("secret"),
        "for ever"
    );
}

/// The next entry of this kind; a sender's connection also hears that its channel began.
async fn next_of_kind(client: &mut Client, kind: &str) -> Value {
    loop {
        let entry = client.push("entry").await["entry"].take();
        if entry["kind"] == kind {
            return entry;
        }
    }
}

fn kinds(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().expect("entries");
    entries
        .iter()
        .map(|entry| entry["kind"].as_str().expect("a kind"))
        .collect()
}
