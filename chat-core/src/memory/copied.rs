//! Inboxes that are told what to show, as a key-value database keeps them.

use std::collections::{BTreeMap, BTreeSet};

use chat_proto::channel::{Member, Meta};
use chat_proto::{ChannelId, Entry, Head, NodeId, Seq, Timestamp, UserId};

use super::log::MarkRow;
use super::state::State;
use crate::ports::{FanOutMark, InboxRow, InboxStanding, InboxUpdate, RowUpdate};

/// What stores with copied inboxes hold beside the logs.
#[derive(Default)]
pub(super) struct Copied {
    /// By user, as an inbox is read.
    rows: BTreeMap<UserId, BTreeMap<ChannelId, CopiedRow>>,
    /// The lower place of each.
    marks: BTreeMap<(NodeId, ChannelId), Seq>,
    leases: BTreeMap<NodeId, Timestamp>,
}

/// A row as far as updates have told it; each part holds the latest that was said of it, in whatever order that came.
#[derive(Default)]
pub(super) struct CopiedRow {
    standing: Option<Stood>,
    active_at: Timestamp,
    /// The newest message.
    newest: Option<Entry>,
    pub(super) marks: MarkRow,
    mentions: BTreeSet<Seq>,
    unmentioned: BTreeSet<Seq>,
}

/// What the row's membership and channel were at a head.
struct Stood {
    head: Head,
    standing: InboxStanding,
    meta: Meta,
    member_count: u64,
    large: bool,
    peer: Option<UserId>,
}

impl CopiedRow {
    fn tell(&mut self, update: &InboxUpdate, row: RowUpdate) {
        if let Some(standing) = row.standing
            && self
                .standing
                .as_ref()
                .is_none_or(|stood| update.head >= stood.head)
        {
            self.standing = Some(Stood {
                head: update.head,
                standing,
                meta: update.meta.clone(),
                member_count: update.member_count,
                large: update.large,
                peer: row.peer,
            });
        }
        self.active_at = self.active_at.max(row.active_at.unwrap_or_default());
        for message in row.messages {
            let place = |entry: &Entry| (entry.seq, rev_of(entry));
            if self
                .newest
                .as_ref()
                .is_none_or(|newest| place(&message) >= place(newest))
            {
                self.newest = Some(message);
            }
        }
        if let Some(joined) = row.joined {
            self.marks.start_at(joined);
        }
        for own in row.own {
            self.marks.raise_over_own(own);
        }
        self.unmentioned.extend(row.unmentioned);
        self.mentions.extend(row.mentions);
        self.mentions.retain(|seq| !self.unmentioned.contains(seq));
    }

    fn member(&self) -> Option<Member> {
        match self.standing.as_ref()?.standing {
            InboxStanding::Member(member) => Some(member),
            InboxStanding::Left { .. } => None,
        }
    }

    /// Mentions that are not read.
    pub(super) fn unread_mentions(&self) -> u64 {
        self.mentions.range(self.marks.read.seq.next()..).count() as u64
    }
}

fn rev_of(entry: &Entry) -> Seq {
    let rev = entry.as_message().and_then(|message| message.rev);
    rev.unwrap_or(entry.seq)
}

impl Copied {
    pub(super) fn tell(&mut self, mut update: InboxUpdate) {
        let rows = std::mem::take(&mut update.rows);
        for row in rows {
            let channels = self.rows.entry(row.user.clone()).or_default();
            let known = channels.entry(update.channel).or_default();
            known.tell(&update, row);
        }
    }

    pub(super) fn row(&self, user: &UserId, channel: ChannelId) -> Option<&CopiedRow> {
        self.rows.get(user)?.get(&channel)
    }

    /// The row of a member.
    pub(super) fn member_row(
        &mut self,
        user: &UserId,
        channel: ChannelId,
    ) -> Option<&mut CopiedRow> {
        let row = self.rows.get_mut(user)?.get_mut(&channel)?;
        row.member().is_some().then_some(row)
    }

    /// The channels that the user is in, and whether they are large.
    pub(super) fn channels_of(&self, user: &UserId) -> Vec<(ChannelId, bool)> {
        let rows = self.rows.get(user).into_iter().flatten();
        let is_member = |(channel, row): (&ChannelId, &CopiedRow)| {
            row.member()?;
            Some((*channel, row.standing.as_ref()?.large))
        };
        rows.filter_map(is_member).collect()
    }

    /// The channels that the user left.
    pub(super) fn left_of(&self, user: &UserId) -> Vec<(ChannelId, Timestamp)> {
        let rows = self.rows.get(user).into_iter().flatten();
        let left = |(channel, row): (&ChannelId, &CopiedRow)| match row.standing.as_ref()?.standing
        {
            InboxStanding::Member(_) => None,
            InboxStanding::Left { at } => Some((*channel, at)),
        };
        rows.filter_map(left).collect()
    }

    pub(super) fn keep_marks(&mut self, marks: Vec<FanOutMark>) {
        for mark in marks {
            let after = self.marks.entry((mark.owner, mark.channel));
            let after = after.or_insert(mark.after);
            *after = mark.after.min(*after);
        }
    }

    pub(super) fn drop_marks(&mut self, owner: &NodeId, channels: &[ChannelId]) {
        for channel in channels {
            self.marks.remove(&(owner.clone(), *channel));
        }
    }

    pub(super) fn renew(&mut self, owner: &NodeId, until: Timestamp) {
        let lease = self.leases.entry(owner.clone()).or_default();
        *lease = until.max(*lease);
    }

    pub(super) fn orphaned(&self, now: Timestamp, limit: usize) -> Vec<FanOutMark> {
        let is_orphaned = |owner: &NodeId| self.leases.get(owner).is_none_or(|until| *until <= now);
        let marks = self.marks.iter();
        let orphaned = marks.filter(|((owner, _), _)| is_orphaned(owner));
        let orphaned = orphaned.map(|((owner, channel), after)| FanOutMark {
            owner: owner.clone(),
            channel: *channel,
            after: *after,
        });
        orphaned.take(limit).collect()
    }
}

impl State {
    /// A copied row as it is shown; that of a large channel is read from the log.
    pub(super) fn copied_row(&self, user: &UserId, channel: ChannelId) -> Option<InboxRow> {
        let row = self.copied.row(user, channel)?;
        let member = row.member()?;
        let stood = row.standing.as_ref()?;
        if stood.large {
            let mut derived = self.row(user, channel)?;
            (derived.read, derived.mentions) = (row.marks.read, row.unread_mentions());
            derived.activity = self
                .changed_at(user, channel)
                .unwrap_or_default()
                .max(row.marks.raised_at);
            return Some(derived);
        }
        let is_visible = |entry: &&Entry| entry.seq >= member.visible_from;
        Some(InboxRow {
            channel,
            meta: stood.meta.clone(),
            peer: stood.peer.clone(),
            member,
            member_count: stood.member_count,
            head: stood.head,
            read: row.marks.read,
            mentions: row.unread_mentions(),
            last: row.newest.as_ref().filter(is_visible).cloned(),
            activity: row.active_at.max(row.marks.raised_at),
        })
    }

    /// Whether a copied row holds more than what is withheld from its user.
    pub(super) fn copied_holds_something(&self, user: &UserId, channel: ChannelId) -> bool {
        let row = self.copied.row(user, channel);
        row.is_some_and(|row| {
            let large = row.standing.as_ref().is_some_and(|stood| stood.large);
            large || row.active_at > Timestamp(0)
        })
    }
}
