//! A user's channels, computed from the logs.

use std::cmp::Reverse;

use async_trait::async_trait;
use chat_proto::{ChannelId, ChannelType, NodeId, Record, Seq, Timestamp, UserId};

use super::MemoryStore;
use super::log::Log;
use super::state::{Standing, State};
use crate::ports::{
    FanOutMark, InboxCapabilities, InboxPage, InboxPosition, InboxQuery, InboxRow, InboxStore,
    InboxUpdate, LeftChannel, Mark, MarkRise, PortError,
};

#[async_trait]
impl InboxStore for MemoryStore {
    fn capabilities(&self) -> InboxCapabilities {
        self.inbox_capabilities
    }

    async fn fan_out(&self, update: InboxUpdate) -> Result<(), PortError> {
        if self.inbox_capabilities.derives_rows {
            return Err(PortError::misuse("inbox.fan_out"));
        }
        self.state().copied.tell(update);
        Ok(())
    }

    async fn keep_fan_out_marks(&self, marks: Vec<FanOutMark>) -> Result<(), PortError> {
        self.state().copied.keep_marks(marks);
        Ok(())
    }

    async fn drop_fan_out_marks(
        &self,
        owner: &NodeId,
        channels: &[ChannelId],
    ) -> Result<(), PortError> {
        self.state().copied.drop_marks(owner, channels);
        Ok(())
    }

    async fn renew_lease(&self, owner: &NodeId, until: Timestamp) -> Result<(), PortError> {
        self.state().copied.renew(owner, until);
        Ok(())
    }

    async fn orphaned_fan_out_marks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        Ok(self.state().copied.orphaned(now, limit))
    }

    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError> {
        let state = self.state();
        let mut rows: Vec<InboxRow> = self
            .listed(&state, &query.user)
            .into_iter()
            .filter(|row| query.since.is_none_or(|since| row.activity >= since))
            .filter(|row| {
                query
                    .behind
                    .is_none_or(|behind| place(&position(row)) > place(&behind))
            })
            .collect();
        rows.sort_by_key(|row| place(&position(row)));
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        Ok(InboxPage { rows, more })
    }

    async fn rows(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        let state = self.state();
        let rows = channels
            .iter()
            .filter_map(|channel| self.row_of(&state, user, *channel));
        Ok(rows.collect())
    }

    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        let state = self.state();
        let left = if self.inbox_capabilities.derives_rows {
            state.left_of(user)
        } else {
            state.copied.left_of(user)
        };
        let left = left.into_iter();
        let mut left: Vec<LeftChannel> = left
            .map(|(channel, at)| LeftChannel { channel, at })
            .filter(|left| left.at >= since)
            .collect();
        left.sort_by_key(|left| Reverse((left.at, left.channel)));
        left.truncate(limit);
        Ok(left)
    }

    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError> {
        let state = self.state();
        if !self.inbox_capabilities.derives_rows {
            let channels = state.copied.channels_of(user).into_iter();
            return Ok(channels
                .filter(|(_, large)| *large)
                .map(|(channel, _)| channel)
                .collect());
        }
        let is_large = |channel: &ChannelId| {
            let log = state.logs.get(channel);
            log.is_some_and(|log| log.state.is_large())
        };
        Ok(state.channels_of_member(user).filter(is_large).collect())
    }

    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        let mut state = self.state();
        for rise in rises {
            if !self.inbox_capabilities.derives_rows {
                if let Some(row) = state.copied.member_row(&rise.user, rise.channel) {
                    row.marks.raise(&rise);
                }
            } else if let Some(log) = state.logs.get_mut(&rise.channel) {
                log.raise(&rise);
            }
        }
        Ok(())
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        let mut state = self.state();
        if !self.inbox_capabilities.derives_rows {
            let marks = users.iter().filter_map(|user| {
                let row = state.copied.member_row(user, channel)?;
                Some((user.clone(), row.marks.shown()))
            });
            return Ok(marks.collect());
        }
        let Some(log) = state.logs.get(&channel) else {
            return Ok(Vec::new());
        };
        let mark_of = |user: &UserId| Some((user.clone(), log.marks.get(user)?.shown()));
        Ok(users.iter().filter_map(mark_of).collect())
    }
}

impl MemoryStore {
    /// The rows that a user's inbox lists, in any order.
    fn listed(&self, state: &State, user: &UserId) -> Vec<InboxRow> {
        if self.inbox_capabilities.derives_rows {
            let channels = state.channels_of_member(user);
            return channels
                .filter(|channel| state.holds_something_for(user, channel))
                .filter_map(|channel| state.row(user, channel))
                .collect();
        }
        let channels = state.copied.channels_of(user).into_iter();
        channels
            .filter(|(channel, _)| state.copied_holds_something(user, *channel))
            .filter_map(|(channel, _)| state.copied_row(user, channel))
            .collect()
    }

    fn row_of(&self, state: &State, user: &UserId, channel: ChannelId) -> Option<InboxRow> {
        if self.inbox_capabilities.derives_rows {
            state.row(user, channel)
        } else {
            state.copied_row(user, channel)
        }
    }
}

impl State {
    /// The channels that the user left.
    fn left_of(&self, user: &UserId) -> Vec<(ChannelId, Timestamp)> {
        let standings = self.channels_of.get(user).into_iter().flatten();
        let left = standings.filter_map(|(channel, standing)| match standing {
            Standing::Member => None,
            Standing::Left { at } => Some((*channel, *at)),
        });
        left.collect()
    }

    fn channels_of_member(&self, user: &UserId) -> impl Iterator<Item = ChannelId> {
        let standings = self.channels_of.get(user).into_iter().flatten();
        standings
            .filter(|(_, standing)| **standing == Standing::Member)
            .map(|(channel, _)| *channel)
    }

    /// When the newest entry came that the user may know of.
    pub(super) fn changed_at(&self, user: &UserId, channel: ChannelId) -> Option<Timestamp> {
        let records = self.logs.get(&channel)?.since(Seq(0)).iter();
        let is_open = |record: &&Record| !record.entry.is_withheld_from(user);
        records.rev().find(is_open).map(|record| record.entry.at)
    }

    /// Whether there is more in the channel than what is withheld from the user.
    fn holds_something_for(&self, user: &UserId, channel: &ChannelId) -> bool {
        let log = self.logs.get(channel);
        let mut records = log.into_iter().flat_map(|log| log.since(Seq(0)));
        records.any(|record| !record.entry.is_withheld_from(user))
    }

    /// The channel as this member's inbox shows it.
    pub(super) fn row(&self, user: &UserId, channel: ChannelId) -> Option<InboxRow> {
        let log = self.logs.get(&channel)?;
        let member = *log.members.get(user)?;
        let meta = log.state.meta()?.clone();
        let marks = log.marks.get(user).cloned().unwrap_or_default();
        let read = marks.read;
        let visible = log.since(member.visible_from.previous());
        let is_open = |record: &&Record| !record.entry.is_withheld_from(user);
        let newest = visible
            .iter()
            .filter(is_open)
            .rfind(|record| record.entry.kind.is_message());
        let changed_at = self.changed_at(user, channel);
        Some(InboxRow {
            channel,
            peer: match meta.channel_type {
                ChannelType::Direct => Some(log.peer_of(user)),
                ChannelType::Group => None,
            },
            meta,
            member,
            member_count: log.members.len() as u64,
            head: log.head(),
            read,
            mentions: log.mentions(user, read.seq.max(member.visible_from.previous())),
            last: newest.map(|record| record.entry.clone()),
            activity: changed_at.unwrap_or_default().max(marks.raised_at),
        })
    }
}

impl Log {
    /// The other member of a direct channel; the user where there is no other.
    fn peer_of(&self, user: &UserId) -> UserId {
        let other = self.members.keys().find(|member| *member != user);
        other.unwrap_or(user).clone()
    }

    /// Messages after `after` that name the user, and were not erased.
    fn mentions(&self, user: &UserId, after: Seq) -> u64 {
        let messages = self
            .since(after)
            .iter()
            .filter(|record| !record.entry.is_withheld_from(user))
            .filter_map(|record| record.entry.as_message());
        messages
            .filter(|message| message.mentions.contains(user) && !message.erased)
            .count() as u64
    }
}

fn position(row: &InboxRow) -> InboxPosition {
    InboxPosition {
        activity: row.activity,
        channel: row.channel,
    }
}

/// What orders an inbox: the newest activity first, the higher channel first among equals.
fn place(position: &InboxPosition) -> Reverse<(Timestamp, ChannelId)> {
    Reverse((position.activity, position.channel))
}

#[cfg(test)]
mod tests {
    use chat_proto::entry::MembersChange;
    use chat_proto::{Head, History};

    use super::super::fixture::{Writer, member, user, write};
    use super::*;
    use crate::ports::MarkKind;

    async fn row(store: &MemoryStore, name: &str, writer: &Writer) -> Result<InboxRow, PortError> {
        let mut rows = store.rows(&user(name), &[writer.channel()]).await?;
        Ok(rows.pop().expect("a member"))
    }

    fn read(writer: &Writer, name: &str, to: Head, at: u64) -> Vec<MarkRise> {
        vec![MarkRise {
            channel: writer.channel(),
            user: user(name),
            kind: MarkKind::Read,
            to,
            at: Timestamp(at),
            private: false,
        }]
    }

    fn adding(name: &str) -> MembersChange {
        MembersChange {
            add: vec![member(name)],
            ..MembersChange::default()
        }
    }

    fn removing(name: &str) -> MembersChange {
        MembersChange {
            remove: vec![user(name)],
            ..MembersChange::default()
        }
    }

    #[tokio::test]
    async fn own_message_is_read_when_all_before_was() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let mut writer = Writer::new("room");
        write(&store, writer.group(&["ann", "bob"], History::All)).await?;
        write(&store, writer.message("ann", &["bob"])).await?;
        assert_eq!(row(&store, "ann", &writer).await?.read, Head::new(2, 1));
        write(&store, writer.message("bob", &[])).await?;
        let bob = row(&store, "bob", &writer).await?;
        assert_eq!((bob.read, bob.mentions), (Head::new(1, 0), 1));
        store.raise(read(&writer, "bob", writer.head(), 50)).await?;
        let bob = row(&store, "bob", &writer).await?;
        assert_eq!((bob.read, bob.mentions), (Head::new(3, 2), 0));
        Ok(())
    }

    #[tokio::test]
    async fn marks_never_fall_and_belong_to_members() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let mut writer = Writer::new("room");
        write(&store, writer.group(&["ann", "bob"], History::All)).await?;
        write(&store, writer.message("ann", &[])).await?;
        let ann_before = row(&store, "ann", &writer).await?;
        for (name, to, at) in [("bob", Head::new(2, 1), 30), ("bob", Head::new(1, 0), 60)] {
            store.raise(read(&writer, name, to, at)).await?;
        }
        store
            .raise(read(&writer, "cat", Head::new(2, 1), 90))
            .await?;
        let bob = row(&store, "bob", &writer).await?;
        assert_eq!((bob.read, bob.activity), (Head::new(2, 1), Timestamp(30)));
        assert_eq!(row(&store, "ann", &writer).await?, ann_before);
        let asked = [user("cat"), user("bob")];
        let marks = store.marks(writer.channel(), &asked).await?;
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0].1.read, Head::new(2, 1));
        Ok(())
    }

    #[tokio::test]
    async fn last_respects_the_visible_range() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let mut writer = Writer::new("room");
        write(&store, writer.group(&["ann"], History::Joined)).await?;
        write(&store, writer.message("ann", &["cat"])).await?;
        write(&store, writer.members("ann", adding("cat"))).await?;
        let cat = row(&store, "cat", &writer).await?;
        assert_eq!(
            (cat.last, cat.read, cat.mentions),
            (None, Head::new(3, 1), 0)
        );
        write(&store, writer.message("ann", &["cat"])).await?;
        let cat = row(&store, "cat", &writer).await?;
        assert_eq!(cat.last.map(|entry| entry.seq), Some(Seq(4)));
        assert_eq!(cat.mentions, 1);
        Ok(())
    }

    #[tokio::test]
    async fn left_names_what_was_left() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let (mut back, mut gone) = (Writer::new("back"), Writer::new("gone"));
        for writer in [&mut back, &mut gone] {
            write(&store, writer.group(&["ann", "bob"], History::All)).await?;
            write(&store, writer.members("ann", removing("bob"))).await?;
        }
        write(&store, back.members("ann", adding("bob"))).await?;
        let left = store.left(&user("bob"), Timestamp(2), 10).await?;
        let expected = LeftChannel {
            channel: gone.channel(),
            at: Timestamp(2),
        };
        assert_eq!(left, [expected]);
        assert_eq!(store.left(&user("bob"), Timestamp(3), 10).await?, []);
        assert_eq!(store.rows(&user("bob"), &[gone.channel()]).await?, []);
        Ok(())
    }

    #[tokio::test]
    async fn inbox_pages_in_order_without_gap() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let mut expected = Vec::new();
        for (number, messages) in [3, 1, 1, 5, 1, 2, 3].into_iter().enumerate() {
            let mut writer = Writer::new(&number.to_string());
            write(&store, writer.group(&["ann"], History::All)).await?;
            for _ in 0..messages {
                write(&store, writer.message("ann", &[])).await?;
            }
            expected.push((Timestamp(messages + 1), writer.channel()));
        }
        expected.sort_by_key(|place| Reverse(*place));
        let (mut listed, mut behind) = (Vec::new(), None);
        loop {
            let query = InboxQuery {
                user: user("ann"),
                since: None,
                behind,
                limit: 2,
            };
            let page = store.list(query).await?;
            listed.extend(page.rows.iter().map(|row| (row.activity, row.channel)));
            behind = page.rows.last().map(position);
            if !page.more {
                break;
            }
        }
        assert_eq!(listed, expected);
        Ok(())
    }

    #[tokio::test]
    async fn a_channel_of_many_is_large() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let names: Vec<String> = (0..101).map(|number| format!("user{number:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut small, mut large) = (Writer::new("small"), Writer::new("large"));
        write(&store, small.group(&names[..100], History::All)).await?;
        write(&store, large.group(&names, History::All)).await?;
        let found = store.large_channels(&user(names[0])).await?;
        assert_eq!(found, [large.channel()]);
        assert_eq!(row(&store, names[100], &large).await?.member_count, 101);
        Ok(())
    }
}
