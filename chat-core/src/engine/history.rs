//! Pages of messages on either side of a place in a log.

use chat_proto::wire::{Anchor, HistoryAnswer, HistoryMessage};
use chat_proto::{ChannelId, Rejection, Seq, UserId};

use crate::ports::{AnnotatedMessage, MessageStore, MessagesPage, MessagesQuery, PageLimit};

/// The messages of a log that somebody may see.
pub(super) struct Pages<'a> {
    pub(super) messages: &'a dyn MessageStore,
    /// Bytes of a page at the most.
    pub(super) bytes: usize,
    pub(super) channel: ChannelId,
    pub(super) viewer: &'a UserId,
    /// The first entry that they may see.
    pub(super) first: Seq,
}

/// A page as the store told it.
pub(super) struct Page {
    messages: Vec<AnnotatedMessage>,
    more_before: bool,
    more_after: bool,
    pub(super) as_of: Seq,
}

impl Pages<'_> {
    /// The page that lies there; none when its parts were read on two sides of an append.
    pub(super) async fn at(&self, anchor: Anchor, limit: usize) -> Result<Option<Page>, Rejection> {
        let page = match anchor {
            Anchor::Newest => {
                let page = self.older(Seq(u64::MAX), limit).await?;
                Page::of(page, |more| (more, false))
            }
            Anchor::Before(seq) => {
                let page = self.older(seq, limit).await?;
                let more_after = any(&self.newer(seq.previous(), 1).await?);
                Page::of(page, |more| (more, more_after))
            }
            Anchor::After(seq) => {
                let page = self.newer(seq, limit).await?;
                let more_before = any(&self.older(seq.next(), 1).await?);
                Page::of(page, |more| (more_before, more))
            }
            Anchor::Around(seq) => return self.around(seq, limit).await,
        };
        Ok(Some(page))
    }

    async fn around(&self, seq: Seq, limit: usize) -> Result<Option<Page>, Rejection> {
        let older = match limit / 2 {
            0 => MessagesPage {
                more: any(&self.older(seq, 1).await?),
                ..MessagesPage::default()
            },
            half => self.older(seq, half).await?,
        };
        let newer = self
            .newer(seq.previous(), limit - older.messages.len())
            .await?;
        let mut messages = older.messages;
        if !messages.is_empty() && older.as_of != newer.as_of {
            return Ok(None);
        }
        messages.extend(newer.messages);
        Ok(Some(Page {
            messages,
            more_before: older.more,
            more_after: newer.more,
            as_of: newer.as_of,
        }))
    }

    /// The newest before this entry.
    async fn older(&self, before: Seq, limit: usize) -> Result<MessagesPage, Rejection> {
        self.range(self.first.previous(), before, true, limit).await
    }

    /// The oldest behind this entry.
    async fn newer(&self, after: Seq, limit: usize) -> Result<MessagesPage, Rejection> {
        let after = after.max(self.first.previous());
        self.range(after, Seq(u64::MAX), false, limit).await
    }

    async fn range(
        &self,
        after: Seq,
        before: Seq,
        newest: bool,
        limit: usize,
    ) -> Result<MessagesPage, Rejection> {
        let query = MessagesQuery {
            channel: self.channel,
            viewer: self.viewer.clone(),
            after,
            before,
            newest,
            limit: PageLimit {
                entries: limit,
                bytes: self.bytes,
            },
        };
        Ok(self.messages.messages(query).await?)
    }
}

impl Page {
    /// The whole of one read, and what `sides` makes of its having more: before and after it.
    fn of(page: MessagesPage, sides: impl FnOnce(bool) -> (bool, bool)) -> Self {
        let (more_before, more_after) = sides(page.more);
        Self {
            messages: page.messages,
            more_before,
            more_after,
            as_of: page.as_of,
        }
    }

    pub(super) fn into_answer(self, viewer: &UserId, visible_from: Seq) -> HistoryAnswer {
        let messages = self.messages.into_iter().map(|message| {
            let annotations = message.annotations;
            HistoryMessage {
                entry: message.entry.into_seen_by(viewer, visible_from),
                reactions: annotations.reactions,
                pinned: annotations.pinned,
                replies: annotations.replies,
            }
        });
        HistoryAnswer {
            messages: messages.collect(),
            more_before: self.more_before,
            more_after: self.more_after,
            as_of: self.as_of,
        }
    }
}

fn any(page: &MessagesPage) -> bool {
    !page.messages.is_empty()
}
