//! Contacts, blocks, profiles, passwords, preferences, and the user's own log that tells of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Server, client_id, send_to, token};
use crate::over::Over;

over_every_store!(
    lists_of_people_come_in_pages,
    people_are_others_who_exist,
    a_profile_changes_field_by_field,
    a_new_password_logs_the_other_devices_out_at_once,
    devices_come_in_pages,
    a_user_of_the_host_has_no_password_here,
);
over_every_transport_and_store!(
    contacts_ask_accept_and_end,
    a_block_cannot_be_told_by_the_blocked,
    preferences_are_kept_and_told,
);

async fn put(server: &Server, path: &str, token: &str) -> (u16, Value) {
    server.http("PUT", path, Some(token), None).await
}

async fn delete(server: &Server, path: &str, token: &str) -> u16 {
    server.http("DELETE", path, Some(token), None).await.0
}

/// The users of a list with their states, if it has any.
async fn listed(server: &Server, list: &str, token: &str) -> Vec<(String, Value)> {
    let (status, page) = server.get(&format!("/v1/{list}"), token).await;
    assert_eq!((status, &page["more"]), (200, &json!(false)), "{page}");
    let people = page[list].as_array().expect("a list");
    let person = |person: &Value| {
        let user = person["user"].as_str().expect("a user");
        (user.to_owned(), person["state"].clone())
    };
    people.iter().map(person).collect()
}

fn one(user: &str, state: &str) -> Vec<(String, Value)> {
    vec![(user.to_owned(), json!(state))]
}

/// The kinds of the entries that a sync tells of the user's own log, those of devices left out.
async fn told(client: &mut Client, user_seq: u64) -> Vec<Value> {
    let answer = client
        .must(json!({"op": "sync", "user_seq": user_seq}))
        .await;
    let entries = answer["user_entries"].as_array().expect("a list").clone();
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry["seq"], user_seq + 1 + place as u64, "{answer}");
    }
    let head = user_seq + entries.len() as u64;
    assert_eq!(answer["user_seq"], head, "{answer}");
    entries
        .into_iter()
        .filter(|entry| entry["kind"] != "device")
        .collect()
}

async fn contacts_ask_accept_and_end(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let (alice, bob) = (token("alice", 1), token("bob", 2));
    let mut alices = Client::log_in(&server, "alice", 1).await;
    let mut bobs = Client::log_in(&server, "bob", 2).await;
    for _ in 0..2 {
        let (status, asked) = put(&server, "/v1/contacts/bob", &alice).await;
        assert_eq!(
            (status, asked),
            (200, json!({"user": "bob", "state": "asked"}))
        );
    }
    assert_eq!(
        listed(&server, "contacts", &alice).await,
        one("bob", "asked")
    );
    assert_eq!(
        listed(&server, "contacts", &bob).await,
        one("alice", "asking")
    );
    let pushed = bobs.push("user").await;
    assert_eq!(
        (&pushed["entry"]["kind"], &pushed["entry"]["state"]),
        (&json!("contact"), &json!("asking")),
        "{pushed}"
    );
    let (_, accepted) = put(&server, "/v1/contacts/alice", &bob).await;
    assert_eq!(accepted, json!({"user": "alice", "state": "contact"}));
    assert_eq!(
        listed(&server, "contacts", &alice).await,
        one("bob", "contact")
    );
    assert_eq!(delete(&server, "/v1/contacts/bob", &alice).await, 204);
    for token in [&alice, &bob] {
        assert_eq!(listed(&server, "contacts", token).await, []);
    }
    // Again: nothing is there to end.
    assert_eq!(delete(&server, "/v1/contacts/bob", &alice).await, 204);
    for (client, other, first) in [
        (&mut alices, "bob", "asked"),
        (&mut bobs, "alice", "asking"),
    ] {
        let told = told(client, 0).await;
        let states: Vec<_> = told
            .iter()
            .map(|entry| (&entry["kind"], &entry["user"], &entry["state"]))
            .collect();
        let contact = |state: Value| (json!("contact"), json!(other), state);
        let expected = [
            contact(json!(first)),
            contact(json!("contact")),
            contact(Value::Null),
        ];
        assert_eq!(
            states,
            expected
                .iter()
                .map(|(a, b, c)| (a, b, c))
                .collect::<Vec<_>>()
        );
    }
}

async fn a_block_cannot_be_told_by_the_blocked(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let (alice, bob, carol) = (token("alice", 1), token("bob", 2), token("carol", 3));
    let (status, blocked) = put(&server, "/v1/blocks/alice", &bob).await;
    assert_eq!((status, blocked), (200, json!({"user": "alice"})));
    assert_eq!(
        listed(&server, "blocks", &bob).await,
        [("alice".to_owned(), Value::Null)]
    );
    assert_eq!(listed(&server, "blocks", &alice).await, []);
    // To bob, who blocks her, and to carol, who does not.
    let to_bob = put(&server, "/v1/contacts/bob", &alice).await;
    let to_carol = put(&server, "/v1/contacts/carol", &alice).await;
    assert_eq!(
        (to_bob.0, &to_bob.1["state"]),
        (to_carol.0, &to_carol.1["state"])
    );
    assert_eq!(listed(&server, "contacts", &bob).await, []);
    assert_eq!(
        listed(&server, "contacts", &carol).await,
        one("alice", "asking")
    );
    let mut bobs = Client::log_in(&server, "bob", 2).await;
    let kinds: Vec<Value> = told(&mut bobs, 0)
        .await
        .into_iter()
        .map(|entry| entry["kind"].clone())
        .collect();
    assert_eq!(kinds, [json!("block")]);
    assert_eq!(delete(&server, "/v1/blocks/alice", &bob).await, 204);
    assert_eq!(delete(&server, "/v1/blocks/alice", &bob).await, 204);
    assert_eq!(
        listed(&server, "contacts", &bob).await,
        one("alice", "asking")
    );
}

async fn lists_of_people_come_in_pages(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let alice = token("alice", 1);
    for list in ["contacts", "blocks"] {
        for user in ["eve", "bob", "dan", "carol", "fay"] {
            let path = format!("/v1/{list}/{user}");
            assert_eq!(put(&server, &path, &alice).await.0, 200);
        }
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/{list}?limit=2{after}");
            let (status, page) = server.get(&path, &alice).await;
            assert_eq!(status, 200, "{page}");
            let people = page[list].as_array().expect("a list");
            assert!(people.len() <= 2);
            found.extend(people.iter().map(|person| person["user"].clone()));
            if page["more"] == false {
                break;
            }
            let last = found.last().and_then(Value::as_str).expect("a user");
            after = format!("&after={last}");
        }
        assert_eq!(found, ["bob", "carol", "dan", "eve", "fay"]);
        for bad in ["limit=0", "limit=x", "after=a%20b"] {
            let (status, refusal) = server.get(&format!("/v1/{list}?{bad}"), &alice).await;
            assert_eq!((status, &refusal["code"]), (400, &json!("bad_request")));
        }
    }
}

async fn people_are_others_who_exist(over: Over) {
    let (server, _folder) = Server::without_host_over(over).await;
    let (alice, _) = account(&server, "alice").await;
    for list in ["contacts", "blocks"] {
        for (user, status, code) in [
            ("alice", 400, "bad_request"),
            ("a%20b", 400, "bad_request"),
            ("nobody", 404, "not_found"),
        ] {
            let path = format!("/v1/{list}/{user}");
            let (found, refusal) = put(&server, &path, &alice).await;
            assert_eq!((found, &refusal["code"]), (status, &json!(code)), "{path}");
            assert_eq!(delete(&server, &path, &alice).await, status);
        }
        let unknown = server.http("GET", &format!("/v1/{list}"), None, None).await;
        assert_eq!(unknown.0, 401);
    }
}

async fn a_profile_changes_field_by_field(over: Over) {
    let (server, _folder) = Server::without_host_over(over).await;
    let (alice, _) = account(&server, "alice").await;
    let mut other = Client::open(&server).await;
    other
        .hello(&log_in(&server, "alice", PASSWORD).await.0)
        .await;
    let patch = async |body: Value| {
        server
            .http("PATCH", "/v1/me", Some(&alice), Some(body))
            .await
    };
    let (status, me) = patch(json!({"name": "Alice B"})).await;
    assert_eq!(
        (status, &me["name"], &me["direct"], &me["user"]),
        (200, &json!("Alice B"), &json!("all"), &json!("alice")),
    );
    let pushed = other.push("user").await["entry"].clone();
    assert_eq!(
        (&pushed["kind"], &pushed["name"], pushed.get("direct")),
        (&json!("profile"), &json!("Alice B"), None)
    );
    let (_, me) = patch(json!({"direct": "contacts"})).await;
    assert_eq!(
        (&me["name"], &me["direct"]),
        (&json!("Alice B"), &json!("contacts"))
    );
    assert_eq!(server.get("/v1/me", &alice).await.1, me);
    for (bad, status) in [
        (json!({"name": "x".repeat(101)}), 413),
        (json!({"name": "a\u{7}b"}), 400),
        (json!({"direct": "friends"}), 400),
        (json!([]), 400),
    ] {
        assert_eq!(patch(bad.clone()).await.0, status, "{bad}");
    }
    let (_, me) = patch(json!({"name": ""})).await;
    assert_eq!((me.get("name"), &me["direct"]), (None, &json!("contacts")));
    let (_, shown) = server.get("/v1/users/alice", &alice).await;
    assert_eq!(shown, json!({"user": "alice"}));
}

async fn a_new_password_logs_the_other_devices_out_at_once(over: Over) {
    let (server, _folder) = Server::without_host_over(over).await;
    let (phone, phone_id) = account(&server, "alice").await;
    let (laptop, _) = log_in(&server, "alice", PASSWORD).await;
    let mut on_phone = Client::open(&server).await;
    on_phone.hello(&phone).await;
    let mut on_laptop = Client::open(&server).await;
    on_laptop.hello(&laptop).await;
    let change = async |current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        let path = "/v1/me/password";
        server.http("PUT", path, Some(&laptop), Some(body)).await
    };
    for (current, new, status, code) in [
        ("a wrong guess", "another good one", 403, "forbidden"),
        (PASSWORD, "short", 400, "bad_request"),
        (PASSWORD, "password123", 400, "bad_request"),
    ] {
        let (found, refusal) = change(current, new).await;
        assert_eq!((found, &refusal["code"]), (status, &json!(code)));
    }
    assert_eq!(server.get("/v1/me", &phone).await.0, 200, "nothing changed");

    let began = Instant::now();
    assert_eq!(change(PASSWORD, "another good one").await.0, 204);
    assert_eq!(on_phone.push("goaway").await["reason"], "revoked");
    assert_eq!(on_phone.closed().await, 4003);
    assert_eq!(server.get("/v1/me", &phone).await.0, 401);
    // The hashes take most of it.
    assert!(began.elapsed() < Duration::from_secs(10));
    let removed = loop {
        let entry = on_laptop.push("user").await["entry"].clone();
        if entry["removed"] == true {
            break entry;
        }
    };
    assert_eq!(
        (&removed["kind"], &removed["device"]),
        (&json!("device"), &json!(phone_id))
    );
    on_laptop
        .must(send_to("alice", &client_id(), "still here"))
        .await;
    let (_, devices) = server.get("/v1/devices", &laptop).await;
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1));
    assert_eq!(devices["more"], false);
    for (password, status) in [(PASSWORD, 401), ("another good one", 201)] {
        let body = json!({"user": "alice", "password": password});
        let (found, _) = server.http("POST", "/v1/sessions", None, Some(body)).await;
        assert_eq!(found, status);
    }
}

async fn devices_come_in_pages(over: Over) {
    let (server, _folder) = Server::without_host_over(over).await;
    let (token, first) = account(&server, "alice").await;
    let mut expected = vec![first];
    for _ in 0..2 {
        expected.push(log_in(&server, "alice", PASSWORD).await.1);
    }
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map(|last| format!("&after={last}"));
        let path = format!("/v1/devices?limit=1{}", after.unwrap_or_default());
        let (status, page) = server.get(&path, &token).await;
        assert_eq!(status, 200, "{page}");
        let device = page["devices"][0]["device"].as_str().expect("a device");
        found.push(device.to_owned());
        if page["more"] == false {
            break;
        }
    }
    // Of the same millisecond, any order.
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let path = format!("/v1/devices?after={}", client_id());
    assert_eq!(server.get(&path, &token).await.0, 404);
}

async fn a_user_of_the_host_has_no_password_here(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let body = json!({"current": PASSWORD, "new": "another good one"});
    let path = "/v1/me/password";
    let (status, refusal) = server
        .http("PUT", path, Some(&token("alice", 1)), Some(body))
        .await;
    assert_eq!((status, &refusal["code"]), (404, &json!("not_found")));
}

async fn preferences_are_kept_and_told(over: Over) {
    let (server, folder) = Server::fresh_over(over).await;
    let mut phone = Client::log_in(&server, "alice", 1).await;
    let mut laptop = Client::log_in(&server, "alice", 2).await;
    let sent = phone.must(send_to("bob", &client_id(), "hello")).await;
    let channel = sent["channel"].clone();
    let prefs = |fields: Value| {
        let mut frame = json!({"op": "prefs", "channel": channel});
        let object = frame.as_object_mut().expect("an object");
        object.extend(fields.as_object().expect("an object").clone());
        frame
    };
    let set = json!({"mute_until_ms": 99, "archived": true, "marked_unread": true, "draft": "so"});
    let user_seq = phone.must(prefs(set.clone())).await["user_seq"].clone();
    let pushed = laptop.push("user").await["entry"].clone();
    assert_eq!(
        (&pushed["seq"], &pushed["kind"], &pushed["channel"]),
        (&user_seq, &json!("prefs"), &channel)
    );
    // The same again makes no entry, and a part of it leaves the rest.
    assert_eq!(phone.must(prefs(set.clone())).await["user_seq"], user_seq);
    phone
        .must(prefs(json!({"draft": "", "mute_until_ms": 0})))
        .await;
    let summary = phone.must(json!({"op": "sync"})).await["channels"][0].clone();
    assert_eq!(
        (
            summary.get("mute_until_ms"),
            &summary["archived"],
            &summary["marked_unread"],
            summary.get("draft")
        ),
        (None, &json!(true), &json!(true), None)
    );
    let changed = told(&mut phone, user_seq.as_u64().expect("a number")).await;
    assert_eq!(
        (&changed[0]["mute_until_ms"], &changed[0]["draft"]),
        (&json!(0), &json!(""))
    );
    assert_eq!(phone.refused(prefs(json!({}))).await, "bad_request");
    let mut carols = Client::log_in(&server, "carol", 3).await;
    assert_eq!(carols.refused(prefs(set)).await, "not_found");

    server.kill().await;
    let server = Server::at(&folder, over).await;
    let (_, summary) = server
        .get(
            &format!("/v1/channels/{}", channel.as_str().expect("an id")),
            &token("alice", 1),
        )
        .await;
    assert_eq!(
        (&summary["archived"], summary.get("draft")),
        (&json!(true), None)
    );
}

const PASSWORD: &str = "correct horse battery";

/// Signed up and logged in: a token and its device.
async fn account(server: &Server, user: &str) -> (String, String) {
    let body = json!({"user": user, "password": PASSWORD});
    let (status, answer) = server.http("POST", "/v1/users", None, Some(body)).await;
    assert_eq!(status, 201, "{answer}");
    log_in(server, user, PASSWORD).await
}

async fn log_in(server: &Server, user: &str, password: &str) -> (String, String) {
    let body = json!({"user": user, "password": password});
    let (status, session) = server.http("POST", "/v1/sessions", None, Some(body)).await;
    assert_eq!(status, 201, "{session}");
    let text = |name: &str| session[name].as_str().expect("text").to_owned();
    (text("token"), text("device"))
}
