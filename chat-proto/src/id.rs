//! Newtypes for every id, count and point in time. Parse at the edge, then trust the type.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::rejection::Rejection;

/// Longest [`UserId`] in bytes.
pub const USER_ID_BYTES_MAX: usize = 64;

/// Namespace of direct channels: UUIDv5 over the two user ids sorted bytewise, joined by U+0000.
pub const DIRECT_NAMESPACE: Uuid = Uuid::from_u128(0x8d5f_2c1e_6a37_4b0e_9c44_71d2_05ab_e3f8);
/// Namespace of created channels: UUIDv5 over the creator and the `client_id` as text, joined by U+0000.
pub const CREATED_NAMESPACE: Uuid = Uuid::from_u128(0x2f9b_70d4_3c58_4e61_a1f7_5be8_9d02_c46a);
/// Namespace of channels that an embedding program names: UUIDv5 over the `external_id`.
pub const EXTERNAL_NAMESPACE: Uuid = Uuid::from_u128(0xc1e6_48a3_917b_45d2_8f3d_0a6c_e7b5_2490);

/// Who: 1 to 64 bytes of UTF-8 without white space, control or bidirectional-control characters; compared
/// bytewise and never reused. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), Rejection> {
        if text.is_empty() || text.len() > USER_ID_BYTES_MAX {
            return Err(Rejection::bad_request("a user id has 1 to 64 bytes"));
        }
        if text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || is_bidi_control(c))
        {
            return Err(Rejection::bad_request(
                "a user id has no white space, control or bidirectional-control characters",
            ));
        }
        Ok(())
    }
}

/// The Unicode property Bidi_Control (UAX #9): such characters make one name look like another.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl FromStr for UserId {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }
}

impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({})", self.0)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor::<Self>::new("a user id"))
    }
}

/// Reads a type from its text form, without a copy where the format can lend the text.
struct ParseVisitor<T> {
    expects: &'static str,
    reads: std::marker::PhantomData<T>,
}

impl<T> ParseVisitor<T> {
    fn new(expects: &'static str) -> Self {
        Self {
            expects,
            reads: std::marker::PhantomData,
        }
    }
}

impl<T: FromStr<Err = Rejection>> Visitor<'_> for ParseVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expects)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse()
            .map_err(|rejection: Rejection| E::custom(rejection.message))
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $expects:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with these 128 bits.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as a UUID.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// The 16 bytes of the id, as stores keep it.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id that a store kept as bytes.
            ///
            /// # Errors
            /// `bad_request` unless there are exactly 16.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, Rejection> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| Rejection::bad_request(concat!($expects, " has 16 bytes")))
            }
        }

        impl FromStr for $name {
            type Err = Rejection;

            fn from_str(text: &str) -> Result<Self, Rejection> {
                // Only the hyphenated form: one id must not have several spellings of different length.
                if text.len() != 36 {
                    return Err(Rejection::bad_request(concat!($expects, " is a UUID in its 36-character form")));
                }
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| Rejection::bad_request(concat!($expects, " is a UUID in its 36-character form")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut buffer = Uuid::encode_buffer();
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(ParseVisitor::<Self>::new($expects))
            }
        }
    };
}

uuid_id!(
    /// A conversation, which is a log of entries.
    ChannelId,
    "a channel id"
);
uuid_id!(
    /// One of a user's devices; made at log-in.
    DeviceId,
    "a device id"
);
uuid_id!(
    /// Made by a client once per command and kept until the command is acknowledged: a retry carries the same.
    ClientId,
    "a client_id"
);
uuid_id!(
    /// An uploaded file.
    MediaId,
    "a media id"
);
uuid_id!(
    /// The life of a set of stores: drawn when a store is created or restored. Cursors of another epoch mean nothing.
    Epoch,
    "an epoch"
);

impl Epoch {
    /// The life of two stores together: another one as soon as either is; that of one store with itself is its own.
    #[must_use]
    pub fn joined_with(self, other: Self) -> Self {
        if self == other {
            self
        } else {
            Self(Uuid::new_v5(&self.0, other.as_bytes()))
        }
    }
}

impl ChannelId {
    /// The direct channel of two users, or of one user with themselves.
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (low, high) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        Self(joined(DIRECT_NAMESPACE, low.as_str(), high.as_str()))
    }

    /// The channel that this creator makes with this command, so that a repeated creation meets the first.
    pub fn created(creator: &UserId, client_id: ClientId) -> Self {
        Self(joined(
            CREATED_NAMESPACE,
            creator.as_str(),
            &client_id.to_string(),
        ))
    }

    /// The channel that an embedding program knows by a name of its own.
    pub fn external(external_id: &str) -> Self {
        Self(Uuid::new_v5(&EXTERNAL_NAMESPACE, external_id.as_bytes()))
    }
}

fn joined(namespace: Uuid, first: &str, second: &str) -> Uuid {
    let mut name = Vec::with_capacity(first.len() + 1 + second.len());
    name.extend_from_slice(first.as_bytes());
    name.push(0);
    name.extend_from_slice(second.as_bytes());
    Uuid::new_v5(&namespace, &name)
}

/// A message's or another entry's name for links and references: a Snowflake of 64 bits (top bit 0), unique over
/// the fleet and rising with `seq` inside a channel. Never a cursor. Text on the wire: more than a JavaScript
/// number holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u64);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        text.parse().map(Self).map_err(|_| {
            Rejection::bad_request("a message id is a decimal number of 64 bits as text")
        })
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor::<Self>::new("a message id as text"))
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// An entry's place in its channel's log: contiguous from 1. 0 stands before the first.
    Seq
);
number!(
    /// How many message entries a log holds up to and with an entry.
    Ordinal
);
number!(
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp
);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The place before this one; 0 stays 0.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// A point in a log with the number of messages up to it: a head or a read mark.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Head {
    /// The entry.
    pub seq: Seq,
    /// Message entries up to and with it.
    pub n: Ordinal,
}

impl Head {
    /// Before the first entry.
    pub const EMPTY: Self = Self {
        seq: Seq(0),
        n: Ordinal(0),
    };

    /// The point with this `seq` and `n`.
    pub const fn new(seq: u64, n: u64) -> Self {
        Self {
            seq: Seq(seq),
            n: Ordinal(n),
        }
    }
}

/// A chat server's name, unique among those that live.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A node with this name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::from(name.into().as_ref()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_checked() {
        for good in ["a", "user00001", "Zoë", "名前", "a@b.c", &"x".repeat(64)] {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a b",
            "a\u{00A0}b",
            "a\n",
            "\u{0}",
            "a\u{202E}b",
            "\u{2066}x",
            "\u{200F}",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_spelling_of_a_uuid() {
        let id = ChannelId::external("ticket:17");
        assert_eq!(id.to_string().parse::<ChannelId>(), Ok(id));
        assert!(
            id.as_uuid()
                .simple()
                .to_string()
                .parse::<ChannelId>()
                .is_err()
        );
        assert!(id.as_uuid().urn().to_string().parse::<ChannelId>().is_err());
    }

    #[test]
    fn a_separator_keeps_pairs_apart() {
        let user = |name: &str| name.parse::<UserId>().expect("a good name");
        assert_ne!(
            ChannelId::direct(&user("ab"), &user("c")),
            ChannelId::direct(&user("a"), &user("bc"))
        );
        assert_eq!(
            ChannelId::direct(&user("a"), &user("a")),
            ChannelId::direct(&user("a"), &user("a"))
        );
    }

    #[test]
    fn message_ids_are_text() {
        assert_eq!(
            serde_json::to_string(&MessageId(u64::MAX)).ok().as_deref(),
            Some("\"18446744073709551615\"")
        );
        assert!(serde_json::from_str::<MessageId>("17").is_err());
    }
}
