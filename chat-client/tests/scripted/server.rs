//! A WebSocket server whose every word the test chooses.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use chat_proto::entry::Message as MessageEntry;
use chat_proto::people::UserEntry;
use chat_proto::wire::{
    Answer, ChangeAnswer, ClientFrame, ClientOp, Format, HelloAnswer, PullAnswer, SendAnswer,
    ServerFrame, Summary, SyncAnswer, SyncQuery, decode_client, encode,
};
use chat_proto::{
    Body, ChannelId, ChannelType, ClientId, DeviceId, Entry, EntryKind, Epoch, Head, Limits,
    MessageId, NodeId, Ordinal, Role, Seq, Timestamp,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use uuid::Uuid;

/// How often the server wants a sign of life; short, for the test of silence.
pub(crate) const EPOCH_HEARTBEAT_MS: u64 = 300;
/// Nothing in these tests takes longer, unless it never happens.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, wait)
        .await
        .expect("something that the test waits for did not happen")
}

pub(crate) struct Server {
    listener: TcpListener,
    format: Format,
}

pub(crate) struct Connection {
    socket: WebSocketStream<TcpStream>,
    format: Format,
}

impl Server {
    pub(crate) async fn start(format: Format) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener, format }
    }

    pub(crate) fn url(&self) -> String {
        let address = self.listener.local_addr().expect("it is bound");
        format!("ws://{address}/v1/ws")
    }

    /// The next connection, greeted.
    pub(crate) async fn accept(&self) -> Connection {
        let mut connection = self.accept_silently().await;
        let id = connection.hello().await;
        let answer = Answer::Hello(HelloAnswer {
            user: "alice".parse().expect("a good name"),
            device: DeviceId::from_uuid(Uuid::from_u128(1)),
            node: NodeId::new("scripted"),
            epoch: Epoch::from_uuid(Uuid::from_u128(1)),
            server_time_ms: Timestamp(0),
            heartbeat_ms: EPOCH_HEARTBEAT_MS,
            limits: Limits::default(),
        });
        connection.send(ServerFrame::Ok { id, answer }).await;
        connection
    }

    pub(crate) async fn accept_silently(&self) -> Connection {
        let (stream, _) = in_time(self.listener.accept()).await.expect("a connection");
        let wanted = self.format.subprotocol();
        #[expect(
            clippy::result_large_err,
            reason = "the signature that the library calls"
        )]
        let agree = |request: &Request, mut response: Response| {
            let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).cloned();
            let offered = offered.expect("a client says which format it speaks");
            assert_eq!(offered, wanted);
            response
                .headers_mut()
                .insert(SEC_WEBSOCKET_PROTOCOL, offered);
            Ok(response)
        };
        let socket = in_time(accept_hdr_async(stream, agree))
            .await
            .expect("a handshake");
        Connection {
            socket,
            format: self.format,
        }
    }
}

impl Connection {
    pub(crate) async fn send(&mut self, frame: ServerFrame) {
        let bytes = encode(self.format, &frame);
        let message = match self.format {
            Format::Json => {
                Message::text(String::from_utf8(bytes.to_vec()).expect("JSON is UTF-8"))
            }
            Format::MessagePack => Message::binary(bytes),
        };
        in_time(self.socket.send(message))
            .await
            .expect("a client that listens");
    }

    pub(crate) async fn hello(&mut self) -> u32 {
        match self.frame().await {
            Some(ClientFrame::Hello { id, hello }) => {
                assert_eq!(
                    (hello.token.as_str(), hello.client.as_str()),
                    ("token", "test/1.0")
                );
                id
            }
            other => panic!("the first frame is hello: {other:?}"),
        }
    }

    /// The next request; pings on the way are answered.
    pub(crate) async fn next_op(&mut self) -> (u32, ClientOp) {
        loop {
            match self.frame().await {
                Some(ClientFrame::Command { id, op }) => return (id, op),
                Some(ClientFrame::Ping) => self.send(ServerFrame::Pong).await,
                other => panic!("a request was expected: {other:?}"),
            }
        }
    }

    pub(crate) async fn answer_sync(&mut self, channels: Vec<Summary>) -> SyncQuery {
        self.answer_sync_with(channels, Vec::new()).await
    }

    /// The same with entries of the user's own log.
    pub(crate) async fn answer_sync_with(
        &mut self,
        channels: Vec<Summary>,
        user_entries: Vec<UserEntry>,
    ) -> SyncQuery {
        let (id, ClientOp::Sync(query)) = self.next_op().await else {
            panic!("a sync was expected");
        };
        let told = user_entries.last().map(|last| last.seq);
        let answer = Answer::Sync(SyncAnswer {
            channels,
            left: Vec::new(),
            user_entries,
            user_seq: told.or(query.user_seq).unwrap_or_default(),
            since: "1".into(),
            page: None,
            reset: false,
        });
        self.send(ServerFrame::Ok { id, answer }).await;
        query
    }

    pub(crate) async fn answer_send(&mut self, id: u32, channel: ChannelId, seq: u64) {
        let answer = Answer::Send(SendAnswer {
            channel,
            seq: Seq(seq),
            n: Ordinal(seq),
            message: MessageId(seq),
            at: Timestamp(seq),
            duplicate: false,
        });
        self.send(ServerFrame::Ok { id, answer }).await;
    }

    pub(crate) async fn answer_change(&mut self, id: u32, seq: u64) {
        let answer = Answer::Change(ChangeAnswer {
            seq: Seq(seq),
            duplicate: false,
        });
        self.send(ServerFrame::Ok { id, answer }).await;
    }

    pub(crate) async fn answer_pull(&mut self, id: u32, entries: RangeInclusive<u64>) {
        let head = Head::new(*entries.end(), *entries.end());
        let answer = Answer::Pull(PullAnswer {
            entries: entries.map(entry).collect(),
            head,
        });
        self.send(ServerFrame::Ok { id, answer }).await;
    }

    /// Whether the client says goodbye before it goes.
    pub(crate) async fn is_closed_politely(&mut self) -> bool {
        loop {
            match in_time(self.socket.next()).await {
                Some(Ok(Message::Close(_))) => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
        }
    }

    /// Closes, and tells whether the client says goodbye too.
    pub(crate) async fn close_is_answered(mut self) -> bool {
        in_time(self.socket.close(None))
            .await
            .expect("a client that listens");
        self.is_closed_politely().await
    }

    /// Says nothing until the client goes, which takes some heartbeats. Returns its pings.
    pub(crate) async fn pings_before_leaving(&mut self, heartbeat_ms: u64) -> usize {
        let since = tokio::time::Instant::now();
        let mut pings = 0;
        while let Some(Ok(message)) = in_time(self.socket.next()).await {
            pings += usize::from(message.to_text().is_ok_and(|text| text.contains("ping")));
        }
        assert!(
            since.elapsed() >= Duration::from_millis(heartbeat_ms * 2),
            "too soon"
        );
        pings
    }

    async fn frame(&mut self) -> Option<ClientFrame> {
        let bytes = match in_time(self.socket.next()).await?.ok()? {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            _ => return None,
        };
        Some(decode_client(self.format, &bytes).expect("a frame of the protocol"))
    }
}

pub(crate) fn entry(seq: u64) -> Entry {
    Entry {
        seq: Seq(seq),
        n: Ordinal(seq),
        message: MessageId(seq),
        at: Timestamp(seq),
        from: "bob".parse().expect("a good name"),
        device: None,
        withheld: false,
        kind: EntryKind::Message(MessageEntry {
            client_id: ClientId::from_uuid(Uuid::from_u128(u128::from(seq))),
            body: Some(Body::text(format!("number {seq}"))),
            erased: false,
            rev: None,
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
        }),
    }
}

pub(crate) fn summary(channel: ChannelId, head: u64) -> Summary {
    Summary {
        channel,
        channel_type: ChannelType::Group,
        title: None,
        peer: None,
        members: 2,
        role: Role::Member,
        visible_from: Seq(1),
        head: Head::new(head, head),
        read: Head::EMPTY,
        unread: head,
        mentions: 0,
        last: None,
        mute_until_ms: None,
        archived: false,
        marked_unread: false,
        draft: None,
        data: None,
        entries: Vec::new(),
        gap: None,
    }
}
