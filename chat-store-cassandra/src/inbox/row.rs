//! What rows hold, as columns.

use std::collections::BTreeMap;

use chat_core::ports::PortError;
use chat_core::rows::role_of;
use chat_proto::channel::Member;
use chat_proto::{Head, Seq, Timestamp};
use scylla::DeserializeRow;
use uuid::Uuid;

use super::marks::{Marks, Own};
use crate::error::corrupt;

/// In place of a role: not a member any more.
pub(super) const LEFT: i8 = -1;

/// What orders an inbox.
#[derive(Clone, Copy, Debug, DeserializeRow)]
pub(super) struct PlaceRow {
    pub(super) channel: Uuid,
    pub(super) role: Option<i8>,
    joined: Option<i64>,
    left_at: Option<i64>,
    large: Option<bool>,
    active_at: Option<i64>,
    raised_at: Option<i64>,
    raised_in: Option<i64>,
}

impl PlaceRow {
    pub(super) fn is_of_member(&self) -> bool {
        self.role.is_some_and(|role| role != LEFT)
    }

    /// Since when the user is not in the channel any more.
    pub(super) fn left_at(&self) -> Option<Timestamp> {
        let at = self.left_at.filter(|_| self.role == Some(LEFT))?;
        Some(Timestamp(at.cast_unsigned()))
    }

    pub(super) fn is_large(&self) -> bool {
        self.large == Some(true)
    }

    /// When the newest entry came that is not withheld; none: no such entry.
    pub(super) fn active_at(&self) -> Option<Timestamp> {
        self.active_at.map(|at| Timestamp(at.cast_unsigned()))
    }

    pub(super) fn raised_at(&self) -> Timestamp {
        raised_at(self.raised_at, self.raised_in, self.joined)
    }
}

/// Where a user stands.
#[derive(Clone, Debug, Default, DeserializeRow)]
pub(super) struct MarksRow {
    pub(super) role: Option<i8>,
    pub(super) joined: Option<i64>,
    pub(super) visible_from: Option<i64>,
    pub(super) read_seq: Option<i64>,
    pub(super) read_n: Option<i64>,
    pub(super) shown_seq: Option<i64>,
    pub(super) shown_n: Option<i64>,
    pub(super) delivered_seq: Option<i64>,
    pub(super) delivered_n: Option<i64>,
    pub(super) delivered_in: Option<i64>,
    pub(super) own: Option<BTreeMap<i64, i64>>,
    pub(super) raised_at: Option<i64>,
    pub(super) raised_in: Option<i64>,
}

impl MarksRow {
    /// None for who is no member.
    pub(super) fn member(&self, op: &'static str) -> Result<Option<Member>, PortError> {
        let (Some(role), Some(joined), Some(visible_from)) =
            (self.role, self.joined, self.visible_from)
        else {
            return Ok(None);
        };
        if role == LEFT {
            return Ok(None);
        }
        Ok(Some(Member {
            role: role_of(role).ok_or_else(|| corrupt(op, "no such role"))?,
            joined: Seq(joined.cast_unsigned()),
            visible_from: Seq(visible_from.cast_unsigned()),
        }))
    }

    /// As the columns are. What a former membership left of what begins anew is left out.
    pub(super) fn marks(&self) -> Marks {
        let head = |seq: Option<i64>, n: Option<i64>| {
            let (seq, n) = (seq.unwrap_or(0), n.unwrap_or(0));
            Head::new(seq.cast_unsigned(), n.cast_unsigned())
        };
        let own = self.own.iter().flatten();
        let is_of_this = self.delivered_in == self.joined;
        Marks {
            read: head(self.read_seq, self.read_n),
            shown: head(self.shown_seq, self.shown_n),
            delivered: if is_of_this {
                head(self.delivered_seq, self.delivered_n)
            } else {
                Head::EMPTY
            },
            raised_at: raised_at(self.raised_at, self.raised_in, self.joined),
            own: own
                .map(|(n, own)| (n.cast_unsigned(), Own::of_column(*own)))
                .collect(),
        }
    }
}

/// Everything.
#[derive(Clone, Debug, DeserializeRow)]
pub(super) struct RowOfInbox {
    role: Option<i8>,
    joined: Option<i64>,
    visible_from: Option<i64>,
    pub(super) large: Option<bool>,
    head_seq: Option<i64>,
    head_n: Option<i64>,
    pub(super) member_count: Option<i64>,
    pub(super) peer: Option<String>,
    pub(super) meta: Option<Vec<u8>>,
    active_at: Option<i64>,
    pub(super) copies: Option<BTreeMap<i64, Vec<u8>>>,
    pub(super) cleared: Option<i64>,
    pub(super) mentioned: Option<i64>,
    read_seq: Option<i64>,
    read_n: Option<i64>,
    shown_seq: Option<i64>,
    shown_n: Option<i64>,
    delivered_seq: Option<i64>,
    delivered_n: Option<i64>,
    delivered_in: Option<i64>,
    own: Option<BTreeMap<i64, i64>>,
    raised_at: Option<i64>,
    raised_in: Option<i64>,
}

impl RowOfInbox {
    pub(super) fn head(&self) -> Head {
        let (seq, n) = (self.head_seq.unwrap_or(0), self.head_n.unwrap_or(0));
        Head::new(seq.cast_unsigned(), n.cast_unsigned())
    }

    pub(super) fn active_at(&self) -> Timestamp {
        Timestamp(self.active_at.unwrap_or(0).cast_unsigned())
    }

    /// Takes the part out that tells where the user stands.
    pub(super) fn take_marks(&mut self) -> MarksRow {
        MarksRow {
            role: self.role,
            joined: self.joined,
            visible_from: self.visible_from,
            read_seq: self.read_seq,
            read_n: self.read_n,
            shown_seq: self.shown_seq,
            shown_n: self.shown_n,
            delivered_seq: self.delivered_seq,
            delivered_n: self.delivered_n,
            delivered_in: self.delivered_in,
            own: self.own.take(),
            raised_at: self.raised_at,
            raised_in: self.raised_in,
        }
    }
}

/// A rise of a former membership is forgotten.
fn raised_at(at: Option<i64>, of: Option<i64>, joined: Option<i64>) -> Timestamp {
    let at = at.filter(|_| of == joined).unwrap_or(0);
    Timestamp(at.cast_unsigned())
}
