//! The rows of one transaction, as the statements in `sql` unpack them.

use std::sync::Arc;

use chat_core::ports::MarkRise;
use chat_core::rows::{
    LeftRow, MemberKey, MemberRow, NewHead, OwnMarkRow, PinRow, PreparedBody, PreparedEntry,
    PreparedKind, PreparedState, ReactionKey, ReactionRow, RepliesRow, RoleRow, SetRow, TargetKey,
    WithheldRow, bound,
};
use chat_proto::{Seq, UserId};
use uuid::Uuid;

use crate::sql::rows::{Binds, Rows};

/// A search for a key; `place` is the caller's number for it.
pub(super) struct WantedKey {
    pub(super) place: i64,
    pub(super) channel: i64,
    pub(super) sender: Arc<str>,
    pub(super) client_id: Uuid,
}

impl Rows for WantedKey {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.place)
            .column(rows, |row| row.channel)
            .column(rows, |row| &*row.sender)
            .column(rows, |row| row.client_id);
    }
}

pub(super) struct MessageRow<'a> {
    channel: i64,
    entry: &'a PreparedEntry,
    client_id: Uuid,
    detail: Option<&'a [u8]>,
    body: Option<&'a PreparedBody>,
}

impl<'a> MessageRow<'a> {
    /// The row of an entry that is a message.
    pub(super) fn of(channel: i64, entry: &'a PreparedEntry) -> Option<Self> {
        match &entry.kind {
            PreparedKind::Message {
                client_id,
                detail,
                body,
                ..
            } => Some(Self {
                channel,
                entry,
                client_id: *client_id,
                detail: detail.as_deref(),
                body: body.as_ref(),
            }),
            PreparedKind::React { .. } | PreparedKind::Pin { .. } | PreparedKind::Event { .. } => {
                None
            }
        }
    }
}

impl Rows for MessageRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        bind_entries(rows, binds, |row| (row.channel, row.entry));
        binds
            .column(rows, |row| row.client_id)
            .column(rows, |row| content(row.entry))
            .column(rows, |row| row.detail)
            .column(rows, |row| row.entry.withheld)
            .column(rows, |row| row.body.map(|(form, _)| i16::from(*form)))
            .column(rows, |row| row.body.map(|(_, bytes)| bytes.as_slice()));
    }
}

pub(super) struct EventRow<'a> {
    pub(super) channel: i64,
    pub(super) entry: &'a PreparedEntry,
    pub(super) name: &'a str,
    pub(super) detail: &'a [u8],
}

impl Rows for EventRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        bind_entries(rows, binds, |row| (row.channel, row.entry));
        binds
            .column(rows, |row| row.entry.key.map(|(client_id, _)| client_id))
            .column(rows, |row| content(row.entry))
            .column(rows, |row| row.name.as_bytes())
            .column(rows, |row| row.detail)
            .column(rows, |row| row.entry.target.map(|target| bound(target.0)));
    }
}

fn bind_entries<'a, R>(
    rows: &'a [R],
    binds: &mut Binds,
    of: impl Fn(&'a R) -> (i64, &'a PreparedEntry),
) {
    binds
        .column(rows, |row| of(row).0)
        .column(rows, |row| bound(of(row).1.head.seq.0))
        .column(rows, |row| bound(of(row).1.head.n.0))
        .column(rows, |row| of(row).1.message)
        .column(rows, |row| of(row).1.at)
        .column(rows, |row| &*of(row).1.sender)
        .column(rows, |row| of(row).1.device);
}

fn content(entry: &PreparedEntry) -> Option<&[u8]> {
    let key = entry.key.as_ref();
    key.map(|(_, content)| content.as_slice())
}

/// A channel's head after the transaction.
pub(super) struct ChannelRow {
    pub(super) key: i64,
    /// Where it was before.
    pub(super) expected: Seq,
    pub(super) new: NewHead,
}

impl Rows for ChannelRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.key)
            .column(rows, |row| bound(row.expected.0))
            .column(rows, |row| bound(row.new.head.seq.0))
            .column(rows, |row| bound(row.new.head.n.0))
            .column(rows, |row| row.new.message)
            .column(rows, |row| row.new.at)
            .column(rows, |row| row.new.active_at)
            .column(rows, |row| row.new.last_message_seq);
    }
}

pub(super) struct StateRow<'a> {
    pub(super) channel: i64,
    pub(super) state: &'a PreparedState,
}

impl Rows for StateRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.state.direct)
            .column(rows, |row| row.state.large)
            .column(rows, |row| row.state.member_count)
            .column(rows, |row| row.state.snapshot.as_slice());
    }
}

impl Rows for MemberRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.user.as_str())
            .column(rows, |row| i16::from(row.role))
            .column(rows, |row| row.joined)
            .column(rows, |row| row.visible_from)
            .column(rows, |row| bound(row.read.seq.0))
            .column(rows, |row| bound(row.read.n.0));
    }
}

impl Rows for MemberKey {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.user.as_str());
    }
}

impl Rows for RoleRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.user.as_str())
            .column(rows, |row| i16::from(row.role));
    }
}

impl Rows for LeftRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.user.as_str())
            .column(rows, |row| row.at);
    }
}

pub(super) struct MentionRow<'a> {
    pub(super) channel: i64,
    pub(super) user: &'a UserId,
    pub(super) seq: i64,
}

impl Rows for MentionRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.user.as_str())
            .column(rows, |row| row.seq);
    }
}

impl Rows for OwnMarkRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| &*row.user)
            .column(rows, |row| row.read_before)
            .column(rows, |row| bound(row.to.seq.0))
            .column(rows, |row| bound(row.to.n.0));
    }
}

impl Rows for MarkRise {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel.as_uuid())
            .column(rows, |row| row.user.as_str())
            .column(rows, |row| bound(row.to.seq.0))
            .column(rows, |row| bound(row.to.n.0))
            .column(rows, |row| bound(row.at.0));
    }
}

impl Rows for TargetKey {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| row.seq);
    }
}

impl Rows for SetRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| row.rev)
            .column(rows, |row| row.erases)
            .column(rows, |row| row.body.map(|(form, _)| i16::from(*form)))
            .column(rows, |row| row.body.map(|(_, bytes)| bytes.as_slice()));
    }
}

impl Rows for ReactionKey<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| row.emoji.as_bytes())
            .column(rows, |row| &*row.user);
    }
}

impl Rows for ReactionRow<'_> {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.key.target.channel)
            .column(rows, |row| row.key.target.seq)
            .column(rows, |row| row.key.emoji.as_bytes())
            .column(rows, |row| &*row.key.user)
            .column(rows, |row| row.seq)
            .column(rows, |row| row.withheld);
    }
}

impl Rows for PinRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| &*row.only_for)
            .column(rows, |row| row.seq)
            .column(rows, |row| row.pinned);
    }
}

impl Rows for RepliesRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.target.channel)
            .column(rows, |row| row.target.seq)
            .column(rows, |row| &*row.only_for)
            .column(rows, |row| row.replies);
    }
}

impl Rows for WithheldRow {
    fn bind(rows: &[Self], binds: &mut Binds) {
        binds
            .column(rows, |row| row.channel)
            .column(rows, |row| &*row.user)
            .column(rows, |row| row.seq)
            .column(rows, |row| row.at);
    }
}
