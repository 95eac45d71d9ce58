//! Pages of a log, for those who may see it.

use chat_proto::channel::Member;
use chat_proto::wire::{
    Anchor, Answer, ClientOp, HistoryAnswer, HistoryMessage, HistoryQuery, PullAnswer, PullQuery,
    Push, TypingPush,
};
use chat_proto::{ChannelId, Entry, Head, Rejection, Seq, UserId};

use super::engine::{Engine, Inner};
use crate::caller::Caller;
use crate::ports::{
    EntriesQuery, InboxRow, MarkKind, MembersQuery, MessagesPage, MessagesQuery, Operation,
    PageLimit, Payload, PortError, Verdict,
};

impl Engine {
    /// Carries out a request that changes no log. `origin` is the session that asks, which is not told what it did itself.
    pub(crate) async fn read(
        &self,
        caller: &Caller,
        op: ClientOp,
        origin: Option<u64>,
    ) -> Result<Answer, Rejection> {
        match op {
            ClientOp::Sync(query) => self.sync(caller, query).await.map(Answer::Sync),
            ClientOp::Pull(query) => self.pull(caller, &query).await.map(Answer::Pull),
            ClientOp::History(query) => self.history(caller, &query).await.map(Answer::History),
            ClientOp::Read(mark) => self
                .raise(caller, mark, MarkKind::Read, origin)
                .await
                .map(|()| Answer::Done),
            ClientOp::Delivered(mark) => self
                .raise(caller, mark, MarkKind::Delivered, origin)
                .await
                .map(|()| Answer::Done),
            ClientOp::Send(message) => self.send_message(caller, message).await,
            ClientOp::Prefs(change) => self
                .set_prefs(caller, change, origin)
                .await
                .map(Answer::Prefs),
            ClientOp::Edit(_) | ClientOp::Delete(_) | ClientOp::React(_) | ClientOp::Pin(_) => {
                Err(not_offered())
            }
            ClientOp::Receipts(query) => self.receipts(caller, &query).await.map(Answer::Receipts),
            ClientOp::Watch(watch) => self.watch(caller, watch, origin).await.map(Answer::Watch),
            ClientOp::Unwatch(unwatch) => self
                .unwatch(caller, &unwatch, origin)
                .map(|()| Answer::Done),
            ClientOp::Status(status) => self
                .set_status(&caller.user, status)
                .await
                .map(|()| Answer::Done),
        }
    }

    async fn pull(&self, caller: &Caller, query: &PullQuery) -> Result<PullAnswer, Rejection> {
        let (member, through) = self.inner.admitted(caller, query.channel).await?;
        let entries = self
            .inner
            .page_size(query.limit, self.limits().page_entries_default)?;
        let after = query.after.max(member.visible_from.previous());
        let limit = PageLimit {
            entries,
            bytes: self.limits().page_bytes_max,
        };
        let mut page = self
            .inner
            .parts
            .messages
            .entries(EntriesQuery {
                channel: query.channel,
                after,
                limit,
            })
            .await?;
        // Behind it the caller may have been removed: they ask again, and are admitted again or not.
        page.entries.retain(|entry| entry.seq <= through);
        Ok(PullAnswer {
            entries: page.entries,
            head: page.head,
        })
    }

    async fn history(
        &self,
        caller: &Caller,
        query: &HistoryQuery,
    ) -> Result<HistoryAnswer, Rejection> {
        let (member, through) = self.inner.admitted(caller, query.channel).await?;
        let limit = self
            .inner
            .page_size(query.limit, self.limits().history_messages_default)?;
        let heads = self.inner.parts.messages.heads(&[query.channel]).await?;
        let head = heads.first().copied().unwrap_or(Head::EMPTY);
        // Behind `through` the caller may have been removed.
        let newest = head.seq.min(through);
        let pages = Pages {
            inner: &self.inner,
            channel: query.channel,
            first: member.visible_from,
            head: newest,
        };
        let (messages, more_before, more_after) = match query.anchor {
            Anchor::Newest => {
                let page = pages.older(newest.next(), limit).await?;
                (page.messages, page.more, false)
            }
            Anchor::Before(seq) => {
                let page = pages.older(seq, limit).await?;
                (page.messages, page.more, pages.any_from(seq).await?)
            }
            Anchor::After(seq) => {
                let page = pages.newer(seq, limit).await?;
                (page.messages, pages.any_until(seq).await?, page.more)
            }
            Anchor::Around(seq) => {
                let older = pages.older(seq, limit / 2).await?;
                let newer = pages
                    .newer(seq.previous(), limit - older.messages.len())
                    .await?;
                let mut messages = older.messages;
                messages.extend(newer.messages);
                (messages, older.more, newer.more)
            }
        };
        let messages = messages
            .into_iter()
            .map(|entry| HistoryMessage {
                entry,
                reactions: Vec::new(),
                pinned: false,
                replies: 0,
            })
            .collect();
        Ok(HistoryAnswer {
            messages,
            more_before,
            more_after,
            as_of: newest,
        })
    }

    /// The caller's row of a channel that they may read.
    pub(super) async fn readable(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<InboxRow, Rejection> {
        self.inner.allow_read(caller, channel).await?;
        let mut rows = self
            .inner
            .parts
            .inbox
            .rows(&caller.user, &[channel])
            .await?;
        rows.pop().ok_or_else(no_such_channel)
    }

    /// The user types; the other members hear of it, as far as they are here.
    pub async fn typing(&self, caller: &Caller, channel: ChannelId) {
        let Some(users) = self.inner.member_ids(channel).await else {
            return;
        };
        if users.binary_search(&caller.user).is_err() {
            return;
        }
        // Who cannot be seen is not seen typing; nor is who may not want to be, while nobody can tell.
        if !matches!(self.inner.is_invisible(&caller.user).await, Ok(false)) {
            return;
        }
        let others: Vec<UserId> = users
            .into_iter()
            .filter(|user| *user != caller.user)
            .collect();
        let push = TypingPush {
            channel,
            user: caller.user.clone(),
        };
        self.inner.push_volatile(&others, Push::Typing(push), None);
        let payload = Payload::Typing {
            channel,
            user: caller.user.clone(),
            recipients: others.clone(),
        };
        self.inner
            .publish_to_nodes_of(&others, self.inner.envelope(payload))
            .await;
    }

    pub(crate) fn spawn_typing(&self, caller: Caller, channel: ChannelId) {
        let engine = self.clone();
        self.inner
            .tasks
            .spawn(async move { engine.typing(&caller, channel).await });
    }
}

impl Inner {
    /// The caller's membership of a channel that they may read, and the entry up to which it holds.
    pub(super) async fn admitted(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<(Member, Seq), Rejection> {
        self.allow_read(caller, channel).await?;
        let users = std::slice::from_ref(&caller.user);
        let mut rows = self.parts.messages.memberships(channel, users).await?;
        let member = rows
            .found
            .remove(&caller.user)
            .ok_or_else(no_such_channel)?;
        Ok((member, rows.through))
    }

    async fn allow_read(&self, caller: &Caller, channel: ChannelId) -> Result<(), Rejection> {
        let Some(authorizer) = &self.parts.authorizer else {
            return Ok(());
        };
        match authorizer
            .authorize(&caller.user, channel, Operation::Read)
            .await?
        {
            Verdict::Allow | Verdict::ReplaceBody(_) => Ok(()),
            Verdict::Deny(rejection) => Err(rejection),
        }
    }

    /// The members of a small channel, ascending; of a large one nobody.
    pub(super) async fn member_ids(&self, channel: ChannelId) -> Option<Vec<UserId>> {
        if let Some(folded) = self.channels.peek(channel).and_then(|slot| slot.folded())
            && let Some(roster) = folded.state.roster()
        {
            return Some(roster.keys().cloned().collect());
        }
        let limit = usize::try_from(chat_proto::Limits::INBOX_COPY_MEMBERS_MAX).expect("a hundred");
        let page = self
            .parts
            .messages
            .members(MembersQuery {
                channel,
                after: None,
                limit,
            })
            .await
            .ok()?;
        (!page.more).then(|| page.members.into_iter().map(|(user, _)| user).collect())
    }

    /// The entry at this place, if the log has it.
    pub(super) async fn entry_at(
        &self,
        channel: ChannelId,
        seq: Seq,
    ) -> Result<Option<Entry>, PortError> {
        let query = EntriesQuery {
            channel,
            after: seq.previous(),
            limit: PageLimit {
                entries: 1,
                bytes: 1,
            },
        };
        let page = self.parts.messages.entries(query).await?;
        Ok(page.entries.into_iter().find(|entry| entry.seq == seq))
    }

    pub(super) fn page_size(&self, asked: Option<u32>, default: usize) -> Result<usize, Rejection> {
        let Some(asked) = asked else {
            return Ok(default);
        };
        if asked == 0 {
            return Err(Rejection::bad_request("a limit is at least 1"));
        }
        Ok(usize::try_from(asked)
            .unwrap_or(usize::MAX)
            .min(self.parts.limits.page_entries_max))
    }
}

/// The protocol has it; this server does not.
pub(super) fn not_offered() -> Rejection {
    Rejection::unsupported("this server does not offer this op")
}

/// One sentence for both, so that nobody learns of channels that they are not in.
pub(super) fn no_such_channel() -> Rejection {
    Rejection::not_found("there is no such channel, or you are not in it")
}

/// The messages of a log that somebody may see.
struct Pages<'a> {
    inner: &'a Inner,
    channel: ChannelId,
    /// The first entry that they may see.
    first: Seq,
    /// The last entry that the answer tells of.
    head: Seq,
}

impl Pages<'_> {
    /// The newest before this entry.
    async fn older(&self, before: Seq, limit: usize) -> Result<MessagesPage, Rejection> {
        self.range(
            self.first.previous(),
            before.min(self.head.next()),
            true,
            limit,
        )
        .await
    }

    /// The oldest behind this entry.
    async fn newer(&self, after: Seq, limit: usize) -> Result<MessagesPage, Rejection> {
        self.range(
            after.max(self.first.previous()),
            self.head.next(),
            false,
            limit,
        )
        .await
    }

    async fn any_from(&self, seq: Seq) -> Result<bool, Rejection> {
        Ok(any(&self.newer(seq.previous(), 1).await?))
    }

    async fn any_until(&self, seq: Seq) -> Result<bool, Rejection> {
        Ok(any(&self.older(seq.next(), 1).await?))
    }

    async fn range(
        &self,
        after: Seq,
        before: Seq,
        newest: bool,
        limit: usize,
    ) -> Result<MessagesPage, Rejection> {
        if limit == 0 || before <= after.next() {
            return Ok(MessagesPage::default());
        }
        let limit = PageLimit {
            entries: limit,
            bytes: self.inner.parts.limits.page_bytes_max,
        };
        let query = MessagesQuery {
            channel: self.channel,
            after,
            before,
            newest,
            limit,
        };
        Ok(self.inner.parts.messages.messages(query).await?)
    }
}

fn any(page: &MessagesPage) -> bool {
    page.messages
        .first()
        .is_some_and(|entry: &Entry| entry.kind.is_message())
}
