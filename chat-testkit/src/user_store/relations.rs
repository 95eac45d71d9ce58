//! Cases about contacts and blocks.

use std::collections::BTreeSet;

use chat_core::ports::{PortErrorKind, RelationWrite};
use chat_core::proto::UserId;
use chat_core::proto::people::{
    BlockChange, ContactChange, ContactState, Relation, RelationChange, UserEntryKind,
};

use super::person::Person;
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::START;
use crate::names::fresh_users;

/// How often two race each other.
const RACES: usize = 8;

/// One asks, the other accepts.
pub async fn putting_asks_and_then_accepts(opened: Opened) {
    let (alice, bob) = pair(&opened);
    alice.relate(RelationChange::PutContact, &bob.user).await;
    for (person, other, state) in [
        (&alice, &bob, ContactState::Asked),
        (&bob, &alice, ContactState::Asking),
    ] {
        assert_eq!(
            person.listed(&other.user).await,
            Some(state),
            "putting asks, and both lists show it"
        );
        assert_eq!(
            person.kinds().await,
            [contact(other, Some(state))],
            "putting tells both logs"
        );
    }
    bob.relate(RelationChange::PutContact, &alice.user).await;
    for (person, other) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(
            person.listed(&other.user).await,
            Some(ContactState::Contact),
            "putting who asks accepts, and both lists show it"
        );
        assert_eq!(
            person.kinds().await.last(),
            Some(&contact(other, Some(ContactState::Contact))),
            "accepting tells both logs"
        );
    }
}

/// Whoever does it, whatever they were.
pub async fn removing_ends_it_on_both_sides(opened: Opened) {
    for accepted in [false, true] {
        for asker_removes in [false, true] {
            let (alice, bob) = pair(&opened);
            alice.relate(RelationChange::PutContact, &bob.user).await;
            if accepted {
                bob.relate(RelationChange::PutContact, &alice.user).await;
            }
            let (remover, other) = if asker_removes {
                (&alice, &bob)
            } else {
                (&bob, &alice)
            };
            remover
                .relate(RelationChange::RemoveContact, &other.user)
                .await;
            for (person, other) in [(&alice, &bob), (&bob, &alice)] {
                assert_eq!(
                    person.listed(&other.user).await,
                    None,
                    "removing ends it on both sides"
                );
                assert_eq!(
                    person.kinds().await.last(),
                    Some(&contact(other, None)),
                    "removing tells both logs"
                );
            }
        }
    }
}

/// At the same instant, again and again.
pub async fn two_who_put_each_other_at_once_are_contacts(opened: Opened) {
    for _ in 0..RACES {
        let (alice, bob) = pair(&opened);
        let tasks = [(&alice, &bob), (&bob, &alice)].map(|(person, other)| {
            let (person, other) = (person.clone(), other.user.clone());
            tokio::spawn(async move {
                person.relate(RelationChange::PutContact, &other).await;
            })
        });
        join_all(tasks).await;
        for (person, other) in [(&alice, &bob), (&bob, &alice)] {
            assert_eq!(
                person.listed(&other.user).await,
                Some(ContactState::Contact),
                "two who put each other at once are contacts"
            );
        }
    }
}

/// What the blocked does and sees, beside somebody who is not blocked and does the same.
pub async fn the_blocked_cannot_tell(opened: Opened) {
    let (alice, bob) = pair(&opened);
    bob.relate(RelationChange::Block, &alice.user).await;
    alice.relate(RelationChange::PutContact, &bob.user).await;
    assert_eq!(
        alice.listed(&bob.user).await,
        Some(ContactState::Asked),
        "the blocked sees what anybody would"
    );
    assert_eq!(
        alice.kinds().await,
        [contact(&bob, Some(ContactState::Asked))],
        "the log of the blocked tells what anybody's would"
    );
    let blocked = |removed| {
        let user = alice.user.clone();
        UserEntryKind::Block(BlockChange { user, removed })
    };
    assert_eq!(
        bob.listed(&alice.user).await,
        None,
        "the asking of the blocked is not shown"
    );
    assert_eq!(
        bob.kinds().await,
        [blocked(false)],
        "the blocker's log tells nothing of the asking"
    );
    bob.relate(RelationChange::Unblock, &alice.user).await;
    assert_eq!(
        bob.listed(&alice.user).await,
        Some(ContactState::Asking),
        "the end of the block shows the asking"
    );
    let asking = contact(&alice, Some(ContactState::Asking));
    assert_eq!(
        bob.kinds().await,
        [blocked(false), blocked(true), asking],
        "the log tells of the end of the block, and of the asking"
    );
    assert_eq!(
        alice.user_seq().await.0,
        1,
        "the blocked hears of neither the block nor its end"
    );
}

/// Pages of every size over contacts in all states, with some that a block hides.
pub async fn contacts_are_listed_in_pages(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    let others = fresh_users("other", 9);
    let mut expected = Vec::new();
    // Not in the order of ids.
    for (number, user) in others.iter().enumerate().rev() {
        let other = Person {
            user: user.clone(),
            ..alice.clone()
        };
        let state = match number % 4 {
            0 => {
                alice.relate(RelationChange::PutContact, user).await;
                Some(ContactState::Asked)
            }
            1 => {
                other.relate(RelationChange::PutContact, &alice.user).await;
                Some(ContactState::Asking)
            }
            2 => {
                alice.relate(RelationChange::PutContact, user).await;
                other.relate(RelationChange::PutContact, &alice.user).await;
                Some(ContactState::Contact)
            }
            _ => {
                alice.relate(RelationChange::Block, user).await;
                other.relate(RelationChange::PutContact, &alice.user).await;
                None
            }
        };
        expected.extend(state.map(|state| (user.clone(), state)));
    }
    expected.reverse();
    for limit in 1..=expected.len() + 1 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = alice.contacts(after, limit).await;
            assert!(page.people.len() <= limit, "a page holds {limit}");
            after = page.people.last().map(|(user, _)| user.clone());
            listed.extend(page.people);
            assert!(
                listed.len() <= expected.len(),
                "pages of {limit} list every contact once"
            );
            if !page.more {
                break;
            }
        }
        assert_eq!(
            listed, expected,
            "pages of {limit} list every contact once, by user id"
        );
    }
}

/// The same of blocks.
pub async fn blocks_are_listed_in_pages(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    let others = fresh_users("other", 6);
    for user in others.iter().rev() {
        alice.relate(RelationChange::Block, user).await;
    }
    alice.relate(RelationChange::Unblock, &others[3]).await;
    let expected: Vec<UserId> = others
        .iter()
        .filter(|user| **user != others[3])
        .cloned()
        .collect();
    for limit in 1..=expected.len() + 1 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = alice.blocks(after, limit).await;
            assert!(page.people.len() <= limit, "a page holds {limit}");
            after = page.people.last().cloned();
            listed.extend(page.people);
            assert!(
                listed.len() <= expected.len(),
                "pages of {limit} list everybody who is blocked once"
            );
            if !page.more {
                break;
            }
        }
        assert_eq!(
            listed, expected,
            "pages of {limit} list everybody who is blocked once, by user id"
        );
    }
}

/// Of several at once, known and unknown, from both sides.
pub async fn relations_show_both_sides(opened: Opened) {
    let (alice, bob) = pair(&opened);
    let (carol, stranger) = (
        Person::new(opened.users(), "carol"),
        Person::new(opened.users(), "stranger"),
    );
    alice.relate(RelationChange::Block, &bob.user).await;
    bob.relate(RelationChange::PutContact, &alice.user).await;
    carol.relate(RelationChange::Block, &alice.user).await;
    let expected = [
        (
            &bob,
            Relation {
                contact: Some(ContactState::Asking),
                blocks: true,
                blocked: false,
            },
        ),
        (
            &carol,
            Relation {
                contact: None,
                blocks: false,
                blocked: true,
            },
        ),
        (&stranger, Relation::default()),
    ];
    let asked: BTreeSet<UserId> = expected
        .iter()
        .map(|(person, _)| person.user.clone())
        .collect();
    let relations = alice.store.relations(&alice.user, &asked).await;
    let relations = relations.expect("the store answers");
    assert_eq!(
        relations.len(),
        expected.len(),
        "relations answer for everybody who was asked for"
    );
    for (person, relation) in expected {
        assert_eq!(
            relations.get(&person.user),
            Some(&relation),
            "a relation tells the blocks of both sides"
        );
        assert_eq!(
            person.relation(&alice.user).await,
            relation.mirror(),
            "a relation tells the blocks of both sides, seen from either"
        );
    }
}

/// Every change.
pub async fn nobody_is_related_to_themselves(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    for change in [
        RelationChange::PutContact,
        RelationChange::RemoveContact,
        RelationChange::Block,
        RelationChange::Unblock,
    ] {
        let write = RelationWrite {
            user: alice.user.clone(),
            other: alice.user.clone(),
            change,
            at: START,
        };
        let refused = alice.store.relate(write).await;
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(PortErrorKind::Misuse),
            "a relation to oneself is misuse"
        );
    }
    assert_eq!(alice.log().await, []);
}

fn pair(opened: &Opened) -> (Person, Person) {
    (
        Person::new(opened.users(), "alice"),
        Person::new(opened.users(), "bob"),
    )
}

fn contact(other: &Person, state: Option<ContactState>) -> UserEntryKind {
    UserEntryKind::Contact(ContactChange {
        user: other.user.clone(),
        state,
    })
}
