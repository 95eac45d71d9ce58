//! Which rows change, and how.

use std::collections::{BTreeMap, BTreeSet};

use chat_proto::channel::Member;
use chat_proto::{ChannelState, ChannelType, Entry, EntryKind, Seq, Timestamp, UserId};

use super::preview::preview;
use crate::ports::{InboxStanding, InboxUpdate, RowUpdate};

/// Entries of a log, and what must be known to tell whose inbox they concern.
#[derive(Clone, Debug)]
pub struct Appended<'a> {
    /// The channel behind the entries, or further on.
    pub state: &'a ChannelState,
    /// Whether every member's row is written: the channel is not large, or has just become so.
    pub copied: bool,
    /// Who is a member at `state`: everybody, or in a large channel at least those whom the entries add.
    pub members: &'a BTreeMap<UserId, Member>,
    /// The entries, contiguous.
    pub entries: &'a [Entry],
    /// The messages that the entries edit or erase, as they now are.
    pub targets: &'a BTreeMap<Seq, Entry>,
    /// The newest message before the entries, where somebody's row begins with it.
    pub before: Option<&'a Entry>,
    /// To how many bytes of text a copy is cut.
    pub preview_bytes_max: usize,
}

/// What the entries leave in the inboxes; nothing if the channel does not exist.
pub fn inbox_update(appended: &Appended<'_>) -> Option<InboxUpdate> {
    let meta = appended.state.meta()?.clone();
    let rows = appended.concerned().into_iter();
    Some(InboxUpdate {
        channel: appended.state.id(),
        head: appended.state.head(),
        member_count: appended.state.member_count(),
        large: appended.state.is_large(),
        rows: rows.map(|user| appended.row(user)).collect(),
        meta,
    })
}

impl Appended<'_> {
    /// Everybody whose row changes.
    fn concerned(&self) -> BTreeSet<&UserId> {
        let mut users: BTreeSet<&UserId> = BTreeSet::new();
        if self.copied {
            users.extend(self.members.keys());
        }
        for entry in self.entries {
            users.extend(named_by(entry));
            if let Some(message) = entry.as_message()
                && !self.copied
            {
                users.insert(&entry.from);
                users.extend(&message.mentions);
            }
        }
        let erased = self.targets.values().filter_map(Entry::as_message);
        if !self.copied {
            users.extend(erased.flat_map(|message| &message.mentions));
        }
        users
    }

    fn row(&self, user: &UserId) -> RowUpdate {
        let member = self.members.get(user);
        let is_for = |entry: &&Entry| !entry.is_withheld_from(user);
        let open = || self.entries.iter().filter(is_for);
        let standing = match member {
            Some(member) => Some(InboxStanding::Member(*member)),
            None => self.left_at(user).map(|at| InboxStanding::Left { at }),
        };
        let joined = member.and_then(|member| self.entry(member.joined));
        let is_here = member.is_some() || (!self.copied && standing.is_none());
        let mentioned = |entry: &&Entry| {
            let message = self.as_it_is(entry).as_message();
            message.is_some_and(|message| !message.erased && message.mentions.contains(user))
        };
        let own = open().filter(|entry| entry.from == *user && entry.kind.is_message());
        let unmentioned = self.targets.values().filter(|target| {
            let message = target.as_message();
            message.is_some_and(|message| message.erased && message.mentions.contains(user))
        });
        RowUpdate {
            user: user.clone(),
            peer: self.peer_of(user),
            active_at: open().map(|entry| entry.at).max().filter(|_| is_here),
            messages: member.map_or_else(Vec::new, |member| {
                self.copies(user, member.visible_from, joined.is_some())
            }),
            own: if is_here {
                own.map(Entry::head).collect()
            } else {
                Vec::new()
            },
            joined: joined.map(Entry::head),
            mentions: if is_here {
                open().filter(mentioned).map(|entry| entry.seq).collect()
            } else {
                Vec::new()
            },
            unmentioned: unmentioned.map(|target| target.seq).collect(),
            standing,
        }
    }

    /// The messages that this row is told of: the newest, those that were changed, and for a row that begins the one before.
    fn copies(&self, user: &UserId, visible_from: Seq, begins: bool) -> Vec<Entry> {
        if !self.copied || self.state.is_large() {
            return Vec::new();
        }
        let visible = |entry: &&Entry| entry.seq >= visible_from && !entry.is_withheld_from(user);
        let mut copies: BTreeMap<Seq, &Entry> = BTreeMap::new();
        let messages = || self.entries.iter().filter(|entry| entry.kind.is_message());
        let newest = messages().rfind(visible);
        let before = self.before.filter(|_| begins || newest.is_none());
        for entry in newest.into_iter().chain(before.filter(visible)) {
            copies.insert(entry.seq, self.as_it_is(entry));
        }
        for target in self.targets.values().filter(visible) {
            copies.insert(target.seq, target);
        }
        let copies = copies.into_values();
        copies
            .map(|entry| preview(entry.clone(), self.preview_bytes_max))
            .collect()
    }

    /// The entry, with the body that it has now as far as that is known.
    fn as_it_is<'e>(&'e self, entry: &'e Entry) -> &'e Entry {
        self.targets.get(&entry.seq).unwrap_or(entry)
    }

    fn entry(&self, seq: Seq) -> Option<&Entry> {
        let first = self.entries.first()?.seq;
        let place = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        self.entries.get(place)
    }

    /// When the last of the entries that ended this user's membership came.
    fn left_at(&self, user: &UserId) -> Option<Timestamp> {
        let ends = |entry: &&Entry| matches!(&entry.kind, EntryKind::Members(change) if change.remove.contains(user));
        let last = self.entries.iter().rfind(ends);
        last.map(|entry| entry.at)
    }

    fn peer_of(&self, user: &UserId) -> Option<UserId> {
        let meta = self.state.meta()?;
        match meta.channel_type {
            ChannelType::Direct => {
                let other = self.members.keys().find(|member| *member != user);
                Some(other.unwrap_or(user).clone())
            }
            ChannelType::Group => None,
        }
    }
}

/// Whose membership an entry is about.
pub(super) fn named_by(entry: &Entry) -> Vec<&UserId> {
    match &entry.kind {
        EntryKind::Created(created) => created.members.iter().map(|of| &of.user).collect(),
        EntryKind::Members(change) => {
            let added = change.add.iter().map(|of| &of.user);
            added.chain(&change.remove).collect()
        }
        // The others are about nobody's membership.
        _ => Vec::new(),
    }
}
