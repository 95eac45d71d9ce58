//! From an append to the values of its rows: checked and encoded before it queues, on its caller's task.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_proto::channel::{MemberChange, Snapshot};
use chat_proto::entry::{BodySet, Pin, React};
use chat_proto::{Body, ChannelId, ChannelType, Entry, EntryKind, Head, Record, Seq, UserId};
use uuid::Uuid;

use super::body::{PreparedBody, encode_body};
use super::numbers::bound;
use crate::ports::{Append, AppendRecord, PortError};

const OP: &str = "messages.append";

/// The keys of several appends; see [`PreparedAppend::repeats_a_key`].
pub type SeenKeys<'a> = BTreeSet<(ChannelId, &'a str, Uuid)>;

/// An append whose records are in order among themselves.
#[derive(Debug)]
pub struct PreparedAppend {
    /// Whose log.
    pub channel: ChannelId,
    /// The last entry that was folded to decide it.
    pub expected_head: Seq,
    /// Its entries.
    pub entries: Vec<PreparedEntry>,
    /// The channel's state after all of them.
    pub state: Option<PreparedState>,
    /// Roughly the bytes that it occupies.
    pub bytes: usize,
}

impl PreparedAppend {
    /// Checks what can be checked without the log, and encodes.
    ///
    /// # Errors
    /// `Misuse` when the append breaks the contract of the port.
    pub fn of(append: Append) -> Result<Self, PortError> {
        append.check(OP)?;
        check_ordinals(&append.records)?;
        let Append {
            channel,
            expected_head,
            records,
            state,
        } = append;
        let only_messages = records
            .iter()
            .all(|record| record.record.entry.kind.is_message());
        if state.is_none() && !only_messages {
            return Err(misuse(
                "an append of more than messages brings the channel's state",
            ));
        }
        let bytes = records
            .iter()
            .map(|record| record.record.entry.size_bytes())
            .sum();
        let entries = records.into_iter().map(prepare_entry);
        Ok(Self {
            channel,
            expected_head,
            entries: entries.collect::<Result<_, _>>()?,
            state: state.map(prepare_state).transpose()?,
            bytes,
        })
    }

    /// Whether the first record counts on from the head.
    pub fn continues(&self, head: Head) -> bool {
        self.entries.first().is_some_and(|first| {
            let counted = u64::from(matches!(first.kind, PreparedKind::Message { .. }));
            first.head.n.0 == head.n.0 + counted
        })
    }

    /// Whether one of its keys is among those of earlier appends; if not, its own are from now on.
    pub fn repeats_a_key<'a>(&'a self, seen: &mut SeenKeys<'a>) -> bool {
        let keys: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let (client_id, _) = entry.key?;
                Some((self.channel, &*entry.sender, client_id))
            })
            .collect();
        if keys.iter().any(|key| seen.contains(key)) {
            return true;
        }
        seen.extend(keys);
        false
    }
}

impl PreparedSet {
    /// The values of a body's change.
    ///
    /// # Errors
    /// Never for bodies that were parsed; the type of the serializer.
    pub fn of(set: BodySet<'_>) -> Result<Self, PortError> {
        Ok(Self {
            target: bound(set.target.0),
            rev: bound(set.rev.0),
            body: set.body.cloned().map(prepare_body).transpose()?,
        })
    }
}

impl PreparedEntry {
    /// Who alone may see it; '' for everybody.
    pub fn only_for(&self) -> Arc<str> {
        if self.withheld {
            Arc::clone(&self.sender)
        } else {
            Arc::from("")
        }
    }

    /// Whether this user may see it.
    pub fn is_for(&self, user: &str) -> bool {
        !self.withheld || *self.sender == *user
    }
}

/// An entry as its row holds it.
#[derive(Debug)]
pub struct PreparedEntry {
    /// The head that it makes.
    pub head: Head,
    /// Its name.
    pub message: i64,
    /// Milliseconds.
    pub at: i64,
    /// Whose it is.
    pub sender: Arc<str>,
    /// From which device.
    pub device: Option<Uuid>,
    /// The key's `client_id` and content.
    pub key: Option<(Uuid, [u8; 16])>,
    /// Only its sender may see it.
    pub withheld: bool,
    /// What it is.
    pub kind: PreparedKind,
    /// What it does to the message that it names.
    pub target: Option<Seq>,
    /// The body that it leaves its target with.
    pub sets: Option<PreparedSet>,
    /// What it means for the members.
    pub changes: Vec<MemberChange>,
}

/// What an edit or a deletion does to a message's body.
#[derive(Debug)]
pub struct PreparedSet {
    /// The message.
    pub target: i64,
    /// The entry that sets its body.
    pub rev: i64,
    /// None: erased for ever.
    pub body: Option<PreparedBody>,
}

/// What a row holds beside what all entries have.
#[derive(Debug)]
pub enum PreparedKind {
    /// A message.
    Message {
        /// The sender's name for it.
        client_id: Uuid,
        /// What it has beside its body, as JSON; none where there is nothing.
        detail: Option<Vec<u8>>,
        /// What it says.
        body: Option<PreparedBody>,
        /// The message whose thread it is in.
        thread: Option<i64>,
        /// Whom it names.
        mentions: Vec<UserId>,
    },
    /// A sign, set or taken back.
    React {
        /// As JSON.
        detail: Vec<u8>,
        /// The same to read.
        react: React,
    },
    /// A pin, set or taken away.
    Pin {
        /// As JSON.
        detail: Vec<u8>,
        /// The same to read.
        pin: Pin,
    },
    /// Anything else.
    Event {
        /// The name of its kind.
        name: String,
        /// As JSON.
        detail: Vec<u8>,
    },
}

/// What changes only with an entry that is no message.
#[derive(Debug)]
pub struct PreparedState {
    /// Of two users.
    pub direct: bool,
    /// Of so many members that nothing is kept for each.
    pub large: bool,
    /// How many.
    pub member_count: i64,
    /// The state without its members, as JSON.
    pub snapshot: Vec<u8>,
}

/// Ordinals count the messages.
fn check_ordinals(records: &[AppendRecord]) -> Result<(), PortError> {
    let mut n = None;
    for AppendRecord { record, .. } in records {
        let entry = &record.entry;
        let counted = u64::from(entry.kind.is_message());
        if n.is_some_and(|n| entry.n.0 != n + counted) || entry.n.0 < counted {
            return Err(misuse("ordinals count the messages"));
        }
        n = Some(entry.n.0);
    }
    Ok(())
}

fn prepare_entry(record: AppendRecord) -> Result<PreparedEntry, PortError> {
    let AppendRecord {
        record: Record { entry, key, .. },
        changes,
        ..
    } = record;
    let detail = entry
        .detail()
        .map_err(|error| PortError::misuse(OP).with_source(error))?;
    let head = entry.head();
    let target = entry.target();
    let sets = entry.sets_body().map(PreparedSet::of).transpose()?;
    let Entry {
        message,
        at,
        from,
        device,
        withheld,
        kind,
        ..
    } = entry;
    let kind = match kind {
        EntryKind::Message(message) => {
            if key.is_some_and(|key| key.client_id != message.client_id) {
                return Err(misuse("a message's key has the message's client_id"));
            }
            PreparedKind::Message {
                client_id: message.client_id.as_uuid(),
                detail: Some(detail).filter(|detail| !detail.is_empty()),
                body: message.body.map(prepare_body).transpose()?,
                thread: message.thread.map(|thread| bound(thread.0)),
                mentions: message.mentions,
            }
        }
        EntryKind::React(react) => PreparedKind::React { detail, react },
        EntryKind::Pin(pin) => PreparedKind::Pin { detail, pin },
        EntryKind::Unknown { kind: name, .. } => PreparedKind::Event { name, detail },
        // The enum is open to other crates; whatever is no message is stored by its name.
        other => PreparedKind::Event {
            name: other.name().to_owned(),
            detail,
        },
    };
    Ok(PreparedEntry {
        head,
        message: message.0.cast_signed(),
        at: bound(at.0),
        sender: from.as_str().into(),
        device: device.map(|device| device.as_uuid()),
        key: key.map(|key| (key.client_id.as_uuid(), *key.content.as_bytes())),
        withheld,
        kind,
        target,
        sets,
        changes,
    })
}

fn prepare_body(body: Body) -> Result<PreparedBody, PortError> {
    encode_body(body).map_err(|error| PortError::misuse(OP).with_source(error))
}

fn prepare_state(mut state: Snapshot) -> Result<PreparedState, PortError> {
    state.members = None;
    Ok(PreparedState {
        direct: state
            .meta
            .as_ref()
            .is_some_and(|meta| meta.channel_type == ChannelType::Direct),
        large: state.large,
        member_count: bound(state.member_count),
        snapshot: serde_json::to_vec(&state)
            .map_err(|error| PortError::misuse(OP).with_source(error))?,
    })
}

fn misuse(why: &'static str) -> PortError {
    PortError::misuse(OP).with_source(why)
}
