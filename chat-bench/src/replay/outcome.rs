//! What happened in a run, in numbers.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use chat_testkit::history::Report;
use serde_json::{Map, Value, json};

/// What is counted on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    /// Messages that were acknowledged.
    Messages,
    /// Of them, those that answer another.
    Replies,
    /// Those whose answered line was said before their sender could see the channel.
    RepliesUnseen,
    /// Entries that changed who is in.
    MembersChanges,
    /// Users added and gone.
    MembersMoved,
    /// Messages sent again after their acknowledgement.
    Duplicates,
    /// Connections cut right behind a message.
    AcksCut,
    /// Messages that were durable before the attempt that was acknowledged.
    AcksLost,
    /// Connections of others cut.
    Drops,
    /// Deaths of the server.
    Kills,
    /// Microseconds of the server's processor time.
    ServerCpuUs,
}

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; Count::ALL.len()]);

impl Count {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Messages, "messages"),
        (Self::Replies, "replies"),
        (Self::RepliesUnseen, "replies_to_unseen"),
        (Self::MembersChanges, "members_changes"),
        (Self::MembersMoved, "members_added_and_left"),
        (Self::Duplicates, "duplicates_forced"),
        (Self::AcksCut, "acks_cut"),
        (Self::AcksLost, "acks_lost"),
        (Self::Drops, "devices_dropped"),
        (Self::Kills, "kills"),
        (Self::ServerCpuUs, "server_cpu_us"),
    ];
}

impl Counts {
    pub(crate) fn add(&self, count: Count) {
        self.add_many(count, 1);
    }

    pub(crate) fn add_many(&self, count: Count, number: u64) {
        self.0[count as usize].fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn value(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }
}

/// A whole run.
pub(crate) struct Outcome {
    /// What was asked for, the seed included.
    pub(crate) command: String,
    numbers: Vec<(&'static str, f64)>,
    /// The first difference, if there is one.
    pub(crate) difference: Option<String>,
}

impl Outcome {
    pub(crate) fn new(command: String, counts: &Counts, report: &Report) -> Self {
        let mut outcome = Self {
            command,
            numbers: Count::ALL
                .iter()
                .map(|(count, name)| (*name, counts.value(*count) as f64))
                .collect(),
            difference: report.first().map(ToString::to_string),
        };
        outcome.add("channels", report.channels as f64);
        outcome.add("entries", report.entries as f64);
        outcome.add("commands", report.commands as f64);
        outcome.add("acknowledged", report.acknowledged as f64);
        outcome.add("device_logs", report.device_logs as f64);
        outcome.add("device_entries", report.device_entries as f64);
        outcome.add("differences", report.violations_total as f64);
        outcome
    }

    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.numbers.push((name, value));
    }

    pub(crate) fn to_json(&self) -> String {
        let mut map = Map::new();
        map.insert("command".to_owned(), json!(self.command));
        for (name, value) in &self.numbers {
            map.insert((*name).to_owned(), json!(value));
        }
        map.insert("difference".to_owned(), json!(self.difference));
        Value::Object(map).to_string()
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.command);
        for (name, value) in &self.numbers {
            let _ = match value.fract() {
                0.0 => writeln!(text, "  {name:<28}{value:>14.0}"),
                _ => writeln!(text, "  {name:<28}{value:>14.2}"),
            };
        }
        text
    }
}

/// Puts what one channel's check found to what the others' did.
pub(crate) fn merge(all: &mut Report, one: Report) {
    all.channels += one.channels;
    all.entries += one.entries;
    all.messages += one.messages;
    all.commands += one.commands;
    all.acknowledged += one.acknowledged;
    all.rejected += one.rejected;
    all.unknown += one.unknown;
    all.unknown_written += one.unknown_written;
    all.device_logs += one.device_logs;
    all.device_entries += one.device_entries;
    all.violations_total += one.violations_total;
    if all.violations.is_empty() {
        all.violations = one.violations;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_stands_at_its_own_place() {
        for (place, (count, _)) in Count::ALL.iter().enumerate() {
            assert_eq!(*count as usize, place);
        }
    }
}
