//! The newest message of a row.
//!
//! `copies` holds messages by their seq. A cell is a message as it was at a `rev` (the entry that set its body, else the message
//! itself) and has the timestamp of that rev; a message also takes away what has a lower timestamp than its own seq, which is
//! every older message that was not changed since. Read is the message with the highest seq, if it is in the visible range:
//!
//! | what happens | and then |
//! |---|---|
//! | a newer message is told, then the older one late | the older one's cell is below what the newer took away: gone |
//! | an edit is told, then the message as it was, late | one cell; the higher rev stands |
//! | an erasure is told, then a body late | the same: the message without its body stands, at the rev of the erasure |
//! | an older message is edited or erased | a cell below the newest: not read, gone with the next message |
//! | the newest message is edited, then a newer one is told late | both are there, the higher seq is read |
//! | an older copy has been taken away, and its edit comes late | the same as an edit of an older message |
//! | anything again | the same cells |
//! | the user leaves, or the channel becomes large | everything below that head is taken away, and `cleared` says so |
//! | the user returns, or the channel becomes small again | what is told is as old as what was taken away and may be lost; so no copy below `cleared` is read, and the log is asked where there is no other |
//! | the user returns and sees only newer messages | a copy that lies below the visible range is not read |
//! | the keyspace begins another life | its timestamps are above all former ones |

use chat_core::ports::PortError;
use chat_proto::entry::StoredKind;
use chat_proto::{Body, ClientId, DeviceId, Entry, MessageId, Ordinal, Seq, Timestamp, UserId};
use scylla::value::CqlValue;
use serde::{Deserialize, Serialize};

use super::row::RowOfInbox;
use super::writes::RowWrites;
use crate::batch::{number, set};
use crate::error::corrupt;
use crate::store::{Db, column};

/// A message as its copy; `Entry` itself is written for readers who may not know all of it.
#[derive(Serialize, Deserialize)]
struct StoredCopy {
    n: u64,
    message: u64,
    at: u64,
    from: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    client_id: ClientId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
}

/// What a row says of its newest message.
pub(super) enum Newest {
    /// This one.
    Copy(Box<Entry>),
    /// There is none in the visible range.
    None,
    /// The copy was taken away: the log knows.
    InTheLog,
}

impl Db {
    /// Tells a row of messages; of several only the newest can ever be read.
    pub(super) fn tell_copies(
        &self,
        op: &'static str,
        messages: &[Entry],
        writes: &mut RowWrites<'_>,
    ) -> Result<(), PortError> {
        // An entry that edits what is no message was never decided by the rules; no log may stop a row because of it.
        let messages = messages.iter().filter(|entry| entry.kind.is_message());
        let Some(newest) = messages.max_by_key(|entry| entry.seq) else {
            return Ok(());
        };
        let rev = newest.as_message().and_then(|message| message.rev);
        let rev = rev.unwrap_or(newest.seq).max(newest.seq);
        let copy = CqlValue::Blob(encode(op, newest)?);
        let (own, at_rev) = (self.stamps.at(newest.seq), self.stamps.at(rev));
        let statements = &self.statements;
        if rev == newest.seq {
            let cell = (CqlValue::BigInt(column(newest.seq.0)), copy);
            let values = [set(CqlValue::Map(vec![cell]))];
            writes.set(&statements.replace_copies, own, values);
        } else {
            let nothing = [set(CqlValue::Map(Vec::new()))];
            writes.set(&statements.replace_copies, own, nothing);
            let values = [number(newest.seq.0), set(copy)];
            writes.set(&statements.set_copy, at_rev, values);
        }
        Ok(())
    }
}

/// The newest message that the row's user may see from this place on.
pub(super) fn newest_of(
    op: &'static str,
    row: &RowOfInbox,
    visible_from: Seq,
) -> Result<Newest, PortError> {
    let copies = row.copies.as_ref();
    let newest = copies.and_then(|copies| copies.last_key_value());
    match newest {
        Some((seq, copy)) if row.cleared.is_none_or(|cleared| *seq > cleared) => {
            let seq = Seq(seq.cast_unsigned());
            if seq < visible_from {
                return Ok(Newest::None);
            }
            decode(op, seq, copy).map(|entry| Newest::Copy(Box::new(entry)))
        }
        Some(_) | None if row.cleared.is_some() => Ok(Newest::InTheLog),
        Some(_) | None => Ok(Newest::None),
    }
}

fn encode(op: &'static str, entry: &Entry) -> Result<Vec<u8>, PortError> {
    let misuse = |why: &'static str| PortError::misuse(op).with_source(why);
    let message = entry.as_message();
    let message = message.ok_or_else(|| misuse("only messages are copied"))?;
    let detail = entry.detail();
    let detail = detail.map_err(|error| PortError::misuse(op).with_source(error))?;
    let copy = StoredCopy {
        n: entry.n.0,
        message: entry.message.0,
        at: entry.at.0,
        from: entry.from.clone(),
        device: entry.device,
        client_id: message.client_id,
        body: message.body.clone(),
        detail: String::from_utf8(detail).map_err(|_| misuse("a detail is JSON"))?,
    };
    let json = serde_json::to_vec(&copy);
    json.map_err(|error| PortError::misuse(op).with_source(error))
}

fn decode(op: &'static str, seq: Seq, json: &[u8]) -> Result<Entry, PortError> {
    let copy: StoredCopy = serde_json::from_slice(json).map_err(|error| corrupt(op, error))?;
    let client_id = Some(copy.client_id);
    let stored = StoredKind::read("message", client_id, copy.body, copy.detail.as_bytes());
    let stored = stored.map_err(|error| corrupt(op, error))?;
    Ok(Entry {
        seq,
        n: Ordinal(copy.n),
        message: MessageId(copy.message),
        at: Timestamp(copy.at),
        from: copy.from,
        device: copy.device,
        withheld: stored.withheld,
        kind: stored.kind,
    })
}

#[cfg(test)]
mod tests {
    use chat_proto::EntryKind;
    use chat_proto::entry::Message;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_copy_is_read_as_it_was_written() -> Result<(), PortError> {
        for (body, erased, rev, withheld) in [
            (Some(Body::text("hello")), false, None, false),
            (
                Some(Body::text("\u{0} \u{202e}\"")),
                false,
                Some(Seq(9)),
                true,
            ),
            (None, true, Some(Seq(12)), false),
        ] {
            let message = Message {
                client_id: ClientId::from_uuid(Uuid::from_u128(7)),
                body,
                erased,
                rev,
                reply_to: Some(Seq(1)),
                thread: None,
                mentions: vec!["bob".parse().expect("a good name")],
            };
            let entry = Entry {
                seq: Seq(5),
                n: Ordinal(3),
                message: MessageId(u64::MAX),
                at: Timestamp(17),
                from: "ann".parse().expect("a good name"),
                device: Some(DeviceId::from_uuid(Uuid::from_u128(8))),
                withheld,
                kind: EntryKind::Message(message),
            };
            let copy = encode("op", &entry)?;
            assert_eq!(decode("op", entry.seq, &copy)?, entry);
        }
        Ok(())
    }
}
