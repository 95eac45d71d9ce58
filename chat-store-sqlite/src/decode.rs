//! From rows to the types of chat.

use chat_core::ports::{Device, FoundKey, PortError, Profile};
use chat_core::rows::{decode_body, role_of};
use chat_proto::channel::{CommandKey, ContentHash, Member, Snapshot};
use chat_proto::entry::StoredKind;
use chat_proto::people::{Prefs, Relation};
use chat_proto::{
    Body, ChannelId, ClientId, DeviceId, Entry, EntryKind, Head, MessageId, Ordinal, Seq,
    Timestamp, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

/// A row with the operation that read it, for errors that say where.
pub(crate) struct Fields<'r> {
    row: &'r SqliteRow,
    op: &'static str,
}

impl<'r> Fields<'r> {
    pub(crate) fn new(row: &'r SqliteRow, op: &'static str) -> Self {
        Self { row, op }
    }

    pub(crate) fn value<T: Decode<'r, Sqlite> + Type<Sqlite>>(
        &self,
        column: &str,
    ) -> Result<T, PortError> {
        self.row
            .try_get(column)
            .map_err(|error| self.corrupt(error))
    }

    /// A number that was stored from an unsigned one.
    pub(crate) fn number(&self, column: &str) -> Result<u64, PortError> {
        // The bits are kept: names of entries may use all 64 of them.
        self.value::<i64>(column).map(i64::cast_unsigned)
    }

    pub(crate) fn head(&self, seq: &str, n: &str) -> Result<Head, PortError> {
        Ok(Head::new(self.number(seq)?, self.number(n)?))
    }

    pub(crate) fn user(&self, column: &str) -> Result<UserId, PortError> {
        self.value::<&str>(column)?
            .parse()
            .map_err(|rejection: chat_proto::Rejection| self.corrupt(rejection.message))
    }

    pub(crate) fn channel(&self, column: &str) -> Result<ChannelId, PortError> {
        ChannelId::from_slice(self.value(column)?)
            .map_err(|rejection| self.corrupt(rejection.message))
    }

    pub(crate) fn device(&self, column: &str) -> Result<DeviceId, PortError> {
        DeviceId::from_slice(self.value(column)?)
            .map_err(|rejection| self.corrupt(rejection.message))
    }

    pub(crate) fn profile(&self) -> Result<Profile, PortError> {
        Ok(Profile {
            user: self.user("user")?,
            name: self.value("name")?,
            direct: self.named("direct")?,
            created_at: Timestamp(self.number("created_at")?),
        })
    }

    pub(crate) fn listed_device(&self) -> Result<Device, PortError> {
        Ok(Device {
            device: self.device("device")?,
            name: self.value("name")?,
            platform: self.value("platform")?,
            created_at: Timestamp(self.number("created_at")?),
            seen_at: Timestamp(self.number("seen_at")?),
        })
    }

    pub(crate) fn relation(&self) -> Result<Relation, PortError> {
        let state = self.value::<Option<&str>>("state")?;
        Ok(Relation {
            contact: state.map(|_| self.named("state")).transpose()?,
            blocks: self.value("blocks")?,
            blocked: self.value("blocked")?,
        })
    }

    pub(crate) fn prefs(&self) -> Result<Prefs, PortError> {
        serde_json::from_slice(self.value("prefs")?).map_err(|error| self.corrupt(error))
    }

    /// A text of JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, PortError> {
        serde_json::from_str(self.value(column)?).map_err(|error| self.corrupt(error))
    }

    /// What was stored by its [`name_of`].
    pub(crate) fn named<T: DeserializeOwned>(&self, column: &str) -> Result<T, PortError> {
        let name = Value::String(self.value(column)?);
        serde_json::from_value(name).map_err(|error| self.corrupt(error))
    }

    pub(crate) fn member(&self) -> Result<Member, PortError> {
        Ok(Member {
            role: role_of(self.value("role")?).ok_or_else(|| self.corrupt("no such role"))?,
            joined: Seq(self.number("joined")?),
            visible_from: Seq(self.number("visible_from")?),
        })
    }

    pub(crate) fn entry(&self) -> Result<Entry, PortError> {
        let device = match self.value::<Option<&[u8]>>("device")? {
            Some(_) => Some(self.device("device")?),
            None => None,
        };
        let kind = self.kind()?;
        Ok(Entry {
            seq: Seq(self.number("seq")?),
            n: Ordinal(self.number("n")?),
            message: MessageId(self.number("message")?),
            at: Timestamp(self.number("at")?),
            from: self.user("sender")?,
            device,
            withheld: kind.withheld,
            kind: kind.kind,
        })
    }

    fn kind(&self) -> Result<StoredKind, PortError> {
        let detail = self.value::<Option<&[u8]>>("detail")?.unwrap_or_default();
        let body = self.body()?;
        let read = match self.value::<Option<&str>>("kind")? {
            Some(kind) => StoredKind::read(kind, None, body, detail),
            None => StoredKind::read("message", self.client_id()?, body, detail),
        };
        let mut read = read.map_err(|error| self.corrupt(error))?;
        if let EntryKind::Message(message) = &mut read.kind
            && let Some(rev) = self.value::<Option<i64>>("rev")?
        {
            message.rev = Some(Seq(rev.cast_unsigned()));
            message.erased = message.body.is_none();
        }
        Ok(read)
    }

    fn body(&self) -> Result<Option<Body>, PortError> {
        let Some(bytes) = self.value::<Option<&[u8]>>("body")? else {
            return Ok(None);
        };
        decode_body(self.value("form")?, bytes)
            .map(Some)
            .map_err(|error| self.corrupt(error))
    }

    fn client_id(&self) -> Result<Option<ClientId>, PortError> {
        self.value::<Option<&[u8]>>("client_id")?
            .map(ClientId::from_slice)
            .transpose()
            .map_err(|rejection| self.corrupt(rejection.message))
    }

    /// The key of the entry, if it has one.
    pub(crate) fn key(&self) -> Result<Option<CommandKey>, PortError> {
        let (client_id, content) = (self.client_id()?, self.value::<Option<&[u8]>>("content")?);
        let (Some(client_id), Some(content)) = (client_id, content) else {
            return Ok(None);
        };
        Ok(Some(CommandKey {
            client_id,
            content: self.content_hash(content)?,
        }))
    }

    pub(crate) fn found_key(&self) -> Result<FoundKey, PortError> {
        Ok(FoundKey {
            seq: Seq(self.number("seq")?),
            n: Ordinal(self.number("n")?),
            message: MessageId(self.number("message")?),
            at: Timestamp(self.number("at")?),
            content: self.content_hash(self.value("content")?)?,
        })
    }

    fn content_hash(&self, bytes: &[u8]) -> Result<ContentHash, PortError> {
        bytes
            .try_into()
            .map(ContentHash::from_bytes)
            .map_err(|_| self.corrupt("a hash has 16 bytes"))
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, PortError> {
        serde_json::from_slice(self.value("snapshot")?).map_err(|error| self.corrupt(error))
    }

    pub(crate) fn corrupt(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> PortError {
        PortError::corrupt(self.op).with_source(source)
    }
}

/// The name on the wire of what is no more than a name there.
pub(crate) fn name_of(named: &impl Serialize) -> String {
    match serde_json::to_value(named) {
        Ok(Value::String(name)) => name,
        Ok(_) | Err(_) => unreachable!("only what is a name on the wire is stored by its name"),
    }
}
