//! Commands until they are acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::command::Command;
use super::event::SendRefused;
use super::settings::{SEND_BYTES_IN_FLIGHT_MAX, SENDS_IN_FLIGHT_MAX, Settings, retry_delay_ms};
use crate::id::{ChannelId, ClientId, Seq, UserId};

/// The commands of a client, each in the lane of its channel. In a lane they go out in the order in which they were
/// given; when one fails for now, those behind it wait with it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    commands: BTreeMap<u64, Waiting>,
    by_client_id: BTreeMap<ClientId, u64>,
    lanes: BTreeMap<ChannelId, Lane>,
    /// Whose commands; the lane of a first message to somebody depends on it.
    user: Option<UserId>,
    ready: BTreeSet<u64>,
    next_order: u64,
    bytes: usize,
    in_flight: usize,
    bytes_in_flight: usize,
}

#[derive(Debug)]
struct Waiting {
    command: Command,
    size_bytes: usize,
    channel: Option<ChannelId>,
    in_flight: bool,
    attempted: bool,
}

#[derive(Debug, Default)]
struct Lane {
    orders: BTreeSet<u64>,
    in_flight: usize,
    /// One failed: nothing goes out before everything in flight has come back and the time is up.
    stalled: bool,
    waiting: bool,
    failures: u32,
}

impl Outbox {
    /// Takes a command.
    ///
    /// # Errors
    /// When it is full, or has a command with the same `client_id`.
    pub(super) fn push(
        &mut self,
        command: Command,
        settings: &Settings,
    ) -> Result<(), SendRefused> {
        self.check(&command, &[], settings)?;
        self.insert(command, false);
        Ok(())
    }

    /// Whether a command would be taken after all of `ahead`.
    pub(super) fn check(
        &self,
        command: &Command,
        ahead: &[Command],
        settings: &Settings,
    ) -> Result<(), SendRefused> {
        let client_id = command.client_id();
        let is_ahead = |other: &Command| other.client_id() == client_id;
        if self.contains(client_id) || ahead.iter().any(is_ahead) {
            return Err(SendRefused::AlreadyWaiting);
        }
        let commands = self.commands.len() + ahead.len();
        let bytes = self.bytes + ahead.iter().map(Command::size_bytes).sum::<usize>();
        // An empty outbox takes any single command, so that none is refused for ever.
        let too_many_bytes =
            commands > 0 && bytes + command.size_bytes() > settings.outbox_bytes_max;
        if commands >= settings.outbox_commands_max || too_many_bytes {
            return Err(SendRefused::OutboxFull { commands, bytes });
        }
        Ok(())
    }

    /// Takes commands of an earlier life, which may have been sent.
    pub(super) fn restore(&mut self, commands: Vec<Command>) {
        for command in commands {
            if !self.contains(command.client_id()) {
                self.insert(command, true);
            }
        }
    }

    /// Notes whose commands these are.
    pub(super) fn belongs_to(&mut self, user: &UserId) {
        if self.user.is_none() {
            self.user = Some(user.clone());
            let orders: Vec<u64> = self.commands.keys().copied().collect();
            for order in orders {
                self.enter_lane(order);
            }
        }
    }

    /// The next command to send, if one is due and there is room on the connection.
    pub(super) fn next_ready(&mut self) -> Option<(u64, Command)> {
        let order = *self.ready.first()?;
        let waiting = self.commands.get_mut(&order)?;
        let room = self.in_flight < SENDS_IN_FLIGHT_MAX
            && (self.in_flight == 0
                || self.bytes_in_flight + waiting.size_bytes <= SEND_BYTES_IN_FLIGHT_MAX);
        if !room {
            return None;
        }
        self.ready.remove(&order);
        let mut command = waiting.command.clone();
        command.set_retry(waiting.attempted);
        waiting.in_flight = true;
        waiting.attempted = true;
        self.in_flight += 1;
        self.bytes_in_flight += waiting.size_bytes;
        if let Some(lane) = waiting
            .channel
            .and_then(|channel| self.lanes.get_mut(&channel))
        {
            lane.in_flight += 1;
        }
        Some((order, command))
    }

    /// Removes a command that was acknowledged or refused for good.
    pub(super) fn finish(&mut self, order: u64) -> Option<Command> {
        self.landed(order);
        let waiting = self.commands.remove(&order)?;
        self.bytes -= waiting.size_bytes;
        self.by_client_id.remove(&waiting.command.client_id());
        if let Some(channel) = waiting.channel {
            if let Some(lane) = self.lanes.get_mut(&channel) {
                lane.orders.remove(&order);
                lane.failures = 0;
                if lane.orders.is_empty() {
                    self.lanes.remove(&channel);
                }
            }
            self.resume(channel);
        }
        Some(waiting.command)
    }

    /// Notes that a command failed for now. If its lane did not wait already, returns the lane with the milliseconds
    /// after which to go on.
    pub(super) fn failed(
        &mut self,
        order: u64,
        retry_after_ms: Option<u64>,
    ) -> Option<(ChannelId, u64)> {
        self.landed(order);
        let channel = self.commands.get(&order)?.channel?;
        let lane = self.lanes.get_mut(&channel)?;
        let first = !lane.stalled;
        if first {
            lane.stalled = true;
            lane.waiting = true;
            lane.failures = lane.failures.saturating_add(1);
            for order in &lane.orders {
                self.ready.remove(order);
            }
        }
        let delay_ms = retry_after_ms.unwrap_or_else(|| retry_delay_ms(lane.failures));
        self.resume(channel);
        first.then_some((channel, delay_ms))
    }

    /// The lane has waited long enough.
    pub(super) fn waited(&mut self, channel: ChannelId) {
        if let Some(lane) = self.lanes.get_mut(&channel) {
            lane.waiting = false;
        }
        self.resume(channel);
    }

    /// The connection is gone, and with it every answer that was awaited.
    pub(super) fn disconnected(&mut self) {
        for waiting in self.commands.values_mut() {
            waiting.in_flight = false;
        }
        self.in_flight = 0;
        self.bytes_in_flight = 0;
        for lane in self.lanes.values_mut() {
            lane.in_flight = 0;
            if !lane.waiting {
                lane.stalled = false;
                self.ready.extend(&lane.orders);
            }
        }
    }

    /// The logs that the commands were composed against are gone.
    pub(super) fn reset_after(&mut self) {
        for waiting in self.commands.values_mut() {
            waiting.command.set_after(Some(Seq(0)));
        }
    }

    pub(super) fn contains(&self, client_id: ClientId) -> bool {
        self.by_client_id.contains_key(&client_id)
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    pub(super) fn commands(&self) -> Vec<Command> {
        self.commands
            .values()
            .map(|waiting| waiting.command.clone())
            .collect()
    }

    /// The channel that a command goes to, where that is known.
    pub(super) fn channel_of(&self, command: &Command) -> Option<ChannelId> {
        command.channel(self.user.as_ref())
    }

    fn insert(&mut self, command: Command, attempted: bool) {
        let size_bytes = command.size_bytes();
        let order = self.next_order;
        self.next_order += 1;
        self.bytes += size_bytes;
        self.by_client_id.insert(command.client_id(), order);
        let waiting = Waiting {
            command,
            size_bytes,
            channel: None,
            in_flight: false,
            attempted,
        };
        self.commands.insert(order, waiting);
        self.enter_lane(order);
    }

    fn enter_lane(&mut self, order: u64) {
        // Until the user is known no command goes anywhere: two spellings of one channel must not be two lanes.
        if self.user.is_none() {
            return;
        }
        let channel = self
            .commands
            .get(&order)
            .and_then(|waiting| self.channel_of(&waiting.command));
        let (Some(channel), Some(waiting)) = (channel, self.commands.get_mut(&order)) else {
            return;
        };
        waiting.channel = Some(channel);
        let lane = self.lanes.entry(channel).or_default();
        lane.orders.insert(order);
        if !lane.stalled {
            self.ready.insert(order);
        }
    }

    fn landed(&mut self, order: u64) {
        let Some(waiting) = self
            .commands
            .get_mut(&order)
            .filter(|waiting| waiting.in_flight)
        else {
            return;
        };
        waiting.in_flight = false;
        self.in_flight -= 1;
        self.bytes_in_flight -= waiting.size_bytes;
        if let Some(lane) = waiting
            .channel
            .and_then(|channel| self.lanes.get_mut(&channel))
        {
            lane.in_flight -= 1;
        }
    }

    /// Lets a stalled lane go on once its time is up and nothing of it is in flight: a command that is still
    /// unanswered may yet fail, and must not be overtaken by one behind it.
    fn resume(&mut self, channel: ChannelId) {
        if let Some(lane) = self.lanes.get_mut(&channel)
            && lane.stalled
            && !lane.waiting
            && lane.in_flight == 0
        {
            lane.stalled = false;
            self.ready.extend(&lane.orders);
        }
    }
}
