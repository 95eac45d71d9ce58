//! Where members stand in a log, and what an inbox shows of it.

use chat_core::ports::{InboxRow, Mark, MarkKind, MarkRise};
use chat_core::proto::channel::mark_after_own_message;
use chat_core::proto::{ChannelType, Entry, Head, Timestamp, UserId};

use super::logs::Log;

/// The marks of one member.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    read: Head,
    /// How far others are shown that the member has read.
    shown: Head,
    delivered: Head,
    raised_at: Timestamp,
}

impl Standing {
    /// Who comes has read what was there.
    pub(super) fn of_new(head: Head) -> Self {
        Self {
            read: head,
            shown: head,
            delivered: Head::EMPTY,
            raised_at: Timestamp::default(),
        }
    }

    /// The member has appended an entry.
    pub(super) fn wrote(&mut self, entry: &Entry) {
        if let Some(read) = mark_after_own_message(self.read, entry) {
            if self.shown == self.read {
                self.shown = read;
            }
            self.read = read;
        }
    }

    pub(super) fn raise(&mut self, rise: &MarkRise) {
        let own = match rise.kind {
            MarkKind::Read => &mut self.read,
            MarkKind::Delivered => &mut self.delivered,
        };
        if rise.to > *own {
            *own = rise.to;
            self.raised_at = self.raised_at.max(rise.at);
        }
        if rise.kind == MarkKind::Read && !rise.private {
            self.shown = self.shown.max(rise.to);
        }
    }

    /// What others are told.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            read: self.shown,
            delivered: self.delivered,
        }
    }
}

impl Log {
    /// The row of a member, unless all that is there is withheld from them.
    pub(super) fn row(&self, user: &UserId) -> Option<InboxRow> {
        let member = *self.folded.members.get(user)?;
        let (standing, state) = (self.standings.get(user)?, &self.folded.state);
        let meta = state.meta()?.clone();
        let entries = self.folded.records.iter().map(|record| &record.entry);
        let seen: Vec<&Entry> = entries
            .filter(|entry| !entry.is_withheld_from(user))
            .collect();
        let changed_at = seen.last()?.at;
        let mut messages = seen
            .into_iter()
            .filter(|entry| entry.seq >= member.visible_from)
            .filter_map(|entry| Some((entry, entry.as_message()?)));
        let named = messages.clone().filter(|(entry, message)| {
            entry.seq > standing.read.seq && !message.erased && message.mentions.contains(user)
        });
        Some(InboxRow {
            channel: state.id(),
            peer: (meta.channel_type == ChannelType::Direct).then(|| self.peer_of(user)),
            meta,
            member,
            member_count: self.folded.members.len() as u64,
            head: state.head(),
            read: standing.read,
            mentions: named.count() as u64,
            last: messages.next_back().map(|(entry, _)| entry.clone()),
            activity: changed_at.max(standing.raised_at),
        })
    }

    fn peer_of(&self, user: &UserId) -> UserId {
        let mut members = self.folded.members.keys();
        members
            .find(|member| *member != user)
            .unwrap_or(user)
            .clone()
    }
}
