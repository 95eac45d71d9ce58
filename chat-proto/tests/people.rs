//! Laws of contacts, blocks and preferences.

use std::collections::BTreeMap;

use chat_proto::people::{ContactState, Prefs, Relation, RelationChange, UserEntryKind};
use chat_proto::{Timestamp, UserId};
use proptest::prelude::*;

/// Two users, their relation as the first sees it, and what each one's own log says about the other.
#[derive(Default)]
struct Pair {
    relation: Relation,
    logs: [Told; 2],
}

/// A log about one other user, folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    contact: Option<ContactState>,
    blocks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    One,
    Other,
}

impl Pair {
    fn change(&mut self, side: Side, change: RelationChange) {
        let before = self.seen_by(side);
        let next = before.after(change);
        let (doer, peer) = (side as usize, 1 - side as usize);
        self.logs[doer].fold(before.told(next, &user("peer")));
        self.logs[peer].fold(before.mirror().told(next.mirror(), &user("peer")));
        self.relation = match side {
            Side::One => next,
            Side::Other => next.mirror(),
        };
    }

    fn seen_by(&self, side: Side) -> Relation {
        match side {
            Side::One => self.relation,
            Side::Other => self.relation.mirror(),
        }
    }
}

impl Told {
    fn fold(&mut self, kinds: Vec<UserEntryKind>) {
        for kind in kinds {
            let before = self.clone();
            match kind {
                UserEntryKind::Contact(change) => self.contact = change.state,
                UserEntryKind::Block(change) => self.blocks = !change.removed,
                other => panic!("a relation tells nothing of {other:?}"),
            }
            assert_ne!(*self, before, "an entry reports a change");
        }
    }
}

fn user(name: &str) -> UserId {
    name.parse().expect("a good name")
}

fn changes() -> impl Strategy<Value = Vec<(Side, RelationChange)>> {
    let side = prop_oneof![Just(Side::One), Just(Side::Other)];
    let change = prop_oneof![
        3 => Just(RelationChange::PutContact),
        2 => Just(RelationChange::RemoveContact),
        2 => Just(RelationChange::Block),
        2 => Just(RelationChange::Unblock),
    ];
    prop::collection::vec((side, change), 0..20)
}

fn prefs() -> impl Strategy<Value = Prefs> {
    let draft = prop::option::of(prop::sample::select(vec!["", "a", "b"]));
    (
        prop::option::of(0..3u64),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        draft,
    )
        .prop_map(|(mute_until_ms, archived, marked_unread, draft)| Prefs {
            mute_until_ms: mute_until_ms.map(Timestamp),
            archived,
            marked_unread,
            draft: draft.map(str::to_owned),
        })
}

proptest! {
    /// Whatever was before: once both put each other, in any order, they are contacts on both sides.
    #[test]
    fn both_putting_makes_contacts(before in changes(), one_first in any::<bool>()) {
        let mut pair = pair_after(&before);
        let order = if one_first { [Side::One, Side::Other] } else { [Side::Other, Side::One] };
        order.into_iter().for_each(|side| pair.change(side, RelationChange::PutContact));
        for side in order {
            prop_assert_eq!(pair.seen_by(side).shown_contact(), Some(ContactState::Contact));
            prop_assert_eq!(pair.logs[side as usize].contact, Some(ContactState::Contact));
        }
    }

    /// Whatever was before: removing ends it on both sides.
    #[test]
    fn removing_ends_it_on_both_sides(before in changes()) {
        let mut pair = pair_after(&before);
        pair.change(Side::One, RelationChange::RemoveContact);
        prop_assert_eq!(pair.logs[0].contact, None);
        prop_assert_eq!(pair.logs[1].contact, None);
        prop_assert_eq!(pair.relation.contact, None);
    }

    /// The states of both sides match; only a block hides an asking, and its end shows it.
    #[test]
    fn both_sides_match(before in changes()) {
        let mut pair = pair_after(&before);
        for side in [Side::One, Side::Other] {
            pair.change(side, RelationChange::Unblock);
        }
        let expected = match pair.logs[0].contact {
            None => None,
            Some(ContactState::Asked) => Some(ContactState::Asking),
            Some(ContactState::Asking) => Some(ContactState::Asked),
            Some(ContactState::Contact) => Some(ContactState::Contact),
        };
        prop_assert_eq!(pair.logs[1].contact, expected);
    }

    /// The user's own log, folded, is what the lists show.
    #[test]
    fn the_log_tells_what_the_lists_show(before in changes()) {
        let pair = pair_after(&before);
        for side in [Side::One, Side::Other] {
            let (seen, told) = (pair.seen_by(side), &pair.logs[side as usize]);
            prop_assert_eq!(seen.shown_contact(), told.contact);
            prop_assert_eq!(seen.blocks, told.blocks);
        }
    }

    /// What the other one sees is the same with and without their being blocked, whatever they do.
    #[test]
    fn the_blocked_cannot_tell(before in changes()) {
        let is_block = |(side, change): &(Side, RelationChange)| {
            *side == Side::One && matches!(change, RelationChange::Block | RelationChange::Unblock)
        };
        let without: Vec<_> = before.iter().filter(|step| !is_block(step)).copied().collect();
        prop_assert_eq!(&pair_after(&before).logs[1], &pair_after(&without).logs[1]);
    }

    /// The blocker is told of no asking while the block lasts.
    #[test]
    fn the_blocker_hears_of_no_asking(before in changes(), while_blocked in changes()) {
        let mut pair = pair_after(&before);
        pair.change(Side::One, RelationChange::Block);
        for (side, change) in while_blocked {
            if (side, change) != (Side::One, RelationChange::Unblock) {
                pair.change(side, change);
                prop_assert_ne!(pair.logs[0].contact, Some(ContactState::Asking));
            }
        }
    }

    /// What is so already changes nothing.
    #[test]
    fn a_change_twice_is_once(before in changes(), change in changes()) {
        let relation = pair_after(&before).relation;
        for (_, change) in change {
            // Putting accepts what putting asked for only if the other side did it.
            let once = relation.after(change);
            prop_assert_eq!(once.after(change), once);
            prop_assert!(once.told(once, &user("peer")).is_empty());
        }
    }

    /// Preferences keep, field by field, the last that was said and is not the same as nothing.
    #[test]
    fn preferences_merge_by_field(said in prop::collection::vec(prefs(), 0..8)) {
        let mut kept = Prefs::default();
        let mut folded: BTreeMap<&str, String> = BTreeMap::new();
        for change in &said {
            let before = kept.clone();
            let told = kept.merge(change);
            prop_assert_eq!(told.is_none(), before == kept);
            let fields = [
                ("mute_until_ms", change.mute_until_ms.map(|at| (at.0 == 0, at.to_string()))),
                ("archived", change.archived.map(|is| (!is, is.to_string()))),
                ("marked_unread", change.marked_unread.map(|is| (!is, is.to_string()))),
                ("draft", change.draft.clone().map(|draft| (draft.is_empty(), draft))),
            ];
            for (name, said) in fields {
                match said {
                    Some((true, _)) => drop(folded.remove(name)),
                    Some((false, value)) => drop(folded.insert(name, value)),
                    None => {}
                }
            }
        }
        let mut shown = BTreeMap::new();
        shown.extend(kept.mute_until_ms.map(|at| ("mute_until_ms", at.to_string())));
        shown.extend(kept.archived.map(|is| ("archived", is.to_string())));
        shown.extend(kept.marked_unread.map(|is| ("marked_unread", is.to_string())));
        shown.extend(kept.draft.map(|draft| ("draft", draft)));
        prop_assert_eq!(shown, folded);
    }

    /// Who folds what the log tells of preferences has what is kept.
    #[test]
    fn preferences_are_the_fold_of_what_is_told(said in prop::collection::vec(prefs(), 0..8)) {
        let (mut kept, mut folded) = (Prefs::default(), Prefs::default());
        for change in &said {
            if let Some(told) = kept.merge(change) {
                let again = folded.merge(&told);
                prop_assert_eq!(again, Some(told));
            }
        }
        prop_assert_eq!(kept, folded);
    }
}

fn pair_after(changes: &[(Side, RelationChange)]) -> Pair {
    let mut pair = Pair::default();
    for (side, change) in changes {
        pair.change(*side, *change);
    }
    pair
}
