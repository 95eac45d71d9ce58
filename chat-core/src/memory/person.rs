//! What a user has beside channels, and the log that tells of it.

use std::collections::{BTreeMap, HashMap};

use chat_proto::people::{ContactState, Prefs, Relation, RelationChange, UserEntry, UserEntryKind};
use chat_proto::{ChannelId, Seq, Timestamp, UserId};

use crate::ports::{KeptStatus, WrittenEntries};

/// One user's own data; also of somebody whom nobody has seen yet, but others have told of.
#[derive(Default)]
pub(super) struct Person {
    /// The entry at index i has seq i + 1.
    log: Vec<UserEntry>,
    /// The user's side of their relations.
    sides: BTreeMap<UserId, Side>,
    pub(super) prefs: BTreeMap<ChannelId, Prefs>,
    pub(super) status: Option<KeptStatus>,
}

/// One user's side of a relation.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Side {
    contact: Option<ContactState>,
    blocks: bool,
}

/// Everybody's.
#[derive(Default)]
pub(super) struct People(HashMap<UserId, Person>);

impl People {
    pub(super) fn get(&self, user: &UserId) -> Option<&Person> {
        self.0.get(user)
    }

    pub(super) fn of(&mut self, user: &UserId) -> &mut Person {
        self.0.entry(user.clone()).or_default()
    }

    /// Appends to the user's own log.
    pub(super) fn tell(
        &mut self,
        user: &UserId,
        at: Timestamp,
        kinds: impl IntoIterator<Item = UserEntryKind>,
    ) -> WrittenEntries {
        let log = &mut self.of(user).log;
        let before = log.len();
        for kind in kinds {
            let seq = Seq(log.len() as u64 + 1);
            log.push(UserEntry { seq, at, kind });
        }
        let written = log[before..].to_vec();
        if written.is_empty() {
            WrittenEntries::new()
        } else {
            [(user.clone(), written)].into()
        }
    }

    pub(super) fn relation(&self, user: &UserId, other: &UserId) -> Relation {
        let side = |of: &UserId, to: &UserId| {
            let person = self.get(of);
            person.and_then(|person| person.sides.get(to)).copied()
        };
        let own = side(user, other).unwrap_or_default();
        Relation {
            contact: own.contact,
            blocks: own.blocks,
            blocked: side(other, user).unwrap_or_default().blocks,
        }
    }

    pub(super) fn relate(
        &mut self,
        user: &UserId,
        other: &UserId,
        change: RelationChange,
        at: Timestamp,
    ) -> WrittenEntries {
        let before = self.relation(user, other);
        let next = before.after(change);
        let mut written = WrittenEntries::new();
        for (of, to, before, next) in [
            (user, other, before, next),
            (other, user, before.mirror(), next.mirror()),
        ] {
            self.of(of).keep_side(to, next);
            written.append(&mut self.tell(of, at, before.told(next, to)));
        }
        written
    }

    /// Those after `after` to whom the user stands in a relation, ascending.
    pub(super) fn relations_of<'a>(
        &'a self,
        user: &'a UserId,
        after: Option<&'a UserId>,
    ) -> impl Iterator<Item = (&'a UserId, Relation)> {
        let sides = self.get(user).into_iter().flat_map(|person| &person.sides);
        sides
            .map(|(other, _)| other)
            .filter(move |other| after.is_none_or(|after| *other > after))
            .map(move |other| (other, self.relation(user, other)))
    }
}

impl Person {
    pub(super) fn log_after(&self, after: Seq) -> &[UserEntry] {
        let known = usize::try_from(after.0).unwrap_or(usize::MAX);
        self.log.get(known..).unwrap_or_default()
    }

    /// Takes the draft of a channel out of the entry that told of it; no other one has any.
    pub(super) fn forget_draft(&mut self, channel: ChannelId) {
        let tells = |entry: &&mut UserEntry| {
            matches!(&entry.kind, UserEntryKind::Prefs(change)
                if change.channel == channel && change.prefs.draft.is_some())
        };
        if let Some(entry) = self.log.iter_mut().rev().find(tells) {
            entry.forget_draft();
        }
    }

    pub(super) fn head(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    fn keep_side(&mut self, other: &UserId, relation: Relation) {
        let side = Side {
            contact: relation.contact,
            blocks: relation.blocks,
        };
        if side == Side::default() {
            self.sides.remove(other);
        } else {
            self.sides.insert(other.clone(), side);
        }
    }
}
