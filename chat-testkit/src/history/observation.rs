//! What is recorded.

use chat_core::proto::{ChannelId, ClientId, DeviceId, Entry, Head, MessageId, Seq, UserId};

use super::checker::Checker;
use super::digest::Digest;
use super::report::Report;

/// All that was observed of a system.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Each command once, in the order in which its device first sent it, with its final outcome.
    pub sent: Vec<Sent>,
    /// The server's logs at the end, whole.
    pub server: Vec<ChannelLog>,
    /// The devices' logs at the end.
    pub devices: Vec<DeviceLog>,
    /// Whether `sent` holds every message that anybody sent, so that a message that nobody sent is a fault.
    pub every_message_is_recorded: bool,
}

/// A command, however often it was tried.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Who.
    pub user: UserId,
    /// With which device; its commands to one channel keep their order.
    pub device: DeviceId,
    /// To which channel.
    pub channel: ChannelId,
    /// Its key.
    pub client_id: ClientId,
    /// A message's body; absent for a command that is none.
    pub body: Option<Digest>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, there.
    Acknowledged {
        /// Its place, with the messages up to it.
        head: Head,
        /// Its name.
        message: MessageId,
    },
    /// It is not, and never will be.
    Rejected,
    /// Nobody was told.
    Unknown,
}

/// One sighting of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its place, with the messages up to it.
    pub head: Head,
    /// Its name.
    pub message: MessageId,
    /// All else that never changes.
    pub digest: Digest,
    /// What a message said then.
    pub body: Option<SeenBody>,
}

/// A message's body at one sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenBody {
    /// The entry that set it, if it is not the message itself.
    pub rev: Option<Seq>,
    /// None once erased.
    pub digest: Option<Digest>,
}

/// An entry as the server has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What every device must see.
    pub seen: Seen,
    /// A message's sender, key and body.
    pub sent: Option<(UserId, ClientId, Option<Digest>)>,
}

/// A channel's whole log, as the server has it.
#[derive(Clone, Debug)]
pub struct ChannelLog {
    /// Which channel.
    pub channel: ChannelId,
    /// From the first entry on.
    pub entries: Vec<Stored>,
}

/// A channel's log as a device has it, in the order in which it took the entries in.
#[derive(Clone, Debug)]
pub struct DeviceLog {
    /// Whose.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// Which channel.
    pub channel: ChannelId,
    /// The first entry that the user may see.
    pub visible_from: Seq,
    /// The last one, for who left; absent: the log's last.
    pub through: Option<Seq>,
    /// What it has.
    pub entries: Vec<Seen>,
}

impl History {
    /// Holds the history to every law.
    pub fn check(&self) -> Report {
        let mut checker = Checker::new(&self.server);
        checker.take_commands(&self.sent, self.every_message_is_recorded);
        for device in &self.devices {
            checker.take_device(device);
        }
        checker.finish()
    }
}

impl Seen {
    /// A sighting of this entry.
    pub fn of(entry: &Entry) -> Self {
        Self {
            head: entry.head(),
            message: entry.message,
            digest: Digest::of_entry(entry),
            body: entry.as_message().map(|message| SeenBody {
                rev: message.rev,
                digest: message.body.as_ref().map(Digest::of_body),
            }),
        }
    }

    /// Whether both may be sightings of one entry: what never changes is the same, and what it says is, if set by the same.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let of_another_time = match (self.body, other.body) {
            (Some(own), Some(others)) => own.rev != others.rev,
            (Some(_), None) | (None, Some(_)) | (None, None) => false,
        };
        let (skeleton, others) = (self.without_body(), other.without_body());
        skeleton == others && (of_another_time || self.body == other.body)
    }

    fn without_body(self) -> Self {
        Self { body: None, ..self }
    }
}

impl Stored {
    /// The entry as the server has it.
    pub fn of(entry: &Entry) -> Self {
        let sent = entry.as_message().map(|message| {
            let body = message.body.as_ref().map(Digest::of_body);
            (entry.from.clone(), message.client_id, body)
        });
        Self {
            seen: Seen::of(entry),
            sent,
        }
    }
}

impl ChannelLog {
    /// A log of these entries.
    pub fn new<'a>(channel: ChannelId, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        Self {
            channel,
            entries: entries.into_iter().map(Stored::of).collect(),
        }
    }

    /// The entry at this place.
    pub(super) fn at(&self, seq: Seq) -> Option<&Stored> {
        let place = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        self.entries.get(place)
    }
}
