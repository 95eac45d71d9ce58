//! The two encodings of a frame.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};

/// Objects and arrays inside each other, the frame itself included. Well below what either reader allows, so that
/// a server's frame, which puts a body a few levels deeper, can always be read too.
pub const NESTING_MAX: usize = 64;

/// Nesting up to which MessagePack that nobody will look at is skipped.
const MSGPACK_SKIPPED_NESTING_MAX: usize = 256;

/// Bytes of a sentence that says why something cannot be read; it may quote what came.
const REASON_BYTES_MAX: usize = 200;

/// How frames are written. Both have the same names and the same shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `chat.v1.json`: text frames.
    Json,
    /// `chat.v1.msgpack`: binary frames.
    MessagePack,
}

/// A frame, or an answer in it, is not what the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unreadable frame: {message}")]
pub struct Unreadable {
    /// What is wrong, for a person; short.
    pub message: String,
}

impl Format {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// The name of the WebSocket subprotocol.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "chat.v1.json",
            Self::MessagePack => "chat.v1.msgpack",
        }
    }

    /// The format of a WebSocket subprotocol.
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.subprotocol() == name)
    }

    /// Reads a value that fills all of `bytes`.
    pub(super) fn read<'de, T: Deserialize<'de>>(self, bytes: &'de [u8]) -> Result<T, Unreadable> {
        self.read_seed(bytes, PhantomData)
    }

    /// Reads what `seed` reads; it fills all of `bytes`.
    pub(super) fn read_seed<'de, S: DeserializeSeed<'de>>(
        self,
        bytes: &'de [u8],
        seed: S,
    ) -> Result<S::Value, Unreadable> {
        match self {
            Self::Json => {
                let mut json = serde_json::Deserializer::from_slice(bytes);
                let value = seed.deserialize(&mut json).map_err(Unreadable::because)?;
                json.end().map_err(Unreadable::because)?;
                Ok(value)
            }
            Self::MessagePack => {
                let mut packed = rmp_serde::Deserializer::from_read_ref(bytes);
                packed.set_max_depth(MSGPACK_SKIPPED_NESTING_MAX);
                let value = seed.deserialize(&mut packed).map_err(Unreadable::because)?;
                // The reader does not say how far it came, but finding no marker means that nothing is left.
                match bool::deserialize(&mut packed) {
                    Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
                    Ok(_) | Err(_) => Err(Unreadable::because("trailing bytes")),
                }
            }
        }
    }

    /// Writes one of the protocol's values.
    pub(super) fn write(self, value: &impl Serialize) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(value)
                .expect("frames are made of text keys, text, numbers and JSON values"),
            Self::MessagePack => rmp_serde::to_vec_named(value)
                .expect("frames are made of text keys, text, numbers and JSON values"),
        }
    }
}

impl Unreadable {
    pub(super) fn because(reason: impl fmt::Display) -> Self {
        let mut message = reason.to_string();
        let mut end = REASON_BYTES_MAX;
        if message.len() > end {
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
            message.push('…');
        }
        Self { message }
    }
}

/// Reads a struct from an object only: a derived reader also takes an array with the fields in their order.
pub(super) struct Object<T>(PhantomData<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Object<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
