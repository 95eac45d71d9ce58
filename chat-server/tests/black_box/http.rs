//! Errors of one shape, requests without a socket.

use serde_json::json;

use crate::harness::{Client, Server, client_id, raw_http, send_to, text, token};
use crate::over::Over;

over_every_transport!(a_socket_is_not_needed,);

#[tokio::test]
async fn every_error_has_one_shape() {
    let (server, _folder) = Server::fresh().await;
    let alice = token("alice", 1);
    let auth = format!("Authorization: Bearer {alice}\r\n");
    let request = |line: &str, headers: &str, body: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let json_type = format!("{auth}Content-Type: application/json\r\n");
    let twice = format!(
        r#"{{"client_id":"{}","title":"a","title":"b","members":[]}}"#,
        client_id()
    );
    let huge = format!(r#"{{"title":"{}"}}"#, "x".repeat(1_310_720));
    for (request, status, code) in [
        (request("GET /v1/nothing", "", ""), 404, "not_found"),
        (request("GET /nothing", &auth, ""), 404, "not_found"),
        (request("DELETE /v1/op", &auth, ""), 405, "bad_request"),
        (request("GET /v1/sessions", &auth, ""), 405, "bad_request"),
        (request("GET /v1/me", "", ""), 401, "unauthenticated"),
        (
            request("GET /v1/me", "Authorization: Basic YTpi\r\n", ""),
            401,
            "unauthenticated",
        ),
        (
            request("GET /v1/me", "Authorization: Bearer wrong\r\n", ""),
            401,
            "unauthenticated",
        ),
        (
            request("POST /v1/channels", &json_type, "{"),
            400,
            "bad_request",
        ),
        (
            request("POST /v1/channels", &json_type, "[]"),
            400,
            "bad_request",
        ),
        (
            request("POST /v1/channels", &json_type, &twice),
            400,
            "bad_request",
        ),
        (
            request("POST /v1/channels", &auth, "{}"),
            415,
            "bad_request",
        ),
        (
            request("POST /v1/channels", &json_type, &huge),
            413,
            "too_large",
        ),
        (request("GET /v1/channels/x", &auth, ""), 400, "bad_request"),
        (
            request(&format!("GET /v1/channels/{}", client_id()), &auth, ""),
            404,
            "not_found",
        ),
        (
            request(
                &format!("GET /v1/channels/{}/messages?limit=x", client_id()),
                &auth,
                "",
            ),
            400,
            "bad_request",
        ),
        (
            request(
                &format!("GET /v1/channels/{}/messages?before=1&after=2", client_id()),
                &auth,
                "",
            ),
            400,
            "bad_request",
        ),
        (
            request("POST /v1/op", &json_type, r#"{"op":"hello"}"#),
            400,
            "bad_request",
        ),
        (
            request("POST /v1/op", &json_type, r#"{"op":"watch","users":[]}"#),
            400,
            "bad_request",
        ),
    ] {
        let (found, head, body) = raw_http(&server.address, &request).await;
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let line = request.lines().next().unwrap_or_default();
        assert_eq!(
            (found, &body["code"]),
            (status, &json!(code)),
            "{line}: {body}"
        );
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{body}"
        );
        assert_eq!(
            status == 401,
            head.contains("www-authenticate: bearer"),
            "{head}"
        );
        assert_eq!(status == 405, head.contains("\r\nallow: "), "{head}");
    }
}

async fn a_socket_is_not_needed(over: Over) {
    let (server, _folder) = Server::fresh_over(over).await;
    let (alice, bob) = (token("alice", 1), token("bob", 1));
    let mut listening = Client::log_in(&server, "bob", 2).await;
    let send = send_to("bob", &client_id(), "over http");
    let (status, sent) = server.post("/v1/op", &alice, send).await;
    assert_eq!(
        (status, &sent["seq"], sent.get("op"), sent.get("id")),
        (200, &json!(2), None, None),
        "{sent}"
    );
    assert_eq!(listening.message().await.2, "over http");
    let channel = sent["channel"].as_str().expect("text");
    let reply = json!({"client_id": client_id(), "body": text("read me"), "reply_to": 2});
    let (status, _) = server
        .post(&format!("/v1/channels/{channel}/messages"), &bob, reply)
        .await;
    assert_eq!(status, 200);
    let (_, page) = server
        .get(&format!("/v1/channels/{channel}/messages?limit=1"), &alice)
        .await;
    assert_eq!(
        (
            &page["messages"][0]["body"]["text"],
            &page["messages"][0]["reply_to"]
        ),
        (&json!("read me"), &json!(2))
    );
    let (_, synced) = server.post("/v1/op", &alice, json!({"op": "sync"})).await;
    assert_eq!(synced["channels"][0]["unread"], 1);
    let (status, done) = server
        .post(
            "/v1/op",
            &alice,
            json!({"op": "read", "channel": channel, "seq": 3}),
        )
        .await;
    assert_eq!((status, done), (200, json!({})));
    let (_, synced) = server.post("/v1/op", &alice, json!({"op": "sync"})).await;
    assert_eq!(synced["channels"][0]["unread"], 0);
    let (_, best) = server.http("GET", "/v1/connect", None, None).await;
    assert_eq!(best["url"], format!("ws://{}/v1/ws", server.address));
    assert!(best["node"].is_string());
}
