//! Ports that are broken on purpose, so that an engine over them behaves as if it had the fault itself. Each must be
//! caught by the laws, or the laws prove nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chat_core::memory::{MemoryRouter, MemoryStore};
use chat_core::ports::{
    Append, AppendOutcome, AppendRecord, BodyNote, EntriesPage, EntriesQuery, Envelope, FoundKey,
    KeyQuery, Loaded, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage,
    MessagesQuery, PortError, Retry, Router, RouterFeed, SetBody, StoreCapabilities, Targets,
    TargetsQuery,
};
use chat_core::proto::channel::{Member, evolve};
use chat_core::proto::entry::MetaChange;
use chat_core::proto::{
    ChannelId, ChannelState, Entry, EntryKind, Epoch, Head, NodeId, Ordinal, Record, Seq, UserId,
};
use tokio::time::Instant;

use super::fleet::Ports;

/// One append in so many meets the fault, where not all do.
const APPENDS_PER_FAULT: u64 = 7;
/// How long what comes late is late.
const LATE: Duration = Duration::from_millis(60);

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// Claims that its appends search for keys, and does so only when the head has moved.
    KeySearchedOnlyAfterALostRace,
    /// Appends at whatever head there is, not at the one that was folded.
    HeadReadApartFromTheFold,
    /// Says that an append that was carried out surely was not.
    NotWrittenClaimedAfterATimeOut,
    /// Gives a number out before the commit, which then fails.
    NumberGivenOutBeforeCommit,
    /// Shows an entry before the one in front of it.
    VisibleOutOfOrder,
    /// Acknowledges an append and forgets it.
    AcknowledgedIsLost,
    /// Loads a state that claims to hold the last entry and does not.
    LoadMissesTheLastEntry,
    /// Answers who is a member from a while ago, and claims that it is now.
    StaleMemberships,
    /// Answers what a message was before it was deleted.
    TargetsForgetDeletions,
    /// Acknowledges that a body is erased, and does not do it.
    ErasuresAreNotDone,
}

/// A store in memory with one fault.
pub struct FaultyStore {
    inner: MemoryStore,
    fault: StoreFault,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    appends: u64,
    /// Numbers that were given out for nothing.
    holes: BTreeSet<(ChannelId, Seq)>,
    /// Entries that are not shown yet.
    late: BTreeMap<(ChannelId, Seq), Instant>,
    /// Who was a member when it was last really read.
    members: BTreeMap<(ChannelId, UserId), (Instant, Option<Member>)>,
}

impl FaultyStore {
    /// Ports over such a store, whose inboxes are right.
    pub fn ports(fault: StoreFault) -> Ports {
        let inner = MemoryStore::key_value();
        let store = Self {
            inner: inner.clone(),
            fault,
            state: Mutex::default(),
        };
        Ports {
            messages: Arc::new(store),
            inbox: Arc::new(inner),
            router: Arc::new(MemoryRouter::new()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the fault strikes this append.
    fn strikes(&self) -> bool {
        let mut state = self.state();
        state.appends += 1;
        state.appends.is_multiple_of(APPENDS_PER_FAULT)
    }

    async fn head(&self, channel: ChannelId) -> Result<Head, PortError> {
        Ok(self.inner.heads(&[channel]).await?[0])
    }

    async fn search_late(&self, append: Append) -> Result<AppendOutcome, PortError> {
        let outcome = self.inner.append(append.clone()).await?;
        if let AppendOutcome::HeadMoved { head } = outcome {
            for (index, AppendRecord { record, .. }) in append.records.iter().enumerate() {
                let Some(key) = record.key else { continue };
                let query = KeyQuery {
                    channel: append.channel,
                    sender: record.entry.from.clone(),
                    client_id: key.client_id,
                    after: Seq(0),
                    through: head,
                };
                if let Some(found) = self.inner.find_key(query).await? {
                    return Ok(AppendOutcome::KeyExists { index, found });
                }
            }
        }
        Ok(outcome)
    }

    async fn append_anywhere(&self, append: Append) -> Result<AppendOutcome, PortError> {
        let head = self.head(append.channel).await?;
        self.inner.append(renumbered(append, head)).await
    }

    async fn append_behind_holes(&self, append: Append) -> Result<AppendOutcome, PortError> {
        let head = self.head(append.channel).await?;
        let channel = append.channel;
        let only_holes = (append.expected_head.0 + 1..=head.seq.0)
            .all(|seq| self.state().holes.contains(&(channel, Seq(seq))));
        if self.strikes() && only_holes && head.seq > Seq(0) {
            let hole = hole(&append.records[0].record, head);
            self.state().holes.insert((channel, hole.entry.seq));
            let burnt = Append {
                channel,
                expected_head: head.seq,
                records: vec![AppendRecord {
                    record: hole,
                    changes: Vec::new(),
                }],
                state: None,
            };
            self.inner.append(burnt).await?;
            return Err(PortError::unavailable("messages.append", Retry::Safe));
        }
        let append = if only_holes {
            renumbered(append, head)
        } else {
            append
        };
        self.inner.append(append).await
    }

    async fn append_shown_late(&self, append: Append) -> Result<AppendOutcome, PortError> {
        let channel = append.channel;
        let hidden = append.records.get(1).map(|of| of.record.entry.seq);
        let outcome = self.inner.append(append).await?;
        if let (AppendOutcome::Appended { durable: 3.. }, Some(seq)) = (&outcome, hidden) {
            let until = Instant::now() + LATE;
            self.state().late.insert((channel, seq), until);
        }
        Ok(outcome)
    }

    fn is_shown(&self, channel: ChannelId, seq: Seq) -> bool {
        let state = self.state();
        let place = (channel, seq);
        let is_late = |until: &Instant| Instant::now() < *until;
        !state.holes.contains(&place) && !state.late.get(&place).is_some_and(is_late)
    }

    /// The fold of all but the last entry, under the last one's number.
    async fn load_without_last(&self, channel: ChannelId) -> Result<Loaded, PortError> {
        let mut loaded = self.inner.load(channel, Seq(0)).await?;
        let (None, Some(last)) = (&loaded.snapshot, loaded.since.pop()) else {
            return Ok(loaded);
        };
        if last.entry.seq == Seq(1) {
            loaded.since.push(last);
            return Ok(loaded);
        }
        let mut state = ChannelState::empty(channel);
        for record in &loaded.since {
            evolve(&mut state, &record.entry, record.key.as_ref());
        }
        let mut snapshot = state.to_snapshot();
        snapshot.head = last.entry.head();
        snapshot.message = last.entry.message;
        snapshot.at = last.entry.at;
        Ok(Loaded {
            snapshot: Some(snapshot),
            since: Vec::new(),
        })
    }

    fn age(&self, channel: ChannelId, users: &[UserId], rows: &mut Memberships) {
        let now = Instant::now();
        let mut state = self.state();
        for user in users {
            let current = rows.found.get(user).copied();
            let known = state
                .members
                .entry((channel, user.clone()))
                .or_insert((now, current));
            if now >= known.0 + LATE {
                *known = (now, current);
            }
            match known.1 {
                Some(member) => drop(rows.found.insert(user.clone(), member)),
                None => drop(rows.found.remove(user)),
            }
        }
    }
}

/// The same records behind this head.
fn renumbered(mut append: Append, head: Head) -> Append {
    let mut place = head;
    append.expected_head = head.seq;
    for AppendRecord { record, .. } in &mut append.records {
        let entry = &mut record.entry;
        place = Head {
            seq: place.seq.next(),
            n: Ordinal(place.n.0 + u64::from(entry.kind.is_message())),
        };
        entry.seq = place.seq;
        entry.n = place.n;
    }
    append
}

/// An entry that takes a number away and is never shown.
fn hole(like: &Record, head: Head) -> Record {
    Record {
        channel: like.channel,
        entry: Entry {
            seq: head.seq.next(),
            n: head.n,
            kind: EntryKind::Meta(MetaChange::default()),
            ..like.entry.clone()
        },
        key: None,
    }
}

#[async_trait]
impl MessageStore for FaultyStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities {
            append_searches_keys: self.fault == StoreFault::KeySearchedOnlyAfterALostRace,
            append_sets_bodies: false,
        }
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        self.inner.epoch().await
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        if self.fault == StoreFault::LoadMissesTheLastEntry {
            return self.load_without_last(channel).await;
        }
        let mut loaded = self.inner.load(channel, folded).await?;
        let holes = &self.state().holes;
        loaded
            .since
            .retain(|record| !holes.contains(&(channel, record.entry.seq)));
        Ok(loaded)
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        match self.fault {
            StoreFault::KeySearchedOnlyAfterALostRace => self.search_late(append).await,
            StoreFault::HeadReadApartFromTheFold => self.append_anywhere(append).await,
            StoreFault::NumberGivenOutBeforeCommit => self.append_behind_holes(append).await,
            StoreFault::VisibleOutOfOrder => self.append_shown_late(append).await,
            StoreFault::NotWrittenClaimedAfterATimeOut => {
                let outcome = self.inner.append(append).await?;
                if self.strikes() {
                    return Err(PortError::unavailable("messages.append", Retry::Safe));
                }
                Ok(outcome)
            }
            StoreFault::AcknowledgedIsLost => {
                let head = self.head(append.channel).await?;
                if head.seq > Seq(0) && head.seq == append.expected_head && self.strikes() {
                    let durable = append.records.len();
                    return Ok(AppendOutcome::Appended { durable });
                }
                self.inner.append(append).await
            }
            StoreFault::LoadMissesTheLastEntry
            | StoreFault::StaleMemberships
            | StoreFault::TargetsForgetDeletions
            | StoreFault::ErasuresAreNotDone => self.inner.append(append).await,
        }
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        self.inner.heads(channels).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        let channel = query.channel;
        let mut page = self.inner.entries(query).await?;
        page.entries
            .retain(|entry| self.is_shown(channel, entry.seq));
        Ok(page)
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        self.inner.messages(query).await
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        let mut targets = self.inner.targets(query).await?;
        if self.fault == StoreFault::TargetsForgetDeletions {
            for target in targets.found.values_mut() {
                target.erased = false;
            }
        }
        Ok(targets)
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        if self.fault == StoreFault::ErasuresAreNotDone && set.body.is_none() {
            return Ok(());
        }
        self.inner.set_body(set).await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        self.inner.keep_body_note(note).await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        self.inner.drop_body_note(channel, after).await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        self.inner.body_notes(limit).await
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        self.inner.find_key(query).await
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        self.inner.members(query).await
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        let mut rows = self.inner.memberships(channel, users).await?;
        if self.fault == StoreFault::StaleMemberships {
            self.age(channel, users, &mut rows);
        }
        Ok(rows)
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        self.inner.successor(channel, leaving).await
    }
}

/// A router that confirms an attachment before it is one: as if the inbox were read before the session attached.
pub struct HastyRouter(Arc<MemoryRouter>);

impl HastyRouter {
    /// Ports over good stores and this router.
    pub fn ports() -> Ports {
        Ports {
            router: Arc::new(Self(Arc::new(MemoryRouter::new()))),
            ..Ports::over(MemoryStore::new())
        }
    }
}

#[async_trait]
impl Router for HastyRouter {
    async fn join(&self, node: &NodeId) -> Result<RouterFeed, PortError> {
        self.0.join(node).await
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        self.0.leave(node).await
    }

    async fn attach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        let (router, node, user) = (Arc::clone(&self.0), node.clone(), user.clone());
        // Ends with the runtime of its run at the latest.
        drop(tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            router.attach(&node, &user).await
        }));
        Ok(())
    }

    async fn detach(&self, node: &NodeId, user: &UserId) -> Result<(), PortError> {
        self.0.detach(node, user).await
    }

    async fn locate(&self, asker: &NodeId, users: &[UserId]) -> Result<Vec<NodeId>, PortError> {
        self.0.locate(asker, users).await
    }

    async fn publish(&self, to: &NodeId, envelope: Arc<Envelope>) -> Result<(), PortError> {
        self.0.publish(to, envelope).await
    }

    async fn join_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        self.0.join_topic(node, channel).await
    }

    async fn leave_topic(&self, node: &NodeId, channel: ChannelId) -> Result<(), PortError> {
        self.0.leave_topic(node, channel).await
    }

    async fn publish_topic(
        &self,
        channel: ChannelId,
        envelope: Arc<Envelope>,
    ) -> Result<(), PortError> {
        self.0.publish_topic(channel, envelope).await
    }
}
