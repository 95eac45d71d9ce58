//! The rows of one transaction, as the patterns in `sql` bind them.

use std::sync::Arc;

use chat_core::ports::MarkRise;
use chat_core::rows::{
    LeftRow, MemberKey, MemberRow, NewHead, OwnMarkRow, PinRow, PreparedBody, PreparedEntry,
    PreparedKind, PreparedState, ReactionKey, ReactionRow, RepliesRow, RoleRow, TargetKey,
    WithheldRow, bound,
};
use chat_proto::{ChannelId, UserId};
use uuid::Uuid;

use crate::sql::rows::{Binds, Row};

impl Row for ChannelId {
    const COLUMNS: usize = 1;

    fn bind(&self, binds: &mut Binds) {
        binds.add(self.as_bytes().as_slice());
    }
}

/// A key, or the search for one: then `last` is the caller's number for it.
pub(super) struct KeyRow {
    pub(super) channel: i64,
    pub(super) sender: Arc<str>,
    pub(super) client_id: Uuid,
    pub(super) seq: i64,
}

impl Row for KeyRow {
    const COLUMNS: usize = 4;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(Arc::clone(&self.sender))
            .add(self.client_id.as_bytes().as_slice())
            .add(self.seq);
    }
}

/// A search for a key.
pub(super) struct WantedKey {
    pub(super) place: i64,
    pub(super) channel: i64,
    pub(super) sender: Arc<str>,
    pub(super) client_id: Uuid,
}

impl Row for WantedKey {
    const COLUMNS: usize = 4;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.place)
            .add(self.channel)
            .add(Arc::clone(&self.sender))
            .add(self.client_id.as_bytes().as_slice());
    }
}

pub(super) struct MessageRow<'a> {
    pub(super) channel: i64,
    pub(super) entry: &'a PreparedEntry,
    pub(super) client_id: &'a Uuid,
    pub(super) detail: Option<&'a [u8]>,
    pub(super) body: Option<BodyRow<'a>>,
}

impl Row for MessageRow<'_> {
    const COLUMNS: usize = 11;

    fn bind(&self, binds: &mut Binds) {
        bind_entry(binds, self.channel, self.entry);
        binds
            .add(self.client_id.as_bytes().as_slice())
            .add(
                self.entry
                    .key
                    .as_ref()
                    .map(|(_, content)| content.as_slice()),
            )
            .add(self.detail)
            .add(self.body.map(|body| body.id));
    }
}

/// A body under its number.
#[derive(Clone, Copy)]
pub(super) struct BodyRow<'a> {
    pub(super) id: i64,
    pub(super) body: &'a PreparedBody,
}

impl Row for BodyRow<'_> {
    const COLUMNS: usize = 3;

    fn bind(&self, binds: &mut Binds) {
        let (form, bytes) = self.body;
        binds.add(self.id).add(*form).add(bytes.as_slice());
    }
}

/// A message with its body beside it, as the view of plain messages takes it.
pub(super) struct PlainRow<'p, 'a>(pub(super) &'p MessageRow<'a>);

impl Row for PlainRow<'_, '_> {
    const COLUMNS: usize = 13;

    fn bind(&self, binds: &mut Binds) {
        self.0.bind(binds);
        let body = self.0.body.map(|body| body.body);
        binds
            .add(body.map(|(form, _)| *form))
            .add(body.map(|(_, bytes)| bytes.as_slice()));
    }
}

pub(super) struct EventRow<'a> {
    pub(super) channel: i64,
    pub(super) entry: &'a PreparedEntry,
    pub(super) name: &'a str,
    pub(super) detail: &'a [u8],
}

impl Row for EventRow<'_> {
    const COLUMNS: usize = 12;

    fn bind(&self, binds: &mut Binds) {
        bind_entry(binds, self.channel, self.entry);
        binds
            .add(
                self.entry
                    .key
                    .as_ref()
                    .map(|(client_id, _)| client_id.as_bytes().as_slice()),
            )
            .add(
                self.entry
                    .key
                    .as_ref()
                    .map(|(_, content)| content.as_slice()),
            )
            .add(self.name)
            .add(self.detail)
            .add(self.entry.target.map(|target| bound(target.0)));
    }
}

fn bind_entry(binds: &mut Binds, channel: i64, entry: &PreparedEntry) {
    binds
        .add(channel)
        .add(bound(entry.head.seq.0))
        .add(bound(entry.head.n.0))
        .add(entry.message)
        .add(entry.at)
        .add(Arc::clone(&entry.sender))
        .add(
            entry
                .device
                .as_ref()
                .map(|device| device.as_bytes().as_slice()),
        );
}

/// A channel's head after the transaction.
pub(super) struct ChannelRow {
    pub(super) key: i64,
    pub(super) channel: ChannelId,
    pub(super) new: NewHead,
}

impl Row for ChannelRow {
    const COLUMNS: usize = 8;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.key)
            .add(self.channel.as_bytes().as_slice())
            .add(bound(self.new.head.seq.0))
            .add(bound(self.new.head.n.0))
            .add(self.new.message)
            .add(self.new.at)
            .add(self.new.active_at)
            .add(self.new.last_message_seq);
    }
}

pub(super) struct StateRow<'a> {
    pub(super) channel: i64,
    pub(super) state: &'a PreparedState,
}

impl Row for StateRow<'_> {
    const COLUMNS: usize = 5;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(self.state.direct)
            .add(self.state.large)
            .add(self.state.member_count)
            .add(self.state.snapshot.as_slice());
    }
}

impl Row for MemberRow {
    const COLUMNS: usize = 7;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(self.user.as_str())
            .add(self.role)
            .add(self.joined)
            .add(self.visible_from)
            .add(bound(self.read.seq.0))
            .add(bound(self.read.n.0));
    }
}

impl Row for MemberKey {
    const COLUMNS: usize = 2;

    fn bind(&self, binds: &mut Binds) {
        binds.add(self.channel).add(self.user.as_str());
    }
}

impl Row for RoleRow {
    const COLUMNS: usize = 3;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(self.user.as_str())
            .add(self.role);
    }
}

impl Row for LeftRow {
    const COLUMNS: usize = 3;

    fn bind(&self, binds: &mut Binds) {
        binds.add(self.user.as_str()).add(self.channel).add(self.at);
    }
}

/// A row of `left_channels` by its key.
pub(super) struct LeftKey<'a>(pub(super) &'a MemberKey);

impl Row for LeftKey<'_> {
    const COLUMNS: usize = 2;

    fn bind(&self, binds: &mut Binds) {
        binds.add(self.0.user.as_str()).add(self.0.channel);
    }
}

pub(super) struct MentionRow<'a> {
    pub(super) channel: i64,
    pub(super) user: &'a UserId,
    pub(super) seq: i64,
}

impl Row for MentionRow<'_> {
    const COLUMNS: usize = 3;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(self.user.as_str())
            .add(self.seq);
    }
}

impl Row for OwnMarkRow {
    const COLUMNS: usize = 5;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(Arc::clone(&self.user))
            .add(self.read_before)
            .add(bound(self.to.seq.0))
            .add(bound(self.to.n.0));
    }
}

impl Row for MarkRise {
    const COLUMNS: usize = 5;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel.as_bytes().as_slice())
            .add(self.user.as_str())
            .add(bound(self.to.seq.0))
            .add(bound(self.to.n.0))
            .add(bound(self.at.0));
    }
}

impl<'a> MessageRow<'a> {
    /// The row of an entry that is a message.
    pub(super) fn of(
        channel: i64,
        entry: &'a PreparedEntry,
        body: Option<BodyRow<'a>>,
    ) -> Option<Self> {
        match &entry.kind {
            PreparedKind::Message {
                client_id, detail, ..
            } => Some(Self {
                channel,
                entry,
                client_id,
                detail: detail.as_deref(),
                body,
            }),
            PreparedKind::React { .. } | PreparedKind::Pin { .. } | PreparedKind::Event { .. } => {
                None
            }
        }
    }
}

impl Row for TargetKey {
    const COLUMNS: usize = 2;

    fn bind(&self, binds: &mut Binds) {
        binds.add(self.channel).add(self.seq);
    }
}

impl Row for ReactionKey<'_> {
    const COLUMNS: usize = 4;

    fn bind(&self, binds: &mut Binds) {
        self.target.bind(binds);
        binds.add(self.emoji.to_owned()).add(Arc::clone(&self.user));
    }
}

impl Row for ReactionRow<'_> {
    const COLUMNS: usize = 6;

    fn bind(&self, binds: &mut Binds) {
        self.key.bind(binds);
        binds.add(self.seq).add(self.withheld);
    }
}

impl Row for PinRow {
    const COLUMNS: usize = 5;

    fn bind(&self, binds: &mut Binds) {
        self.target.bind(binds);
        binds
            .add(Arc::clone(&self.only_for))
            .add(self.seq)
            .add(self.pinned);
    }
}

impl Row for RepliesRow {
    const COLUMNS: usize = 4;

    fn bind(&self, binds: &mut Binds) {
        self.target.bind(binds);
        binds.add(Arc::clone(&self.only_for)).add(self.replies);
    }
}

impl Row for WithheldRow {
    const COLUMNS: usize = 4;

    fn bind(&self, binds: &mut Binds) {
        binds
            .add(self.channel)
            .add(Arc::clone(&self.user))
            .add(self.seq)
            .add(self.at);
    }
}
