//! A client that syncs and is pushed to, through a session.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chat_core::proto::sync::{Event, Output, Settings, SyncMachine};
use chat_core::proto::wire::{
    Answer, ClientFrame, ClientOp, Format, Hello, ServerFrame, decode_server, encode,
};
use chat_core::proto::{ChannelId, Head, Seq, UserId};
use chat_core::{Engine, Outgoing, Session};

use crate::names::fresh_device;

/// A client of few entries is done long before.
const PATIENCE: Duration = Duration::from_secs(20);
/// After this silence the client's own time goes on to its next deadline.
const SILENCE: Duration = Duration::from_millis(50);
/// How often a client shows that it lives; longer than any test.
const HEARTBEAT_MS: u64 = 20_000;
/// Bytes that a frame counts: they play no part here.
const FRAME_BYTES: usize = 100;

pub(super) struct Client {
    machine: SyncMachine,
    session: Session,
    now_ms: u64,
    requests: VecDeque<(u32, ClientOp)>,
    /// The last entry that was told, or that will not come.
    told: Option<Seq>,
}

impl Client {
    /// A client that knows nothing, and asks for so many entries of each channel.
    pub(super) async fn connect(engine: &Engine, user: &UserId, entries: u32) -> Self {
        let mut settings = Settings::default();
        settings.entries_per_channel = entries;
        let hello = Hello {
            token: "t".into(),
            client: "hostile/1".into(),
            heartbeat_ms: None,
        };
        let session = engine.connect(user, fresh_device()).await;
        let mut client = Self {
            machine: SyncMachine::new(settings, hello),
            session: session.unwrap_or_else(|error| panic!("{user} connects: {error:?}")),
            now_ms: 0,
            requests: VecDeque::new(),
            told: None,
        };
        client.machine.connected(client.now_ms);
        client
    }

    /// Goes on until everything up to this head of the channel was told.
    pub(super) async fn reach(&mut self, channel: ChannelId, head: Head) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.drain(channel);
            if self.machine.cursor(channel) == Some(head.seq)
                && self.machine.head(channel) == Some(head)
            {
                assert_eq!(self.told, Some(head.seq), "the application is told as much");
                return;
            }
            match tokio::time::timeout(SILENCE, self.session.next()).await {
                Ok(outgoing) => self.arrive(outgoing),
                Err(_) => {
                    let due = self.machine.next_deadline();
                    self.now_ms = self.now_ms.max(due.unwrap_or_default());
                    self.machine.tick(self.now_ms);
                }
            }
        }
        let (cursor, known) = (self.machine.cursor(channel), self.machine.head(channel));
        panic!("a client stays at {cursor:?} of {known:?}, before {head:?}");
    }

    fn arrive(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Shared(push) => self.receive(&ServerFrame::Push(push.push().clone())),
            Outgoing::Frame(frame) => self.receive(&frame),
            Outgoing::Close(close) => panic!("the session ends: {close:?}"),
        }
    }

    fn receive(&mut self, frame: &ServerFrame) {
        let frame = decode_server(Format::MessagePack, encode(Format::MessagePack, frame));
        let frame = frame.unwrap_or_else(|error| panic!("a frame is readable: {error:?}"));
        let received = self.machine.received(self.now_ms, frame);
        received.unwrap_or_else(|error| panic!("an answer fits its request: {error:?}"));
    }

    fn drain(&mut self, channel: ChannelId) {
        loop {
            while let Some(output) = self.machine.poll() {
                match output {
                    Output::Frame(frame) => self.send(frame),
                    Output::Event(event) => self.take(channel, event),
                    Output::Close => panic!("the client gives the connection up"),
                    Output::Answer { .. } => panic!("nothing was asked"),
                }
            }
            if !self.session.accepts() {
                return;
            }
            let Some((id, op)) = self.requests.pop_front() else {
                return;
            };
            self.session.submit(id, op, FRAME_BYTES);
        }
    }

    fn send(&mut self, frame: ClientFrame) {
        self.session.heard();
        match frame {
            ClientFrame::Hello { id, .. } => {
                let answer = self.session.hello_answer(HEARTBEAT_MS);
                let answer = Answer::Hello(answer.expect("one hello a session"));
                self.receive(&ServerFrame::Ok { id, answer });
            }
            ClientFrame::Command { id, op } => self.requests.push_back((id, op)),
            ClientFrame::Ping => self.session.pong(),
            ClientFrame::Typing(_) => panic!("nobody types"),
        }
    }

    fn take(&mut self, channel: ChannelId, event: Event) {
        match event {
            Event::Entry { channel: of, entry } if of == channel => {
                let follows = self.told.is_none_or(|told| told.next() == entry.seq);
                assert!(follows, "{} follows {:?}", entry.seq, self.told);
                self.told = Some(entry.seq);
            }
            Event::GapDropped {
                channel: of, to, ..
            } if of == channel => self.told = Some(to),
            Event::Left { .. } | Event::Ended { .. } | Event::Rejected { .. } => {
                panic!("a member stays: {event:?}")
            }
            _ => {}
        }
    }
}
