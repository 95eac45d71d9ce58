//! Cases about a user's own log.

use chat_core::ports::{PageLimit, WrittenEntries};
use chat_core::proto::people::{
    DeviceChange, DirectFrom, Prefs, PrefsChange, ProfileChange, RelationChange, UserEntryKind,
};
use chat_core::proto::{DeviceId, Seq, Timestamp};

use super::person::{ALL, Person, draft};
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::START;
use crate::names::{fresh_channel, fresh_device};

/// Tasks that write to one log at once.
const WRITERS: u64 = 4;
/// Entries that each of them writes.
const ENTRIES_EACH: u64 = 8;

/// A device that comes, is seen again, goes, and goes again.
pub async fn devices_are_told_by_the_log(opened: Opened) {
    let (alice, device) = (Person::new(opened.users(), "alice"), fresh_device());
    alice.see(device, START).await;
    alice.see(device, START).await;
    for _ in 0..2 {
        let forgotten = opened.users().forget_device(&alice.user, device, START);
        forgotten.await.expect("the store answers");
    }
    let came = UserEntryKind::Device(DeviceChange {
        device,
        name: Some("case/1.0".into()),
        platform: None,
        removed: false,
    });
    assert_eq!(
        alice.kinds().await,
        [came, device_removed(device)],
        "a device's first sight and its end are entries, once each"
    );
}

/// After each of several writes.
pub async fn user_seq_is_the_end_of_the_log(opened: Opened) {
    let (alice, channel) = (Person::new(opened.users(), "alice"), fresh_channel());
    for number in 1..=3 {
        alice.set_prefs(channel, draft(&number.to_string())).await;
        assert_eq!(
            alice.user_seq().await,
            Seq(number),
            "user_seq is the seq of the last entry"
        );
        assert_eq!(
            alice.page(Seq(0), ALL).await.head,
            Seq(number),
            "a page tells the head of the user's log"
        );
    }
}

/// Writers on one log at once, some of them about another user, who writes as well.
pub async fn the_users_log_is_contiguous(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    let tasks = (0..WRITERS).map(|writer| {
        let (alice, channel) = (alice.clone(), fresh_channel());
        tokio::spawn(async move {
            for number in 0..ENTRIES_EACH {
                if writer == 0 {
                    let other = Person::new(&alice.store, "other");
                    other.relate(RelationChange::PutContact, &alice.user).await;
                } else {
                    alice.set_prefs(channel, draft(&number.to_string())).await;
                }
            }
        })
    });
    join_all(tasks).await;
    let seqs: Vec<u64> = alice.log().await.iter().map(|entry| entry.seq.0).collect();
    let expected: Vec<u64> = (1..=WRITERS * ENTRIES_EACH).collect();
    assert_eq!(
        seqs, expected,
        "a user's log is contiguous from 1 whoever writes to it"
    );
}

/// Two users who do the same.
pub async fn logs_are_the_users_own(opened: Opened) {
    let channel = fresh_channel();
    let people = ["alice", "bob"].map(|name| Person::new(opened.users(), name));
    for (person, text) in people.iter().zip(["a", "b"]) {
        person.set_prefs(channel, draft(text)).await;
    }
    for (person, text) in people.iter().zip(["a", "b"]) {
        let prefs = draft(text);
        assert_eq!(
            person.kinds().await,
            [UserEntryKind::Prefs(PrefsChange { channel, prefs })],
            "a log holds what was written for its user only"
        );
    }
}

/// From everywhere, with limits of number and of bytes.
pub async fn pages_of_the_users_log_are_exact(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    assert_eq!(
        alice.page(Seq(0), ALL).await,
        Default::default(),
        "the log of somebody unknown is empty"
    );
    let channel = fresh_channel();
    for number in 1..=5 {
        // Of one size, so that bytes can be told in entries.
        let muted = Prefs {
            mute_until_ms: Some(Timestamp(number)),
            ..Prefs::default()
        };
        alice.set_prefs(channel, muted).await;
    }
    let entry_bytes = alice.log().await[0].size_bytes();
    for after in 0..7 {
        for limit in 1..7 {
            let left = 5_u64.saturating_sub(after).min(limit);
            let expected: Vec<u64> = (after + 1..=after + left).collect();
            let entries = PageLimit {
                entries: limit as usize,
                ..ALL
            };
            let bytes = PageLimit {
                bytes: limit as usize * entry_bytes,
                ..ALL
            };
            // Less than one entry holds one all the same.
            let tight = PageLimit {
                bytes: (limit as usize * entry_bytes).max(2 * entry_bytes) - 1,
                ..ALL
            };
            for (limit, expected) in [
                (entries, &expected[..]),
                (bytes, &expected[..]),
                (
                    tight,
                    &expected[..expected.len().min((limit as usize).max(2) - 1)],
                ),
            ] {
                let page = alice.page(Seq(after), limit).await;
                let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq.0).collect();
                assert_eq!(
                    seqs, expected,
                    "a page of the user's log starts right behind {after} and holds what {limit:?} allows, at least one"
                );
                assert_eq!(page.head, Seq(5));
            }
        }
    }
    let huge = PageLimit { bytes: 1, ..ALL };
    assert_eq!(
        alice.page(Seq(2), huge).await.entries.len(),
        1,
        "a page of the user's log holds at least one entry"
    );
}

/// Every way to write, compared with what the logs hold behind it.
pub async fn a_write_answers_what_it_wrote(opened: Opened) {
    let (alice, bob) = (
        Person::new(opened.users(), "alice"),
        Person::new(opened.users(), "bob"),
    );
    let (channel, device) = (fresh_channel(), fresh_device());
    let mut told = WrittenEntries::new();
    let mut note = |written: WrittenEntries| {
        for (user, entries) in written {
            assert!(!entries.is_empty(), "who is named has entries");
            told.entry(user).or_default().extend(entries);
        }
    };
    note(alice.see(device, START).await);
    note(alice.set_profile(named("Alice")).await);
    note(alice.set_prefs(channel, draft("x")).await);
    for (person, other, change) in [
        (&alice, &bob, RelationChange::PutContact),
        (&bob, &alice, RelationChange::PutContact),
        (&bob, &alice, RelationChange::Block),
        (&bob, &alice, RelationChange::Unblock),
        (&alice, &bob, RelationChange::RemoveContact),
    ] {
        note(person.relate(change, &other.user).await);
    }
    let forgotten = opened.users().forget_device(&alice.user, device, START);
    note(forgotten.await.expect("the store answers"));
    for person in [&alice, &bob] {
        assert_eq!(
            told.remove(&person.user).unwrap_or_default(),
            person.log().await,
            "the writes answered exactly the entries that they added to each log"
        );
    }
    assert!(told.is_empty(), "nobody else's log was written");
}

/// Everything twice.
pub async fn what_is_so_already_adds_no_entry(opened: Opened) {
    let (alice, bob) = (
        Person::new(opened.users(), "alice"),
        Person::new(opened.users(), "bob"),
    );
    let (channel, device) = (fresh_channel(), fresh_device());
    for step in 0..6 {
        let mut before = None;
        for _ in 0..2 {
            match step {
                0 => drop(alice.see(device, START).await),
                1 => drop(alice.set_profile(named("Alice")).await),
                2 => drop(alice.set_prefs(channel, draft("x")).await),
                3 => drop(alice.relate(RelationChange::PutContact, &bob.user).await),
                4 => drop(bob.relate(RelationChange::Block, &alice.user).await),
                _ => drop(alice.relate(RelationChange::RemoveContact, &bob.user).await),
            }
            let seqs = (alice.user_seq().await, bob.user_seq().await);
            if let Some(before) = before.replace(seqs) {
                assert_eq!(
                    seqs, before,
                    "what is so already adds no entry (step {step})"
                );
            }
        }
    }
    let (carol, unset) = (Person::new(opened.users(), "carol"), Prefs::default());
    let nothing = [
        carol.set_prefs(channel, draft("")).await,
        carol.set_prefs(channel, unset).await,
        carol.set_profile(named("")).await,
        carol.set_profile(direct(DirectFrom::All)).await,
        carol.relate(RelationChange::RemoveContact, &bob.user).await,
        carol.relate(RelationChange::Unblock, &bob.user).await,
    ];
    for written in nothing {
        assert!(
            written.is_empty(),
            "what is so already adds no entry, and none is answered"
        );
    }
    assert_eq!(carol.user_seq().await, Seq(0));
}

pub(super) fn named(name: &str) -> ProfileChange {
    ProfileChange {
        name: Some(name.into()),
        direct: None,
    }
}

pub(super) fn direct(direct: DirectFrom) -> ProfileChange {
    ProfileChange {
        name: None,
        direct: Some(direct),
    }
}

fn device_removed(device: DeviceId) -> UserEntryKind {
    UserEntryKind::Device(DeviceChange {
        device,
        name: None,
        platform: None,
        removed: true,
    })
}
