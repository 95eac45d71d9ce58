//! The logs.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_proto::channel::{Annotations, MemberChange, Target, successor};
use chat_proto::entry::BodySet;
use chat_proto::{ChannelId, Entry, Epoch, Head, Limits, Record, Seq, UserId};

use super::MemoryStore;
use super::log::{Log, found_key};
use super::page::page;
use super::state::{Standing, State};
use crate::ports::{
    AnnotatedMessage, Append, AppendOutcome, AppendRecord, BodyNote, EntriesPage, EntriesQuery,
    FoundKey, KeyQuery, Loaded, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage,
    MessagesQuery, PortError, SetBody, StoreCapabilities, Targets, TargetsQuery,
};

#[async_trait]
impl MessageStore for MemoryStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.capabilities
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&channel) else {
            return Ok(Loaded::default());
        };
        let behind = log.head().seq.0.saturating_sub(folded.0);
        if behind <= Limits::SNAPSHOT_AGE_ENTRIES_MAX as u64 {
            return Ok(Loaded {
                snapshot: None,
                since: log.since(folded).to_vec(),
            });
        }
        let snapshot = log.snapshot.clone();
        let after = snapshot.as_ref().map_or(Seq(0), |old| old.head.seq);
        Ok(Loaded {
            snapshot,
            since: log.since(after).to_vec(),
        })
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        append.check("messages.append")?;
        let mut state = self.state();
        if let Some(refused) = self.refusal(&state, &append) {
            return Ok(refused);
        }
        let durable = append.records.len();
        for AppendRecord { record, changes } in append.records {
            state.note_standings(append.channel, &record.entry, &changes);
            let log = state.logs.entry(append.channel);
            let log = log.or_insert_with(|| Log::empty(append.channel));
            let sets_body =
                self.capabilities.append_sets_bodies && record.entry.sets_body().is_some();
            let setting = sets_body.then(|| record.entry.clone());
            log.push(record, &changes);
            if let Some(set) = setting.as_ref().and_then(Entry::sets_body) {
                log.set_body(set);
            }
        }
        Ok(AppendOutcome::Appended { durable })
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        let state = self.state();
        let heads = channels.iter().map(|channel| state.head(channel));
        Ok(heads.collect())
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&query.channel) else {
            return Ok(EntriesPage::default());
        };
        let following = log.since(query.after).iter();
        let following = following.map(|record| log.as_it_is(&record.entry));
        Ok(EntriesPage {
            entries: page(following, query.limit, Entry::size_bytes).0,
            head: log.head(),
        })
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&query.channel) else {
            return Ok(MessagesPage::default());
        };
        let records = log.range(query.after, query.before.previous()).iter();
        let found = records
            .filter(|record| record.entry.kind.is_message())
            .map(|record| record.entry.clone());
        let (messages, more) = if query.newest {
            let (mut newest_first, more) = page(found.rev(), query.limit, Entry::size_bytes);
            newest_first.reverse();
            (newest_first, more)
        } else {
            page(found, query.limit, Entry::size_bytes)
        };
        let annotated = |entry: Entry| AnnotatedMessage {
            annotations: Annotations::fold(entry.seq, log.naming(entry.seq), &query.viewer),
            entry,
        };
        Ok(MessagesPage {
            messages: messages.into_iter().map(annotated).collect(),
            as_of: log.head().seq,
            more,
        })
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&query.channel) else {
            return Ok(Targets::default());
        };
        let target = |seq: &Seq| {
            let mut target = Target::of(log.entry(*seq)?)?;
            for entry in log.naming(*seq) {
                target.apply(*seq, entry, &query.caller);
            }
            Some((*seq, target))
        };
        Ok(Targets {
            through: log.head().seq,
            found: query.seqs.iter().filter_map(target).collect(),
        })
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        if let Some(log) = self.state().logs.get_mut(&set.channel) {
            log.set_body(BodySet {
                target: set.target,
                rev: set.rev,
                body: set.body.as_ref(),
                erases: set.body.is_none(),
            });
        }
        Ok(())
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        let mut state = self.state();
        let targets = state.body_notes.entry((note.channel, note.after));
        targets.or_default().extend(note.targets);
        Ok(())
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        self.state().body_notes.remove(&(channel, after));
        Ok(())
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        let state = self.state();
        let notes = state.body_notes.iter().take(limit);
        let notes = notes.map(|((channel, after), targets)| BodyNote {
            channel: *channel,
            after: *after,
            targets: targets.clone(),
        });
        Ok(notes.collect())
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&query.channel) else {
            return Ok(None);
        };
        let of_sender = |record: &&Record| record.entry.from == query.sender;
        let mut keys = log
            .range(query.after, query.through)
            .iter()
            .filter(of_sender)
            .filter_map(found_key);
        let found = keys.find(|(client_id, _)| *client_id == query.client_id);
        Ok(found.map(|(_, found)| found))
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&query.channel) else {
            return Ok(MembersPage::default());
        };
        let behind = |user: &UserId| query.after.as_ref().is_none_or(|after| user > after);
        let mut rows = log.members.iter().filter(|(user, _)| behind(user));
        let members = rows.by_ref().take(query.limit);
        Ok(MembersPage {
            through: log.head().seq,
            members: members
                .map(|(user, member)| (user.clone(), *member))
                .collect(),
            more: rows.next().is_some(),
        })
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        let state = self.state();
        let Some(log) = state.logs.get(&channel) else {
            return Ok(Memberships::default());
        };
        let found = users
            .iter()
            .filter_map(|user| Some((user.clone(), *log.members.get(user)?)));
        Ok(Memberships {
            through: log.head().seq,
            found: found.collect(),
        })
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        let state = self.state();
        let members = state.logs.get(&channel).map(|log| &log.members);
        let staying = members
            .into_iter()
            .flatten()
            .filter(|(user, _)| !leaving.contains(*user));
        Ok(successor(staying.map(|(user, member)| (user, *member))))
    }
}

impl MemoryStore {
    /// Why nothing may be appended, if so. A known key comes before a moved head: it tells a retry at once.
    fn refusal(&self, state: &State, append: &Append) -> Option<AppendOutcome> {
        if self.capabilities.append_searches_keys
            && let Some(log) = state.logs.get(&append.channel)
        {
            for (index, append_record) in append.records.iter().enumerate() {
                if let Some(found) = log.known_key(&append_record.record) {
                    return Some(AppendOutcome::KeyExists { index, found });
                }
            }
        }
        let head = state.head(&append.channel).seq;
        (head != append.expected_head).then_some(AppendOutcome::HeadMoved { head })
    }
}

impl State {
    fn head(&self, channel: &ChannelId) -> Head {
        self.logs.get(channel).map_or(Head::EMPTY, Log::head)
    }

    fn note_standings(&mut self, channel: ChannelId, entry: &Entry, changes: &[MemberChange]) {
        for change in changes {
            let channels = self.channels_of.entry(change.user().clone()).or_default();
            match change {
                MemberChange::Joined { .. } => {
                    channels.insert(channel, Standing::Member);
                }
                MemberChange::Left { .. } => {
                    if let Some(standing) = channels.get_mut(&channel) {
                        *standing = Standing::Left { at: entry.at };
                    }
                }
                MemberChange::Role { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_proto::{ChannelState, History};

    use super::super::fixture::{Writer, client_id, user, write};
    use super::*;
    use crate::ports::PageLimit;
    use crate::ports::PortErrorKind;

    const LIMIT: PageLimit = PageLimit {
        entries: 3,
        bytes: usize::MAX,
    };

    /// A group with so many entries, every third of them no message.
    async fn room(store: &MemoryStore, entries: u64) -> Result<Writer, PortError> {
        let mut writer = Writer::new("room");
        write(store, writer.group(&["ann", "bob"], History::All)).await?;
        while writer.head().seq.0 < entries {
            let append = if writer.head().seq.0.is_multiple_of(3) {
                writer.members("ann", Default::default())
            } else {
                writer.message("ann", &[])
            };
            write(store, append).await?;
        }
        Ok(writer)
    }

    #[tokio::test]
    async fn load_folds_to_the_log() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let writer = room(&store, 450).await?;
        for folded in [0, 1, 193, 194, 400, 450] {
            let loaded = store.load(writer.channel(), Seq(folded)).await?;
            assert!(loaded.since.len() <= Limits::SNAPSHOT_AGE_ENTRIES_MAX);
            let mut state = match loaded.snapshot {
                Some(snapshot) => {
                    assert_eq!(snapshot.head.seq, Seq(400), "behind the head");
                    ChannelState::from_snapshot(writer.channel(), snapshot)
                }
                None => {
                    let mut earlier = Writer::new("room");
                    let fresh = MemoryStore::new();
                    if folded > 0 {
                        earlier = room(&fresh, folded).await?;
                    }
                    earlier.state
                }
            };
            for record in &loaded.since {
                chat_proto::channel::evolve(&mut state, &record.entry, record.key.as_ref());
            }
            assert_eq!(state.to_snapshot(), writer.state.to_snapshot());
        }
        Ok(())
    }

    #[tokio::test]
    async fn append_refuses_a_moved_head_and_a_known_key() -> Result<(), PortError> {
        for searches in [true, false] {
            let store = if searches {
                MemoryStore::new()
            } else {
                MemoryStore::key_value()
            };
            let mut writer = room(&store, 2).await?;
            let mut behind = writer.clone();
            let first = writer.message("ann", &[]);
            let same_place = behind.message("bob", &[]);
            write(&store, first.clone()).await?;
            let moved = AppendOutcome::HeadMoved { head: Seq(3) };
            assert_eq!(store.append(same_place).await?, moved);
            match store.append(first).await? {
                AppendOutcome::KeyExists { index: 0, found } if searches => {
                    assert_eq!((found.seq, found.n), (Seq(3), writer.head().n));
                }
                outcome => {
                    assert!(!searches);
                    assert_eq!(outcome, moved);
                }
            }
            assert_eq!(store.heads(&[writer.channel()]).await?, [writer.head()]);
        }
        Ok(())
    }

    #[tokio::test]
    async fn append_refuses_what_does_not_follow() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let mut writer = room(&store, 2).await?;
        let good = writer.message("ann", &[]);
        let mut gap = good.clone();
        gap.records[0].record.entry.seq = Seq(4);
        let mut twice = good.clone();
        let mut again = good.records[0].clone();
        again.record.entry.seq = Seq(4);
        twice.records.push(again);
        let mut empty = good.clone();
        empty.records.clear();
        for bad in [gap, twice, empty] {
            let error = store.append(bad).await.expect_err("a broken caller");
            assert_eq!(error.kind(), PortErrorKind::Misuse);
        }
        write(&store, good).await
    }

    #[tokio::test]
    async fn message_pages_are_exact() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let writer = room(&store, 10).await?;
        let ask = |after, before, newest| MessagesQuery {
            channel: writer.channel(),
            viewer: user("ann"),
            after: Seq(after),
            before: Seq(before),
            newest,
            limit: LIMIT,
        };
        for (query, seqs, more) in [
            (ask(0, u64::MAX, true), vec![6, 8, 9], true),
            (ask(0, 6, true), vec![2, 3, 5], false),
            (ask(2, 6, true), vec![3, 5], false),
            (ask(0, u64::MAX, false), vec![2, 3, 5], true),
            (ask(9, 9, false), vec![], false),
        ] {
            let page = store.messages(query).await?;
            let found: Vec<u64> = page.messages.iter().map(|of| of.entry.seq.0).collect();
            assert_eq!((found, page.more), (seqs, more));
        }
        Ok(())
    }

    #[tokio::test]
    async fn pages_respect_bytes_and_hold_one() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let writer = room(&store, 5).await?;
        for (bytes, expected) in [(0, 1), (1_000, 3), (usize::MAX, 3)] {
            let query = EntriesQuery {
                channel: writer.channel(),
                after: Seq(1),
                limit: PageLimit { bytes, ..LIMIT },
            };
            let page = store.entries(query).await?;
            let bytes_of_page: usize = page.entries.iter().map(Entry::size_bytes).sum();
            assert!(page.entries.len() == 1 || bytes_of_page <= bytes);
            assert_eq!((page.entries.len(), page.head), (expected, writer.head()));
        }
        Ok(())
    }

    #[tokio::test]
    async fn find_key_searches_exactly_the_range() -> Result<(), PortError> {
        let store = MemoryStore::key_value();
        let writer = room(&store, 9).await?;
        for (after, through, is_found) in [(4, 5, true), (5, 9, false), (0, 4, false)] {
            let query = |sender| KeyQuery {
                channel: writer.channel(),
                sender: user(sender),
                client_id: client_id(5),
                after: Seq(after),
                through: Seq(through),
            };
            let found = store.find_key(query("ann")).await?;
            assert_eq!(found.map(|found| found.seq), is_found.then_some(Seq(5)));
            assert_eq!(store.find_key(query("bob")).await?, None);
        }
        Ok(())
    }

    #[tokio::test]
    async fn member_pages_are_exact() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let mut writer = Writer::new("room");
        write(&store, writer.group(&["cat", "ann", "bob"], History::All)).await?;
        let (mut after, mut names) = (None, Vec::new());
        loop {
            let query = MembersQuery {
                channel: writer.channel(),
                after,
                limit: 2,
            };
            let page = store.members(query).await?;
            assert_eq!(page.through, Seq(1));
            names.extend(page.members.iter().map(|(user, _)| user.to_string()));
            after = page.members.last().map(|(user, _)| user.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(names, ["ann", "bob", "cat"]);
        assert_eq!(
            store
                .successor(writer.channel(), &BTreeSet::from([user("ann")]))
                .await?,
            Some(user("bob"))
        );
        Ok(())
    }
}
