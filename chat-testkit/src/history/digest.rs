//! Entries and bodies in eight bytes.

use std::hash::{DefaultHasher, Hash, Hasher};

use chat_core::proto::{Body, Entry, EntryKind};

/// A hash of 64 bits with which two sightings of one entry are compared. It tells faults apart, not forgeries, and is
/// compared only within one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    /// Of a body.
    pub fn of_body(body: &Body) -> Self {
        let mut hasher = DefaultHasher::new();
        hash_body(body, &mut hasher);
        Self(hasher.finish())
    }

    /// Of a plain text's body.
    pub fn of_text(text: &str) -> Self {
        Self::of_body(&Body::text(text))
    }

    /// Of all that an entry says for ever, besides its place and its name: without bodies, which an edit or a deletion
    /// changes between two sightings.
    pub fn of_entry(entry: &Entry) -> Self {
        let mut hasher = DefaultHasher::new();
        (entry.at, &entry.from, entry.device, entry.kind.name()).hash(&mut hasher);
        match &entry.kind {
            EntryKind::Message(message) => {
                (message.client_id, message.reply_to, message.thread).hash(&mut hasher);
                message.mentions.hash(&mut hasher);
            }
            kind => {
                let detail = kind.detail();
                let detail = detail.expect("what was read from a log can be written");
                detail.hash(&mut hasher);
            }
        }
        Self(hasher.finish())
    }
}

fn hash_body(body: &Body, hasher: &mut DefaultHasher) {
    match body {
        // Nearly all of them, without a copy.
        Body::Text {
            text,
            attachments,
            data,
        } if attachments.is_empty() && data.is_none() => text.hash(hasher),
        body => {
            let json = serde_json::to_vec(body);
            json.expect("a body is JSON").hash(hasher);
        }
    }
}
