//! Which of a user's channels changed, for a client that says what it holds.

use std::collections::{BTreeMap, BTreeSet};

use chat_proto::channel::unread;
use chat_proto::people::{Prefs, UserEntry};
use chat_proto::wire::{Gap, Summary, SyncAnswer, SyncQuery};
use chat_proto::{ChannelId, ChannelType, Entry, Rejection, Seq, Timestamp, UserId};
use uuid::Uuid;

use super::engine::Engine;
use crate::caller::Caller;
use crate::inboxes::preview;
use crate::ports::{EntriesQuery, InboxPosition, InboxQuery, InboxRow, PageLimit};

/// Channels in one answer's `left` that the client did not ask about.
const LEFT_MAX: usize = 1_000;

/// Where an answer to `sync` goes on: the instant before its first page was read, the last row told, and the last entry of
/// the user's own log.
#[derive(Clone, Copy, Debug)]
struct PageToken {
    since: Timestamp,
    behind: InboxPosition,
    user_seq: Seq,
}

impl Engine {
    pub(super) async fn sync(
        &self,
        caller: &Caller,
        query: SyncQuery,
    ) -> Result<SyncAnswer, Rejection> {
        query.check(self.limits())?;
        let page = query.page.as_deref().map(PageToken::parse).transpose()?;
        let epoch = self.epoch().await?;
        let reset = query.epoch.is_some_and(|known| known != epoch);
        // What a client holds of another epoch means nothing here.
        let cursors = if reset {
            BTreeMap::new()
        } else {
            query.cursors
        };
        let since = if reset {
            None
        } else {
            query.since.as_deref().map(parse_since).transpose()?
        };
        let user_seq = match page {
            Some(page) => page.user_seq,
            None => query.user_seq.filter(|_| !reset).unwrap_or_default(),
        };
        let own = self
            .inner
            .user_entries(&caller.user, user_seq, self.limits().page_entries_max)
            .await?;
        let user_seq = own.entries.last().map_or(own.head, |last| last.seq);
        // Taken before the first row is read, so that what changes meanwhile is listed again next time.
        let next_since = page.map_or_else(|| self.now(), |page| page.since);

        let overlap = self.inner.parts.settings.since_overlap.as_millis();
        let overlap_ms = u64::try_from(overlap).unwrap_or(u64::MAX);
        let since = since.map(|since| Timestamp(since.0.saturating_sub(overlap_ms)));

        let asked: Vec<ChannelId> = cursors.keys().copied().collect();
        let held = self.inner.parts.inbox.rows(&caller.user, &asked).await?;
        let left = if page.is_none() {
            self.left(caller, asked, &held, since).await?
        } else {
            Vec::new()
        };
        let behind = page.map(|page| page.behind);
        let rows = self
            .changed_rows(caller, &cursors, held, since, behind)
            .await?;
        let more = rows.len() > self.limits().sync_channels_max;
        let rows: Vec<InboxRow> = rows
            .into_iter()
            .take(self.limits().sync_channels_max)
            .collect();
        let behind = match rows.last() {
            Some(row) if more => row.position(),
            Some(_) | None => InboxPosition::END,
        };
        let next_page = (more || user_seq < own.head).then_some(PageToken {
            since: next_since,
            behind,
            user_seq,
        });
        let rows = self.inner.readable_rows(caller, rows).await?;
        let own_bytes = own.entries.iter().map(UserEntry::size_bytes).sum();
        let bytes_left = self.limits().page_bytes_max.saturating_sub(own_bytes);
        let channels = self
            .summaries(caller, rows, &cursors, query.entries, bytes_left)
            .await?;
        Ok(SyncAnswer {
            channels,
            left,
            user_entries: own.entries,
            user_seq,
            since: next_since.to_string(),
            page: next_page.map(|page| page.to_text()),
            reset,
        })
    }

    /// Of the channels in `cursors`, which the caller is in with these rows, those that differ, whatever `since` says; of the
    /// others those that changed after it; newest activity first, one more than fits on a page.
    async fn changed_rows(
        &self,
        caller: &Caller,
        cursors: &BTreeMap<ChannelId, (Seq, Seq)>,
        held: Vec<InboxRow>,
        since: Option<Timestamp>,
        behind: Option<InboxPosition>,
    ) -> Result<Vec<InboxRow>, Rejection> {
        let mut rows = held;
        rows.retain(|row| {
            let differs = cursors
                .get(&row.channel)
                .is_none_or(|(cursor, read)| *cursor != row.head.seq || *read != row.read.seq);
            differs && behind.is_none_or(|behind| row.position().is_behind(behind))
        });
        let wanted = self.limits().sync_channels_max + 1;
        let mut from = behind;
        let mut others = 0;
        // Pages of the inbox until enough rows are not already in `cursors`.
        while others < wanted {
            let query = InboxQuery {
                user: caller.user.clone(),
                since,
                behind: from,
                limit: wanted,
            };
            let page = self.inner.parts.inbox.list(query).await?;
            from = page.rows.last().map(InboxRow::position);
            let fresh = page
                .rows
                .into_iter()
                .filter(|row| !cursors.contains_key(&row.channel));
            let before = rows.len();
            rows.extend(fresh);
            others += rows.len() - before;
            if !page.more || from.is_none() {
                break;
            }
        }
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.activity, row.channel)));
        rows.truncate(wanted);
        Ok(rows)
    }

    /// Of the channels asked for, those that the caller has no row of, and of the others those that were left after `since`.
    async fn left(
        &self,
        caller: &Caller,
        asked: Vec<ChannelId>,
        held: &[InboxRow],
        since: Option<Timestamp>,
    ) -> Result<Vec<ChannelId>, Rejection> {
        let still: BTreeSet<ChannelId> = held.iter().map(|row| row.channel).collect();
        let mut left = asked;
        left.retain(|channel| !still.contains(channel));
        if let Some(since) = since {
            let inbox = &self.inner.parts.inbox;
            let recent = inbox.left(&caller.user, since, LEFT_MAX).await?;
            left.extend(recent.into_iter().map(|left| left.channel));
        }
        left.sort_unstable();
        left.dedup();
        Ok(left)
    }

    async fn summaries(
        &self,
        caller: &Caller,
        rows: Vec<InboxRow>,
        cursors: &BTreeMap<ChannelId, (Seq, Seq)>,
        entries: u32,
        mut bytes_left: usize,
    ) -> Result<Vec<Summary>, Rejection> {
        let entries = usize::try_from(entries)
            .unwrap_or(usize::MAX)
            .min(self.limits().page_entries_max);
        let mut summaries = self.summaries_of(caller, rows).await?;
        if entries > 0 {
            for summary in &mut summaries {
                let cursor = cursors.get(&summary.channel);
                let cursor = cursor.map_or(Seq(0), |(cursor, _)| *cursor);
                self.add_newest(caller, summary, cursor, entries, &mut bytes_left)
                    .await?;
            }
        }
        Ok(summaries)
    }

    /// Rows as the caller sees them, with what they set for themselves. Of somebody whom they block nothing is unread.
    pub(super) async fn summaries_of(
        &self,
        caller: &Caller,
        rows: Vec<InboxRow>,
    ) -> Result<Vec<Summary>, Rejection> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let users = &self.inner.parts.users;
        let listed: Vec<ChannelId> = rows.iter().map(|row| row.channel).collect();
        let mut prefs = users.prefs(&caller.user, &listed).await?;
        let peers: BTreeSet<UserId> = rows
            .iter()
            .filter_map(|row| row.peer.clone().filter(|peer| *peer != caller.user))
            .collect();
        let relations = if peers.is_empty() {
            BTreeMap::new()
        } else {
            users.relations(&caller.user, &peers).await?
        };
        let summaries = rows.into_iter().map(|row| {
            let prefs = prefs.remove(&row.channel).unwrap_or_default();
            let relation = row.peer.as_ref().and_then(|peer| relations.get(peer));
            let blocks = relation.is_some_and(|relation| relation.blocks);
            let mut summary = self.summary(row, prefs);
            if blocks {
                (summary.unread, summary.mentions) = (0, 0);
            }
            summary
        });
        Ok(summaries.collect())
    }

    /// Adds the newest entries after the cursor, as far as the answer has room, and names what lies between.
    async fn add_newest(
        &self,
        caller: &Caller,
        summary: &mut Summary,
        cursor: Seq,
        entries: usize,
        bytes_left: &mut usize,
    ) -> Result<(), Rejection> {
        let head = summary.head.seq;
        let known = cursor.max(summary.visible_from.previous());
        let from = Seq(head.0.saturating_sub(entries as u64)).max(known);
        if from < head && *bytes_left > 0 {
            let limit = PageLimit {
                entries,
                bytes: *bytes_left,
            };
            let query = EntriesQuery {
                channel: summary.channel,
                after: from,
                limit,
            };
            let mut page = self.inner.parts.messages.entries(query).await?.entries;
            page.retain(|entry| entry.seq <= head);
            let bytes: usize = page.iter().map(Entry::size_bytes).sum();
            *bytes_left = bytes_left.saturating_sub(bytes);
            // Only a page that reaches the head can stand behind a gap.
            if page.last().is_some_and(|last| last.seq == head) {
                let seen = |entry: Entry| entry.into_seen_by(&caller.user, summary.visible_from);
                summary.entries = page.into_iter().map(seen).collect();
            }
        }
        let reached = summary
            .entries
            .first()
            .map_or(head, |first| first.seq.previous());
        if known < reached {
            summary.gap = Some(Gap {
                from: known.next(),
                to: reached,
            });
        }
        Ok(())
    }

    /// A row as its member sees it, with what they set for themselves.
    fn summary(&self, row: InboxRow, prefs: Prefs) -> Summary {
        let preview_max = self.limits().preview_bytes_max;
        Summary {
            channel: row.channel,
            channel_type: row.meta.channel_type,
            title: row.meta.title,
            peer: row
                .peer
                .filter(|_| row.meta.channel_type == ChannelType::Direct),
            members: row.member_count,
            role: row.member.role,
            visible_from: row.member.visible_from,
            head: row.head,
            read: row.read,
            unread: unread(row.head, row.read),
            mentions: row.mentions,
            last: row.last.map(|entry| preview(entry, preview_max)),
            mute_until_ms: prefs.mute_until_ms,
            archived: prefs.archived.unwrap_or_default(),
            marked_unread: prefs.marked_unread.unwrap_or_default(),
            draft: prefs.draft,
            data: row.meta.data,
            entries: Vec::new(),
            gap: None,
        }
    }
}

impl InboxRow {
    fn position(&self) -> InboxPosition {
        InboxPosition {
            activity: self.activity,
            channel: self.channel,
        }
    }
}

impl InboxPosition {
    /// Behind every row.
    const END: Self = Self {
        activity: Timestamp(0),
        channel: ChannelId::from_uuid(Uuid::nil()),
    };

    /// Whether this place comes later in an inbox, which is newest first.
    fn is_behind(self, other: Self) -> bool {
        (self.activity, self.channel) < (other.activity, other.channel)
    }
}

impl PageToken {
    fn to_text(self) -> String {
        let Self {
            since,
            behind,
            user_seq,
        } = self;
        format!("{since}.{user_seq}.{}.{}", behind.activity, behind.channel)
    }

    fn parse(text: &str) -> Result<Self, Rejection> {
        let bad = || Rejection::bad_request("`page` is not one that this server gave out");
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next().ok_or_else(bad);
        let since = next()?.parse().map(Timestamp).map_err(|_| bad())?;
        let user_seq = next()?.parse().map(Seq).map_err(|_| bad())?;
        let activity = next()?.parse().map(Timestamp).map_err(|_| bad())?;
        let channel = next()?.parse().map_err(|_| bad())?;
        Ok(Self {
            since,
            behind: InboxPosition { activity, channel },
            user_seq,
        })
    }
}

fn parse_since(text: &str) -> Result<Timestamp, Rejection> {
    text.parse()
        .map(Timestamp)
        .map_err(|_| Rejection::bad_request("`since` is not one that this server gave out"))
}
