//! From an append to the values of its rows: checked and encoded before it queues, on its caller's task.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{Append, AppendRecord, PortError};
use chat_proto::channel::{MemberChange, Snapshot};
use chat_proto::entry::{BodySet, Pin, React};
use chat_proto::{
    Body, ChannelId, ChannelType, Entry, EntryKind, Head, Limits, Record, Seq, UserId,
};
use uuid::Uuid;

use crate::decode::{FORM_JSON, FORM_TEXT, bound};

const OP: &str = "messages.append";

/// An append whose records are in order among themselves.
#[derive(Debug)]
pub(crate) struct PreparedAppend {
    pub(super) channel: ChannelId,
    pub(super) expected_head: Seq,
    pub(super) entries: Vec<PreparedEntry>,
    pub(super) state: Option<PreparedState>,
    /// Roughly the bytes that it occupies.
    pub(super) bytes: usize,
}

impl PreparedAppend {
    /// Whether it begins its log.
    pub(super) fn begins(&self) -> bool {
        self.expected_head == Seq(0)
    }
}

/// An entry as its row holds it.
#[derive(Debug)]
pub(super) struct PreparedEntry {
    pub(super) head: Head,
    pub(super) message: i64,
    pub(super) at: i64,
    pub(super) sender: Arc<str>,
    pub(super) device: Option<Uuid>,
    /// The key's `client_id` and content.
    pub(super) key: Option<(Uuid, [u8; 16])>,
    pub(super) withheld: bool,
    pub(super) kind: PreparedKind,
    /// What it does to the message that it names.
    pub(super) target: Option<Seq>,
    /// The body that it leaves its target with.
    pub(super) sets: Option<PreparedSet>,
    pub(super) changes: Vec<MemberChange>,
}

/// A body as it is stored: how it is to be read, and its bytes.
pub(super) type PreparedBody = (i16, Vec<u8>);

/// What an edit or a deletion does to a message's body.
#[derive(Debug)]
pub(crate) struct PreparedSet {
    pub(super) target: i64,
    pub(super) rev: i64,
    /// None: erased for ever.
    pub(super) body: Option<PreparedBody>,
}

/// What a row of `messages` or of `events` holds besides.
#[derive(Debug)]
pub(super) enum PreparedKind {
    Message {
        client_id: Uuid,
        detail: Option<Vec<u8>>,
        body: Option<PreparedBody>,
        thread: Option<i64>,
        mentions: Vec<UserId>,
    },
    React {
        detail: Vec<u8>,
        react: React,
    },
    Pin {
        detail: Vec<u8>,
        pin: Pin,
    },
    Event {
        name: String,
        detail: Vec<u8>,
    },
}

/// A row of `channel_states`.
#[derive(Debug)]
pub(super) struct PreparedState {
    pub(super) direct: bool,
    pub(super) large: bool,
    pub(super) member_count: i64,
    pub(super) snapshot: Vec<u8>,
}

/// Checks what can be checked without the log, and encodes.
///
/// # Errors
/// `Misuse` when the append breaks the contract of the port.
pub(crate) fn prepare(append: Append) -> Result<PreparedAppend, PortError> {
    let Append {
        channel,
        expected_head,
        records,
        state,
    } = append;
    if records.is_empty() || records.len() > Limits::APPEND_ENTRIES_MAX {
        return Err(misuse("an append has 1 to 64 records"));
    }
    check_order(channel, expected_head, &records)?;
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
    Ok(PreparedAppend {
        channel,
        expected_head,
        entries: records
            .into_iter()
            .map(prepare_entry)
            .collect::<Result<_, _>>()?,
        state: state.map(prepare_state).transpose()?,
        bytes,
    })
}

/// Places and ordinals follow each other, and no key comes twice.
fn check_order(
    channel: ChannelId,
    expected_head: Seq,
    records: &[AppendRecord],
) -> Result<(), PortError> {
    let (mut seq, mut n) = (expected_head, None);
    let mut keys = BTreeSet::new();
    for AppendRecord { record, .. } in records {
        let Record { entry, key, .. } = record;
        seq = seq.next();
        let counted = u64::from(entry.kind.is_message());
        if record.channel != channel || entry.seq != seq {
            return Err(misuse(
                "records are contiguous from the expected head, all of one channel",
            ));
        }
        if n.is_some_and(|n| entry.n.0 != n + counted) || entry.n.0 < counted {
            return Err(misuse("ordinals count the messages"));
        }
        if seq == Seq(1) && entry.n.0 != counted {
            return Err(misuse(
                "the first record's ordinal does not follow the head's",
            ));
        }
        n = Some(entry.n.0);
        if let Some(key) = key
            && !keys.insert((&entry.from, key.client_id))
        {
            return Err(misuse("a key comes once in an append"));
        }
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
    let sets = entry.sets_body().map(prepare_set).transpose()?;
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

/// The values of a body's change.
///
/// # Errors
/// Never for bodies that were parsed; the type of the serializer.
pub(crate) fn prepare_set(set: BodySet<'_>) -> Result<PreparedSet, PortError> {
    Ok(PreparedSet {
        target: bound(set.target.0),
        rev: bound(set.rev.0),
        body: set.body.cloned().map(prepare_body).transpose()?,
    })
}

fn prepare_body(body: Body) -> Result<PreparedBody, PortError> {
    match body {
        Body::Text {
            text,
            attachments,
            data: None,
        } if attachments.is_empty() => Ok((FORM_TEXT, text.into_bytes())),
        other => serde_json::to_vec(&other)
            .map(|json| (FORM_JSON, json))
            .map_err(|error| PortError::misuse(OP).with_source(error)),
    }
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
