//! From rows to the types of chat.

use chat_core::ports::PortError;
use chat_core::rows::{BODY_FORMS, decode_body, encode_body, role_of};
use chat_proto::channel::{CommandKey, ContentHash, Member};
use chat_proto::entry::StoredKind;
use chat_proto::{Body, ClientId, DeviceId, Entry, MessageId, Ordinal, Seq, Timestamp, UserId};
use scylla::DeserializeRow;
use uuid::Uuid;

use crate::config::INLINE_BODY_BYTES_MAX;
use crate::error::corrupt;

/// Added to the form of a body that is in the table of long ones.
const FORM_LONG: i8 = BODY_FORMS;

/// A row of an entry.
#[derive(Clone, Debug, DeserializeRow)]
pub(crate) struct LogRow {
    pub(crate) seq: i64,
    pub(crate) n: i64,
    pub(crate) message: i64,
    pub(crate) at: i64,
    pub(crate) sender: String,
    pub(crate) device: Option<Uuid>,
    pub(crate) kind: Option<String>,
    pub(crate) client_id: Option<Uuid>,
    pub(crate) key_id: Option<Uuid>,
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) detail: Option<Vec<u8>>,
    pub(crate) changes: Option<Vec<u8>>,
    pub(crate) form: Option<i8>,
    pub(crate) body: Option<Vec<u8>>,
}

impl LogRow {
    pub(crate) fn seq(&self) -> Seq {
        Seq(self.seq.cast_unsigned())
    }

    /// Whether the row, or the table of long bodies, still holds what was sent with the entry.
    pub(crate) fn has_body(&self) -> bool {
        self.form.is_some()
    }

    pub(crate) fn has_long_body(&self) -> bool {
        self.form.is_some_and(|form| form >= FORM_LONG)
    }

    pub(crate) fn is_message(&self) -> bool {
        self.kind.is_none()
    }

    /// The entry without its body.
    pub(crate) fn entry(&self, op: &'static str) -> Result<Entry, PortError> {
        let client_id = self.client_id.map(ClientId::from_uuid);
        let kind = self.kind.as_deref().unwrap_or("message");
        let detail = self.detail.as_deref().unwrap_or_default();
        let stored = StoredKind::read(kind, client_id, None, detail);
        let stored = stored.map_err(|error| corrupt(op, error))?;
        Ok(Entry {
            seq: self.seq(),
            n: Ordinal(self.n.cast_unsigned()),
            message: MessageId(self.message.cast_unsigned()),
            at: Timestamp(self.at.cast_unsigned()),
            from: user(op, &self.sender)?,
            device: self.device.map(DeviceId::from_uuid),
            withheld: stored.withheld,
            kind: stored.kind,
        })
    }

    pub(crate) fn key(&self, op: &'static str) -> Result<Option<CommandKey>, PortError> {
        let client_id = self.key_id.or(self.client_id).map(ClientId::from_uuid);
        let (Some(client_id), Some(content)) = (client_id, &self.content) else {
            return Ok(None);
        };
        Ok(Some(CommandKey {
            client_id,
            content: content_hash(op, content)?,
        }))
    }

    /// What was sent with the entry.
    pub(crate) fn kept(&self, op: &'static str) -> Result<Kept, PortError> {
        Kept::read(op, self.form, self.body.as_deref(), self.seq, self.message)
    }
}

/// Where a body is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    /// Nowhere: there is none, or it was replaced or erased.
    Nowhere,
    /// Here.
    Here(Body),
    /// In the table of long ones.
    Long {
        /// With the entry that brought it.
        seq: i64,
        /// Its name.
        message: i64,
        /// How to read it.
        form: i8,
    },
}

impl Kept {
    pub(crate) fn read(
        op: &'static str,
        form: Option<i8>,
        bytes: Option<&[u8]>,
        seq: i64,
        message: i64,
    ) -> Result<Self, PortError> {
        match form {
            None => Ok(Self::Nowhere),
            Some(form) if form >= FORM_LONG => Ok(Self::Long {
                seq,
                message,
                form: form - FORM_LONG,
            }),
            Some(form) => body(op, form, bytes.unwrap_or_default()).map(Self::Here),
        }
    }
}

/// A body as rows keep it.
#[derive(Clone, Debug)]
pub(crate) struct StoredBody {
    pub(crate) form: i8,
    pub(crate) bytes: Vec<u8>,
}

impl StoredBody {
    pub(crate) fn of(op: &'static str, body: &Body) -> Result<Self, PortError> {
        let encoded = encode_body(body.clone());
        let (form, bytes) = encoded.map_err(|error| PortError::misuse(op).with_source(error))?;
        Ok(Self { form, bytes })
    }

    /// Whether it goes to the table of long ones.
    pub(crate) fn is_long(&self) -> bool {
        self.bytes.len() > INLINE_BODY_BYTES_MAX
    }

    /// The form that a row says which refers to that table.
    pub(crate) fn long_form(&self) -> i8 {
        self.form + FORM_LONG
    }
}

pub(crate) fn body(op: &'static str, form: i8, bytes: &[u8]) -> Result<Body, PortError> {
    decode_body(form, bytes).map_err(|error| corrupt(op, error))
}

/// A row of a member, or of a role that came after the member had gone.
#[derive(Clone, Debug, DeserializeRow)]
pub(crate) struct MemberRow {
    user_id: String,
    role: Option<i8>,
    joined: Option<i64>,
    visible_from: Option<i64>,
}

impl MemberRow {
    pub(crate) fn user(&self, op: &'static str) -> Result<UserId, PortError> {
        user(op, &self.user_id)
    }

    pub(crate) fn member(&self, op: &'static str) -> Result<Option<Member>, PortError> {
        let (Some(joined), Some(visible_from)) = (self.joined, self.visible_from) else {
            return Ok(None);
        };
        let role = self.role.and_then(role_of);
        Ok(Some(Member {
            role: role.ok_or_else(|| corrupt(op, "no such role"))?,
            joined: Seq(joined.cast_unsigned()),
            visible_from: Seq(visible_from.cast_unsigned()),
        }))
    }
}

pub(crate) fn user(op: &'static str, text: &str) -> Result<UserId, PortError> {
    text.parse()
        .map_err(|rejection: chat_proto::Rejection| corrupt(op, rejection.message))
}

pub(crate) fn content_hash(op: &'static str, bytes: &[u8]) -> Result<ContentHash, PortError> {
    bytes
        .try_into()
        .map(ContentHash::from_bytes)
        .map_err(|_| corrupt(op, "a hash has 16 bytes"))
}
