//! Pages of a log, for those who may see it.

use chat_proto::channel::{Member, Reception};
use chat_proto::wire::{
    Answer, ClientOp, HistoryAnswer, HistoryQuery, PullAnswer, PullQuery, Push, TypingPush,
};
use chat_proto::{ChannelId, Entry, Rejection, Seq, UserId};

use super::engine::{Engine, Inner};
use super::history::Pages;
use super::wish::Wish;
use crate::caller::Caller;
use crate::entry_at::entry_at;
use crate::ports::{EntriesQuery, InboxRow, MarkKind, MembersQuery, PageLimit, Payload, PortError};

/// Reads of a page of history that entries appended meanwhile may make void.
const HISTORY_TRIES_MAX: u32 = 8;

impl Engine {
    /// Carries out a request. `origin` is the session that asks, which is not told what it did itself.
    pub(crate) async fn read(
        &self,
        caller: &Caller,
        op: ClientOp,
        origin: Option<u64>,
    ) -> Result<Answer, Rejection> {
        let op = match Wish::of(&caller.user, op) {
            Ok(wish) => return self.run_wish(caller, wish).await,
            Err(op) => *op,
        };
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
            ClientOp::Send(_)
            | ClientOp::Edit(_)
            | ClientOp::Delete(_)
            | ClientOp::React(_)
            | ClientOp::Pin(_) => unreachable!("commands are wishes"),
            ClientOp::Prefs(change) => self
                .set_prefs(caller, change, origin)
                .await
                .map(Answer::Prefs),
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
        let entries = page.entries.into_iter();
        Ok(PullAnswer {
            entries: entries
                .map(|entry| entry.into_seen_by(&caller.user, member.visible_from))
                .collect(),
            head: page.head,
        })
    }

    /// The page, as of a head up to which the caller is known to be a member.
    async fn history(
        &self,
        caller: &Caller,
        query: &HistoryQuery,
    ) -> Result<HistoryAnswer, Rejection> {
        let limit = self
            .inner
            .page_size(query.limit, self.limits().history_messages_default)?;
        for _ in 0..HISTORY_TRIES_MAX {
            let (member, through) = self.inner.admitted(caller, query.channel).await?;
            let pages = Pages {
                messages: self.inner.parts.messages.as_ref(),
                bytes: self.limits().page_bytes_max,
                channel: query.channel,
                viewer: &caller.user,
                first: member.visible_from,
            };
            let Some(page) = pages.at(query.anchor, limit).await? else {
                continue;
            };
            // What was done behind `through` may be news of after the caller's removal.
            let is_known = page.as_of <= through || {
                let (again, through) = self.inner.admitted(caller, query.channel).await?;
                again == member && page.as_of <= through
            };
            if is_known {
                return Ok(page.into_answer(&caller.user, member.visible_from));
            }
        }
        Err(Rejection::unavailable(
            "the channel changes faster than it can be read: retry",
        ))
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
        if self.inner.allow_read(caller, channel).await.is_err() {
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
        if self.inner.is_shut_out(&caller.user, channel, &others).await {
            return;
        }
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

    /// Whether the channel is the user's direct one with somebody who wants to hear nothing of them; also while nobody can
    /// tell.
    async fn is_shut_out(&self, user: &UserId, channel: ChannelId, others: &[UserId]) -> bool {
        match others {
            [other] if channel == ChannelId::direct(user, other) => {
                let reception = self.reception(other, user).await;
                !matches!(reception, Ok(Reception { blocks: false, .. }))
            }
            _ => false,
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
        entry_at(&*self.parts.messages, channel, seq).await
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

/// One sentence for both, so that nobody learns of channels that they are not in.
pub(super) fn no_such_channel() -> Rejection {
    Rejection::not_found("there is no such channel, or you are not in it")
}
