//! A message as a list of channels shows it.

use chat_proto::{Body, Entry, EntryKind};

/// The message with its text cut to `bytes_max` bytes of UTF-8; what cannot be cut is left out.
pub fn preview(mut entry: Entry, bytes_max: usize) -> Entry {
    if let EntryKind::Message(message) = &mut entry.kind {
        match &mut message.body {
            Some(Body::Text {
                text,
                attachments,
                data,
            }) => {
                text.truncate(text.floor_char_boundary(bytes_max));
                attachments.truncate(1);
                *data = None;
            }
            // A part of a cipher is of no use to anybody.
            Some(body) if body.size_bytes() > bytes_max => message.body = None,
            Some(_) | None => {}
        }
    }
    entry
}
