//! A push for many sessions.

use std::sync::OnceLock;

use bytes::Bytes;

use super::format::Format;
use super::server::{Push, encode_push};

/// A push that is encoded at most once a format, however many sessions it goes to. Share it as `Arc<SharedPush>`.
#[derive(Debug)]
pub struct SharedPush {
    push: Push,
    size_bytes: usize,
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl SharedPush {
    /// A push that nobody has encoded yet.
    pub fn new(push: Push) -> Self {
        Self {
            size_bytes: push.size_bytes(),
            push,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        }
    }

    /// The push itself.
    pub fn push(&self) -> &Push {
        &self.push
    }

    /// The push as bytes; all callers of one format share them.
    pub fn encoded(&self, format: Format) -> Bytes {
        let encoded = match format {
            Format::Json => &self.json,
            Format::MessagePack => &self.msgpack,
        };
        encoded
            .get_or_init(|| encode_push(format, &self.push))
            .clone()
    }

    /// Roughly the bytes that the push occupies; what queues count.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}
