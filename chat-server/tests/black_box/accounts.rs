//! Sign-up, log-in, devices, revocation.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Server, client_id, send_to};
use crate::over::Over;

over_every_transport!(logging_out_and_revoking_close_sockets_within_a_second,);

async fn sign_up(server: &Server, user: &str, password: &str) -> (u16, Value) {
    let body = json!({"user": user, "password": password, "name": "A Name"});
    server.http("POST", "/v1/users", None, Some(body)).await
}

async fn log_in(server: &Server, user: &str, password: &str) -> (u16, Value) {
    let device = json!({"name": "a phone", "platform": "test"});
    let body = json!({"user": user, "password": password, "device": device});
    server.http("POST", "/v1/sessions", None, Some(body)).await
}

#[tokio::test]
async fn signing_up_logging_in_and_being_oneself() {
    let (server, _folder) = Server::fresh().await;
    assert_eq!(
        sign_up(&server, "alice", "correct horse battery").await.0,
        201
    );
    let (status, refusal) = sign_up(&server, "alice", "another good password").await;
    assert_eq!((status, &refusal["code"]), (409, &json!("conflict")));
    for (user, password) in [
        ("Alice", "correct horse battery"),
        ("", "correct horse battery"),
        ("bob", "short"),
        ("bob", "password123"),
    ] {
        assert_eq!(
            sign_up(&server, user, password).await.0,
            400,
            "{user} {password}"
        );
    }
    let (status, session) = log_in(&server, "alice", "correct horse battery").await;
    assert_eq!(status, 201, "{session}");
    let token = session["token"].as_str().expect("text");
    assert!(token.len() >= 43 && !token.contains('.'));
    assert!(
        session["expires_at"].as_u64().is_some() && session["device"].is_string(),
        "{session}"
    );
    for (user, password) in [
        ("alice", "wrong horse battery"),
        ("nobody", "correct horse battery"),
        ("N O", "x"),
    ] {
        let (status, refusal) = log_in(&server, user, password).await;
        assert_eq!(
            (status, &refusal["code"]),
            (401, &json!("unauthenticated")),
            "{user}"
        );
    }
    let (_, me) = server.get("/v1/me", token).await;
    assert_eq!(
        (&me["user"], &me["name"], &me["device"]),
        (&json!("alice"), &json!("A Name"), &session["device"])
    );
    let (_, shown) = server.get("/v1/users/alice", token).await;
    assert_eq!(shown, json!({"user": "alice", "name": "A Name"}));
    let mut client = Client::open(&server).await;
    let hello = client.hello(token).await;
    assert_eq!(
        (&hello["user"], &hello["device"]),
        (&json!("alice"), &session["device"])
    );
    client
        .must(send_to("alice", &client_id(), "note to myself"))
        .await;
}

async fn logging_out_and_revoking_close_sockets_within_a_second(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    sign_up(&server, "alice", "correct horse battery").await;
    let (_, phone) = log_in(&server, "alice", "correct horse battery").await;
    let (_, laptop) = log_in(&server, "alice", "correct horse battery").await;
    let token_of = |session: &Value| session["token"].as_str().expect("text").to_owned();
    let (phone_token, laptop_token) = (token_of(&phone), token_of(&laptop));
    let (_, listed) = server.get("/v1/devices", &laptop_token).await;
    let devices = listed["devices"].as_array().expect("a list");
    assert_eq!(devices.len(), 2);
    assert!(
        devices
            .iter()
            .all(|device| device["name"] == "a phone" && device["platform"] == "test"),
        "{listed}"
    );
    assert_eq!(
        devices
            .iter()
            .filter(|device| device["current"] == true)
            .count(),
        1
    );

    let mut on_phone = Client::open(&server).await;
    on_phone.hello(&phone_token).await;
    let mut on_laptop = Client::open(&server).await;
    on_laptop.hello(&laptop_token).await;
    let path = format!("/v1/devices/{}", phone["device"].as_str().expect("text"));
    let began = Instant::now();
    assert_eq!(
        server
            .http("DELETE", &path, Some(&laptop_token), None)
            .await
            .0,
        204
    );
    assert_eq!(on_phone.push("goaway").await["reason"], "revoked");
    assert_eq!(on_phone.closed().await, 4003);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(server.get("/v1/me", &phone_token).await.0, 401);
    assert_eq!(
        server
            .http("DELETE", &path, Some(&laptop_token), None)
            .await
            .0,
        404
    );
    on_laptop.must(json!({"op": "sync"})).await;
    let began = Instant::now();
    assert_eq!(
        server
            .http("DELETE", "/v1/sessions/current", Some(&laptop_token), None)
            .await
            .0,
        204
    );
    assert_eq!(on_laptop.closed().await, 4003);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(server.get("/v1/me", &laptop_token).await.0, 401);
}

#[tokio::test]
async fn a_server_without_sign_up_takes_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("chat.toml");
    std::fs::write(&config, "[auth]\nsign_up = false\n").expect("written");
    let server = Server::start(folder.path(), &["--config", config.to_str().expect("text")]).await;
    assert_eq!(
        sign_up(&server, "alice", "correct horse battery").await.0,
        403
    );
}
