//! What a client must not send: a clear code, and no effect on others.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::harness::{Client, Server, client_id, send_to, text};

#[tokio::test]
async fn frames_without_an_id_to_answer_close_with_4000() {
    let (server, _folder) = Server::fresh().await;
    let mut bystander = Client::log_in(&server, "bob", 1).await;
    let frames: Vec<String> = [
        "",
        "null",
        "[]",
        "{",
        "7",
        "\"ping\"",
        "{}",
        r#"{"op":"shout"}"#,
        r#"{"op":"send"}"#,
        r#"{"op":"ping","op":"ping"}"#,
        r#"{"op":"read","id":-1}"#,
        r#"{"op":"read","id":"1"}"#,
        r#"{"op":"ping"} {"op":"ping"}"#,
        r#"{"op":"typing","channel":"x"}"#,
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        "[".repeat(100_000),
        format!("{{\"op\":{}", "{\"a\":".repeat(50_000)),
    ])
    .collect();
    for frame in frames {
        let mut client = Client::log_in(&server, "mallory", 1).await;
        client.say_raw(Message::text(frame.clone())).await;
        assert_eq!(client.closed().await, 4000, "{frame:.60}");
    }
    let mut client = Client::log_in(&server, "mallory", 1).await;
    client
        .say_raw(Message::binary(b"{\"op\":\"ping\"}".as_slice()))
        .await;
    assert_eq!(client.closed().await, 4000, "binary is not of this format");
    bystander.must(json!({"op": "sync"})).await;
}

#[tokio::test]
async fn faulty_requests_are_answered_and_the_connection_goes_on() {
    let (server, _folder) = Server::fresh().await;
    let mut client = Client::log_in(&server, "mallory", 1).await;
    let (key, channel) = (client_id(), client_id());
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    for (rest, code) in [
        (r#""op":"shout""#.to_owned(), "bad_request"),
        (r#""op":7"#.to_owned(), "bad_request"),
        (r#""op":"edit""#.to_owned(), "bad_request"),
        (
            format!(r#""op":"receipts","channel":"{}""#, client_id()),
            "not_found",
        ),
        (
            format!(r#""op":"pin","channel":"{channel}","seq":1,"client_id":"{key}""#),
            "not_found",
        ),
        (r#""op":"send""#.to_owned(), "bad_request"),
        (
            format!(
                r#""op":"send","to":{{}},"client_id":"{key}","body":{}"#,
                text("x")
            ),
            "bad_request",
        ),
        (
            format!(
                r#""op":"send","to":{{"user":"a b"}},"client_id":"{key}","body":{}"#,
                text("x")
            ),
            "bad_request",
        ),
        (
            format!(
                r#""op":"send","to":{{"user":"bob"}},"client_id":"1","body":{}"#,
                text("x")
            ),
            "bad_request",
        ),
        (
            format!(
                r#""op":"send","to":{{"user":"bob"}},"client_id":"{key}","body":{{"type":"sound"}}"#
            ),
            "bad_request",
        ),
        (
            format!(r#""op":"send","to":{{"user":"bob"}},"client_id":"{key}","body":"x""#),
            "bad_request",
        ),
        (
            format!(
                r#""op":"send","to":{{"user":"bob","user":"eve"}},"client_id":"{key}","body":{}"#,
                text("x")
            ),
            "bad_request",
        ),
        (
            format!(
                r#""op":"send","to":{{"channel":"{channel}"}},"client_id":"{key}","body":{}"#,
                text("x")
            ),
            "not_found",
        ),
        (
            format!(r#""op":"pull","channel":"{channel}","after":0"#),
            "not_found",
        ),
        (
            format!(r#""op":"pull","channel":"{channel}","after":-1"#),
            "bad_request",
        ),
        (
            format!(r#""op":"pull","channel":"{channel}","after":1e300"#),
            "bad_request",
        ),
        (
            format!(r#""op":"history","channel":"{channel}","before":1,"after":1"#),
            "bad_request",
        ),
        (format!(r#""op":"sync","x":{deep}"#), "bad_request"),
        (
            r#""op":"sync","cursors":{"x":[1,1]}"#.to_owned(),
            "bad_request",
        ),
        (
            r#""op":"sync","since":"nonsense""#.to_owned(),
            "bad_request",
        ),
        (r#""op":"sync","page":"nonsense""#.to_owned(), "bad_request"),
    ] {
        client
            .say_raw(Message::text(format!("{{\"id\":9,{rest}}}")))
            .await;
        let answer = client.answer(9).await;
        assert_eq!(
            (&answer["op"], &answer["code"]),
            (&json!("error"), &json!(code)),
            "{rest:.120}"
        );
    }
    client
        .must(send_to("bob", &client_id(), "still here"))
        .await;
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_the_first_request_is_answered_all_the_same() {
    let (server, _folder) = Server::fresh().await;
    let mut client = Client::log_in(&server, "mallory", 1).await;
    let frames: Vec<Message> = (0..2)
        .map(|number| {
            let mut frame = send_to("bob", &client_id(), &number.to_string());
            frame["id"] = 7.into();
            Message::text(frame.to_string())
        })
        .collect();
    // In one write, so that the second is read before the first can have been answered.
    for frame in frames {
        client
            .socket()
            .feed(frame)
            .await
            .expect("it fits the buffer");
    }
    client.socket().flush().await.expect("the server reads");
    let answers = [client.answer(7).await, client.answer(7).await];
    let of = |op: &str| answers.iter().filter(|answer| answer["op"] == op).count();
    assert_eq!((of("ok"), of("error")), (1, 1), "{answers:?}");
    assert!(answers.iter().any(|answer| answer["code"] == "bad_request"));
    let mut reused = send_to("bob", &client_id(), "later");
    reused["id"] = 7.into();
    client.say(reused).await;
    assert_eq!(
        client.answer(7).await["op"],
        "ok",
        "an answered id may be used again"
    );
}

#[tokio::test]
async fn websocket_itself_is_held_to_its_rules() {
    let (server, _folder) = Server::fresh().await;
    let fragment = |bytes: &[u8], kind, last| {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), last))
    };
    let cases: [(&str, Vec<Message>, u16); 4] = [
        (
            "text that is not UTF-8",
            vec![fragment(&[0xff, 0xfe], Data::Text, true)],
            1007,
        ),
        (
            "a continuation of nothing",
            vec![fragment(b"x", Data::Continue, true)],
            1002,
        ),
        (
            "a message in a message",
            vec![
                fragment(b"x", Data::Text, false),
                fragment(b"x", Data::Text, true),
            ],
            1002,
        ),
        (
            "too large in fragments",
            (0..21)
                .map(|n| {
                    fragment(
                        &[b'x'; 65_536],
                        if n == 0 { Data::Text } else { Data::Continue },
                        false,
                    )
                })
                .collect(),
            1009,
        ),
    ];
    for (what, messages, code) in cases {
        let mut client = Client::log_in(&server, "mallory", 1).await;
        for message in messages {
            // The server may have closed already; what counts is what it says.
            let _ = client.socket().send(message).await;
        }
        assert_eq!(client.closed().await, code, "{what}");
    }
    let mut client = Client::log_in(&server, "mallory", 1).await;
    let sync = json!({"op": "sync", "id": 3}).to_string();
    let (first, rest) = sync.as_bytes().split_at(5);
    client.say_raw(fragment(first, Data::Text, false)).await;
    client
        .say_raw(Message::Ping(b"between".as_slice().into()))
        .await;
    client.say_raw(fragment(rest, Data::Continue, true)).await;
    assert_eq!(
        client.answer(3).await["op"],
        "ok",
        "fragments make one frame"
    );
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_slow_others() {
    let (server, _folder) = Server::fresh().await;
    let idle = Client::log_in(&server, "bob", 1).await;
    let mut reading = Client::log_in(&server, "bob", 2).await;
    let mut alice = Client::log_in(&server, "alice", 1).await;
    let words = "x".repeat(50_000);
    for _ in 0..100 {
        alice.must(send_to("bob", &client_id(), &words)).await;
    }
    let mut seen = 0;
    while seen < 100 {
        let push = reading
            .socket()
            .next()
            .await
            .expect("open")
            .expect("sound")
            .into_text()
            .expect("text");
        let push: serde_json::Value = serde_json::from_str(&push).expect("JSON");
        match push["op"].as_str() {
            Some("entry") => seen = push["entry"]["n"].as_u64().expect("a number"),
            Some("heads") => seen = push["channels"][0]["head"]["n"].as_u64().expect("a number"),
            other => panic!("{other:?}"),
        }
    }
    drop(idle);
}
