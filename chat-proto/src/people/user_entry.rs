//! What a user's own log holds: what changed for that user outside of channels, so that all their devices learn of it.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::contact::{ContactState, DirectFrom};
use super::prefs::PrefsChange;
use crate::flat::{self, Fields, flat};
use crate::id::{DeviceId, Seq, Timestamp, UserId};
use crate::limits::Limits;
use crate::rejection::Rejection;

/// An entry of a user's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// Its place: contiguous from 1.
    pub seq: Seq,
    /// When the server took it.
    pub at: Timestamp,
    /// What changed.
    pub kind: UserEntryKind,
}

/// What an entry of a user's own log records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserEntryKind {
    /// How somebody stands to the user.
    Contact(ContactChange),
    /// Whom the user blocks.
    Block(BlockChange),
    /// A device of the user.
    Device(DeviceChange),
    /// What the user set for themselves in a channel.
    Prefs(PrefsChange),
    /// What the user says of themselves.
    Profile(ProfileChange),
    /// Written by a newer version: kept and passed on.
    Unknown {
        /// Its name.
        kind: String,
        /// Whatever came with it.
        fields: Map<String, Value>,
    },
}

/// How somebody stands to the user from now on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ContactChange {
    /// Who.
    pub user: UserId,
    /// How; absent for a stranger again.
    #[serde(default)]
    pub state: Option<ContactState>,
}

/// The user blocks somebody, or does so no longer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BlockChange {
    /// Whom.
    pub user: UserId,
    /// No longer.
    #[serde(default)]
    pub removed: bool,
}

/// A device came or went.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceChange {
    /// Which.
    pub device: DeviceId,
    /// What its user calls it.
    #[serde(default)]
    pub name: Option<String>,
    /// What it runs on.
    #[serde(default)]
    pub platform: Option<String>,
    /// It went.
    #[serde(default)]
    pub removed: bool,
}

/// The user changed what they say of themselves; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProfileChange {
    /// What others call them.
    #[cfg_attr(feature = "schema", schema(max_length = 100))]
    pub name: Option<String>,
    /// Who may write to them directly.
    pub direct: Option<DirectFrom>,
}

impl ProfileChange {
    /// Checks the name.
    ///
    /// # Errors
    /// `too_large` for a name of more than [`Limits::DISPLAY_NAME_CHARS_MAX`] characters, `bad_request` for one with
    /// control characters.
    pub fn check(&self) -> Result<(), Rejection> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        if name.chars().count() > Limits::DISPLAY_NAME_CHARS_MAX {
            return Err(Rejection::too_large(format!(
                "a display name has at most {} characters",
                Limits::DISPLAY_NAME_CHARS_MAX
            )));
        }
        if name.chars().any(char::is_control) {
            return Err(Rejection::bad_request(
                "a display name has no control characters",
            ));
        }
        Ok(())
    }
}

impl UserEntry {
    /// Forgets the draft that the entry tells of, because a later entry tells of another one.
    pub fn forget_draft(&mut self) {
        if let UserEntryKind::Prefs(change) = &mut self.kind {
            change.prefs.draft = None;
        }
    }

    /// Roughly the bytes that the entry occupies; what queues and pages count.
    pub fn size_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        256 + match &self.kind {
            UserEntryKind::Contact(_) | UserEntryKind::Block(_) => 64,
            UserEntryKind::Device(change) => text(&change.name) + text(&change.platform),
            UserEntryKind::Prefs(change) => text(&change.prefs.draft),
            UserEntryKind::Profile(change) => text(&change.name),
            UserEntryKind::Unknown { .. } => 1024,
        }
    }
}

impl UserEntryKind {
    /// The name on the wire and in stores.
    pub fn name(&self) -> &str {
        match self {
            Self::Contact(_) => "contact",
            Self::Block(_) => "block",
            Self::Device(_) => "device",
            Self::Prefs(_) => "prefs",
            Self::Profile(_) => "profile",
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// The kind with this name and these fields; unknown names are kept.
    ///
    /// # Errors
    /// When a known kind lacks a field or has one of another type.
    fn from_fields(kind: String, fields: Map<String, Value>) -> Result<Self, serde_json::Error> {
        fn read<T: de::DeserializeOwned>(
            fields: Map<String, Value>,
        ) -> Result<T, serde_json::Error> {
            serde_json::from_value(Value::Object(fields))
        }
        match kind.as_str() {
            "contact" => read(fields).map(Self::Contact),
            "block" => read(fields).map(Self::Block),
            "device" => read(fields).map(Self::Device),
            "prefs" => read(fields).map(Self::Prefs),
            "profile" => read(fields).map(Self::Profile),
            _ => Ok(Self::Unknown { kind, fields }),
        }
    }
}

flat!(ContactChange {
    always: user;
    present: state;
});
flat!(BlockChange {
    always: user;
    present: removed;
});
flat!(DeviceChange {
    always: device;
    present: name, platform, removed;
});
flat!(ProfileChange {
    always: ;
    present: name, direct;
});

/// What an entry of the kind has beside what every entry has.
impl Fields for UserEntryKind {
    fn count(&self) -> usize {
        match self {
            Self::Contact(change) => change.count(),
            Self::Block(change) => change.count(),
            Self::Device(change) => change.count(),
            Self::Prefs(change) => change.count(),
            Self::Profile(change) => change.count(),
            Self::Unknown { fields, .. } => fields.len(),
        }
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Contact(change) => change.write(map),
            Self::Block(change) => change.write(map),
            Self::Device(change) => change.write(map),
            Self::Prefs(change) => change.write(map),
            Self::Profile(change) => change.write(map),
            Self::Unknown { fields, .. } => fields
                .iter()
                .try_for_each(|(name, value)| map.serialize_entry(name, value)),
        }
    }
}

impl Fields for UserEntry {
    fn count(&self) -> usize {
        3 + self.kind.count()
    }

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("kind", self.kind.name())?;
        self.kind.write(map)
    }
}

impl Serialize for UserEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        flat::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for UserEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UserEntryVisitor)
    }
}

struct UserEntryVisitor;

impl<'de> Visitor<'de> for UserEntryVisitor {
    type Value = UserEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of a user's log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UserEntry, A::Error> {
        let (mut seq, mut at, mut kind) = (None, None, None);
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "seq" => seq = map.next_value()?,
                "at" => at = map.next_value()?,
                "kind" => kind = map.next_value()?,
                _ => {
                    let value = map.next_value::<Value>()?;
                    // Null is the same as absent.
                    if !value.is_null() {
                        fields.insert(key, value);
                    }
                }
            }
        }
        let missing = <A::Error as de::Error>::missing_field;
        let kind: Option<String> = kind;
        let kind = kind.ok_or_else(|| missing("kind"))?;
        Ok(UserEntry {
            seq: seq.ok_or_else(|| missing("seq"))?,
            at: at.ok_or_else(|| missing("at"))?,
            kind: UserEntryKind::from_fields(kind, fields).map_err(de::Error::custom)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(entry: Value) -> Result<UserEntryKind, serde_json::Error> {
        serde_json::from_value::<UserEntry>(entry).map(|entry| entry.kind)
    }

    #[test]
    fn null_is_the_same_as_absent_and_what_is_new_is_passed_over() {
        let entry = json!({
            "kind": "block", "user": "bob", "removed": null, "why": "noise", "seq": 1, "at": 2,
        });
        let block = BlockChange {
            user: "bob".parse().expect("a good name"),
            removed: false,
        };
        assert_eq!(read(entry).ok(), Some(UserEntryKind::Block(block)));
    }

    #[test]
    fn a_known_kind_has_its_fields_and_every_entry_its_place() {
        for bad in [
            json!({"seq": 1, "at": 2, "kind": "contact"}),
            json!({"seq": 1, "at": 2, "kind": "device", "device": "phone"}),
            json!({"seq": 1, "at": 2, "kind": "prefs", "draft": "a"}),
            json!({"seq": 1, "at": 2, "kind": "profile", "direct": "nobody"}),
            json!({"seq": 1, "at": 2}),
            json!({"seq": 1, "kind": "profile"}),
            json!({"at": 2, "kind": "profile"}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        assert!(read(json!({"seq": 1, "at": 2, "kind": "profile"})).is_ok());
    }

    #[test]
    fn an_unknown_kind_is_kept_with_its_fields() {
        let entry = json!({"seq": 1, "at": 2, "kind": "welcome", "data": "AAEC", "n": [1, null]});
        let kept: UserEntry = serde_json::from_value(entry.clone()).expect("an entry");
        assert_eq!(kept.kind.name(), "welcome");
        assert_eq!(serde_json::to_value(kept).ok(), Some(entry));
    }
}
