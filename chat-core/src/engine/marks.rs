//! Read and delivered marks: durable when answered, merged by maximum, told to whom they concern.

use chat_proto::wire::{Mark, MarkPush, Push};
use chat_proto::{ChannelType, Head, Rejection, UserId};

use super::engine::{Engine, Inner};
use crate::caller::Caller;
use crate::ports::{InboxRow, MarkKind, MarkRise, Payload};

impl Engine {
    /// Raises the caller's mark to an entry; beyond the head means the head, and a mark never goes back.
    pub(super) async fn raise(
        &self,
        caller: &Caller,
        mark: Mark,
        kind: MarkKind,
        origin: Option<u64>,
    ) -> Result<(), Rejection> {
        let row = self.readable(caller, mark.channel).await?;
        let to = self.inner.point(&row, mark).await?;
        let rise = MarkRise {
            channel: mark.channel,
            user: caller.user.clone(),
            kind,
            to,
            at: self.now(),
            private: false,
        };
        self.inner.parts.inbox.raise(vec![rise]).await?;
        let former = match kind {
            MarkKind::Read => row.read,
            MarkKind::Delivered => Head::EMPTY,
        };
        if to > former {
            self.inner
                .tell_mark(&row, &caller.user, kind, to, origin)
                .await;
        }
        Ok(())
    }
}

impl Inner {
    /// The entry that a mark names, with its ordinal.
    async fn point(&self, row: &InboxRow, mark: Mark) -> Result<Head, Rejection> {
        if mark.seq >= row.head.seq {
            return Ok(row.head);
        }
        if mark.seq < row.member.visible_from {
            // Nothing that the caller could have read: their mark stays where it is.
            return Ok(Head::EMPTY);
        }
        let entry = self.entry_at(mark.channel, mark.seq).await?;
        Ok(entry.map_or(row.head, |entry| entry.head()))
    }

    async fn tell_mark(
        &self,
        row: &InboxRow,
        user: &UserId,
        kind: MarkKind,
        to: Head,
        origin: Option<u64>,
    ) {
        let is_direct = row.meta.channel_type == ChannelType::Direct;
        let concerns_others = match kind {
            MarkKind::Read => row.member_count <= self.parts.settings.live_receipts_members_max,
            MarkKind::Delivered => is_direct,
        };
        let recipients = if concerns_others {
            self.member_ids(row.channel)
                .await
                .unwrap_or_else(|| vec![user.clone()])
        } else {
            // One's own other devices.
            vec![user.clone()]
        };
        let mark = MarkPush {
            channel: row.channel,
            user: user.clone(),
            seq: to.seq,
            n: to.n,
        };
        let read = kind == MarkKind::Read;
        self.push_volatile(
            &recipients,
            if read {
                Push::Read(mark)
            } else {
                Push::Delivered(mark)
            },
            origin,
        );
        let payload = Payload::Mark {
            channel: row.channel,
            user: user.clone(),
            read,
            to,
            recipients: recipients.clone(),
        };
        self.publish_to_nodes_of(&recipients, self.envelope(payload))
            .await;
    }
}
