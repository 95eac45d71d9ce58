//! Inboxes of stores that do not derive them, and the durable marks by which nobody stays uninformed when a node dies.
//!
//! Where servers share a store, a node keeps a mark of a channel before it appends to it: "behind this entry somebody may not
//! have heard". It holds the mark for a while, so that a busy channel costs one write in half a minute, and drops it when
//! everything was told. It also renews a lease. The marks of a node whose lease ended are taken by any other: it copies what
//! the log holds behind them, tells the members how far it goes, and drops them. What can go wrong, and what follows
//! (each a test in `tests/copies.rs`):
//!
//! | between | and then | so |
//! |---|---|---|
//! | nothing and the mark | the store refuses | nothing is appended: `unavailable` |
//! | the mark and the append | the node dies | another finds nothing behind the mark, and drops it |
//! | the append and the copies | the node dies | another copies from the mark on |
//! | | the inbox store refuses | the node tries again until it succeeds; the mark stays meanwhile |
//! | the copies and the live news | the node dies | another tells the head |
//! | the last append and dropping the mark | an append begins | the mark is kept anew before it |
//! | two renewals of the lease | the node sleeps | others take its marks; it keeps them anew before it appends |
//! | taking a mark and dropping it | the taker dies | the mark stays, for the next |
//! | | two take it | both do the same, which is the same as once |
//! | an erasure and its copies | the node dies, or the store refuses | the sender hears `unknown_outcome`; the note of the body stays, and whoever takes it copies as well |

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_proto::{ChannelId, ChannelState, Entry, Limits, NodeId, Seq, Timestamp};
use tokio::sync::RwLock;
use tokio::time::Instant;

use super::engine::{Engine, Inner};
use super::plan::PlannedRecord;
use crate::inboxes::Copier;
use crate::lock::lock;
use crate::ports::{FanOutMark, MembersQuery, PortError};

/// Marks of dead nodes that are taken at one look.
const TAKEN_MAX: usize = 64;
/// Leases are counted from 1.
const NO_LEASE: u64 = 0;

/// What this node may not have told yet.
pub(super) struct Copies {
    copier: Option<Copier>,
    /// This node, in this life of its process; absent where no other node shares the store.
    owner: Option<NodeId>,
    marked: Mutex<HashMap<ChannelId, Marked>>,
    /// Shared by whoever keeps a mark, exclusive for whoever drops some.
    dropping: RwLock<()>,
    lease: Mutex<Lease>,
}

/// A channel of which this node has kept a mark.
struct Marked {
    after: Seq,
    /// Under which lease the mark was kept.
    lease: u64,
    kept_at: Instant,
    /// Appends whose news are on their way.
    under_way: u32,
    /// How often something was left to copy, and how many of these times it was copied since. Counted, because something
    /// more may be left while a replay is under way that has read the log already.
    left: u64,
    copied: u64,
    /// Until then an append that had no answer may come to be.
    awaited_until: Option<Instant>,
}

impl Marked {
    fn new(after: Seq, lease: u64, now: Instant) -> Self {
        Self {
            after,
            lease,
            kept_at: now,
            under_way: 0,
            left: 0,
            copied: 0,
            awaited_until: None,
        }
    }

    fn is_finished(&self) -> bool {
        self.copied >= self.left && self.awaited_until.is_none()
    }
}

/// Something that is left to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unfinished {
    channel: ChannelId,
    after: Seq,
    left: u64,
}

/// How an append ended of which others are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FanOut {
    /// It is known what became of it.
    Done,
    /// The append had no answer, and may still come to be.
    Unknown,
}

/// Leases are counted: marks of an earlier one may have been taken by others.
#[derive(Default)]
struct Lease {
    number: u64,
    ends_at: Option<Timestamp>,
}

impl Copies {
    pub(super) fn new(copier: Option<Copier>, owner: Option<NodeId>) -> Self {
        Self {
            copier,
            owner,
            marked: Mutex::default(),
            dropping: RwLock::default(),
            lease: Mutex::default(),
        }
    }

    /// Notes that the channel is used; false when no mark of it is kept under this lease.
    fn is_marked(&self, channel: ChannelId, lease: u64) -> bool {
        let mut marked = lock(&self.marked);
        let Some(mark) = marked.get_mut(&channel).filter(|mark| mark.lease == lease) else {
            return false;
        };
        mark.under_way += 1;
        true
    }

    fn note(&self, channel: ChannelId, after: Seq, lease: u64, now: Instant) {
        let mut marked = lock(&self.marked);
        let mark = marked
            .entry(channel)
            .or_insert(Marked::new(after, lease, now));
        mark.under_way += 1;
        mark.lease = lease;
    }

    /// Has the copies behind `after` made again, soon.
    fn want_replay(&self, channel: ChannelId, after: Seq, now: Instant) {
        let mut marked = lock(&self.marked);
        // Of no lease: the next append keeps the mark.
        let mark = marked
            .entry(channel)
            .or_insert(Marked::new(after, NO_LEASE, now));
        mark.after = mark.after.min(after);
        mark.left += 1;
    }

    /// Where the mark of this channel stands, if there is one.
    fn after(&self, channel: ChannelId) -> Option<Seq> {
        lock(&self.marked).get(&channel).map(|mark| mark.after)
    }

    fn finish(&self, channel: ChannelId, ended: FanOut, now: Instant, kept: Duration) {
        let mut marked = lock(&self.marked);
        let Some(mark) = marked.get_mut(&channel) else {
            return;
        };
        mark.under_way = mark.under_way.saturating_sub(1);
        match ended {
            FanOut::Done => {}
            FanOut::Unknown => mark.awaited_until = Some(now + kept),
        }
    }

    /// Everything was copied that was left when the replay began, at `began`.
    fn replayed(&self, done: Unfinished, began: Instant) {
        if let Some(mark) = lock(&self.marked).get_mut(&done.channel) {
            mark.copied = mark.copied.max(done.left);
            mark.awaited_until = mark.awaited_until.filter(|until| began < *until);
        }
    }

    fn unfinished(&self) -> Vec<Unfinished> {
        let marked = lock(&self.marked);
        let unfinished = marked
            .iter()
            .filter(|(_, mark)| mark.under_way == 0 && !mark.is_finished());
        let mut unfinished: Vec<_> = unfinished
            .map(|(channel, mark)| Unfinished {
                channel: *channel,
                after: mark.after,
                left: mark.left,
            })
            .collect();
        unfinished.sort();
        unfinished
    }

    /// Forgets the marks for which nothing is left to do, and names them.
    fn take_finished(&self, now: Instant, kept: Duration) -> Vec<ChannelId> {
        let mut marked = lock(&self.marked);
        let is_done = |mark: &Marked| {
            mark.under_way == 0 && mark.is_finished() && now.duration_since(mark.kept_at) >= kept
        };
        let mut done: Vec<ChannelId> = marked
            .iter()
            .filter(|(_, mark)| is_done(mark))
            .map(|(channel, _)| *channel)
            .collect();
        done.sort();
        for channel in &done {
            marked.remove(channel);
        }
        done
    }
}

impl Engine {
    /// Renews the lease, finishes what failed, takes over from the dead, as long as the engine lives.
    pub(super) fn spawn_copies(&self) {
        let copies = &self.inner.copies;
        if copies.copier.is_none() && copies.owner.is_none() {
            return;
        }
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let stop = inner.stop.clone();
            // What is left half done is done again by whoever takes the mark.
            let _stopped = stop.run_until_cancelled(inner.keep_up_copies()).await;
        });
    }

    /// Drops the marks for which nothing is left to do; others are taken by another node once the lease has ended.
    pub(super) async fn leave_copies(&self) {
        let inner = &self.inner;
        if let Err(error) = inner.drop_finished(Duration::ZERO).await {
            tracing::warn!(%error, "fan-out marks stay; another server will look after them");
        }
    }
}

impl Inner {
    /// Keeps a mark before an append, where another node could have to finish what this one begins.
    pub(super) async fn begin_fan_out(
        &self,
        channel: ChannelId,
        head: Seq,
    ) -> Result<(), PortError> {
        let copies = &self.copies;
        let Some(owner) = &copies.owner else {
            return Ok(());
        };
        let lease = self.held_lease(owner).await?;
        if copies.is_marked(channel, lease) {
            return Ok(());
        }
        let _keeping = copies.dropping.read().await;
        // A mark that was kept under an earlier lease is kept again as it was: what it was for may not be told yet.
        let after = copies.after(channel).map_or(head, |after| after.min(head));
        let mark = FanOutMark {
            owner: owner.clone(),
            channel,
            after,
        };
        self.parts.inbox.keep_fan_out_marks(vec![mark]).await?;
        copies.note(channel, after, lease, Instant::now());
        Ok(())
    }

    /// The append that was begun came to its end.
    pub(super) fn end_fan_out(&self, channel: ChannelId, ended: FanOut) {
        let kept = self.parts.settings.fan_out_mark_kept;
        self.copies.finish(channel, ended, Instant::now(), kept);
    }

    /// Has whatever is behind `after` copied again: whoever appended it may not have.
    pub(super) fn copy_again(&self, channel: ChannelId, after: Seq) {
        if self.copies.copier.is_some() {
            self.copies.want_replay(channel, after, Instant::now());
        }
    }

    /// Whether inboxes must be told of what is appended.
    pub(super) fn copies_to_inboxes(&self) -> bool {
        self.copies.copier.is_some()
    }

    /// Copies entries that were appended on top of `before` to the inboxes; `state` is the channel behind them.
    pub(super) async fn copy_to_inboxes(
        &self,
        before: &ChannelState,
        state: &ChannelState,
        entries: &[Entry],
    ) -> Result<(), PortError> {
        match &self.copies.copier {
            Some(copier) => copier.copy(before, state, entries).await,
            None => Ok(()),
        }
    }

    /// After an append: copies its records, unless their bodies took them along (`Some(true)`) or failed to (`None`).
    pub(super) async fn copy_and_end(
        &self,
        before: &ChannelState,
        state: &ChannelState,
        records: &[PlannedRecord],
        copied: Option<bool>,
    ) {
        let channel = before.id();
        let copied = match copied {
            Some(false) if self.copies_to_inboxes() => {
                let entries = records.iter().map(|of| of.append.record.entry.clone());
                let entries: Vec<Entry> = entries.collect();
                let copied = self.copy_to_inboxes(before, state, &entries).await;
                if let Err(error) = &copied {
                    metrics::counter!("chat_inbox_copies_failed_total").increment(1);
                    tracing::warn!(%channel, %error, "inboxes could not be told; trying again");
                }
                copied.is_ok()
            }
            Some(_) => true,
            None => false,
        };
        if !copied {
            self.copy_again(channel, before.head().seq);
        }
        self.end_fan_out(channel, FanOut::Done);
    }

    /// Copies whatever the log holds behind `after`, where inboxes are not derived.
    pub(super) async fn replay_copies(
        &self,
        channel: ChannelId,
        after: Seq,
    ) -> Result<(), PortError> {
        match &self.copies.copier {
            Some(copier) => copier.replay(channel, after).await,
            None => Ok(()),
        }
    }

    /// The lease is renewed beside everything else: a long replay must not end it.
    async fn keep_up_copies(&self) {
        let look_every = self.parts.settings.fan_out_lease / 3;
        let leases = async {
            while let Some(owner) = &self.copies.owner {
                note_failure("renew the lease", self.renew_lease(owner).await.map(drop));
                tokio::time::sleep(look_every).await;
            }
        };
        let looks = async {
            loop {
                self.finish_copies().await;
                note_failure(
                    "drop the marks of what was told",
                    self.drop_finished(self.parts.settings.fan_out_mark_kept)
                        .await,
                );
                note_failure(
                    "take over from servers that are gone",
                    self.take_over().await,
                );
                tokio::time::sleep(look_every).await;
            }
        };
        futures_util::join!(leases, looks);
    }

    /// Copies what could not be copied when it was appended.
    async fn finish_copies(&self) {
        for unfinished in self.copies.unfinished() {
            let began = Instant::now();
            let replayed = self
                .replay_copies(unfinished.channel, unfinished.after)
                .await;
            if replayed.is_ok() {
                self.copies.replayed(unfinished, began);
            }
            note_failure("copy what was appended to the inboxes", replayed);
        }
    }

    async fn drop_finished(&self, kept: Duration) -> Result<(), PortError> {
        let _dropping = self.copies.dropping.write().await;
        let done = self.copies.take_finished(Instant::now(), kept);
        match &self.copies.owner {
            // If this fails the marks stay in the store until the lease ends, and are then found to be of no use.
            Some(owner) if !done.is_empty() => {
                self.parts.inbox.drop_fan_out_marks(owner, &done).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Does what nodes that are gone have left.
    async fn take_over(&self) -> Result<(), PortError> {
        let Some(owner) = &self.copies.owner else {
            return Ok(());
        };
        let now = self.parts.clock.now();
        let marks = self.parts.inbox.orphaned_fan_out_marks(now, TAKEN_MAX);
        for mark in marks.await? {
            if mark.owner != *owner {
                note_failure("tell what another server left", self.take_mark(&mark).await);
            }
        }
        Ok(())
    }

    async fn take_mark(&self, mark: &FanOutMark) -> Result<(), PortError> {
        tracing::info!(channel = %mark.channel, owner = %mark.owner, "another server is gone; telling what it may not have told");
        self.replay_copies(mark.channel, mark.after).await?;
        self.tell_everybody(mark.channel).await?;
        let inbox = &self.parts.inbox;
        inbox.drop_fan_out_marks(&mark.owner, &[mark.channel]).await
    }

    /// Tells the members of a channel how far its log goes.
    async fn tell_everybody(&self, channel: ChannelId) -> Result<(), PortError> {
        let heads = self.parts.messages.heads(&[channel]).await?;
        let Some(head) = heads.first().copied() else {
            return Ok(());
        };
        let query = MembersQuery {
            channel,
            after: None,
            limit: usize::try_from(Limits::INBOX_COPY_MEMBERS_MAX).expect("a hundred"),
        };
        let page = self.parts.messages.members(query).await?;
        let users = if page.more {
            self.topics.users(channel)
        } else {
            page.members.into_iter().map(|(user, _)| user).collect()
        };
        self.tell_head_to(channel, users, page.more, head).await;
        Ok(())
    }

    /// The number of the lease that this node holds; renews one that has ended first.
    async fn held_lease(&self, owner: &NodeId) -> Result<u64, PortError> {
        {
            let lease = lock(&self.copies.lease);
            let now = self.parts.clock.now();
            if lease.ends_at.is_some_and(|ends_at| now < ends_at) {
                return Ok(lease.number);
            }
        }
        self.renew_lease(owner).await
    }

    async fn renew_lease(&self, owner: &NodeId) -> Result<u64, PortError> {
        let now = self.parts.clock.now();
        let lease_ms = u64::try_from(self.parts.settings.fan_out_lease.as_millis())
            .expect("a lease is a matter of seconds");
        let until = Timestamp(now.0 + lease_ms);
        self.parts.inbox.renew_lease(owner, until).await?;
        let mut lease = lock(&self.copies.lease);
        if lease.ends_at.is_none_or(|ended_at| now >= ended_at) {
            lease.number += 1;
        }
        lease.ends_at = lease.ends_at.max(Some(until));
        Ok(lease.number)
    }
}

/// What failed is tried again at the next look; one channel that fails does not hold up the others.
fn note_failure(what: &'static str, result: Result<(), PortError>) {
    if let Err(error) = result {
        tracing::warn!(%error, what, "inboxes could not be looked after; trying again");
    }
}
