//! What is known of a channel: the fold of its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::command::CommandKey;
use super::recent::{RecentKey, RecentKeys};
use super::roster::{Member, Roster};
use super::snapshot::Snapshot;
use super::views::MemberChange;
use crate::entry::{ChannelType, Created, Entry, History, MetaChange, Posting, Role};
use crate::id::{ChannelId, ClientId, Head, MessageId, Seq, Timestamp, UserId};

/// The fold of a channel's log: all that [`decide`](super::decide) needs, and nothing that grows with the log.
/// Cheap to clone; a clone shares what neither side changes.
#[derive(Clone, Debug)]
pub struct ChannelState {
    channel: ChannelId,
    head: Head,
    last_message_id: MessageId,
    last_at: Timestamp,
    meta: Option<Arc<Meta>>,
    roster: Roster,
    understood: bool,
    recent: RecentKeys,
}

/// A channel's settings, as its creation and every change since have left them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Direct or group.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// A group's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// A reference to a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// From where a later member sees the log.
    pub history: History,
    /// Who may send.
    #[serde(default)]
    pub post: Posting,
    /// Opaque to the server, for the embedding program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// Who created it.
    pub creator: UserId,
    /// When.
    pub created_at: Timestamp,
    /// The embedding program's own name for the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl ChannelState {
    /// The state before a log's first entry: the channel does not exist.
    pub fn empty(channel: ChannelId) -> Self {
        Self {
            channel,
            head: Head::EMPTY,
            last_message_id: MessageId(0),
            last_at: Timestamp(0),
            meta: None,
            roster: Roster::empty(),
            understood: true,
            recent: RecentKeys::since(Seq(0)),
        }
    }

    /// The state that a snapshot keeps. It remembers no keys of entries up to the snapshot's head.
    pub fn from_snapshot(channel: ChannelId, snapshot: Snapshot) -> Self {
        Self {
            channel,
            head: snapshot.head,
            last_message_id: snapshot.message,
            last_at: snapshot.at,
            meta: snapshot.meta.map(Arc::new),
            roster: Roster::restore(
                snapshot.members,
                snapshot.privileged,
                snapshot.member_count,
                snapshot.large,
            ),
            understood: snapshot.understood,
            recent: RecentKeys::since(snapshot.head.seq),
        }
    }

    /// The state as plain data, without the keys that it remembers.
    pub fn to_snapshot(&self) -> Snapshot {
        Snapshot {
            head: self.head,
            message: self.last_message_id,
            at: self.last_at,
            meta: self.meta.as_deref().cloned(),
            member_count: self.member_count(),
            large: self.is_large(),
            members: self.roster().cloned(),
            privileged: self.privileged().clone(),
            understood: self.understood,
        }
    }

    /// The channel.
    pub fn id(&self) -> ChannelId {
        self.channel
    }

    /// The last entry folded.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The highest name in the log; the next entry's must be above it.
    pub fn last_message_id(&self) -> MessageId {
        self.last_message_id
    }

    /// The latest time in the log; the next entry's is never earlier.
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// The settings; none while the channel does not exist.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_deref()
    }

    /// How many members there are.
    pub fn member_count(&self) -> u64 {
        self.roster.count()
    }

    /// Whether the channel has so many members that nothing is kept or copied for each of them: from
    /// [`Limits::INBOX_COPY_MEMBERS_MAX`](crate::Limits::INBOX_COPY_MEMBERS_MAX) exceeded until
    /// [`Limits::INBOX_COPY_MEMBERS_LOW`](crate::Limits::INBOX_COPY_MEMBERS_LOW) is reached.
    pub fn is_large(&self) -> bool {
        self.roster.is_large()
    }

    /// All members; none while the channel is large, nor after it became small again until
    /// [`adopt_roster`](Self::adopt_roster).
    pub fn roster(&self) -> Option<&BTreeMap<UserId, Member>> {
        self.roster.members()
    }

    /// Gives a channel that became small again its members, as they are at exactly [`head`](Self::head). They are
    /// taken as the truth; without effect while the channel is large.
    pub fn adopt_roster(&mut self, members: BTreeMap<UserId, Member>) {
        self.roster.adopt(members);
    }

    /// Owners and admins, also of a large channel. Roles only: when a member of a large channel is promoted, the
    /// log tells nothing else about them.
    pub fn privileged(&self) -> &BTreeMap<UserId, Role> {
        self.roster.privileged()
    }

    /// Whether every entry folded was of a kind that this version knows. If not, nothing can be decided.
    pub fn understood(&self) -> bool {
        self.understood
    }

    /// The entry after [`keys_after`](Self::keys_after) that has this key, if any.
    pub fn recent_key(&self, from: &UserId, client_id: ClientId) -> Option<RecentKey> {
        self.recent.find(from, client_id)
    }

    /// Every key of an entry after this one is remembered; of entries up to it the store must be asked.
    pub fn keys_after(&self) -> Seq {
        self.recent.after()
    }

    pub(super) fn create(&mut self, created: &Created, entry: &Entry) {
        self.meta = Some(Arc::new(Meta {
            channel_type: created.channel_type,
            title: created.title.clone(),
            topic: None,
            avatar: None,
            history: created.history,
            post: Posting::All,
            data: created.data.clone(),
            creator: entry.from.clone(),
            created_at: entry.at,
            external_id: created.external_id.clone(),
        }));
    }

    pub(super) fn change_meta(&mut self, change: &MetaChange) {
        if let Some(meta) = &mut self.meta {
            Arc::make_mut(meta).apply(change);
        }
    }

    pub(super) fn change_members(&mut self, changes: &[MemberChange]) {
        if !changes.is_empty() {
            self.roster.apply(changes);
        }
    }

    pub(super) fn meet_unknown(&mut self) {
        self.understood = false;
    }

    pub(super) fn advance(&mut self, entry: &Entry, key: Option<&CommandKey>) {
        self.head = entry.head();
        self.last_message_id = self.last_message_id.max(entry.message);
        self.last_at = self.last_at.max(entry.at);
        self.recent.remember(entry, key);
    }
}

impl Meta {
    /// The settings after this change. An empty topic, avatar or `data` takes away what was there.
    #[must_use]
    pub fn changed(&self, change: &MetaChange) -> Self {
        let mut meta = self.clone();
        meta.apply(change);
        meta
    }

    fn apply(&mut self, change: &MetaChange) {
        if let Some(title) = &change.title {
            self.title = Some(title.clone());
        }
        if let Some(topic) = &change.topic {
            self.topic = Some(topic.clone()).filter(|topic| !topic.is_empty());
        }
        if let Some(avatar) = &change.avatar {
            self.avatar = Some(avatar.clone()).filter(|avatar| !avatar.is_empty());
        }
        if let Some(history) = change.history {
            self.history = history;
        }
        if let Some(post) = change.post {
            self.post = post;
        }
        if let Some(data) = &change.data {
            self.data = Some(data.clone()).filter(|data| !data.is_empty());
        }
    }
}
