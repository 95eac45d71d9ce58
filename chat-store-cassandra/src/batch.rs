//! What is in a conditional batch.

use chat_core::ports::{Append, AppendRecord, PortError};
use chat_proto::{ChannelId, ClientId, EntryKind, Seq, UserId};
use scylla::statement::batch::{Batch, BatchType};
use scylla::value::{CqlValue, MaybeUnset};
use uuid::Uuid;

use crate::changes;
use crate::config::BATCH_BYTES_MAX;
use crate::cql::Statements;
use crate::rows::StoredBody;
use crate::store::{Bound, Buckets, bucket_column};

/// As much of an append as goes into one batch: a prefix in one bucket.
pub(crate) struct LogBatch {
    pub(crate) batch: Batch,
    pub(crate) values: Vec<Vec<Bound>>,
    /// Records in it.
    pub(crate) records: usize,
    /// Bodies to write before.
    pub(crate) long_bodies: Vec<LongBody>,
    pub(crate) bucket: u64,
    /// The head that the bucket must have; none: it must be empty.
    pub(crate) expected: Option<Seq>,
}

/// A body that does not go into the row of its entry.
pub(crate) struct LongBody {
    pub(crate) seq: i64,
    pub(crate) message: i64,
    pub(crate) bytes: Vec<u8>,
}

struct Encoded {
    entry: Vec<Bound>,
    key: Option<Vec<Bound>>,
    long_body: Option<LongBody>,
    bytes: usize,
}

impl LogBatch {
    /// The batch for the first records of an append that was checked.
    pub(crate) fn of(
        op: &'static str,
        append: &Append,
        statements: &Statements,
        buckets: Buckets,
    ) -> Result<Self, PortError> {
        let begins = append.expected_head == Seq(0);
        let bucket = buckets.of(append.expected_head.next());
        // A channel's first two records are durable together, however long.
        let together = if begins { 2 } else { 1 };
        let mut batch = Batch::new(BatchType::Unlogged);
        let mut values: Vec<Vec<Bound>> = Vec::new();
        let (mut records, mut bytes, mut long_bodies) = (0, 0, Vec::new());
        for appended in &append.records {
            let seq = appended.record.entry.seq;
            if buckets.of(seq) != bucket {
                break;
            }
            let encoded = encode(op, append.channel, bucket, appended)?;
            bytes += encoded.bytes;
            if records >= together && bytes > BATCH_BYTES_MAX {
                break;
            }
            values.push(encoded.entry);
            values.extend(encoded.key);
            long_bodies.extend(encoded.long_body);
            records += 1;
        }
        let last = &append.records[records - 1].record.entry;
        let expected =
            (!begins && !buckets.is_last(append.expected_head)).then_some(append.expected_head);
        let head = vec![
            number(last.seq.0),
            number(last.n.0),
            number(last.message.0),
            uuid(append.channel.as_uuid()),
            set(CqlValue::Int(bucket_column(bucket))),
            // Null, not unset: it is compared.
            MaybeUnset::Set(expected.map(|seq| CqlValue::BigInt(seq.0.cast_signed()))),
        ];
        batch.append_statement(statements.move_head.clone());
        for row in &values {
            batch.append_statement(if row.len() == KEY_COLUMNS {
                statements.insert_key.clone()
            } else {
                statements.insert_entry.clone()
            });
        }
        values.insert(0, head);
        Ok(Self {
            batch,
            values,
            records,
            long_bodies,
            bucket,
            expected,
        })
    }
}

/// Columns that are bound for a key; an entry has more.
const KEY_COLUMNS: usize = 8;

fn encode(
    op: &'static str,
    channel: ChannelId,
    bucket: u64,
    appended: &AppendRecord,
) -> Result<Encoded, PortError> {
    let unfit = |error: serde_json::Error| PortError::misuse(op).with_source(error);
    let (entry, key) = (&appended.record.entry, appended.record.key);
    let detail = entry.detail().map_err(unfit)?;
    let changes = changes::encode(&appended.changes).map_err(unfit)?;
    let client_id = entry.as_message().map(|message| message.client_id);
    let key_id = key
        .map(|key| key.client_id)
        .filter(|id| Some(*id) != client_id);
    let body = match &entry.kind {
        EntryKind::Message(message) => message.body.as_ref(),
        EntryKind::Edit(edit) => edit.body.as_ref(),
        _ => None,
    };
    let body = body.map(|body| StoredBody::of(op, body)).transpose()?;
    let (seq, message) = (entry.seq.0.cast_signed(), entry.message.0.cast_signed());
    let (form, inline, long_body) = match body {
        None => (None, None, None),
        Some(body) if body.is_long() => {
            let form = body.long_form();
            let bytes = body.bytes;
            let long = LongBody {
                seq,
                message,
                bytes,
            };
            (Some(form), None, Some(long))
        }
        Some(body) => (Some(body.form), Some(body.bytes), None),
    };
    let variable =
        [&Some(detail.clone()), &changes, &inline].map(|part| part.as_ref().map_or(0, Vec::len));
    let bytes = 512 + variable.iter().sum::<usize>();
    let place = [
        uuid(channel.as_uuid()),
        set(CqlValue::Int(bucket_column(bucket))),
    ];
    let content = key.map(|key| CqlValue::Blob(key.content.as_bytes().to_vec()));
    let mut row: Vec<Bound> = place.to_vec();
    row.extend([
        number(entry.seq.0),
        number(entry.n.0),
        number(entry.message.0),
        number(entry.at.0),
        text(entry.from.as_str()),
        optional(entry.device.map(|device| CqlValue::Uuid(device.as_uuid()))),
        optional((!entry.kind.is_message()).then(|| CqlValue::Text(entry.kind.name().to_owned()))),
        optional(client_id.map(|id| CqlValue::Uuid(id.as_uuid()))),
        optional(key_id.map(|id| CqlValue::Uuid(id.as_uuid()))),
        optional(content.clone()),
        optional((!detail.is_empty()).then_some(CqlValue::Blob(detail))),
        optional(changes.map(CqlValue::Blob)),
        optional(form.map(CqlValue::TinyInt)),
        optional(inline.map(CqlValue::Blob)),
    ]);
    let key = key.map(|key| {
        let mut row: Vec<Bound> = place.to_vec();
        row.extend([
            set(CqlValue::Blob(key_column(&entry.from, key.client_id))),
            number(entry.seq.0),
            number(entry.n.0),
            number(entry.message.0),
            number(entry.at.0),
            optional(content),
        ]);
        debug_assert_eq!(
            row.len(),
            KEY_COLUMNS,
            "a key is told from an entry by its columns"
        );
        row
    });
    Ok(Encoded {
        entry: row,
        key,
        long_body,
        bytes,
    })
}

/// A key as its column: the last 16 bytes are the client's, so no two keys are alike.
pub(crate) fn key_column(sender: &UserId, client_id: ClientId) -> Vec<u8> {
    [sender.as_str().as_bytes(), client_id.as_bytes()].concat()
}

pub(crate) fn set(value: CqlValue) -> Bound {
    MaybeUnset::Set(Some(value))
}

/// The bits are kept: names of entries may use all 64 of them.
pub(crate) fn number(number: u64) -> Bound {
    set(CqlValue::BigInt(number.cast_signed()))
}

pub(crate) fn text(text: &str) -> Bound {
    set(CqlValue::Text(text.to_owned()))
}

pub(crate) fn uuid(uuid: Uuid) -> Bound {
    set(CqlValue::Uuid(uuid))
}

/// Absent values are left alone rather than deleted.
pub(crate) fn optional(value: Option<CqlValue>) -> Bound {
    value.map_or(MaybeUnset::Unset, set)
}
