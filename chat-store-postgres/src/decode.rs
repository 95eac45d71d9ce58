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
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type, ValueRef};
use uuid::Uuid;

/// A row with the operation that read it, for errors that say where.
pub(crate) struct Fields<'r> {
    row: &'r PgRow,
    op: &'static str,
}

impl<'r> Fields<'r> {
    pub(crate) fn new(row: &'r PgRow, op: &'static str) -> Self {
        Self { row, op }
    }

    pub(crate) fn value<T: Decode<'r, Postgres> + Type<Postgres>>(
        &self,
        column: &str,
    ) -> Result<T, PortError> {
        self.row
            .try_get(column)
            .map_err(|error| self.corrupt(error))
    }

    /// A number of few values; PostgreSQL has no smaller column than of two bytes.
    pub(crate) fn small(&self, column: &str) -> Result<i8, PortError> {
        let number: i16 = self.value(column)?;
        i8::try_from(number).map_err(|error| self.corrupt(error))
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
        self.value(column).map(ChannelId::from_uuid)
    }

    pub(crate) fn device(&self, column: &str) -> Result<DeviceId, PortError> {
        self.value(column).map(DeviceId::from_uuid)
    }

    pub(crate) fn profile(&self) -> Result<Profile, PortError> {
        Ok(Profile {
            user: self.user("user_id")?,
            name: self.text_if_any("name")?,
            direct: self.named("direct")?,
            created_at: Timestamp(self.number("created_at")?),
        })
    }

    pub(crate) fn listed_device(&self) -> Result<Device, PortError> {
        Ok(Device {
            device: self.device("device")?,
            name: self.text("name")?,
            platform: self.text("platform")?,
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

    /// A text that is kept as bytes.
    pub(crate) fn text(&self, column: &str) -> Result<String, PortError> {
        self.text_of(self.value(column)?)
    }

    pub(crate) fn text_if_any(&self, column: &str) -> Result<Option<String>, PortError> {
        let bytes = self.value::<Option<Vec<u8>>>(column)?;
        bytes.map(|bytes| self.text_of(bytes)).transpose()
    }

    fn text_of(&self, bytes: Vec<u8>) -> Result<String, PortError> {
        String::from_utf8(bytes).map_err(|error| self.corrupt(error))
    }

    /// Whether the column has a value.
    pub(crate) fn has(&self, column: &str) -> Result<bool, PortError> {
        let raw = self.row.try_get_raw(column);
        raw.map(|raw| !raw.is_null())
            .map_err(|error| self.corrupt(error))
    }

    /// Each sign on a message, by how many it was set, and whether by who asks.
    pub(crate) fn signs(&self) -> Result<Vec<(String, u64, bool)>, PortError> {
        let emojis = self.value::<Option<Vec<Vec<u8>>>>("emojis")?;
        let counts = self.value::<Option<Vec<i64>>>("counts")?;
        let mine = self.value::<Option<Vec<bool>>>("mine")?;
        let emojis = emojis.into_iter().flatten();
        let others = counts.into_iter().flatten().zip(mine.into_iter().flatten());
        emojis
            .zip(others)
            .map(|(emoji, (count, mine))| Ok((self.text_of(emoji)?, count.cast_unsigned(), mine)))
            .collect()
    }

    /// What was stored by its [`name_of`].
    pub(crate) fn named<T: DeserializeOwned>(&self, column: &str) -> Result<T, PortError> {
        let name = Value::String(self.value(column)?);
        serde_json::from_value(name).map_err(|error| self.corrupt(error))
    }

    pub(crate) fn member(&self) -> Result<Member, PortError> {
        Ok(Member {
            role: role_of(self.small("role")?).ok_or_else(|| self.corrupt("no such role"))?,
            joined: Seq(self.number("joined")?),
            visible_from: Seq(self.number("visible_from")?),
        })
    }

    pub(crate) fn entry(&self) -> Result<Entry, PortError> {
        let device = self.value::<Option<Uuid>>("device")?;
        let kind = self.kind()?;
        Ok(Entry {
            seq: Seq(self.number("seq")?),
            n: Ordinal(self.number("n")?),
            message: MessageId(self.number("message")?),
            at: Timestamp(self.number("at")?),
            from: self.user("sender")?,
            device: device.map(DeviceId::from_uuid),
            withheld: kind.withheld,
            kind: kind.kind,
        })
    }

    fn kind(&self) -> Result<StoredKind, PortError> {
        let detail = self.value::<Option<&[u8]>>("detail")?.unwrap_or_default();
        let body = self.body()?;
        let read = match self.text_if_any("kind")? {
            Some(kind) => StoredKind::read(&kind, None, body, detail),
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
        decode_body(self.small("form")?, bytes)
            .map(Some)
            .map_err(|error| self.corrupt(error))
    }

    fn client_id(&self) -> Result<Option<ClientId>, PortError> {
        let uuid = self.value::<Option<Uuid>>("client_id")?;
        Ok(uuid.map(ClientId::from_uuid))
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
