//! How a connection begins.

use std::time::Instant;

use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::{
    Client, Format, Server, client_id, device_id, raw_http, send_to, token, token_until, upgrade,
};
use crate::over::Over;

over_every_transport!(a_devices_second_connection_replaces_its_first,);

#[tokio::test]
async fn hello_is_answered_with_who_one_is_and_what_the_limits_are() {
    let (server, _folder) = Server::fresh().await;
    let mut client = Client::open(&server).await;
    let hello = json!({"op": "hello", "id": 4294967295_u32, "token": token("alice", 1), "client": "t/1", "heartbeat_ms": 5_000});
    client.say(hello).await;
    let ok = client.next().await.expect("an answer");
    assert_eq!(ok["op"], "ok");
    assert_eq!(ok["id"], 4294967295_u32);
    assert_eq!(ok["user"], "alice");
    assert_eq!(ok["device"], device_id(1));
    assert_eq!(ok["heartbeat_ms"], 5_000);
    assert_eq!(ok["limits"]["text_chars_max"], 100_000);
    assert!(
        ok["server_time_ms"].as_u64().is_some()
            && ok["epoch"].is_string()
            && ok["node"].is_string(),
        "{ok}"
    );
    client.say(json!({"op": "ping"})).await;
    assert_eq!(client.next().await, Ok(json!({"op": "pong"})));
    client
        .say_raw(Message::Ping(b"alive".as_slice().into()))
        .await;
    let hello_again = json!({"op": "hello", "token": token("alice", 1), "client": "t/1"});
    assert_eq!(client.refused(hello_again).await, "bad_request");
    client.must(json!({"op": "sync"})).await;
}

#[tokio::test]
async fn bad_tokens_are_told_and_closed_with_4002() {
    let (server, _folder) = Server::fresh().await;
    for bad in [
        "",
        "x",
        "a.b.c",
        &token_until("alice", 1, -5),
        &"y".repeat(43),
        &"z".repeat(3_000),
    ] {
        let mut client = Client::open(&server).await;
        let code = client
            .refused(json!({"op": "hello", "token": bad, "client": "t/1"}))
            .await;
        assert_eq!(code, "unauthenticated");
        assert_eq!(client.closed().await, 4002);
    }
}

#[tokio::test]
async fn nothing_is_accepted_before_hello() {
    let (server, _folder) = Server::fresh().await;
    let mut client = Client::open(&server).await;
    assert_eq!(
        client.refused(send_to("bob", &client_id(), "hi")).await,
        "bad_request"
    );
    assert_eq!(client.closed().await, 4000);
    for first in [
        json!({"op": "ping"}),
        json!({"op": "typing", "channel": device_id(1)}),
        json!([]),
    ] {
        let mut client = Client::open(&server).await;
        client.say(first).await;
        assert_eq!(client.closed().await, 4000);
    }
    let mut client = Client::open(&server).await;
    let hello = json!({"op": "hello", "id": 1, "token": "x".repeat(5_000), "client": "t/1"});
    client.say(hello).await;
    assert_eq!(
        client.closed().await,
        1009,
        "4 KiB are enough before log-in"
    );
}

#[tokio::test]
async fn a_heartbeat_or_client_that_cannot_be_is_refused() {
    let (server, _folder) = Server::fresh().await;
    for (key, value) in [
        ("heartbeat_ms", json!(4_999)),
        ("heartbeat_ms", json!(20_001)),
        ("heartbeat_ms", json!("10000")),
        ("client", json!("")),
        ("client", json!("x".repeat(101))),
        ("client", json!(null)),
        ("token", json!(7)),
    ] {
        let mut client = Client::open(&server).await;
        let mut hello = json!({"op": "hello", "token": token("alice", 1), "client": "t/1"});
        hello[key] = value.clone();
        assert_eq!(client.refused(hello).await, "bad_request", "{key} {value}");
        assert_eq!(client.closed().await, 4000);
    }
}

#[tokio::test]
async fn an_overdue_hello_is_closed_with_4010() {
    let (server, _folder) = Server::fresh().await;
    let began = Instant::now();
    let mut client = Client::open(&server).await;
    assert_eq!(client.closed().await, 4010);
    assert!(
        (4..9).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
}

async fn a_devices_second_connection_replaces_its_first(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let mut first = Client::log_in(&server, "alice", 1).await;
    let mut other_device = Client::log_in(&server, "alice", 2).await;
    let mut second = Client::log_in(&server, "alice", 1).await;
    assert_eq!(first.push("goaway").await["reason"], "replaced");
    assert_eq!(first.closed().await, 4001);
    second.must(json!({"op": "sync"})).await;
    other_device.must(json!({"op": "sync"})).await;
}

#[tokio::test]
async fn messagepack_says_the_same() {
    let (server, _folder) = Server::fresh().await;
    let mut packed = Client::open_as(&server, Format::MessagePack).await;
    packed.hello(&token("alice", 1)).await;
    let mut plain = Client::log_in(&server, "bob", 1).await;
    let sent = packed.must(send_to("bob", &client_id(), "grüße")).await;
    let (channel, seq, text) = plain.message().await;
    assert_eq!(
        (channel.as_str(), seq, text.as_str()),
        (sent["channel"].as_str().expect("text"), 2, "grüße")
    );
    plain.must(send_to("alice", &client_id(), "danke")).await;
    assert_eq!(packed.message().await.2, "danke");
    packed.say_raw(Message::text("{}")).await;
    assert_eq!(packed.closed().await, 4000, "text is not of this format");
}

#[tokio::test]
async fn upgrades_that_are_none_get_a_clear_error() {
    let (server, _folder) = Server::fresh().await;
    let head = |extra: &str| {
        format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {}\r\n{extra}\r\n",
            server.address
        )
    };
    let wants = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for (extra, status, tells) in [
        (
            "Connection: close\r\n".to_owned(),
            426,
            "upgrade: websocket",
        ),
        (
            format!("Connection: close\r\nUpgrade: websocket\r\n{key}"),
            426,
            "upgrade: websocket",
        ),
        (
            format!("{wants}{key}Sec-WebSocket-Version: 8\r\n"),
            426,
            "sec-websocket-version: 13",
        ),
        (
            format!("{wants}Sec-WebSocket-Version: 13\r\nConnection: close\r\n"),
            400,
            "content-type: application/json",
        ),
        (
            format!(
                "{wants}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\nConnection: close\r\n"
            ),
            400,
            "json",
        ),
    ] {
        let extra = if extra.contains("close") {
            extra
        } else {
            format!("{extra}Connection: close\r\n")
        };
        let (found, head, body) = raw_http(&server.address, &head(&extra)).await;
        assert_eq!(found, status, "{extra}");
        assert!(head.contains(tells), "{head}");
        assert!(body.contains("\"code\":\"bad_request\""), "{body}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_not_connect() {
    let (server, _folder) = Server::fresh().await;
    let mut request = upgrade(&server);
    request
        .headers_mut()
        .insert("Origin", "https://evil.example".parse().expect("a header"));
    match Client::try_open(&server, request).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    let mut request = upgrade(&server);
    let own = format!("http://{}", server.address);
    request
        .headers_mut()
        .insert("Origin", own.parse().expect("a header"));
    assert!(Client::try_open(&server, request).await.is_ok());
}
