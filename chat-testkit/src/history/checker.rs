//! Holds observations to the laws.

use std::collections::{BTreeSet, HashMap, HashSet};

use chat_core::proto::{ChannelId, ClientId, DeviceId, Head, MessageId, Seq, UserId};

use super::law::Law;
use super::observation::{ChannelLog, DeviceLog, Outcome, Seen, Sent, Stored};
use super::report::{Report, Violation};

/// Checks a history piece by piece: the server's logs first, then the commands, then each device.
pub struct Checker<'a> {
    logs: HashMap<ChannelId, Log<'a>>,
    report: Report,
}

/// A server's log with what is looked up in it.
struct Log<'a> {
    log: &'a ChannelLog,
    /// Where each key is first.
    keys: HashMap<(&'a UserId, ClientId), Seq>,
}

/// Where a violation is.
#[derive(Clone)]
struct Place {
    channel: ChannelId,
    seq: Option<Seq>,
    device: Option<(UserId, DeviceId)>,
    client_id: Option<ClientId>,
}

impl<'a> Checker<'a> {
    /// Checks the server's logs in themselves.
    pub fn new(server: &'a [ChannelLog]) -> Self {
        let mut checker = Self {
            logs: HashMap::with_capacity(server.len()),
            report: Report::default(),
        };
        for log in server {
            checker.take_log(log);
        }
        checker
    }

    /// Checks all commands against the logs. With `every_message_is_recorded`, messages that are not among them are
    /// faults.
    pub fn take_commands(&mut self, sent: &[Sent], every_message_is_recorded: bool) {
        let mut last_of_sender = HashMap::new();
        for command in sent {
            self.report.commands += 1;
            let place = Place::of_command(command);
            let found = self.find(command);
            match command.outcome {
                Outcome::Acknowledged { head, message } => {
                    self.report.acknowledged += 1;
                    self.check_acknowledged(command, found, head, message, &place);
                }
                Outcome::Rejected => {
                    self.report.rejected += 1;
                    if let Some(seq) = found {
                        let detail = format!("it is at {seq}");
                        self.break_law(Law::RejectedIsAbsent, &place.at(seq), detail);
                    }
                }
                Outcome::Unknown => {
                    self.report.unknown += 1;
                    self.report.unknown_written += u64::from(found.is_some());
                }
            }
            let Some(seq) = found else { continue };
            self.check_body(command, seq, &place);
            let sender = (&command.user, command.device, command.channel);
            let last = last_of_sender.insert(sender, seq);
            if let Some(last) = last.filter(|last| *last > seq) {
                let detail = format!("a command that was sent before it is behind it, at {last}");
                self.break_law(Law::SendersKeepTheirOrder, &place.at(seq), detail);
                last_of_sender.insert(sender, last);
            }
        }
        if every_message_is_recorded {
            self.check_nothing_invented(sent);
        }
    }

    /// Checks one log of one device.
    pub fn take_device(&mut self, device: &DeviceLog) {
        self.report.device_logs += 1;
        self.report.device_entries += device.entries.len() as u64;
        let server = self.logs.get(&device.channel).map(|log| log.log);
        let place = Place::of_device(device);
        let end = server.map_or(Seq(0), |log| Seq(log.entries.len() as u64));
        let through = device.through.map_or(end, |through| through.min(end));
        let mut expected = device.visible_from.max(Seq(1));
        let mut missing = BTreeSet::new();
        for seen in &device.entries {
            let seq = seen.head.seq;
            let place = place.at(seq);
            let stored = server.and_then(|log| log.at(seq));
            let Some(stored) = stored.filter(|_| seq >= device.visible_from && seq <= through)
            else {
                let detail = format!(
                    "its user may see {} to {through} of a log that ends at {end}",
                    device.visible_from
                );
                self.break_law(Law::DevicesHaveNothingElse, &place, detail);
                continue;
            };
            if seq >= expected {
                missing.extend((expected.0..seq.0).map(Seq));
                expected = seq.next();
            } else if missing.remove(&seq) {
                let detail = format!("it came after {}", expected.previous());
                self.break_law(Law::DevicesKeepTheOrder, &place, detail);
            } else {
                let detail = "the device has it already".to_owned();
                self.break_law(Law::DevicesRepeatNothing, &place, detail);
            }
            self.check_same(*seen, stored.seen, &place);
        }
        if expected <= through {
            missing.insert(expected);
        }
        if let Some(first) = missing.first() {
            let absent = missing.len() as u64 + through.0.saturating_sub(expected.0);
            let detail = format!("it is the first of {absent} that the device lacks");
            self.break_law(Law::DevicesMissNothing, &place.at(*first), detail);
        }
    }

    /// What was found.
    pub fn finish(self) -> Report {
        self.report
    }

    fn take_log(&mut self, log: &'a ChannelLog) {
        let (mut head, mut last_id) = (Head::EMPTY, MessageId(0));
        let mut keys = HashMap::new();
        self.report.channels += 1;
        self.report.entries += log.entries.len() as u64;
        for (index, stored) in log.entries.iter().enumerate() {
            let (seq, n) = (stored.seen.head.seq, stored.seen.head.n);
            let place = Place::of_entry(log.channel, seq);
            let expected = Seq(index as u64 + 1);
            if seq != expected {
                let detail = format!("{expected} was expected");
                self.break_law(Law::SeqIsContiguous, &place, detail);
            }
            let messages = head.n.0 + u64::from(stored.sent.is_some());
            if n.0 != messages {
                let detail = format!("n is {n} where {messages} was expected");
                self.break_law(Law::OrdinalsCountMessages, &place, detail);
            }
            if stored.seen.message <= last_id {
                let detail = format!("{} follows {last_id}", stored.seen.message);
                self.break_law(Law::IdsRise, &place, detail);
            }
            head = stored.seen.head;
            last_id = last_id.max(stored.seen.message);
            if let Some((user, client_id, _)) = &stored.sent {
                self.report.messages += 1;
                let first = *keys.entry((user, *client_id)).or_insert(expected);
                if first != expected {
                    let detail = format!("{client_id} of {user} is at {first} already");
                    self.break_law(Law::KeysAreOnce, &place, detail);
                }
            }
        }
        self.logs.insert(log.channel, Log { log, keys });
    }

    /// Where the command is in the log: by its key if it is a message, else where it was acknowledged.
    fn find(&self, command: &Sent) -> Option<Seq> {
        let log = self.logs.get(&command.channel)?;
        if command.body.is_some() {
            return log.keys.get(&(&command.user, command.client_id)).copied();
        }
        match command.outcome {
            Outcome::Acknowledged { head, message } => {
                let stored = log.log.at(head.seq)?;
                (stored.sent.is_none() && stored.seen.message == message).then_some(head.seq)
            }
            Outcome::Rejected | Outcome::Unknown => None,
        }
    }

    fn check_acknowledged(
        &mut self,
        command: &Sent,
        found: Option<Seq>,
        head: Head,
        message: MessageId,
        place: &Place,
    ) {
        let Some(seq) = found else {
            let detail = "it is not in the log".to_owned();
            self.break_law(Law::AcknowledgedIsPresent, &place.at(head.seq), detail);
            return;
        };
        let stored = self.stored(command.channel, seq).map(|stored| stored.seen);
        let kept = stored.is_some_and(|seen| seen.head == head && seen.message == message);
        if seq != head.seq || !kept {
            let detail = format!(
                "acknowledged as {head:?} {message}, it is at {seq} as {:?}",
                stored.map(|seen| (seen.head, seen.message))
            );
            self.break_law(Law::AcknowledgedKeepsItsPlace, &place.at(seq), detail);
        }
    }

    fn check_body(&mut self, command: &Sent, seq: Seq, place: &Place) {
        let stored = self.stored(command.channel, seq);
        if stored.is_some_and(|stored| stored.seen.body.is_some_and(|body| body.rev.is_some())) {
            // It says something else by now.
            return;
        }
        let body = stored.and_then(|stored| stored.sent.as_ref()?.2);
        if body != command.body {
            let detail = format!("sent {:?}, stored {body:?}", command.body);
            self.break_law(Law::BodiesAreAsSent, &place.at(seq), detail);
        }
    }

    fn check_nothing_invented(&mut self, sent: &[Sent]) {
        let known: HashSet<_> = sent
            .iter()
            .map(|command| (command.channel, &command.user, command.client_id))
            .collect();
        let mut logs: Vec<&ChannelLog> = self.logs.values().map(|log| log.log).collect();
        logs.sort_by_key(|log| log.channel);
        for log in logs {
            for stored in &log.entries {
                let Some((user, client_id, _)) = &stored.sent else {
                    continue;
                };
                if !known.contains(&(log.channel, user, *client_id)) {
                    let place = Place::of_entry(log.channel, stored.seen.head.seq);
                    let detail = format!("{user} never sent {client_id} to this channel");
                    self.break_law(Law::NothingIsInvented, &place, detail);
                }
            }
        }
    }

    fn check_same(&mut self, seen: Seen, stored: Seen, place: &Place) {
        if !seen.agrees_with(&stored) {
            let detail = format!("the device has {seen:?}, the server {stored:?}");
            self.break_law(Law::DevicesHaveTheSame, place, detail);
        }
    }

    fn stored(&self, channel: ChannelId, seq: Seq) -> Option<&'a Stored> {
        self.logs.get(&channel)?.log.at(seq)
    }

    fn break_law(&mut self, law: Law, place: &Place, detail: String) {
        let place = place.clone();
        self.report.note(Violation {
            law,
            channel: place.channel,
            seq: place.seq,
            device: place.device,
            client_id: place.client_id,
            detail,
        });
    }
}

impl Place {
    fn of_entry(channel: ChannelId, seq: Seq) -> Self {
        Self {
            channel,
            seq: Some(seq),
            device: None,
            client_id: None,
        }
    }

    fn of_command(command: &Sent) -> Self {
        Self {
            channel: command.channel,
            seq: None,
            device: Some((command.user.clone(), command.device)),
            client_id: Some(command.client_id),
        }
    }

    fn of_device(device: &DeviceLog) -> Self {
        Self {
            channel: device.channel,
            seq: None,
            device: Some((device.user.clone(), device.device)),
            client_id: None,
        }
    }

    fn at(&self, seq: Seq) -> Self {
        Self {
            seq: Some(seq),
            ..self.clone()
        }
    }
}
