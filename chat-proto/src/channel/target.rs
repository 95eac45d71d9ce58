//! What was done to a message: the fold of the entries that name it.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Entry, EntryKind, React};
use crate::id::{Seq, UserId};
use crate::wire::Reaction;

/// A message as a decision about it needs it: what it is, and what was done to it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its author.
    pub from: UserId,
    /// As [`Entry::withheld`].
    pub withheld: bool,
    /// Its body was erased.
    pub erased: bool,
    /// It is pinned.
    pub pinned: bool,
    /// The signs on it, and by how many users each was set.
    pub signs: BTreeMap<String, u64>,
    /// Those of them that the caller set.
    pub own_signs: BTreeSet<String>,
}

impl Target {
    /// What `message` is before anything was done to it; none when it is no message.
    pub fn of(message: &Entry) -> Option<Self> {
        Some(Self {
            from: message.from.clone(),
            withheld: message.withheld,
            erased: message.as_message()?.erased,
            pinned: false,
            signs: BTreeMap::new(),
            own_signs: BTreeSet::new(),
        })
    }

    /// What it is behind the next entry of its log, the target itself being at `seq`.
    pub fn apply(&mut self, seq: Seq, entry: &Entry, caller: &UserId) {
        match &entry.kind {
            EntryKind::Delete(delete) => self.erased |= delete.target == seq,
            EntryKind::Pin(pin) if pin.target == seq => self.pinned = !pin.remove,
            EntryKind::React(react) if react.target == seq => self.react(entry, react, caller),
            EntryKind::Pin(_)
            | EntryKind::React(_)
            | EntryKind::Edit(_)
            | EntryKind::Message(_)
            | EntryKind::Created(_)
            | EntryKind::Members(_)
            | EntryKind::Meta(_)
            | EntryKind::Withheld
            | EntryKind::Unknown { .. } => {}
        }
    }

    fn react(&mut self, entry: &Entry, react: &React, caller: &UserId) {
        let is_own = entry.from == *caller;
        if react.remove {
            if is_own {
                self.own_signs.remove(&react.emoji);
            }
            if let Some(count) = self.signs.get_mut(&react.emoji) {
                *count -= 1;
                if *count == 0 {
                    self.signs.remove(&react.emoji);
                }
            }
        } else {
            *self.signs.entry(react.emoji.clone()).or_default() += 1;
            if is_own {
                self.own_signs.insert(react.emoji.clone());
            }
        }
    }
}

/// What a page of history shows beside a message: what a reader sees of the entries that name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Signs, the one that was set first of those still there in front. None on an erased message.
    pub reactions: Vec<Reaction>,
    /// It is pinned. Never an erased message.
    pub pinned: bool,
    /// Messages in its thread.
    pub replies: u64,
}

impl Annotations {
    /// What `later`, entries of the log of the message at `seq` in their order, make of it for `viewer`.
    pub fn fold<'a>(seq: Seq, later: impl IntoIterator<Item = &'a Entry>, viewer: &UserId) -> Self {
        let (mut signs, mut pinned, mut erased, mut replies) = (Signs::default(), false, false, 0);
        let seen = later
            .into_iter()
            .filter(|entry| !entry.is_withheld_from(viewer));
        for entry in seen {
            match &entry.kind {
                EntryKind::Delete(delete) => erased |= delete.target == seq,
                EntryKind::Pin(pin) if pin.target == seq => pinned = !pin.remove,
                EntryKind::React(react) if react.target == seq => signs.apply(entry, react),
                EntryKind::Message(message) => replies += u64::from(message.thread == Some(seq)),
                EntryKind::Pin(_)
                | EntryKind::React(_)
                | EntryKind::Edit(_)
                | EntryKind::Created(_)
                | EntryKind::Members(_)
                | EntryKind::Meta(_)
                | EntryKind::Withheld
                | EntryKind::Unknown { .. } => {}
            }
        }
        if erased {
            // Nothing is left of what others thought of it.
            (signs, pinned) = (Signs::default(), false);
        }
        Self {
            reactions: signs.into_reactions(viewer),
            pinned,
            replies,
        }
    }
}

/// Who set which sign on one message, and with which entry.
#[derive(Default)]
struct Signs(BTreeMap<String, BTreeMap<UserId, Seq>>);

impl Signs {
    fn apply(&mut self, entry: &Entry, react: &React) {
        if !react.remove {
            let users = self.0.entry(react.emoji.clone()).or_default();
            users.entry(entry.from.clone()).or_insert(entry.seq);
        } else if let Some(users) = self.0.get_mut(&react.emoji) {
            users.remove(&entry.from);
            if users.is_empty() {
                self.0.remove(&react.emoji);
            }
        }
    }

    fn into_reactions(self, viewer: &UserId) -> Vec<Reaction> {
        let mut by_first: Vec<_> = self
            .0
            .into_iter()
            .map(|(emoji, users)| (users.values().min().copied(), emoji, users))
            .collect();
        by_first.sort_by_key(|(first, _, _)| *first);
        let reactions = by_first.into_iter().map(|(_, emoji, users)| Reaction {
            emoji,
            count: users.len() as u64,
            mine: users.contains_key(viewer),
        });
        reactions.collect()
    }
}
