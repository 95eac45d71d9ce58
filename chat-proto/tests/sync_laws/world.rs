//! A client, a server, and a network between them that does what it likes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use chat_proto::sync::{Command, Output, Settings, SyncMachine};
use chat_proto::wire::{
    ClientFrame, Format, GoAway, GoAwayReason, Hello, Push, React, SendMessage, ServerFrame,
    Target, decode_client, decode_server, encode, encode_client,
};
use chat_proto::{Body, ClientId, Seq};
use uuid::Uuid;

use crate::client::Application;
use crate::server::{CHANNELS, DIRECT, Refusal, Server, channel_id, key_of, user};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Bob says something.
    Post(usize),
    /// The client's user says something, or answers with a sign.
    Send(usize),
    /// The client's user reads up to so many entries before the cursor.
    Read(usize, u8),
    Remove(usize),
    Add(usize, bool),
    /// Something happens to the user outside of channels.
    Note,
    /// The server takes so many frames.
    ServerWork(usize),
    /// So many answers arrive.
    Answers(usize),
    /// One of the pushes on their way arrives.
    Push(u8),
    LosePush(u8),
    RepeatPush(u8),
    /// The connection breaks; all that is on its way is lost.
    Cut(u16),
    Connect,
    Wait(u64),
    /// The server tells the heads of all logs, as after entries were left out.
    Heads,
    /// The next request that can fail for now does.
    Refuse(u8),
    RestoreBackup(u8),
    RestartClient,
    GoAway(u16),
}

pub(crate) struct World {
    settings: Settings,
    machine: SyncMachine,
    application: Application,
    server: Server,
    now_ms: u64,
    connected: bool,
    to_server: VecDeque<ClientFrame>,
    answers: VecDeque<ServerFrame>,
    pushes: Vec<Push>,
    sent: Vec<(ClientId, usize)>,
    /// Acknowledged before a backup was restored that may lack them.
    forgiven: BTreeSet<ClientId>,
    format: Format,
}

fn hello() -> Hello {
    Hello {
        token: "t".into(),
        client: "model/1".into(),
        heartbeat_ms: None,
    }
}

impl World {
    pub(crate) fn new(entries_per_channel: u32) -> Self {
        let mut settings = Settings::default();
        settings.entries_per_channel = entries_per_channel;
        Self {
            machine: SyncMachine::new(settings.clone(), hello()),
            settings,
            application: Application::default(),
            server: Server::new(),
            now_ms: 0,
            connected: false,
            to_server: VecDeque::new(),
            answers: VecDeque::new(),
            pushes: Vec::new(),
            sent: Vec::new(),
            forgiven: BTreeSet::new(),
            format: if entries_per_channel == 0 {
                Format::Json
            } else {
                Format::MessagePack
            },
        }
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Post(index) => {
                let pushes = self.server.post(index);
                self.pushes.extend(pushes);
            }
            Step::Send(index) => self.send(index),
            Step::Read(index, back) => {
                let channel = channel_id(index);
                if let Some(cursor) = self.machine.cursor(channel) {
                    self.machine
                        .read(channel, Seq(cursor.0.saturating_sub(u64::from(back % 4))));
                }
            }
            Step::Remove(index) => {
                let pushes = self.server.remove(index);
                self.pushes.extend(pushes);
            }
            Step::Add(index, all) => {
                let pushes = self.server.add(index, all);
                self.pushes.extend(pushes);
            }
            Step::Note => self.pushes.extend(self.server.note()),
            Step::ServerWork(frames) => self.server_work(frames),
            Step::Answers(count) => {
                for _ in 0..count {
                    if let Some(answer) = self.answers.pop_front() {
                        self.arrive(&answer);
                    }
                }
            }
            Step::Push(pick) => {
                if let Some(index) = self.pick(pick) {
                    let push = self.pushes.remove(index);
                    self.arrive(&ServerFrame::Push(push));
                }
            }
            Step::LosePush(pick) => {
                if let Some(index) = self.pick(pick) {
                    self.pushes.remove(index);
                }
            }
            Step::RepeatPush(pick) => {
                if let Some(index) = self.pick(pick) {
                    self.pushes.push(self.pushes[index].clone());
                }
            }
            Step::Cut(random) => self.cut(u64::from(random)),
            Step::Connect => self.connect(),
            Step::Wait(ms) => {
                self.now_ms += ms;
                self.machine.tick(self.now_ms);
            }
            Step::Heads => self.pushes.extend(self.server.heads()),
            Step::Refuse(kind) => self.server.refusals.push_back(match kind % 4 {
                0 => Refusal::Unavailable,
                1 => Refusal::UnknownButDone,
                2 => Refusal::UnknownAndNotDone,
                _ => Refusal::RateLimited,
            }),
            Step::RestoreBackup(lost) => {
                self.cut(0);
                self.server.restore_backup(usize::from(lost % 4));
                self.forgiven.extend(&self.application.acknowledged);
            }
            Step::RestartClient => {
                self.cut(0);
                let kept = serde_json::to_string(&self.machine.snapshot()).expect("plain data");
                let kept = serde_json::from_str(&kept).expect("as written");
                self.machine = SyncMachine::restore(self.settings.clone(), hello(), kept);
            }
            Step::GoAway(after_ms) => {
                if self.connected {
                    self.arrive(&ServerFrame::Push(Push::GoAway(GoAway {
                        reason: GoAwayReason::Drain,
                        reconnect_after_ms: u64::from(after_ms),
                        url: None,
                    })));
                }
            }
        }
        self.drain();
    }

    /// From here on nothing is lost, repeated, reordered or refused, until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        self.server.refusals.clear();
        self.cut(0);
        for _ in 0..10_000 {
            self.connect();
            self.drain();
            if !self.to_server.is_empty() {
                self.server_work(1);
            } else if let Some(answer) = self.answers.pop_front() {
                self.arrive(&answer);
            } else if let Some(at_ms) = self.machine.next_deadline() {
                self.now_ms = self.now_ms.max(at_ms);
                self.machine.tick(self.now_ms);
            } else {
                return;
            }
            self.drain();
        }
        panic!("the client never comes to rest");
    }

    pub(crate) fn check(&self) {
        for index in 0..CHANNELS {
            let (channel, log) = (channel_id(index), &self.server.logs[index]);
            let told = self
                .application
                .logs
                .get(&channel)
                .map_or(&[][..], Vec::as_slice);
            if !log.is_member {
                assert_eq!(
                    self.machine.cursor(channel),
                    None,
                    "channel {index} was left"
                );
                assert!(told.is_empty(), "channel {index} was left");
                continue;
            }
            let told: Vec<_> = told
                .iter()
                .filter(|entry| entry.seq >= log.visible_from)
                .collect();
            let stored: Vec<_> = log.visible().iter().collect();
            assert_eq!(told, stored, "channel {index}");
            assert_eq!(self.machine.head(channel), Some(log.head()));
            let read = self
                .machine
                .read_mark(channel)
                .expect("a channel that is listed");
            assert!(read >= log.read, "a mark never goes back");
            let unread = log
                .entries
                .iter()
                .filter(|entry| entry.kind.is_message() && entry.seq > read.seq)
                .count();
            assert_eq!(
                self.machine.unread(channel),
                Some(unread as u64),
                "channel {index}"
            );
        }
        assert_eq!(self.application.own, self.server.own, "the user's own log");
        assert_eq!(self.machine.outbox_len(), 0);
        self.check_commands();
    }

    fn check_commands(&self) {
        let mut places: BTreeMap<ClientId, usize> = BTreeMap::new();
        for log in &self.server.logs {
            for entry in &log.entries {
                if let Some(key) = key_of(entry) {
                    *places.entry(key).or_default() += 1;
                }
            }
        }
        for (client_id, _) in &self.sent {
            let acknowledged = self.application.acknowledged.contains(client_id);
            let count = places.get(client_id).copied().unwrap_or(0);
            if self.forgiven.contains(client_id) {
                assert!(count <= 1, "{client_id} is there {count} times");
            } else if acknowledged {
                assert_eq!(count, 1, "{client_id} was acknowledged");
            } else {
                assert!(
                    self.application.rejected.contains(client_id),
                    "{client_id} was told"
                );
                assert_eq!(count, 0, "{client_id} was rejected");
            }
        }
        for (index, log) in self.server.logs.iter().enumerate() {
            let order: Vec<usize> = log
                .entries
                .iter()
                .filter_map(key_of)
                .filter(|key| !self.server.turned_away.contains(key))
                .filter_map(|key| self.sent.iter().position(|(id, _)| *id == key))
                .collect();
            assert!(
                order.is_sorted(),
                "channel {index} keeps the order of sending: {order:?}"
            );
        }
    }

    fn send(&mut self, index: usize) {
        let number = self.sent.len() as u128 + 1;
        let client_id = ClientId::from_uuid(Uuid::from_u128(number));
        // Both spellings of the direct channel are one lane.
        let channel = channel_id(index);
        let is_first = self.machine.cursor(channel).is_none();
        let to = if index == DIRECT && (is_first || number.is_multiple_of(2)) {
            Target::User(user("bob"))
        } else {
            Target::Channel(channel)
        };
        let command = if !is_first && number.is_multiple_of(3) {
            Command::React(React {
                channel,
                seq: Seq(1),
                client_id,
                after: None,
                retry: false,
                emoji: "+1".into(),
                remove: false,
            })
        } else {
            Command::Send(SendMessage {
                to,
                client_id,
                after: None,
                retry: false,
                body: Body::text(format!("number {number}")),
                reply_to: None,
                thread: None,
                mentions: Vec::new(),
            })
        };
        let taken = self.machine.submit(command);
        taken.expect("fewer than fill an outbox");
        self.sent.push((client_id, index));
    }

    fn server_work(&mut self, frames: usize) {
        for _ in 0..frames {
            if let Some(frame) = self.to_server.pop_front() {
                self.answers.extend(self.server.serve(frame));
            }
        }
    }

    fn arrive(&mut self, frame: &ServerFrame) {
        let frame: Bytes = encode(self.format, frame);
        let frame = decode_server(self.format, frame).expect("as the server wrote it");
        self.machine
            .received(self.now_ms, frame)
            .expect("answers fit their requests");
        self.drain();
    }

    fn connect(&mut self) {
        if !self.connected {
            self.connected = true;
            self.machine.connected(self.now_ms);
            self.drain();
        }
    }

    fn cut(&mut self, random: u64) {
        self.to_server.clear();
        self.answers.clear();
        self.pushes.clear();
        self.server.cut();
        if self.connected {
            self.connected = false;
            let reconnect = self.machine.disconnected(self.now_ms, random);
            assert!(reconnect.is_some(), "nothing here is final");
        }
        self.drain();
    }

    fn drain(&mut self) {
        let mut close = false;
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Frame(frame) => {
                    assert!(self.connected, "nothing is sent without a connection");
                    let bytes = encode_client(self.format, &frame);
                    let read = decode_client(self.format, &bytes).expect("as the client wrote it");
                    assert_eq!(read, frame);
                    self.to_server.push_back(read);
                }
                Output::Event(event) => self.application.take(event),
                Output::Close => close = true,
                Output::Answer { .. } => panic!("nothing was asked"),
            }
        }
        if close {
            self.cut(3);
        }
    }

    fn pick(&self, pick: u8) -> Option<usize> {
        usize::from(pick).checked_rem(self.pushes.len())
    }
}
