//! Reading an entry: its fields in any order, without an intermediate tree for what nearly all entries are.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Entry, EntryKind};
use crate::body::Body;
use crate::id::{ClientId, DeviceId, MessageId, Ordinal, Seq, Timestamp, UserId};

impl<'de> Deserialize<'de> for Entry {
    // By hand: messages, nearly all of the traffic, are read without an intermediate tree.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut parts = EntryParts::default();
        while let Some(key) = map.next_key::<EntryKey>()? {
            parts.read(key, &mut map)?;
        }
        parts.into_entry()
    }
}

/// The fields of an entry as they arrive, in any order.
#[derive(Default)]
pub(crate) struct EntryParts {
    seq: Option<Seq>,
    n: Option<Ordinal>,
    message: Option<MessageId>,
    at: Option<Timestamp>,
    from: Option<UserId>,
    device: Option<DeviceId>,
    kind: Option<String>,
    client_id: Option<ClientId>,
    body: Option<Body>,
    fields: Map<String, Value>,
}

/// The name of a field of an entry.
pub(crate) enum EntryKey {
    Seq,
    N,
    Message,
    At,
    From,
    Device,
    Kind,
    ClientId,
    Body,
    Other(String),
}

impl<'de> Deserialize<'de> for EntryKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(EntryKeyVisitor)
    }
}

struct EntryKeyVisitor;

impl Visitor<'_> for EntryKeyVisitor {
    type Value = EntryKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<EntryKey, E> {
        Ok(match name {
            "seq" => EntryKey::Seq,
            "n" => EntryKey::N,
            "message" => EntryKey::Message,
            "at" => EntryKey::At,
            "from" => EntryKey::From,
            "device" => EntryKey::Device,
            "kind" => EntryKey::Kind,
            "client_id" => EntryKey::ClientId,
            "body" => EntryKey::Body,
            _ => EntryKey::Other(name.to_owned()),
        })
    }
}

impl EntryParts {
    /// Reads the value that follows `key`.
    pub(crate) fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: EntryKey,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            EntryKey::Seq => self.seq = map.next_value()?,
            EntryKey::N => self.n = map.next_value()?,
            EntryKey::Message => self.message = map.next_value()?,
            EntryKey::At => self.at = map.next_value()?,
            EntryKey::From => self.from = map.next_value()?,
            EntryKey::Device => self.device = map.next_value()?,
            EntryKey::Kind => self.kind = map.next_value()?,
            EntryKey::ClientId => self.client_id = map.next_value()?,
            EntryKey::Body => self.body = map.next_value()?,
            EntryKey::Other(name) => {
                let value = map.next_value::<Value>()?;
                // Null is the same as absent.
                if !value.is_null() {
                    self.fields.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// The entry, once every field has been read.
    pub(crate) fn into_entry<E: de::Error>(self) -> Result<Entry, E> {
        let missing = de::Error::missing_field;
        let kind = self.kind.ok_or_else(|| missing("kind"))?;
        Ok(Entry {
            seq: self.seq.ok_or_else(|| missing("seq"))?,
            n: self.n.ok_or_else(|| missing("n"))?,
            message: self.message.ok_or_else(|| missing("message"))?,
            at: self.at.ok_or_else(|| missing("at"))?,
            from: self.from.ok_or_else(|| missing("from"))?,
            device: self.device,
            withheld: false,
            kind: EntryKind::from_fields(kind, self.client_id, self.body, self.fields)
                .map_err(de::Error::custom)?,
        })
    }
}
