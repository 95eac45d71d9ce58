//! What goes into the sync machine and comes out of it.

mod answers;
mod channels;
mod own;
mod pump;
mod pushes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::catchup::Catchup;
use super::command::Command;
use super::event::{Ending, Event, Output, RequestError, SendRefused};
use super::log::{ChannelLog, HeldBudget};
use super::marks::{MarkKind, Marks};
use super::outbox::Outbox;
use super::reconnect::{Backoff, Reconnect};
use super::requests::{Question, Request, Requests};
use super::settings::Settings;
use super::snapshot::{OutboxSnapshot, Progress, SyncSnapshot};
use super::strangers::Strangers;
use super::timers::{Timer, Timers};
use crate::id::{ChannelId, ClientId, DeviceId, Epoch, Head, Seq, UserId};
use crate::limits::Limits;
use crate::wire::{
    ClientFrame, ClientOp, CloseCode, GoAway, Hello, Mark, ReceivedFrame, TypingIn, Unreadable,
};

/// A client of one user, without its socket and its clock.
///
/// # Contract
/// - Points in time are milliseconds on one clock of the caller's that never goes back.
/// - After every call the caller takes all that [`SyncMachine::poll`] yields, in its order, and calls
///   [`SyncMachine::tick`] when [`SyncMachine::next_deadline`] has come. What `poll` yields after one call is bounded
///   by what that call brought in; a caller that cannot pass it on stops reading its socket.
/// - Every entry that the user may see is told once, in the order of its log. Entries whose [`Event::Entry`] was
///   taken count as told: a caller that crashes before the application has them restores a [`Progress`] that is held
///   back accordingly.
/// - Every command taken by [`SyncMachine::submit`] is acknowledged or rejected once, and is in its log once, however
///   often connections break, as long as the outbox survives.
#[derive(Debug)]
pub struct SyncMachine {
    settings: Settings,
    hello: Hello,
    user: Option<UserId>,
    device: Option<DeviceId>,
    epoch: Option<Epoch>,
    since: Option<String>,
    /// The last entry of the user's own log that was told.
    user_seq: Seq,
    limits: Limits,
    heartbeat_ms: Option<u64>,
    link: Link,
    /// The application was told of a connection, and will be told of its end.
    told_connected: bool,
    ending: Option<Ending>,
    goaway: Option<GoAway>,
    channels: BTreeMap<ChannelId, ChannelLog>,
    strangers: Strangers,
    budget: HeldBudget,
    pulls_ready: BTreeSet<ChannelId>,
    pulls_in_flight: usize,
    requests: Requests,
    outbox: Outbox,
    marks: Marks,
    catchup: Catchup,
    timers: Timers,
    backoff: Backoff,
    outputs: VecDeque<Output>,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Offline,
    /// `hello` is not answered.
    Greeting,
    Open,
    /// The server goes away: what is outstanding may still be answered, and nothing new is asked.
    Leaving,
    /// The caller was told to close.
    Closing,
}

/// Milliseconds for which answers may still come after the server said that it goes away.
const LEAVING_MS_MAX: u64 = 5_000;

impl SyncMachine {
    /// A client that knows nothing.
    pub fn new(settings: Settings, hello: Hello) -> Self {
        Self::restore(settings, hello, SyncSnapshot::default())
    }

    /// A client that goes on where an earlier one stopped. The parts of the snapshot may be of different age.
    pub fn restore(settings: Settings, hello: Hello, snapshot: SyncSnapshot) -> Self {
        let SyncSnapshot {
            progress,
            outbox: commands,
        } = snapshot;
        let mut outbox = Outbox::default();
        outbox.restore(commands.commands);
        if commands.epoch != progress.epoch {
            outbox.reset_after();
        }
        let mut marks = Marks::default();
        for (kind, wanted) in [
            (MarkKind::Read, progress.read_wanted),
            (MarkKind::Delivered, progress.delivered_wanted),
        ] {
            for (channel, seq) in wanted {
                marks.want(channel, kind, seq);
            }
        }
        let channels = progress
            .channels
            .iter()
            .map(|(channel, progress)| (*channel, ChannelLog::restore(progress)))
            .collect();
        Self {
            settings,
            hello,
            user: progress.user,
            device: None,
            epoch: progress.epoch,
            since: progress.since,
            user_seq: progress.user_seq,
            limits: Limits::default(),
            heartbeat_ms: None,
            link: Link::Offline,
            told_connected: false,
            ending: None,
            goaway: None,
            channels,
            strangers: Strangers::default(),
            budget: HeldBudget::default(),
            pulls_ready: BTreeSet::new(),
            pulls_in_flight: 0,
            requests: Requests::default(),
            outbox,
            marks,
            catchup: Catchup::default(),
            timers: Timers::default(),
            backoff: Backoff::default(),
            outputs: VecDeque::new(),
        }
    }

    /// A connection stands.
    pub fn connected(&mut self, _now_ms: u64) {
        if self.ending.is_some() {
            self.close();
            return;
        }
        self.link = Link::Greeting;
        let id = self.requests.open(Request::Hello);
        let hello = self.hello.clone();
        self.outputs
            .push_back(Output::Frame(ClientFrame::Hello { id, hello }));
    }

    /// A frame came.
    ///
    /// # Errors
    /// When an answer is not what its request asks for; the caller then closes the connection and comes back.
    pub fn received(&mut self, now_ms: u64, frame: ReceivedFrame) -> Result<(), Unreadable> {
        if matches!(self.link, Link::Offline | Link::Closing) {
            return Ok(());
        }
        match frame {
            ReceivedFrame::Ok { id, answer } => self.answered(now_ms, id, &answer)?,
            ReceivedFrame::Error { id, rejection } => self.refused(now_ms, id, rejection),
            ReceivedFrame::Push(push) => self.pushed(now_ms, push),
            ReceivedFrame::Pong | ReceivedFrame::Unknown => {}
        }
        self.pump();
        Ok(())
    }

    /// The server closes the connection for this reason; [`SyncMachine::disconnected`] follows.
    pub fn closing(&mut self, code: CloseCode) {
        match code {
            CloseCode::BadToken => self.end(Ending::Unauthenticated {
                message: CloseCode::BadToken.reason().into(),
            }),
            CloseCode::Revoked => self.end(Ending::Revoked),
            CloseCode::FrameTooLarge
            | CloseCode::BadFrame
            | CloseCode::GoingAway
            | CloseCode::Slow
            | CloseCode::Idle
            | CloseCode::HelloOverdue
            | CloseCode::TooManyConnections => {}
        }
    }

    /// The connection is gone, or could not be made. Returns when to try again, unless the machine has ended.
    /// `random` is any number, drawn evenly from all.
    pub fn disconnected(&mut self, now_ms: u64, random: u64) -> Option<Reconnect> {
        self.link = Link::Offline;
        for (request, what) in self.requests.take_all() {
            if matches!(what, Request::Asked(_)) {
                let result = Err(RequestError::Disconnected);
                self.outputs.push_back(Output::Answer { request, result });
            }
        }
        self.outbox.disconnected();
        self.marks.disconnected();
        self.catchup.stop();
        self.pulls_ready.clear();
        self.pulls_in_flight = 0;
        for log in self.channels.values_mut() {
            log.pulling = false;
            log.fruitless = 0;
        }
        self.timers.keep_lanes();
        if std::mem::take(&mut self.told_connected) {
            self.event(Event::Disconnected);
        }
        if self.ending.is_some() {
            return None;
        }
        let jitter_ms = self.backoff.next_ms(random);
        Some(match self.goaway.take() {
            Some(goaway) => Reconnect {
                at_ms: now_ms.saturating_add(goaway.reconnect_after_ms),
                url: goaway.url,
            },
            None => Reconnect {
                at_ms: now_ms.saturating_add(jitter_ms),
                url: None,
            },
        })
    }

    /// Does what is due.
    pub fn tick(&mut self, now_ms: u64) {
        while let Some(timer) = self.timers.take_due(now_ms) {
            match timer {
                Timer::Gap(channel) => self.pull_if_behind(channel),
                Timer::Lane(channel) => self.outbox.waited(channel),
                Timer::Marks(channel) => self.marks.retry(channel),
                Timer::Catchup => self.catchup.resume(),
                Timer::Leave => self.close(),
            }
        }
        self.pump();
    }

    /// When [`SyncMachine::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_at()
    }

    /// Takes a command, to be sent now or once connected. `after` and `retry` are the machine's to set.
    ///
    /// # Errors
    /// When the outbox is full or has a command with this `client_id`.
    pub fn submit(&mut self, command: Command) -> Result<(), SendRefused> {
        let command = self.composed(command);
        self.outbox.push(command, &self.settings)?;
        self.pump();
        Ok(())
    }

    /// The command as [`SyncMachine::submit`] would keep it: for a program that stores it before it is taken.
    pub fn composed(&self, mut command: Command) -> Command {
        let known = self
            .outbox
            .channel_of(&command)
            .and_then(|channel| self.channels.get(&channel));
        command.set_after(known.map(|log| log.cursor().max(log.head().seq)));
        command.set_retry(false);
        command
    }

    /// Whether [`SyncMachine::submit`] would take the command after taking all of `ahead`.
    ///
    /// # Errors
    /// Those of `submit`.
    pub fn can_submit(&self, command: &Command, ahead: &[Command]) -> Result<(), SendRefused> {
        self.outbox.check(command, ahead, &self.settings)
    }

    /// Everything up to an entry was read.
    pub fn read(&mut self, channel: ChannelId, seq: Seq) {
        if self
            .channels
            .get(&channel)
            .is_some_and(|log| log.read().seq >= seq)
        {
            return;
        }
        self.marks.want(channel, MarkKind::Read, seq);
        self.pump();
    }

    /// Everything up to an entry arrived.
    pub fn delivered(&mut self, channel: ChannelId, seq: Seq) {
        self.marks.want(channel, MarkKind::Delivered, seq);
        self.pump();
    }

    /// The user is typing. Says nothing while there is no connection.
    pub fn typing(&mut self, channel: ChannelId) {
        if self.link == Link::Open {
            let typing = ClientFrame::Typing(TypingIn { channel });
            self.outputs.push_back(Output::Frame(typing));
        }
    }

    /// Asks a question of the application's own: `sync`, `pull` or `history`, or sets `prefs`. The machine does not look at
    /// the answer, which comes as [`Output::Answer`] with the number returned here, but for what `prefs` added to the user's
    /// own log: that follows as an event.
    ///
    /// # Errors
    /// When it cannot be asked now.
    pub fn request(&mut self, op: ClientOp) -> Result<u32, RequestError> {
        let question = match op {
            ClientOp::Sync(_) => Question::Sync,
            ClientOp::Pull(_) => Question::Pull,
            ClientOp::History(_) => Question::History,
            ClientOp::Prefs(_) => Question::Prefs,
            ClientOp::Receipts(_) => Question::Receipts,
            ClientOp::Watch(_) => Question::Watch,
            ClientOp::Unwatch(_) | ClientOp::Status(_) => Question::Done,
            ClientOp::Send(_)
            | ClientOp::Edit(_)
            | ClientOp::Delete(_)
            | ClientOp::React(_)
            | ClientOp::Pin(_)
            | ClientOp::Read(_)
            | ClientOp::Delivered(_) => return Err(RequestError::NotAQuestion),
        };
        if self.link != Link::Open {
            return Err(RequestError::Disconnected);
        }
        if self.requests.asked() >= self.settings.requests_max {
            return Err(RequestError::TooMany(self.settings.requests_max));
        }
        Ok(self.ask(Request::Asked(question), op))
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The last entry of a channel that was told; absent while the channel is not known.
    pub fn cursor(&self, channel: ChannelId) -> Option<Seq> {
        self.channels.get(&channel).map(ChannelLog::cursor)
    }

    /// The last entry of the user's own log that was told.
    pub fn user_seq(&self) -> Seq {
        self.user_seq
    }

    /// How far a channel's log is known to go.
    pub fn head(&self, channel: ChannelId) -> Option<Head> {
        self.channels.get(&channel).map(ChannelLog::head)
    }

    /// How far the user has read in a channel.
    pub fn read_mark(&self, channel: ChannelId) -> Option<Head> {
        self.channels.get(&channel).map(ChannelLog::read)
    }

    /// Messages of a channel that the user has not read.
    pub fn unread(&self, channel: ChannelId) -> Option<u64> {
        self.channels.get(&channel).map(ChannelLog::unread)
    }

    /// The channels that the user is known to be in.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.keys().copied()
    }

    /// How often the server wants a sign of life, once it has said so.
    pub fn heartbeat_ms(&self) -> Option<u64> {
        self.heartbeat_ms
    }

    /// Who the client is, once a server has said so.
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// Commands that wait for their acknowledgement.
    pub fn outbox_len(&self) -> usize {
        self.outbox.len()
    }

    /// Whether a command waits for its acknowledgement.
    pub fn is_waiting(&self, client_id: ClientId) -> bool {
        self.outbox.contains(client_id)
    }

    /// Why the machine has ended, if it has.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// All that is worth keeping.
    pub fn snapshot(&self) -> SyncSnapshot {
        SyncSnapshot {
            progress: self.progress(),
            outbox: self.outbox(),
        }
    }

    /// How far the client has come.
    pub fn progress(&self) -> Progress {
        Progress {
            user: self.user.clone(),
            epoch: self.epoch,
            since: self.since.clone(),
            user_seq: self.user_seq,
            channels: self
                .channels
                .iter()
                .map(|(channel, log)| (*channel, log.progress()))
                .collect(),
            read_wanted: self.marks.snapshot(MarkKind::Read),
            delivered_wanted: self.marks.snapshot(MarkKind::Delivered),
        }
    }

    /// The commands that wait.
    pub fn outbox(&self) -> OutboxSnapshot {
        OutboxSnapshot {
            epoch: self.epoch,
            commands: self.outbox.commands(),
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn close(&mut self) {
        self.link = Link::Closing;
        self.outputs.push_back(Output::Close);
    }

    fn end(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some(ending.clone());
            self.event(Event::Ended { ending });
            self.close();
        }
    }

    fn ask(&mut self, request: Request, op: ClientOp) -> u32 {
        let id = self.requests.open(request);
        self.outputs
            .push_back(Output::Frame(ClientFrame::Command { id, op }));
        id
    }

    /// The logs are others than those that the client holds.
    fn reset(&mut self) {
        self.channels.clear();
        self.strangers = Strangers::default();
        self.budget = HeldBudget::default();
        self.pulls_ready.clear();
        self.since = None;
        self.user_seq = Seq(0);
        self.timers.keep_lanes();
        self.marks.clear();
        self.outbox.reset_after();
        self.event(Event::Reset);
    }
}

impl MarkKind {
    fn op(self, channel: ChannelId, seq: Seq) -> ClientOp {
        let mark = Mark { channel, seq };
        match self {
            Self::Read => ClientOp::Read(mark),
            Self::Delivered => ClientOp::Delivered(mark),
        }
    }
}
