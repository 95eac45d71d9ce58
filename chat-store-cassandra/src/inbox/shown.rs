//! One channel as its member is shown it: from the row; where the channel is large, from its log.
//!
//! Of a large channel the row says that the user is in it, and where they stand. Settings, members, head, newest message and
//! activity are read from the log, which is right also when the channel has become small and no row was written yet.

use chat_core::inboxes::preview;
use chat_core::ports::{InboxRow, PortError};
use chat_proto::channel::{Member, Meta};
use chat_proto::{ChannelId, Entry, Head, Seq, Timestamp, UserId};

use super::copies::{Newest, newest_of};
use super::marks::Marks;
use super::row::RowOfInbox;
use crate::config::{CHUNK_ROWS_MIN, MENTIONS_COUNTED_MAX, SHOWN_BYTES_MAX};
use crate::error::corrupt;
use crate::log::Part;
use crate::rows::{LogRow, user as user_of};
use crate::store::{Db, column};

impl Db {
    /// The channel, if the user is in it.
    pub(super) async fn shown_row(
        &self,
        op: &'static str,
        user: &UserId,
        channel: ChannelId,
    ) -> Result<Option<InboxRow>, PortError> {
        let values = (user.as_str(), channel.as_uuid());
        let rows: Vec<RowOfInbox> = self.read(op, &self.statements.inbox_row, values).await?;
        let Some(mut row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let marks_row = row.take_marks();
        let Some(member) = marks_row.member(op)? else {
            return Ok(None);
        };
        let mut marks = marks_row.marks();
        marks.follow();
        let peer = row.peer.as_deref();
        let peer = peer.map(|peer| user_of(op, peer)).transpose()?;
        let seen = if row.large == Some(true) {
            self.seen_in_log(op, user, channel).await?
        } else {
            Some(self.seen_in_row(op, user, channel, &row, member).await?)
        };
        let Some(seen) = seen else {
            return Ok(None);
        };
        let visible = seen.member.visible_from;
        let after = marks.read.seq.max(visible.previous());
        let mentions = self.mentions_behind(op, user, channel, &row, after).await?;
        Ok(Some(seen.into_row(channel, peer, &marks, mentions)))
    }

    async fn seen_in_row(
        &self,
        op: &'static str,
        user: &UserId,
        channel: ChannelId,
        row: &RowOfInbox,
        member: Member,
    ) -> Result<Seen, PortError> {
        let meta = row.meta.as_deref();
        let meta = meta.ok_or_else(|| corrupt(op, "a row of a member has no settings"))?;
        let meta: Meta = serde_json::from_slice(meta).map_err(|error| corrupt(op, error))?;
        let last = match newest_of(op, row, member.visible_from)? {
            Newest::Copy(entry) => Some(*entry),
            Newest::None => None,
            Newest::InTheLog => {
                let range = (member.visible_from.previous(), row.head().seq);
                self.newest_message(op, channel, user, range).await?
            }
        };
        Ok(Seen {
            meta,
            member,
            member_count: row.member_count.unwrap_or(0).cast_unsigned(),
            head: row.head(),
            last,
            active_at: row.active_at(),
        })
    }

    async fn seen_in_log(
        &self,
        op: &'static str,
        user: &UserId,
        channel: ChannelId,
    ) -> Result<Option<Seen>, PortError> {
        let state = self.state_at_head(op, channel).await?;
        let asked = std::slice::from_ref(user);
        let mut members = self.memberships(op, channel, asked).await?.found;
        let (Some(meta), Some(member)) = (state.meta(), members.remove(user)) else {
            return Ok(None);
        };
        let range = (member.visible_from.previous(), state.head().seq);
        Ok(Some(Seen {
            meta: meta.clone(),
            member,
            member_count: state.member_count(),
            head: state.head(),
            last: self.newest_message(op, channel, user, range).await?,
            active_at: self.changed_at(op, channel, state.head().seq).await?,
        }))
    }

    /// When the log came to this head.
    pub(super) async fn changed_at(
        &self,
        op: &'static str,
        channel: ChannelId,
        head: Seq,
    ) -> Result<Timestamp, PortError> {
        let range = (head.previous(), head);
        let rows = self.oldest(op, channel, range, 1, Part::Skeleton).await?;
        let at = rows.first().map_or(0, |row| row.at.cast_unsigned());
        Ok(Timestamp(at))
    }

    /// The newest message in a part of the log that is not withheld from the viewer.
    async fn newest_message(
        &self,
        op: &'static str,
        channel: ChannelId,
        viewer: &UserId,
        (after, through): (Seq, Seq),
    ) -> Result<Option<Entry>, PortError> {
        let mut last = through;
        while after < last {
            let range = (after, last);
            let mut rows = self.newest(op, channel, range, CHUNK_ROWS_MIN).await?;
            last = rows.last().map_or(after, |row| row.seq().previous());
            rows.retain(LogRow::is_message);
            for drawn in self.draw(op, channel, rows).await? {
                if !drawn.entry.is_withheld_from(viewer) {
                    let entry = self.finish(op, channel, drawn).await?;
                    return Ok(Some(preview(entry, SHOWN_BYTES_MAX)));
                }
            }
        }
        Ok(None)
    }

    /// Messages behind a place that name the user; none is looked for where the row says that there is none.
    async fn mentions_behind(
        &self,
        op: &'static str,
        user: &UserId,
        channel: ChannelId,
        row: &RowOfInbox,
        after: Seq,
    ) -> Result<u64, PortError> {
        let after = column(after.0);
        if row.mentioned.is_none_or(|last| last <= after) {
            return Ok(0);
        }
        let values = (
            user.as_str(),
            channel.as_uuid(),
            after,
            MENTIONS_COUNTED_MAX,
        );
        let rows: Vec<(i64,)> = self.read(op, &self.statements.mentions, values).await?;
        Ok(rows.len() as u64)
    }
}

/// A channel but for the user's marks.
struct Seen {
    meta: Meta,
    member: Member,
    member_count: u64,
    head: Head,
    last: Option<Entry>,
    active_at: Timestamp,
}

impl Seen {
    fn into_row(
        self,
        channel: ChannelId,
        peer: Option<UserId>,
        marks: &Marks,
        mentions: u64,
    ) -> InboxRow {
        InboxRow {
            channel,
            meta: self.meta,
            peer,
            member: self.member,
            member_count: self.member_count,
            head: self.head,
            read: marks.read,
            mentions,
            last: self.last,
            activity: self.active_at.max(marks.raised_at),
        }
    }
}
