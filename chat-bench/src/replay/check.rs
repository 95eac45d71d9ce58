//! Devices, acknowledgements and the server's log of one channel compared.

use std::collections::BTreeSet;

use chat_proto::{ChannelId, DeviceId, Entry, EntryKind, History, Seq, UserId};
use chat_testkit::history::{ChannelLog, Checker, DeviceLog, Outcome, Report, Seen};

use super::notes::Sightings;
use super::plan::{Change, Plan};
use super::room::Changed;
use super::speech::{Spoken, replies};

/// All that was observed of a channel.
pub(crate) struct Observed<'a> {
    pub(crate) plan: &'a Plan,
    /// As the server has it.
    pub(crate) log: &'a [Entry],
    pub(crate) spoken: &'a [Spoken],
    pub(crate) changed: &'a [Changed],
    pub(crate) devices: Vec<DeviceNotes>,
    pub(crate) is_ordered: bool,
}

/// What a device saw.
pub(crate) struct DeviceNotes {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) sightings: Sightings,
}

/// What came of it.
pub(crate) struct Checked {
    pub(crate) channel: ChannelId,
    pub(crate) host: UserId,
    /// The log, to be found the same at the end of the run.
    pub(crate) log: Vec<Seen>,
    pub(crate) report: Report,
    /// What no law of a history covers: the first of it.
    pub(crate) difference: Option<String>,
}

/// Entries between these, both included, are visible; without an end, all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    /// The entry that added the user.
    added: Seq,
    from: Seq,
    through: Option<Seq>,
}

impl Observed<'_> {
    pub(crate) fn check(&self) -> Checked {
        let logs = [ChannelLog::new(self.plan.channel, self.log)];
        let mut checker = Checker::new(&logs);
        let sent: Vec<_> = self
            .spoken
            .iter()
            .map(|spoken| spoken.sent.clone())
            .collect();
        checker.take_commands(&sent, true);
        for device in &self.devices {
            let ranges = self.ranges(&device.user);
            for log in device_logs(self.plan, device, &ranges) {
                checker.take_device(&log);
            }
        }
        let report = checker.finish();
        let difference = self
            .first_device_at_fault(&report)
            .or_else(|| self.changes_are_where_they_were_acknowledged())
            .or_else(|| self.nobody_was_told_of_leaving_who_stays())
            .or_else(|| self.members_are_those_of_the_plan())
            .or_else(|| self.replies_are_as_sent())
            .or_else(|| self.lines_are_in_order());
        Checked {
            channel: self.plan.channel,
            host: self.plan.host.clone(),
            log: self.log.iter().map(Seen::of).collect(),
            report,
            difference: difference
                .map(|what| format!("{} ({}): {what}", self.plan.channel, self.plan.title)),
        }
    }

    /// The first violation, with all that its device saw.
    fn first_device_at_fault(&self, report: &Report) -> Option<String> {
        let first = report.first()?;
        let (user, id) = first.device.as_ref()?;
        let device = self
            .devices
            .iter()
            .find(|device| device.user == *user && device.device == *id)?;
        let seen: Vec<String> = device
            .sightings
            .parts
            .iter()
            .map(|part| runs(part))
            .collect();
        Some(format!(
            "{first}; visible: {:?}; seen: {}",
            self.ranges(user),
            seen.join(" | ")
        ))
    }

    /// When the user could see the log, from the log itself.
    fn ranges(&self, user: &UserId) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for entry in self.log {
            let (adds, removes) = moves(entry);
            if removes.contains(&user)
                && let Some(last) = ranges.last_mut()
            {
                last.through = Some(entry.seq);
            }
            if adds.contains(&user) {
                let from = match self.plan.history {
                    History::All => Seq(1),
                    History::Joined => entry.seq,
                };
                ranges.push(Range {
                    added: entry.seq,
                    from,
                    through: None,
                });
            }
        }
        ranges
    }

    fn changes_are_where_they_were_acknowledged(&self) -> Option<String> {
        self.changed.iter().find_map(|changed| {
            let place = usize::try_from(changed.seq.0).ok()?.checked_sub(1)?;
            let (adds, removes) = self.log.get(place).map(moves).unwrap_or_default();
            let holds = match &changed.change {
                Change::Add(users) => users.iter().all(|user| adds.contains(&user)),
                Change::Leave(user) => removes.contains(&user),
            };
            (!holds).then(|| {
                format!(
                    "{:?} was acknowledged as entry {} and is not there",
                    changed.change, changed.seq
                )
            })
        })
    }

    /// Whoever has seen the entry that added them for good is not told afterwards that they have left.
    fn nobody_was_told_of_leaving_who_stays(&self) -> Option<String> {
        self.devices.iter().find_map(|device| {
            let ranges = self.ranges(&device.user);
            let stays = ranges.last().filter(|range| range.through.is_none())?;
            let (_, before) = device.sightings.parts.split_last()?;
            let last = before
                .iter()
                .filter_map(|part| part.last())
                .map(|seen| seen.head.seq);
            let last = last.max().filter(|last| *last >= stays.added)?;
            Some(format!(
                "{} of {} had entry {last}, has been in since {}, and was told that they had left",
                device.device, device.user, stays.added
            ))
        })
    }

    fn members_are_those_of_the_plan(&self) -> Option<String> {
        let mut members = BTreeSet::new();
        for entry in self.log {
            let (adds, removes) = moves(entry);
            for user in removes {
                members.remove(user);
            }
            members.extend(adds);
        }
        let planned: BTreeSet<&UserId> = self.plan.members_at_end.iter().collect();
        let odd = members.symmetric_difference(&planned).next()?;
        Some(format!(
            "{odd} is a member by the log or by what was acknowledged, not by both"
        ))
    }

    fn replies_are_as_sent(&self) -> Option<String> {
        let replies = replies(self.spoken);
        self.log.iter().find_map(|entry| {
            let message = entry.as_message()?;
            let sent = replies.get(&message.client_id)?;
            (*sent != message.reply_to).then(|| {
                format!(
                    "entry {} answers {:?} where {sent:?} was sent",
                    entry.seq, message.reply_to
                )
            })
        })
    }

    /// Nobody spoke before the former line was acknowledged, so that the log has the order of the lines.
    fn lines_are_in_order(&self) -> Option<String> {
        if !self.is_ordered {
            return None;
        }
        let place = |spoken: &Spoken| match spoken.sent.outcome {
            Outcome::Acknowledged { head, .. } => head.seq,
            Outcome::Rejected | Outcome::Unknown => Seq(0),
        };
        let odd = self
            .spoken
            .windows(2)
            .find(|two| place(&two[0]) >= place(&two[1]))?;
        Some(format!(
            "line {} is entry {} and the later line {} is entry {}",
            odd[0].line,
            place(&odd[0]),
            odd[1].line,
            place(&odd[1])
        ))
    }
}

/// Who comes and who goes by an entry.
fn moves(entry: &Entry) -> (Vec<&UserId>, Vec<&UserId>) {
    match &entry.kind {
        EntryKind::Created(created) => {
            let mut adds: Vec<&UserId> =
                created.members.iter().map(|member| &member.user).collect();
            if !adds.contains(&&entry.from) {
                adds.push(&entry.from);
            }
            (adds, Vec::new())
        }
        EntryKind::Members(change) => (
            change.add.iter().map(|member| &member.user).collect(),
            change.remove.iter().collect(),
        ),
        _ => (Vec::new(), Vec::new()),
    }
}

/// A device's log for each time that its user was in the channel.
///
/// When a device is told that its user has left, what it kept of the channel is void, and it begins anew when they are
/// back; so each part stands for itself. Only the last must be complete, if its user is in the channel at the end: who
/// left may have been away from the network then, and is asked for no more than a log without holes.
fn device_logs(plan: &Plan, device: &DeviceNotes, ranges: &[Range]) -> Vec<DeviceLog> {
    // Who never was in the channel has seen nothing of it.
    let never = [Range {
        added: Seq(u64::MAX),
        from: Seq(u64::MAX),
        through: Some(Seq(0)),
    }];
    let ranges = if ranges.is_empty() { &never } else { ranges };
    let mut parts = Vec::new();
    let last = device.sightings.parts.len() - 1;
    for (at, entries) in device.sightings.parts.iter().enumerate() {
        let of_part = match plan.history {
            History::All => whole(entries, ranges),
            History::Joined => by_range(entries, ranges),
        };
        let asked = of_part.into_iter().map(|part| {
            let is_to_be_whole = at == last && part.range.through.is_none();
            if is_to_be_whole {
                part
            } else {
                part.of_one_who_left()
            }
        });
        parts.extend(asked);
    }
    let log = |part: Part| DeviceLog {
        user: device.user.clone(),
        device: device.device,
        channel: plan.channel,
        visible_from: part.range.from,
        through: part.range.through,
        entries: part.entries,
    };
    parts.into_iter().map(log).collect()
}

/// Entries as runs of rising numbers.
fn runs(entries: &[Seen]) -> String {
    let mut runs: Vec<(Seq, Seq)> = Vec::new();
    for seq in entries.iter().map(|seen| seen.head.seq) {
        match runs.last_mut() {
            Some((_, last)) if last.next() == seq => *last = seq,
            Some(_) | None => runs.push((seq, seq)),
        }
    }
    runs.iter()
        .map(|(from, to)| format!("{from}-{to}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a device saw in one range.
struct Part {
    range: Range,
    entries: Vec<Seen>,
}

impl Part {
    /// Asks for no more than was seen, within what could be.
    fn of_one_who_left(mut self) -> Self {
        let seen = self.entries.last().map_or(Seq(0), |seen| seen.head.seq);
        self.range.through = Some(self.range.through.map_or(seen, |through| through.min(seen)));
        self
    }
}

/// Where the whole log is visible, each part begins at its first entry; who came back while away from the network
/// goes on where they were.
fn whole(entries: &[Seen], ranges: &[Range]) -> Vec<Part> {
    let through = ranges.last().and_then(|range| range.through);
    let range = Range {
        added: Seq(1),
        from: Seq(1),
        through,
    };
    vec![Part {
        range,
        entries: entries.to_vec(),
    }]
}

/// Where a new member sees what follows, each entry belongs to the first range that reaches it.
fn by_range(entries: &[Seen], ranges: &[Range]) -> Vec<Part> {
    let mut parts: Vec<Part> = ranges
        .iter()
        .map(|range| Part {
            range: *range,
            entries: Vec::new(),
        })
        .collect();
    let mut at = 0;
    for seen in entries {
        let reaches = |range: &Range| range.through.is_none_or(|through| seen.head.seq <= through);
        while at + 1 < ranges.len() && !reaches(&ranges[at]) {
            at += 1;
        }
        parts[at].entries.push(*seen);
    }
    parts
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
