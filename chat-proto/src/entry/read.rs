//! Reading an entry: its fields in any order, without an intermediate tree for what nearly all entries are.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Entry, EntryKind};
use crate::body::Body;
use crate::id::{ClientId, DeviceId, MessageId, Ordinal, Seq, Timestamp, UserId};

/// The sender's key of a message.
const CLIENT_ID: &str = "client_id";
/// What a message says, or an edit has it say.
const BODY: &str = "body";

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
            CLIENT_ID => EntryKey::ClientId,
            BODY => EntryKey::Body,
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
            EntryKey::ClientId if self.has_body() => self.client_id = map.next_value()?,
            EntryKey::Body if self.has_body() => self.body = map.next_value()?,
            EntryKey::ClientId => self.keep(CLIENT_ID, map.next_value()?),
            EntryKey::Body => self.keep(BODY, map.next_value()?),
            EntryKey::Other(name) => self.keep(name, map.next_value()?),
        }
        Ok(())
    }

    /// Whether the entry is known to be of a kind with a body. What a later version calls so may be anything.
    fn has_body(&self) -> bool {
        matches!(self.kind.as_deref(), Some("message" | "edit"))
    }

    fn keep(&mut self, name: impl Into<String>, value: Value) {
        // Null is the same as absent.
        if !value.is_null() {
            self.fields.insert(name.into(), value);
        }
    }

    /// Reads what came before the kind was known.
    fn read_kept(&mut self) -> Result<(), serde_json::Error> {
        if let Some(client_id) = self.fields.remove(CLIENT_ID) {
            self.client_id = serde_json::from_value(client_id)?;
        }
        if let Some(body) = self.fields.remove(BODY) {
            self.body = serde_json::from_value(body)?;
        }
        Ok(())
    }

    /// The entry, once every field has been read.
    pub(crate) fn into_entry<E: de::Error>(mut self) -> Result<Entry, E> {
        let missing = de::Error::missing_field;
        if self.has_body() {
            self.read_kept().map_err(de::Error::custom)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = r#""seq":1,"n":1,"message":"1","at":1,"from":"ann""#;
    const KEY: &str = "aaaaaaaa-0000-4000-8000-000000000001";

    fn read(fields: &str) -> EntryKind {
        let entry = serde_json::from_str::<Entry>(&format!("{{{fields}}}"));
        entry.expect("an entry").kind
    }

    #[test]
    fn a_later_kind_calls_anything_a_body_or_a_key() {
        let later = r#""body":0,"client_id":["mine"]"#;
        for fields in [
            format!(r#"{COMMON},"kind":"poll",{later}"#),
            format!(r#"{later},"kind":"poll",{COMMON}"#),
        ] {
            let expected = serde_json::json!({"body": 0, "client_id": ["mine"]});
            match read(&fields) {
                EntryKind::Unknown { fields, .. } => assert_eq!(Value::Object(fields), expected),
                kind => panic!("{kind:?} is known"),
            }
        }
    }

    #[test]
    fn a_message_is_the_same_in_any_order() {
        let own = format!(r#""body":{{"type":"text","text":"hi"}},"client_id":"{KEY}""#);
        let first = read(&format!(r#"{COMMON},"kind":"message",{own}"#));
        let last = read(&format!(r#"{own},{COMMON},"kind":"message""#));
        assert!(matches!(&first, EntryKind::Message(message) if message.body.is_some()));
        assert_eq!(first, last);
    }

    #[test]
    fn a_message_with_something_else_for_a_body_is_none() {
        for fields in [
            format!(r#"{COMMON},"kind":"message","client_id":"{KEY}","body":0"#),
            format!(r#""body":0,"client_id":"{KEY}",{COMMON},"kind":"message""#),
        ] {
            assert!(serde_json::from_str::<Entry>(&format!("{{{fields}}}")).is_err());
        }
    }
}
