//! Appends as the engine makes them, made cheaply: what is measured is the store.

use std::sync::Arc;

use chat_core::ports::{Append, MessageStore};
use chat_proto::{ChannelId, ClientId, EntryKind, Head, MessageId, Ordinal, Seq, UserId};
use chat_testkit::LogWriter;
use chat_testkit::names::fresh_users;
use uuid::Uuid;

use crate::error::Error;

/// Who write in each channel; an append takes a message of each.
pub(super) const WRITERS: usize = 8;
/// Bytes of each text.
pub(super) const TEXT_BYTES: usize = 200;

/// A group whose writers each have a message queued.
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) head: Head,
    message: MessageId,
    /// What the rules made of the first messages; the others differ in their numbers.
    template: Append,
}

impl Channel {
    /// A new group with one more member who only reads.
    pub(super) async fn begin(
        messages: &Arc<dyn MessageStore>,
        reader: &UserId,
    ) -> Result<Self, Error> {
        let writers = fresh_users("writer", WRITERS);
        let mut members = writers[1..].to_vec();
        members.push(reader.clone());
        let mut log = LogWriter::group(messages, &writers[0], &members).await;
        let commands: Vec<_> = writers
            .iter()
            .map(|writer| log.text(writer, "m".repeat(TEXT_BYTES)))
            .collect();
        let template = log.prepare(&commands);
        let newest = log.entries().last().map(|entry| entry.message);
        Ok(Self {
            id: log.channel(),
            head: log.head(),
            message: newest.ok_or_else(|| Error::Invalid("a group has an entry".to_owned()))?,
            template,
        })
    }

    /// One message of each writer, under new keys.
    pub(super) fn next(&self) -> Append {
        let mut append = self.template.clone();
        append.expected_head = self.head.seq;
        for (behind, record) in (1..).zip(&mut append.records) {
            let record = &mut record.record;
            record.entry.seq = Seq(self.head.seq.0 + behind);
            record.entry.n = Ordinal(self.head.n.0 + behind);
            record.entry.message = MessageId(self.message.0 + behind);
            let client_id = ClientId::from_uuid(Uuid::new_v4());
            if let Some(key) = &mut record.key {
                key.client_id = client_id;
            }
            if let EntryKind::Message(message) = &mut record.entry.kind {
                message.client_id = client_id;
            }
        }
        append
    }

    /// So many of them are durable.
    pub(super) fn advance(&mut self, durable: usize) {
        let durable = durable as u64;
        self.head.seq.0 += durable;
        self.head.n.0 += durable;
        self.message.0 += durable;
    }
}
