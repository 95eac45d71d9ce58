//! What a check found.

use std::fmt;

use chat_core::proto::{ChannelId, ClientId, DeviceId, Seq, UserId};

use super::law::Law;

/// Violations that a report keeps; the others are only counted.
pub const VIOLATIONS_KEPT_MAX: usize = 100;

/// One breach of a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Of which law.
    pub law: Law,
    /// In which channel.
    pub channel: ChannelId,
    /// At which entry, if at one.
    pub seq: Option<Seq>,
    /// On which device, or by which it was sent.
    pub device: Option<(UserId, DeviceId)>,
    /// Of which command.
    pub client_id: Option<ClientId>,
    /// What was expected and what was found.
    pub detail: String,
}

/// How much was checked, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Logs of the server.
    pub channels: u64,
    /// Entries in them.
    pub entries: u64,
    /// Messages among these.
    pub messages: u64,
    /// Commands sent.
    pub commands: u64,
    /// Of them acknowledged.
    pub acknowledged: u64,
    /// Of them rejected.
    pub rejected: u64,
    /// Of them with an unknown outcome.
    pub unknown: u64,
    /// Messages of an unknown outcome that are in the log.
    pub unknown_written: u64,
    /// Logs of devices.
    pub device_logs: u64,
    /// Entries in them.
    pub device_entries: u64,
    /// The first violations, [`VIOLATIONS_KEPT_MAX`] at the most.
    pub violations: Vec<Violation>,
    /// All of them.
    pub violations_total: u64,
}

impl Report {
    /// Whether every law held.
    pub fn is_clean(&self) -> bool {
        self.violations_total == 0
    }

    /// The first violation.
    pub fn first(&self) -> Option<&Violation> {
        self.violations.first()
    }

    pub(super) fn note(&mut self, violation: Violation) {
        self.violations_total += 1;
        if self.violations.len() < VIOLATIONS_KEPT_MAX {
            self.violations.push(violation);
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}; channel {}", self.law, self.channel)?;
        if let Some(seq) = self.seq {
            write!(f, ", seq {seq}")?;
        }
        if let Some((user, device)) = &self.device {
            write!(f, ", device {device} of {user}")?;
        }
        if let Some(client_id) = self.client_id {
            write!(f, ", client_id {client_id}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} channels, {} entries, {} messages; {} commands: {} acknowledged, {} rejected, {} unknown of which {} \
             written; {} device logs, {} entries; {} violations",
            self.channels,
            self.entries,
            self.messages,
            self.commands,
            self.acknowledged,
            self.rejected,
            self.unknown,
            self.unknown_written,
            self.device_logs,
            self.device_entries,
            self.violations_total
        )?;
        match self.first() {
            Some(first) => write!(f, "; first {first}"),
            None => Ok(()),
        }
    }
}
