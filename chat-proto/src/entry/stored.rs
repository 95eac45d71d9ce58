//! What stores keep of an entry beside its columns.

use serde::{Deserialize, Serialize, de};
use serde_json::{Map, Value};

use super::{Edit, Entry, EntryKind, Message};
use crate::body::Body;
use crate::id::{ClientId, Seq, UserId};

/// The name of the flag that stands among a kind's own fields.
const WITHHELD: &str = "withheld";

/// A kind as a store kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKind {
    /// The kind.
    pub kind: EntryKind,
    /// As [`Entry::withheld`].
    pub withheld: bool,
}

impl StoredKind {
    /// The kind with this name from the JSON object that [`Entry::detail`] wrote of it; unknown names are kept.
    ///
    /// # Errors
    /// When the object is not what [`Entry::detail`] wrote for that kind.
    pub fn read(
        name: &str,
        client_id: Option<ClientId>,
        body: Option<Body>,
        detail: &[u8],
    ) -> Result<Self, serde_json::Error> {
        let mut fields: Map<String, Value> = if detail.is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(detail)?
        };
        let withheld = fields.remove(WITHHELD).is_some();
        let kind = EntryKind::from_fields(name.to_owned(), client_id, body, fields)?;
        Ok(Self { kind, withheld })
    }
}

impl Entry {
    /// What a store keeps of the entry beside its columns and bodies: a JSON object, or nothing where there is nothing else.
    ///
    /// # Errors
    /// Never for kinds that were parsed or decided; the type of the serializer.
    pub fn detail(&self) -> Result<Vec<u8>, serde_json::Error> {
        let detail = self.kind.detail()?;
        if !self.withheld {
            return Ok(detail);
        }
        let mut fields: Map<String, Value> = if detail.is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(&detail)?
        };
        fields.insert(WITHHELD.to_owned(), Value::Bool(true));
        serde_json::to_vec(&fields)
    }
}

impl EntryKind {
    /// The kind with this name and these fields; unknown names are kept, with what they call a key or a body among their
    /// fields.
    ///
    /// # Errors
    /// When a known kind lacks a field or has one of another type.
    pub(super) fn from_fields(
        kind: String,
        client_id: Option<ClientId>,
        body: Option<Body>,
        fields: Map<String, Value>,
    ) -> Result<Self, serde_json::Error> {
        match kind.as_str() {
            "message" => {
                let client_id = client_id.ok_or_else(|| de::Error::missing_field("client_id"))?;
                let extra = MessageExtra::read(fields)?;
                Ok(Self::Message(extra.into_message(client_id, body)))
            }
            "edit" => {
                let edit = read::<Edit>(fields)?;
                Ok(Self::Edit(Edit { body, ..edit }))
            }
            "delete" => read(fields).map(Self::Delete),
            "react" => read(fields).map(Self::React),
            "pin" => read(fields).map(Self::Pin),
            "withheld" => Ok(Self::Withheld),
            "created" => read(fields).map(Self::Created),
            "members" => read(fields).map(Self::Members),
            "meta" => read(fields).map(Self::Meta),
            _ => Ok(Self::Unknown { kind, fields }),
        }
    }

    /// What there is to say of the kind beside its name, a message's `client_id` and bodies: a JSON object, or nothing where
    /// there is nothing else.
    ///
    /// # Errors
    /// Never for kinds that were parsed or decided; the type of the serializer.
    pub fn detail(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Message(message) => {
                let extra = MessageExtra::of(message);
                if extra == MessageExtra::default() {
                    Ok(Vec::new())
                } else {
                    serde_json::to_vec(&extra)
                }
            }
            Self::Edit(edit) => serde_json::to_vec(&Edit {
                target: edit.target,
                body: None,
            }),
            Self::Delete(delete) => serde_json::to_vec(delete),
            Self::React(react) => serde_json::to_vec(react),
            Self::Pin(pin) => serde_json::to_vec(pin),
            Self::Withheld => Ok(Vec::new()),
            Self::Created(created) => serde_json::to_vec(created),
            Self::Members(change) => serde_json::to_vec(change),
            Self::Meta(change) => serde_json::to_vec(change),
            Self::Unknown { fields, .. } => serde_json::to_vec(fields),
        }
    }
}

fn read<T: de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(fields))
}

/// A message without its `client_id` and body.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct MessageExtra {
    #[serde(skip_serializing_if = "is_false")]
    erased: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Seq>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<UserId>,
}

impl MessageExtra {
    fn read(fields: Map<String, Value>) -> Result<Self, serde_json::Error> {
        if fields.is_empty() {
            Ok(Self::default())
        } else {
            read(fields)
        }
    }

    fn of(message: &Message) -> Self {
        Self {
            erased: message.erased,
            rev: message.rev,
            reply_to: message.reply_to,
            thread: message.thread,
            mentions: message.mentions.clone(),
        }
    }

    fn into_message(self, client_id: ClientId, body: Option<Body>) -> Message {
        Message {
            client_id,
            body,
            erased: self.erased,
            rev: self.rev,
            reply_to: self.reply_to,
            thread: self.thread,
            mentions: self.mentions,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(value: &bool) -> bool {
    !value
}
