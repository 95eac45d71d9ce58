//! What other nodes tell this one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::entry::MembersChange;
use chat_proto::wire::{GoAwayReason, Push, SharedPush, TypingPush};
use chat_proto::{ChannelId, DeviceId, Entry, EntryKind, Limits, UserId};

use super::connect::REPLACED_RECONNECT_AFTER_MS;
use super::engine::{Engine, Inner};
use super::fan_out::shared_push;
use super::marks::mark_push;
use crate::ports::{Envelope, Payload, RouterFeed};
use crate::session::Delivery;

/// Wait before the router is asked again.
const REJOIN_AFTER: Duration = Duration::from_millis(500);

impl Engine {
    /// Receives envelopes until the engine ends.
    pub(super) fn spawn_hub(&self) {
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let stop = inner.stop.clone();
            // Ending here loses nothing: envelopes are hints.
            let _stopped = stop.run_until_cancelled(inner.receive()).await;
        });
    }
}

impl Inner {
    async fn receive(&self) {
        loop {
            match self.parts.router.join(&self.parts.node).await {
                Ok(feed) => {
                    self.joined.send_replace(true);
                    self.receive_from(feed).await;
                    self.joined.send_replace(false);
                }
                Err(error) => tracing::warn!(%error, "the router does not answer; sessions wait"),
            }
            tokio::time::sleep(REJOIN_AFTER).await;
        }
    }

    async fn receive_from(&self, mut feed: RouterFeed) {
        while let Some(envelope) = feed.recv().await {
            self.take(&envelope).await;
        }
    }

    async fn take(&self, envelope: &Envelope) {
        match &envelope.payload {
            Payload::Entries {
                channel,
                entries,
                recipients,
            } => {
                let deliveries: Vec<Delivery> = entries
                    .iter()
                    .map(|entry| delivery(*channel, entry))
                    .collect();
                if recipients.is_empty() {
                    self.deliver_on_topic(*channel, entries, &deliveries).await;
                } else {
                    self.registry.deliver(recipients.iter(), &deliveries);
                    self.follow_joined(*channel, entries).await;
                    self.follow_grown(*channel, recipients).await;
                    self.follow_left(*channel, entries).await;
                }
            }
            Payload::Head {
                channel,
                head,
                recipients,
            } => {
                if recipients.is_empty() {
                    let users = self.topics.users(*channel);
                    let checked = self
                        .check_topic(*channel, &users, &BTreeSet::new(), head.seq.next(), *head)
                        .await;
                    if let Some(listeners) = checked {
                        self.topics.applied(*channel, head.seq);
                        for listener in &listeners {
                            self.registry.each_of(&listener.user, |session| {
                                session.outbound.head(*channel, *head)
                            });
                        }
                    }
                } else {
                    for user in recipients {
                        self.registry
                            .each_of(user, |session| session.outbound.head(*channel, *head));
                    }
                }
            }
            Payload::Mark {
                channel,
                user,
                read,
                to,
                recipients,
            } => {
                let push = mark_push(*channel, user, *read, *to);
                self.push_volatile(recipients, push, None);
            }
            Payload::Typing {
                channel,
                user,
                recipients,
            } => {
                self.push_volatile(
                    recipients,
                    Push::Typing(TypingPush {
                        channel: *channel,
                        user: user.clone(),
                    }),
                    None,
                );
            }
            Payload::UserEntries {
                user,
                entries,
                head,
            } => self.take_user_entries(user, entries, *head).await,
            Payload::Relations { users } => self.forget_receptions_here(users),
            Payload::Revoked { user, device } => {
                self.close_device(user, *device, GoAwayReason::Revoked, 0);
                self.presence_ends(user, *device);
            }
            Payload::WatchEnds { watcher, watched } => self.cut_watches(watcher, watched),
            Payload::Status { user, status } => self.see_as(user, status, false),
            Payload::Replaced { user, device } => {
                self.close_device(
                    user,
                    *device,
                    GoAwayReason::Replaced,
                    REPLACED_RECONNECT_AFTER_MS,
                );
            }
        }
    }

    /// Local users whom another node's entries add to a channel hear its topic from now on, if it is large.
    async fn follow_joined(&self, channel: ChannelId, entries: &[Arc<Entry>]) {
        let changes = entries.iter().filter_map(|entry| members_change(entry));
        for member in changes.flat_map(|change| &change.add) {
            if self.registry.serves(&member.user) {
                self.log_lost(self.refresh_topics(&member.user).await);
                if self.topics.of_user(&member.user).contains(&channel) {
                    self.log_lost(self.tell_topic_head(channel).await);
                }
            }
        }
    }

    /// So many recipients are named only by the entry that makes their channel large: from now on they hear its topic.
    async fn follow_grown(&self, channel: ChannelId, recipients: &[UserId]) {
        if recipients.len() as u64 > Limits::INBOX_COPY_MEMBERS_MAX {
            for user in recipients {
                self.log_lost(self.join_topic_of(channel, user).await);
            }
        }
    }

    async fn follow_left(&self, channel: ChannelId, entries: &[Arc<Entry>]) {
        for change in entries.iter().filter_map(|entry| members_change(entry)) {
            for user in &change.remove {
                self.log_lost(self.leave_topic_of(channel, user).await);
            }
        }
    }

    /// Queues what may be lost for every session of these users but one.
    pub(super) fn push_volatile(&self, users: &[UserId], push: Push, but: Option<u64>) {
        let push = Arc::new(SharedPush::new(push));
        for user in users {
            self.registry.each_of(user, |session| {
                if but != Some(session.id) {
                    session.outbound.volatile(&push);
                }
            });
        }
    }

    pub(super) fn close_device(
        &self,
        user: &UserId,
        device: DeviceId,
        reason: GoAwayReason,
        reconnect_after_ms: u64,
    ) {
        self.registry.each_of(user, |session| {
            if session.device == device {
                session.outbound.go_away(reason, reconnect_after_ms);
            }
        });
    }
}

fn delivery(channel: ChannelId, entry: &Arc<Entry>) -> Delivery {
    Delivery {
        push: shared_push(channel, entry),
        but: None,
    }
}

pub(super) fn members_change(entry: &Entry) -> Option<&MembersChange> {
    match &entry.kind {
        EntryKind::Members(change) => Some(change),
        _ => None,
    }
}
