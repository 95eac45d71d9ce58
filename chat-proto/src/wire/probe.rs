//! The first look at a client's frame. It walks the whole document once, builds nothing, and finds the op and the
//! id; on the way it refuses what a reader of single fields would not notice: a key that occurs twice in any
//! object (two readers might each believe another of the two), nesting without end, and what only one of the two
//! formats can express.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::decode::DecodeError;
use super::format::{Format, NESTING_MAX, Object, Unreadable};
use crate::rejection::Rejection;

/// Keys of one object that are compared with each other; more are sorted first.
const KEYS_COMPARED_MAX: usize = 12;

/// What the first look found.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) op: Option<Op>,
    pub(super) id: Option<u32>,
}

/// The op of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Hello,
    Typing,
    Ping,
    Request(RequestOp),
    /// The protocol does not have it.
    Unknown,
}

/// The op of a frame that gets exactly one answer, once the session has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestOp {
    Sync,
    Send,
    Edit,
    Delete,
    React,
    Pin,
    Read,
    Delivered,
    Prefs,
    Pull,
    History,
    Receipts,
    Watch,
    Unwatch,
    Status,
}

impl Probe {
    /// Looks at a frame.
    ///
    /// # Errors
    /// `Refused` when the frame is faulty and yet has an id under which to say so, else `Unreadable`.
    pub(super) fn of(format: Format, frame: &[u8]) -> Result<Self, DecodeError> {
        let mut keys = Vec::with_capacity(2 * KEYS_COMPARED_MAX);
        format
            .read_seed(frame, FrameSeed { keys: &mut keys })
            .map_err(|fault| refuse_or_close(format, frame, fault))
    }
}

/// Looks at an object that is no frame: the body of an HTTP request.
///
/// # Errors
/// For whatever would be a fault in a frame.
pub(super) fn check_object(format: Format, bytes: &[u8]) -> Result<(), Unreadable> {
    let mut keys = Vec::with_capacity(2 * KEYS_COMPARED_MAX);
    format.read_seed(
        bytes,
        Walk {
            keys: &mut keys,
            levels_left: NESTING_MAX,
        },
    )
}

/// Skips over everything but the id, so that a fault beside it can be answered.
fn refuse_or_close(format: Format, frame: &[u8], fault: Unreadable) -> DecodeError {
    #[derive(Deserialize)]
    struct OnlyId {
        id: u32,
    }
    match format.read_seed(frame, Object::<OnlyId>::default()) {
        Ok(OnlyId { id }) => DecodeError::Refused {
            id,
            rejection: Rejection::bad_request(fault.message),
        },
        Err(_) => DecodeError::Unreadable(fault),
    }
}

impl Op {
    fn named(name: &str) -> Self {
        Self::Request(match name {
            "hello" => return Self::Hello,
            "typing" => return Self::Typing,
            "ping" => return Self::Ping,
            "sync" => RequestOp::Sync,
            "send" => RequestOp::Send,
            "edit" => RequestOp::Edit,
            "delete" => RequestOp::Delete,
            "react" => RequestOp::React,
            "pin" => RequestOp::Pin,
            "read" => RequestOp::Read,
            "delivered" => RequestOp::Delivered,
            "prefs" => RequestOp::Prefs,
            "pull" => RequestOp::Pull,
            "history" => RequestOp::History,
            "receipts" => RequestOp::Receipts,
            "watch" => RequestOp::Watch,
            "unwatch" => RequestOp::Unwatch,
            "status" => RequestOp::Status,
            _ => return Self::Unknown,
        })
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OpVisitor)
    }
}

struct OpVisitor;

impl Visitor<'_> for OpVisitor {
    type Value = Op;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an op")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Op, E> {
        Ok(Op::named(name))
    }
}

/// The keys of all objects that are open, innermost last: one list, so that a frame costs one allocation.
type Keys<'de> = Vec<Cow<'de, str>>;

struct FrameSeed<'k, 'de> {
    keys: &'k mut Keys<'de>,
}

impl<'de> DeserializeSeed<'de> for FrameSeed<'_, 'de> {
    type Value = Probe;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Probe, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FrameSeed<'_, 'de> {
    type Value = Probe;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame, which is one object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Probe, A::Error> {
        let mut probe = Probe { op: None, id: None };
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key.as_ref() {
                "op" => probe.op = map.next_value()?,
                "id" => probe.id = map.next_value()?,
                _ => {
                    self.keys.push(key);
                    map.next_value_seed(Walk {
                        keys: self.keys,
                        levels_left: NESTING_MAX - 1,
                    })?;
                    continue;
                }
            }
            self.keys.push(key);
        }
        close_object(self.keys, 0)?;
        Ok(probe)
    }
}

/// Walks over any value.
struct Walk<'k, 'de> {
    keys: &'k mut Keys<'de>,
    levels_left: usize,
}

impl<'de> Walk<'_, 'de> {
    fn deeper<E: de::Error>(&self) -> Result<usize, E> {
        self.levels_left.checked_sub(1).ok_or_else(|| {
            E::custom(format_args!(
                "objects and arrays nest at most {NESTING_MAX} deep"
            ))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

// Bytes and extension types have no method here: nothing in the protocol has them, and JSON could not say them.
impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a truth value, a number, Unicode text, an array or an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let levels_left = self.deeper()?;
        while let Some(()) = seq.next_element_seed(Walk {
            keys: self.keys,
            levels_left,
        })? {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let levels_left = self.deeper()?;
        let start = self.keys.len();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            self.keys.push(key);
            map.next_value_seed(Walk {
                keys: self.keys,
                levels_left,
            })?;
        }
        close_object(self.keys, start)
    }
}

/// Takes the keys from `start` on off the list, and refuses them if two are the same.
fn close_object<E: de::Error>(keys: &mut Keys<'_>, start: usize) -> Result<(), E> {
    let object = &mut keys[start..];
    let twice = if object.len() <= KEYS_COMPARED_MAX {
        (1..object.len()).find(|&at| object[..at].contains(&object[at]))
    } else {
        object.sort_unstable();
        (1..object.len()).find(|&at| object[at - 1] == object[at])
    };
    if let Some(at) = twice {
        return Err(E::custom(
            Unreadable::because(format_args!("an object has the key `{}` twice", object[at]))
                .message,
        ));
    }
    keys.truncate(start);
    Ok(())
}

/// Reads a key, without a copy unless it was written with escapes.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key, which is text")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
