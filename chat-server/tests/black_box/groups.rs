//! Members and who may what.

use serde_json::{Value, json};

use crate::harness::{Client, Server, client_id, text, token};
use crate::over::Over;

over_every_transport_and_store!(members_come_and_go_and_hear_what_is_theirs);
over_every_store!(roles_bind);

async fn members_come_and_go_and_hear_what_is_theirs(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let (owner, admin) = (token("olga", 1), token("adam", 1));
    let mut bob = Client::log_in(&server, "bob", 1).await;
    let mut carol = Client::log_in(&server, "carol", 1).await;
    let create = json!({"client_id": client_id(), "title": "Tea", "members": ["adam", "bob"], "history": "joined", "data": {"room": 7}});
    let (status, created) = server.post("/v1/channels", &owner, create.clone()).await;
    assert_eq!((status, &created["seq"]), (201, &json!(1)), "{created}");
    let (status, again) = server.post("/v1/channels", &owner, create).await;
    assert_eq!(
        (status, &again["channel"], &again["duplicate"]),
        (201, &created["channel"], &json!(true))
    );
    let channel = created["channel"].as_str().expect("text").to_owned();
    let path = |rest: &str| format!("/v1/channels/{channel}{rest}");
    let entry = bob.push("entry").await;
    assert_eq!(
        (&entry["entry"]["kind"], &entry["entry"]["title"]),
        (&json!("created"), &json!("Tea"))
    );

    let (status, _) = server
        .http(
            "PUT",
            &path("/members/adam"),
            Some(&owner),
            Some(json!({"role": "admin"})),
        )
        .await;
    assert_eq!(status, 200);
    let say = |words: &str| json!({"op": "send", "to": {"channel": channel}, "client_id": client_id(), "body": text(words)});
    bob.must(say("before carol")).await;
    let add = json!({"client_id": client_id(), "add": [{"user": "carol"}, {"user": "gus", "role": "guest"}]});
    let (status, added) = server.post(&path("/members"), &admin, add).await;
    assert_eq!(status, 200, "{added}");
    assert_eq!(carol.push("entry").await["entry"]["kind"], "members");
    bob.must(say("to carol")).await;
    assert_eq!(carol.message().await.2, "to carol");
    let visible = carol
        .must(json!({"op": "pull", "channel": channel, "after": 0}))
        .await;
    assert_eq!(
        visible["entries"][0]["seq"], added["seq"],
        "history is for those who were there"
    );
    let (_, members) = server.get(&path("/members?limit=2"), &owner).await;
    assert_eq!(
        members,
        json!({"members": [{"user": "adam", "role": "admin"}, {"user": "bob", "role": "member"}], "more": true})
    );
    let (_, members) = server.get(&path("/members?after=bob"), &owner).await;
    let users: Vec<&Value> = members["members"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|member| &member["user"])
        .collect();
    assert_eq!(
        (users, &members["more"]),
        (
            vec![&json!("carol"), &json!("gus"), &json!("olga")],
            &json!(false)
        )
    );
    let (_, summary) = server.get(&path(""), &owner).await;
    assert_eq!(
        (&summary["title"], &summary["members"], &summary["role"]),
        (&json!("Tea"), &json!(5), &json!("owner"))
    );
    assert_eq!(summary["data"], json!({"room": 7}));

    let (status, _) = server
        .http("DELETE", &path("/members/carol"), Some(&admin), None)
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        carol.push("entry").await["entry"]["remove"],
        json!(["carol"]),
        "the removed hear of it"
    );
    bob.must(say("carol has gone")).await;
    assert_eq!(carol.refused(say("am I?")).await, "not_found");
    assert_eq!(
        carol
            .refused(json!({"op": "pull", "channel": channel, "after": 0}))
            .await,
        "not_found"
    );
    assert_eq!(
        carol
            .refused(json!({"op": "history", "channel": channel}))
            .await,
        "not_found"
    );
    let synced = carol
        .must(json!({"op": "sync", "cursors": {channel.clone(): [3, 3]}}))
        .await;
    assert_eq!(
        (&synced["channels"], &synced["left"]),
        (&json!([]), &json!([channel]))
    );
}

async fn roles_bind(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let (owner, bob, stranger) = (token("olga", 1), token("bob", 1), token("mallory", 1));
    let create =
        json!({"client_id": client_id(), "title": "Tea", "members": ["bob", "carol", "adam"]});
    let (_, created) = server.post("/v1/channels", &owner, create).await;
    let channel = created["channel"].as_str().expect("text").to_owned();
    let path = |rest: &str| format!("/v1/channels/{channel}{rest}");
    let put = async |caller: &str, user: &str, body: Value| {
        server
            .http(
                "PUT",
                &path(&format!("/members/{user}")),
                Some(caller),
                Some(body),
            )
            .await
    };
    let delete = async |caller: &str, user: &str| {
        server
            .http(
                "DELETE",
                &path(&format!("/members/{user}")),
                Some(caller),
                None,
            )
            .await
    };
    let add = |user: &str| json!({"client_id": client_id(), "add": [{"user": user}]});
    assert_eq!(
        server.post(&path("/members"), &bob, add("dave")).await.0,
        403
    );
    assert_eq!(delete(&bob, "carol").await.0, 403);
    assert_eq!(put(&bob, "bob", json!({"role": "owner"})).await.0, 403);
    for (status, answer) in [
        server
            .post(&path("/members"), &stranger, add("mallory"))
            .await,
        server.get(&path(""), &stranger).await,
        server.get(&path("/members"), &stranger).await,
        server.get(&path("/messages"), &stranger).await,
        server.get(&path("/entries"), &stranger).await,
        delete(&stranger, "bob").await,
        put(&stranger, "mallory", json!({})).await,
    ] {
        assert_eq!(
            (status, &answer["code"]),
            (404, &json!("not_found")),
            "a stranger may not know of it: {answer}"
        );
    }
    assert_eq!(put(&owner, "adam", json!({"role": "admin"})).await.0, 200);
    let adam = token("adam", 1);
    assert_eq!(
        put(&adam, "dave", json!({"role": "member"})).await.0,
        200,
        "an admin adds"
    );
    assert_eq!(
        put(&adam, "bob", json!({"role": "admin"})).await.0,
        403,
        "and promotes nobody"
    );
    assert_eq!(
        put(&adam, "eve", json!({"role": "admin"})).await.0,
        403,
        "not even those who come"
    );
    assert_eq!(delete(&adam, "olga").await.0, 403);
    assert_eq!(put(&owner, "bob", json!({})).await.1["duplicate"], true);
    assert_eq!(delete(&bob, "bob").await.0, 200, "everybody may leave");
    assert_eq!(server.get(&path(""), &bob).await.0, 404);
    let meta = |title: &str| json!({"client_id": client_id(), "title": title});
    assert_eq!(
        server
            .http(
                "PATCH",
                &path(""),
                Some(&token("carol", 1)),
                Some(meta("Mine"))
            )
            .await
            .0,
        403
    );
    assert_eq!(
        server
            .http("PATCH", &path(""), Some(&adam), Some(meta("Coffee")))
            .await
            .0,
        200
    );
    assert_eq!(server.get(&path(""), &owner).await.1["title"], "Coffee");
    assert_eq!(delete(&owner, "olga").await.0, 200);
    assert_eq!(
        server.get(&path(""), &adam).await.1["role"],
        "owner",
        "the longest-standing admin takes over"
    );
}
