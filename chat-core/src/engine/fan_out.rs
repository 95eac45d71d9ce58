//! Who hears of new entries. All of it is a hint: the log is the truth, and a client that misses a hint sees the gap.
//!
//! An entry goes to the members before and after it, so that the removed get the removing entry and nothing later. It
//! is encoded once and shared by every local session; other nodes get one envelope each.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use chat_proto::channel::{Member, MemberChange};
use chat_proto::wire::{EntryPush, Push, SharedPush};
use chat_proto::{ChannelId, ChannelState, Entry, EntryKind, Head, Seq, UserId};

use super::engine::Inner;
use super::hub::members_change;
use super::plan::PlannedRecord;
use super::topics::Fit;
use crate::ports::{Envelope, Payload, PortError};
use crate::session::Delivery;

/// Entries that go to the same users.
struct Run {
    recipients: Recipients,
    deliveries: Vec<Delivery>,
    entries: Vec<Arc<Entry>>,
    bytes: usize,
    changes: Vec<MemberChange>,
    /// Further entries for all members may join.
    is_open: bool,
    /// The channel is large behind these entries, and was not before.
    grew_large: bool,
}

enum Recipients {
    Named(Vec<UserId>),
    /// Of a large channel: each node knows its own.
    Topic,
}

/// A local member of a large channel who hears of entries.
pub(super) struct Listener {
    pub(super) user: UserId,
    /// The first entry that they may see.
    pub(super) visible_from: Seq,
}

impl Inner {
    /// Tells everybody of records that were appended on top of `before`.
    pub(super) async fn fan_out(&self, before: &ChannelState, records: Vec<PlannedRecord>) {
        let channel = before.id();
        for run in runs(before, records) {
            match &run.recipients {
                Recipients::Named(users) => {
                    self.registry.deliver(users.iter(), &run.deliveries);
                    self.tell_nodes(channel, users, &run).await;
                }
                Recipients::Topic => {
                    self.deliver_on_topic(channel, &run.entries, &run.deliveries)
                        .await;
                    self.tell_newcomers(channel, &run).await;
                    let payload = self.payload(channel, Vec::new(), &run);
                    self.log_lost(
                        self.parts
                            .router
                            .publish_topic(channel, self.envelope(payload))
                            .await,
                    );
                }
            }
        }
    }

    /// Tells the members that a log has reached this head, where what is in it may have been told to nobody.
    pub(super) async fn tell_head(&self, state: &ChannelState, head: Head) {
        let channel = state.id();
        match state.roster() {
            Some(roster) => {
                let users = roster.keys().cloned().collect();
                self.tell_head_to(channel, users, false, head).await;
            }
            None => {
                let users = self.topics.users(channel);
                self.tell_head_to(channel, users, true, head).await;
            }
        }
    }

    /// Tells these users of a head; of a large channel they are the local members, and other nodes know their own.
    pub(super) async fn tell_head_to(
        &self,
        channel: ChannelId,
        users: Vec<UserId>,
        is_topic: bool,
        head: Head,
    ) {
        for user in &users {
            self.registry
                .each_of(user, |session| session.outbound.head(channel, head));
        }
        let recipients = if is_topic { Vec::new() } else { users.clone() };
        let envelope = self.envelope(Payload::Head {
            channel,
            head,
            recipients,
        });
        if is_topic {
            self.log_lost(self.parts.router.publish_topic(channel, envelope).await);
        } else {
            self.publish_to_nodes_of(&users, envelope).await;
        }
    }

    /// Delivers entries to the local members of a large channel. Who is a member, and what they may see, is read again first
    /// where an edit is among them, of which not everybody may see the body, and where they do not follow what was delivered
    /// before: somebody may have been removed by an entry that nobody told this node of.
    pub(super) async fn deliver_on_topic(
        &self,
        channel: ChannelId,
        entries: &[Arc<Entry>],
        deliveries: &[Delivery],
    ) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        let changes = || entries.iter().filter_map(|entry| members_change(entry));
        let joined = || changes().flat_map(|change| &change.add).map(|of| &of.user);
        for user in joined().filter(|user| self.registry.serves(user)) {
            self.topics.add(channel, user);
        }
        let users = self.topics.users(channel);
        if users.is_empty() {
            return;
        }
        match self.topics.fit(channel, first.seq) {
            Fit::Next if !entries.iter().any(|entry| is_edit(entry)) => {
                self.registry.deliver(users.iter(), deliveries);
                self.topics.applied(channel, last.seq);
            }
            Fit::Next | Fit::Gap => {
                let leaving = changes().flat_map(|change| &change.remove).collect();
                let checked = self
                    .check_topic(channel, &users, &leaving, first.seq, last.head())
                    .await;
                if let Some(listeners) = checked {
                    self.deliver_as_seen(channel, &listeners, entries, deliveries);
                    self.topics.applied(channel, last.seq);
                }
            }
        }
        for user in joined() {
            self.log_lost(self.join_topic_of(channel, user).await);
        }
        // Last: the removed get the entry that removes them.
        for user in changes().flat_map(|change| &change.remove) {
            self.log_lost(self.leave_topic_of(channel, user).await);
        }
    }

    /// Delivers entries to members of a large channel, each with what they may see of them.
    fn deliver_as_seen(
        &self,
        channel: ChannelId,
        listeners: &[Listener],
        entries: &[Arc<Entry>],
        deliveries: &[Delivery],
    ) {
        // What is hidden of an entry is the same for all from whom it is hidden: an edit's body.
        let hidden: Vec<OnceCell<Delivery>> = vec![OnceCell::new(); entries.len()];
        for Listener { user, visible_from } in listeners {
            let parts = entries.iter().zip(deliveries).zip(&hidden);
            let seen: Vec<Delivery> = parts
                .map(
                    |((entry, delivery), hidden)| match entry.seen_by(user, *visible_from) {
                        Cow::Borrowed(_) => delivery.clone(),
                        Cow::Owned(seen) => {
                            let without = || Delivery {
                                push: shared_push(channel, &Arc::new(seen)),
                                but: delivery.but,
                            };
                            hidden.get_or_init(without).clone()
                        }
                    },
                )
                .collect();
            self.registry.deliver(std::iter::once(user), &seen);
        }
    }

    /// Reads which of the local members still are members. Those who may see the log from `first` on are returned, with
    /// those who are leaving just now; other members are told the head alone; all others hear the topic no more.
    pub(super) async fn check_topic(
        &self,
        channel: ChannelId,
        users: &[UserId],
        leaving: &BTreeSet<&UserId>,
        first: Seq,
        head: Head,
    ) -> Option<Vec<Listener>> {
        let rows = match self.parts.messages.memberships(channel, users).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%channel, %error, "members could not be read; their clients will see the gap");
                return None;
            }
        };
        let is_current = rows.through >= first.previous();
        let mut listeners = Vec::with_capacity(users.len());
        for user in users {
            let listener = |visible_from| Listener {
                user: user.clone(),
                visible_from,
            };
            match rows.found.get(user) {
                Some(member) if is_current && member.visible_from <= first => {
                    listeners.push(listener(member.visible_from));
                }
                Some(_) => self
                    .registry
                    .each_of(user, |session| session.outbound.head(channel, head)),
                // From where they saw the log is gone with their row: they hear of the change that removes them.
                None if leaving.contains(user) => listeners.push(listener(first)),
                None => self.log_lost(self.leave_topic_of(channel, user).await),
            }
        }
        is_current.then_some(listeners)
    }

    /// A user whom this node serves became a member of a large channel.
    pub(super) async fn join_topic_of(
        &self,
        channel: ChannelId,
        user: &UserId,
    ) -> Result<(), PortError> {
        if !self.registry.serves(user) {
            return Ok(());
        }
        self.topics.add(channel, user);
        if self.follow_topic(channel).await? {
            self.tell_topic_head(channel).await?;
        }
        Ok(())
    }

    pub(super) async fn leave_topic_of(
        &self,
        channel: ChannelId,
        user: &UserId,
    ) -> Result<(), PortError> {
        self.topics.remove(channel, user);
        self.follow_topic(channel).await.map(drop)
    }

    /// Brings the router to what the local members need; tells whether the topic is followed from now on. What was said on
    /// it before went past this node.
    pub(super) async fn follow_topic(&self, channel: ChannelId) -> Result<bool, PortError> {
        let router = &self.parts.router;
        let mut followed = self.topics.followed.lock().await;
        match (self.topics.has(channel), followed.contains(&channel)) {
            (true, false) => {
                router.join_topic(&self.parts.node, channel).await?;
                followed.insert(channel);
                Ok(true)
            }
            (false, true) => {
                router.leave_topic(&self.parts.node, channel).await?;
                followed.remove(&channel);
                Ok(false)
            }
            (true, true) | (false, false) => Ok(false),
        }
    }

    /// Tells the local members of a large channel how far it goes.
    pub(super) async fn tell_topic_head(&self, channel: ChannelId) -> Result<(), PortError> {
        let heads = self.parts.messages.heads(&[channel]).await?;
        let head = heads.first().copied().unwrap_or(Head::EMPTY);
        for user in self.topics.users(channel) {
            self.registry
                .each_of(&user, |session| session.outbound.head(channel, head));
        }
        Ok(())
    }

    /// Nodes that serve somebody who is new to a large channel need not be on its topic yet.
    async fn tell_newcomers(&self, channel: ChannelId, run: &Run) {
        let newcomers: Vec<UserId> = run
            .changes
            .iter()
            .filter_map(|change| match change {
                MemberChange::Joined { user, .. } => Some(user.clone()),
                MemberChange::Left { .. } | MemberChange::Role { .. } => None,
            })
            .collect();
        if !newcomers.is_empty() {
            let envelope = self.envelope(self.payload(channel, newcomers.clone(), run));
            self.publish_to_nodes_of(&newcomers, envelope).await;
        }
    }

    async fn tell_nodes(&self, channel: ChannelId, users: &[UserId], run: &Run) {
        if run.grew_large {
            for user in users {
                self.log_lost(self.join_topic_of(channel, user).await);
            }
            for user in run.changes.iter().filter_map(left) {
                self.log_lost(self.leave_topic_of(channel, user).await);
            }
        }
        match self.parts.router.locate(&self.parts.node, users).await {
            Ok(nodes) if nodes.is_empty() => {}
            Ok(nodes) => {
                let envelope = self.envelope(self.payload(channel, users.to_vec(), run));
                for node in &nodes {
                    self.log_lost(self.parts.router.publish(node, Arc::clone(&envelope)).await);
                }
            }
            Err(error) => self.log_lost(Err(error)),
        }
    }

    pub(super) async fn publish_to_nodes_of(&self, users: &[UserId], envelope: Arc<Envelope>) {
        match self.parts.router.locate(&self.parts.node, users).await {
            Ok(nodes) => {
                for node in &nodes {
                    self.log_lost(self.parts.router.publish(node, Arc::clone(&envelope)).await);
                }
            }
            Err(error) => self.log_lost(Err(error)),
        }
    }

    fn payload(&self, channel: ChannelId, recipients: Vec<UserId>, run: &Run) -> Payload {
        let head = run
            .entries
            .last()
            .map(|entry| entry.head())
            .unwrap_or_default();
        // Member changes always travel in full: other nodes follow a large channel's members by them.
        if run.bytes > self.parts.settings.envelope_bytes_max && run.changes.is_empty() {
            Payload::Head {
                channel,
                head,
                recipients,
            }
        } else {
            Payload::Entries {
                channel,
                entries: run.entries.clone(),
                recipients,
            }
        }
    }

    pub(super) fn envelope(&self, payload: Payload) -> Arc<Envelope> {
        Arc::new(Envelope {
            from: self.parts.node.clone(),
            payload,
        })
    }

    pub(super) fn log_lost(&self, result: Result<(), PortError>) {
        if let Err(error) = result {
            metrics::counter!("chat_envelopes_lost_total").increment(1);
            tracing::debug!(%error, "another node could not be told; its clients will see the gap");
        }
    }
}

/// Cuts records into runs with the same recipients: neighbouring entries that change no members share theirs.
fn runs(before: &ChannelState, records: Vec<PlannedRecord>) -> Vec<Run> {
    let channel = before.id();
    let mut state = before.clone();
    let mut runs: Vec<Run> = Vec::new();
    for planned in records {
        let changes = planned.append.changes;
        let entry = Arc::new(planned.append.record.entry);
        let large_behind = planned
            .state_behind
            .as_ref()
            .is_some_and(ChannelState::is_large);
        let grew_large = large_behind && !state.is_large();
        for (audience, entry) in audiences(&state, entry) {
            let delivery = Delivery {
                push: shared_push(channel, &entry),
                but: planned.origin,
            };
            let is_whole = matches!(audience, Audience::All);
            match runs.last_mut() {
                Some(run) if is_whole && changes.is_empty() && run.is_open => {
                    run.bytes += entry.size_bytes();
                    run.deliveries.push(delivery);
                    run.entries.push(entry);
                }
                Some(_) | None => runs.push(Run {
                    recipients: match audience {
                        Audience::All => recipients(&state, &changes),
                        Audience::Only(users) => Recipients::Named(users),
                    },
                    deliveries: vec![delivery],
                    bytes: entry.size_bytes(),
                    entries: vec![entry],
                    is_open: is_whole && changes.is_empty(),
                    changes: changes.clone(),
                    grew_large,
                }),
            }
        }
        if let Some(behind) = planned.state_behind {
            state = behind;
        }
    }
    runs
}

/// Who gets an entry in the same form.
enum Audience {
    All,
    Only(Vec<UserId>),
}

/// What the members of `state` get of an entry. What is withheld goes to its author only: to the others it is no news, and
/// they find a stub in its place. In a large channel each node looks at its own members.
fn audiences(state: &ChannelState, entry: Arc<Entry>) -> Vec<(Audience, Arc<Entry>)> {
    if entry.withheld {
        return vec![(Audience::Only(vec![entry.from.clone()]), entry)];
    }
    let (EntryKind::Edit(edit), Some(roster)) = (&entry.kind, state.roster()) else {
        return vec![(Audience::All, entry)];
    };
    let (seeing, others): (Vec<_>, Vec<_>) = roster
        .iter()
        .partition(|(_, member)| member.visible_from <= edit.target);
    if others.is_empty() {
        return vec![(Audience::All, entry)];
    }
    let users = |members: Vec<(&UserId, &Member)>| {
        let users = members.into_iter().map(|(user, _)| user.clone());
        Audience::Only(users.collect())
    };
    let (viewer, member) = others[0];
    let without_body = entry.seen_by(viewer, member.visible_from).into_owned();
    vec![
        (users(others), Arc::new(without_body)),
        (users(seeing), entry),
    ]
}

/// An entry as every session of its readers gets it, encoded once a format.
pub(super) fn shared_push(channel: ChannelId, entry: &Arc<Entry>) -> Arc<SharedPush> {
    let entry = Arc::clone(entry);
    Arc::new(SharedPush::new(Push::Entry(EntryPush { channel, entry })))
}

fn is_edit(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Edit(_))
}

fn left(change: &MemberChange) -> Option<&UserId> {
    match change {
        MemberChange::Left { user } => Some(user),
        MemberChange::Joined { .. } | MemberChange::Role { .. } => None,
    }
}

/// The members before and after an entry that makes these changes on top of `before`.
fn recipients(before: &ChannelState, changes: &[MemberChange]) -> Recipients {
    let Some(roster) = before.roster() else {
        return Recipients::Topic;
    };
    let joined = changes.iter().filter_map(|change| match change {
        MemberChange::Joined { user, .. } => Some(user.clone()),
        MemberChange::Left { .. } | MemberChange::Role { .. } => None,
    });
    if changes.is_empty() {
        return Recipients::Named(roster.keys().cloned().collect());
    }
    let all: BTreeSet<UserId> = roster.keys().cloned().chain(joined).collect();
    Recipients::Named(all.into_iter().collect())
}
