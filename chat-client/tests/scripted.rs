//! The client against a server that does exactly what the test says.

#[path = "scripted/server.rs"]
mod server;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_client::{
    Client, ClientBuilder, ClientError, Draft, Ending, Event, Events, FileState, Format,
    RequestError, SendError, StateError, StateStore, Watch,
};
use chat_proto::people::{Prefs, PrefsChange, Presence, Shown, Status, UserEntry, UserEntryKind};
use chat_proto::sync::{Command, OutboxSnapshot, Progress, SyncSnapshot};
use chat_proto::wire::{
    Answer, ClientOp, EntryPush, GoAway, GoAwayReason, HistoryAnswer, HistoryQuery, PrefsAnswer,
    Push, ReceiptsAnswer, SendMessage, ServerFrame, UserPush, WatchAnswer,
};
use chat_proto::{Body, ChannelId, ClientId, Code, Rejection, Seq, Timestamp};
use futures_util::{FutureExt, StreamExt};
use uuid::Uuid;

use server::{Connection, EPOCH_HEARTBEAT_MS, Server, entry, in_time, summary};

fn channel() -> ChannelId {
    ChannelId::external("room")
}

fn client(server: &Server) -> ClientBuilder {
    Client::builder(server.url(), "token").client("test/1.0")
}

/// Connects while the server greets, with a channel of `head` entries that is empty for the client.
async fn connected(builder: ClientBuilder, server: &Server) -> (Client, Events, Connection) {
    let (connected, mut connection) = tokio::join!(in_time(builder.connect()), server.accept());
    let (client, events) = connected.expect("a token that is taken");
    connection.answer_sync(vec![summary(channel(), 0)]).await;
    (client, events, connection)
}

async fn next_entry(events: &mut Events) -> Seq {
    loop {
        let event = in_time(events.next()).await.expect("more events");
        if let Event::Entry { entry, .. } = event {
            return entry.seq;
        }
    }
}

async fn push(connection: &mut Connection, seq: u64) {
    connection
        .send(ServerFrame::Push(Push::Entry(EntryPush {
            channel: channel(),
            entry: Arc::new(entry(seq)),
        })))
        .await;
}

/// The next message that the client sends, with the id of its request.
async fn next_send(connection: &mut Connection) -> (u32, SendMessage) {
    match connection.next_op().await {
        (id, ClientOp::Send(message)) => (id, message),
        (_, other) => panic!("a message was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_send_returns_when_it_is_durable_and_is_an_entry_in_both_formats() {
    for format in Format::ALL {
        let server = Server::start(format).await;
        let (client, mut events, mut connection) =
            connected(client(&server).format(format), &server).await;
        let sender = client.clone();
        let send =
            tokio::spawn(async move { sender.send(Draft::to_channel(channel(), "hello")).await });
        let (id, message) = next_send(&mut connection).await;
        assert!(!message.retry);
        connection.answer_send(id, channel(), 1).await;
        let sent = in_time(send).await.expect("no panic").expect("durable");
        assert_eq!((sent.client_id, sent.seq), (message.client_id, Seq(1)));
        assert_eq!(next_entry(&mut events).await, Seq(1));
        assert_eq!(client.cursor(channel()).await, Some(Seq(1)));
        in_time(client.close()).await;
        assert!(connection.is_closed_politely().await);
        while in_time(events.next()).await.is_some() {}
    }
}

fn own(seq: u64, draft: &str) -> UserEntry {
    let prefs = Prefs {
        draft: Some(draft.to_owned()),
        ..Prefs::default()
    };
    UserEntry {
        seq: Seq(seq),
        at: Timestamp(seq),
        kind: UserEntryKind::Prefs(PrefsChange {
            channel: channel(),
            prefs,
        }),
    }
}

async fn next_own(events: &mut Events) -> Seq {
    loop {
        let event = in_time(events.next()).await.expect("more events");
        if let Event::UserEntry { entry } = event {
            return entry.seq;
        }
    }
}

#[tokio::test]
async fn the_users_own_log_comes_in_order_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("state");
    let stored = || Arc::new(FileState::new(&path));
    let server = Server::start(Format::Json).await;
    let (client, mut events, mut connection) =
        connected(client(&server).state(stored()), &server).await;
    for seq in [1, 1, 3] {
        let push = UserPush {
            entry: own(seq, "pushed"),
        };
        connection.send(ServerFrame::Push(Push::User(push))).await;
    }
    assert_eq!(next_own(&mut events).await, Seq(1));
    // Beyond the next: the server is asked for what lies between.
    let told = vec![own(2, "told"), own(3, "told")];
    let query = connection.answer_sync_with(Vec::new(), told).await;
    assert_eq!(query.user_seq, Some(Seq(1)));
    assert_eq!(next_own(&mut events).await, Seq(2));
    assert_eq!(next_own(&mut events).await, Seq(3));

    // What this device sets itself comes as an event as well.
    let setter = client.clone();
    let set = tokio::spawn(async move {
        let prefs = Prefs {
            draft: Some("mine".into()),
            ..Prefs::default()
        };
        setter.set_prefs(channel(), prefs).await
    });
    let (id, ClientOp::Prefs(change)) = connection.next_op().await else {
        panic!("prefs were expected")
    };
    assert_eq!(change.prefs.draft.as_deref(), Some("mine"));
    let answer = Answer::Prefs(PrefsAnswer { user_seq: Seq(4) });
    connection.send(ServerFrame::Ok { id, answer }).await;
    assert_eq!(in_time(set).await.expect("no panic"), Ok(Seq(4)));
    let told = vec![own(4, "mine")];
    let query = connection.answer_sync_with(Vec::new(), told).await;
    assert_eq!(query.user_seq, Some(Seq(3)));
    assert_eq!(next_own(&mut events).await, Seq(4));
    assert_eq!(client.user_seq().await, Seq(4));
    // Taken is what the next event was asked for behind: the last entry is not.
    in_time(client.close()).await;
    drop(events);

    let builder = self::client(&server).state(stored());
    let (connected, mut connection) = tokio::join!(in_time(builder.connect()), server.accept());
    let (client, mut events) = connected.expect("a token that is taken");
    let told = vec![own(4, "mine"), own(5, "later")];
    let query = connection.answer_sync_with(Vec::new(), told).await;
    assert_eq!(query.user_seq, Some(Seq(3)));
    assert_eq!(next_own(&mut events).await, Seq(4));
    assert_eq!(next_own(&mut events).await, Seq(5));
    in_time(client.close()).await;
}

#[tokio::test]
async fn what_was_sent_and_not_acknowledged_is_sent_again_as_a_retry() {
    let first = Server::start(Format::Json).await;
    let second = Server::start(Format::Json).await;
    let url = Arc::new(Mutex::new(first.url()));
    let source = Arc::clone(&url);
    let builder = client(&first).url_source(move || source.lock().expect("no panic").clone());
    let (client, _events, mut connection) = connected(builder, &first).await;
    let send = tokio::spawn(async move {
        let sent = client.send(Draft::to_channel(channel(), "hello")).await;
        (client, sent)
    });
    let (_, message) = next_send(&mut connection).await;
    // The server comes back elsewhere, and had stored the message.
    *url.lock().expect("no panic") = second.url();
    drop((connection, first));
    let mut connection = second.accept().await;
    connection.answer_sync(Vec::new()).await;
    let (id, again) = next_send(&mut connection).await;
    assert!(again.retry);
    assert_eq!(
        SendMessage {
            retry: false,
            ..again
        },
        message
    );
    connection.answer_send(id, channel(), 1).await;
    let (client, sent) = in_time(send).await.expect("no panic");
    assert_eq!(sent.expect("durable").client_id, message.client_id);
    client.close().await;
}

#[tokio::test]
async fn the_outbox_and_the_cursors_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state");
    let server = Server::start(Format::Json).await;

    let (first, mut events, mut connection) =
        connected(client(&server).state_file(&file), &server).await;
    for seq in 1..=3 {
        push(&mut connection, seq).await;
    }
    for seq in 1..=3 {
        assert_eq!(next_entry(&mut events).await, Seq(seq));
    }
    let sender = first.clone();
    let send = tokio::spawn(async move { sender.send(Draft::to_channel(channel(), "hi")).await });
    let (_, message) = next_send(&mut connection).await;
    assert_eq!(message.after, Some(Seq(3)));
    in_time(first.close()).await;
    assert!(matches!(
        in_time(send).await.expect("no panic"),
        Err(SendError::Stopped { client_id }) if client_id == message.client_id
    ));
    drop((first, events, connection));

    let (connecting, mut connection) = tokio::join!(
        in_time(client(&server).state_file(&file).connect()),
        server.accept()
    );
    let (second, mut events) = connecting.expect("connected");
    let query = connection.answer_sync(Vec::new()).await;
    // The third entry was handed out, and nobody said that it was dealt with.
    assert_eq!(query.cursors[&channel()].0, Seq(2));
    let (id, again) = next_send(&mut connection).await;
    assert!(again.retry);
    assert_eq!(again.client_id, message.client_id);
    // The application meets its message again under the key that it kept.
    let same = Draft::to_channel(channel(), "hi");
    let mut wait = Box::pin(second.send_with(again.client_id, same));
    assert!((&mut wait).now_or_never().is_none());
    assert_eq!(
        second.outbox_len().await,
        1,
        "commands are taken in their order"
    );
    connection.answer_send(id, channel(), 4).await;
    assert_eq!(in_time(wait).await.expect("durable").seq, Seq(4));
    loop {
        if let Event::Acknowledged { client_id, .. } = in_time(events.next()).await.expect("more") {
            assert_eq!(client_id, message.client_id);
            break;
        }
    }
    in_time(second.close()).await;
    drop((second, events, connection));

    let (connecting, mut connection) = tokio::join!(
        in_time(client(&server).state_file(&file).connect()),
        server.accept()
    );
    let (third, _events) = connecting.expect("connected");
    connection.answer_sync(Vec::new()).await;
    assert_eq!(third.outbox_len().await, 0);
    third.close().await;
}

#[tokio::test]
async fn a_gap_is_pulled_and_a_repeated_entry_told_once() {
    let server = Server::start(Format::Json).await;
    let (client, mut events, mut connection) = connected(client(&server), &server).await;
    push(&mut connection, 1).await;
    push(&mut connection, 3).await;
    assert_eq!(next_entry(&mut events).await, Seq(1));
    let (id, op) = connection.next_op().await;
    assert!(matches!(op, ClientOp::Pull(pull) if pull.after == Seq(1)));
    connection.answer_pull(id, 2..=3).await;
    push(&mut connection, 3).await;
    push(&mut connection, 4).await;
    for seq in 2..=4 {
        assert_eq!(next_entry(&mut events).await, Seq(seq));
    }
    client.close().await;
}

#[tokio::test]
async fn a_server_that_goes_away_says_where_to_go() {
    let first = Server::start(Format::Json).await;
    let second = Server::start(Format::Json).await;
    let (client, mut events, mut connection) = connected(client(&first), &first).await;
    connection
        .send(ServerFrame::Push(Push::GoAway(GoAway {
            reason: GoAwayReason::Drain,
            reconnect_after_ms: 10,
            url: Some(second.url()),
        })))
        .await;
    assert!(connection.is_closed_politely().await);
    let mut connection = second.accept().await;
    connection.answer_sync(Vec::new()).await;
    push(&mut connection, 1).await;
    assert_eq!(next_entry(&mut events).await, Seq(1));
    client.close().await;
}

#[tokio::test]
async fn a_close_of_the_server_is_answered() {
    let server = Server::start(Format::Json).await;
    let (client, _events, connection) = connected(client(&server), &server).await;
    assert!(connection.close_is_answered().await);
    let _again = server.accept().await;
    client.close().await;
}

#[tokio::test]
async fn a_refused_token_is_final_and_everything_else_is_not() {
    let server = Server::start(Format::Json).await;
    let connect = tokio::spawn(client(&server).connect());
    for rejection in [
        Rejection::unavailable("starting"),
        Rejection::unauthenticated("expired"),
    ] {
        let mut connection = server.accept_silently().await;
        let id = connection.hello().await;
        connection.send(ServerFrame::Error { id, rejection }).await;
    }
    match in_time(connect).await.expect("no panic") {
        Err(ClientError::Ended(Ending::Unauthenticated { message })) => {
            assert_eq!(message, "expired");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        Client::builder("no address", "token").connect().await,
        Err(ClientError::Url { .. })
    ));
}

#[tokio::test]
async fn nobody_listening_stops_the_reading_and_loses_nothing() {
    const ENTRIES: u64 = 5_000;
    let server = Server::start(Format::Json).await;
    let (client, mut events, mut connection) = connected(client(&server), &server).await;
    let pushing = tokio::spawn(async move {
        for seq in 1..=ENTRIES {
            push(&mut connection, seq).await;
        }
        connection
    });
    // Commands are carried out while the events wait, and the entries that were read are bounded.
    let read = loop {
        let cursor = client.cursor(channel()).await.map_or(0, |seq| seq.0);
        if cursor > 1_000 {
            break cursor;
        }
    };
    assert!(read <= 1_024, "{read} entries were read");
    for seq in 1..=ENTRIES {
        assert_eq!(next_entry(&mut events).await, Seq(seq));
    }
    drop(in_time(pushing).await.expect("no panic"));
    client.close().await;
}

#[tokio::test]
async fn a_silent_server_gets_a_ping_and_is_then_taken_for_gone() {
    let server = Server::start(Format::Json).await;
    let (client, _events, mut connection) = connected(client(&server), &server).await;
    assert!(connection.pings_before_leaving(EPOCH_HEARTBEAT_MS).await >= 1);
    let _again = server.accept().await;
    client.close().await;
}

#[tokio::test]
async fn a_dropped_connection_ends_without_a_word_and_comes_back() {
    let server = Server::start(Format::Json).await;
    let (client, mut events, mut connection) = connected(client(&server), &server).await;
    client.drop_connection().await;
    assert!(!connection.is_closed_politely().await);
    let mut connection = server.accept().await;
    // The first answer may not have arrived.
    connection.answer_sync(vec![summary(channel(), 0)]).await;
    push(&mut connection, 1).await;
    assert_eq!(next_entry(&mut events).await, Seq(1));
    client.close().await;
}

#[tokio::test]
async fn questions_are_answered() {
    let server = Server::start(Format::Json).await;
    let (client, _events, mut connection) = connected(client(&server), &server).await;
    let asking = client.clone();
    let asked = tokio::spawn(async move {
        let query = HistoryQuery {
            channel: channel(),
            anchor: chat_proto::wire::Anchor::Newest,
            limit: None,
        };
        (
            asking.history(query.clone()).await,
            asking.history(query).await,
        )
    });
    let page = HistoryAnswer {
        messages: Vec::new(),
        more_before: true,
        more_after: false,
        as_of: Seq(7),
    };
    let (id, _) = connection.next_op().await;
    let answer = Answer::History(page.clone());
    connection.send(ServerFrame::Ok { id, answer }).await;
    connection.next_op().await;
    drop(connection);
    let (first, second) = in_time(asked).await.expect("no panic");
    assert_eq!(first, Ok(page));
    assert_eq!(second, Err(RequestError::Disconnected));
    client.close().await;
}

#[tokio::test]
async fn what_is_done_to_a_message_waits_in_the_outbox_like_a_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state");
    let key = ClientId::from_uuid(Uuid::from_u128(7));
    // As a former version left it.
    let former = serde_json::json!({"commands": [{
        "to": {"channel": channel()}, "client_id": key, "after": 0,
        "body": {"type": "text", "text": "kept"},
    }]});
    std::fs::write(folder.path().join("state.outbox"), former.to_string()).expect("a folder");
    let server = Server::start(Format::Json).await;
    let (client, mut events, mut connection) =
        connected(client(&server).state_file(&file), &server).await;
    let (id, message) = next_send(&mut connection).await;
    assert_eq!((message.client_id, message.retry), (key, true));

    let changing = client.clone();
    let change = tokio::spawn(async move {
        let pinned = changing.pin(channel(), Seq(1)).await?;
        changing
            .edit(channel(), Seq(1), Body::text("mended"))
            .await?;
        Ok::<_, SendError>(pinned)
    });
    let (pin_id, ClientOp::Pin(pin)) = connection.next_op().await else {
        panic!("a pin was expected");
    };
    assert!(!pin.retry && !pin.remove);
    assert_eq!(stored_keys(folder.path()).await, [key, pin.client_id]);
    let refused = client.send_with(pin.client_id, Draft::to_channel(channel(), "not a pin"));
    let mut refused = Box::pin(refused);
    assert!((&mut refused).now_or_never().is_none());
    // Taken before the answer comes.
    assert_eq!(client.outbox_len().await, 2);
    connection.answer_send(id, channel(), 1).await;
    connection.answer_change(pin_id, 2).await;
    assert!(matches!(
        in_time(refused).await,
        Err(SendError::Rejected(rejection)) if rejection.code == Code::Conflict
    ));
    let mut edited = false;
    while !edited {
        match connection.next_op().await {
            (id, ClientOp::Edit(edit)) => {
                assert_eq!(edit.body, Body::text("mended"));
                connection.answer_change(id, 3).await;
                edited = true;
            }
            // The entry that the pin became is not pushed to who made it.
            (id, ClientOp::Pull(pull)) => {
                assert_eq!(pull.after, Seq(1));
                connection.answer_pull(id, 2..=2).await;
            }
            (_, other) => panic!("an edit or a pull was expected: {other:?}"),
        }
    }
    let pinned = in_time(change).await.expect("no panic").expect("durable");
    assert_eq!((pinned.client_id, pinned.seq), (pin.client_id, Seq(2)));
    assert_eq!(next_entry(&mut events).await, Seq(1));
    client.close().await;
    assert!(stored_keys(folder.path()).await.is_empty());
}

#[tokio::test]
async fn presence_is_asked_for_and_comes_as_an_event() {
    let server = Server::start(Format::Json).await;
    let (client, mut events, mut connection) = connected(client(&server), &server).await;
    let bob = Presence {
        user: "bob".parse().expect("a good name"),
        state: Shown::Online,
        text: None,
        last_seen_ms: None,
    };
    let asking = client.clone();
    let asked = tokio::spawn(async move {
        let watched = asking.watch(Watch::Contacts).await?;
        let marks = asking.receipts(channel()).await?;
        asking.set_status(Status::Away, None).await?;
        asking
            .unwatch(vec!["bob".parse().expect("a good name")])
            .await?;
        Ok::<_, RequestError>((watched, marks))
    });
    for expected in ["watch", "receipts", "status", "unwatch"] {
        let (id, op) = connection.next_op().await;
        assert_eq!(op.name(), expected);
        let answer = match op {
            ClientOp::Watch(_) => Answer::Watch(WatchAnswer {
                presence: vec![bob.clone()],
                refused: Vec::new(),
            }),
            ClientOp::Receipts(_) => Answer::Receipts(ReceiptsAnswer { marks: Vec::new() }),
            _ => Answer::Done,
        };
        connection.send(ServerFrame::Ok { id, answer }).await;
    }
    let (watched, marks) = in_time(asked).await.expect("no panic").expect("answers");
    assert_eq!((watched.presence, marks.len()), (vec![bob.clone()], 0));
    let push = ServerFrame::Push(Push::Presence(bob.clone()));
    connection.send(push).await;
    loop {
        if let Event::Presence { presence } = in_time(events.next()).await.expect("more") {
            assert_eq!(presence, bob);
            break;
        }
    }
    client.close().await;
}

/// Fails to save an outbox as long as it is told to.
struct Disk {
    files: FileState,
    is_full: Arc<Mutex<bool>>,
}

#[async_trait]
impl StateStore for Disk {
    async fn load(&self) -> Result<SyncSnapshot, StateError> {
        self.files.load().await
    }

    async fn save_progress(&self, progress: &Progress) -> Result<(), StateError> {
        self.files.save_progress(progress).await
    }

    async fn save_outbox(&self, outbox: &OutboxSnapshot) -> Result<(), StateError> {
        if *self.is_full.lock().expect("no panic") {
            return Err(StateError::new("written", "no space left"));
        }
        self.files.save_outbox(outbox).await
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Format::Json).await;
    let is_full = Arc::new(Mutex::new(true));
    let disk = Disk {
        files: FileState::new(folder.path().join("state")),
        is_full: Arc::clone(&is_full),
    };
    let (client, _events, mut connection) =
        connected(client(&server).state(Arc::new(disk)), &server).await;
    let refused = in_time(client.send(Draft::to_channel(channel(), "lost"))).await;
    assert!(
        matches!(refused, Err(SendError::NotStored(_))),
        "{refused:?}"
    );
    *is_full.lock().expect("no panic") = false;
    let key = ClientId::from_uuid(Uuid::from_u128(7));
    let sender = client.clone();
    let send = tokio::spawn(async move {
        sender
            .send_with(key, Draft::to_channel(channel(), "kept"))
            .await
    });
    let (id, message) = next_send(&mut connection).await;
    assert_eq!(message.client_id, key, "the first that the server hears of");
    assert_eq!(
        stored_keys(folder.path()).await,
        [key],
        "before it was sent"
    );
    connection.answer_send(id, channel(), 1).await;
    assert!(in_time(send).await.expect("no panic").is_ok());
    client.close().await;
    assert!(stored_keys(folder.path()).await.is_empty());
}

async fn stored_keys(folder: &Path) -> Vec<ClientId> {
    let stored = FileState::new(folder.join("state")).load().await;
    let commands = stored.expect("what was saved").outbox.commands;
    commands.iter().map(Command::client_id).collect()
}
