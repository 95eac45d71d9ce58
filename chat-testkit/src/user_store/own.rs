//! Cases about preferences, profiles and statuses.

use std::collections::BTreeSet;

use chat_core::ports::{KeptStatus, UserStatus};
use chat_core::proto::people::{
    DirectFrom, Prefs, PrefsChange, ProfileChange, Status, UserEntryKind,
};
use chat_core::proto::{Seq, Timestamp, UserId};

use super::log::{direct, named};
use super::person::{Person, draft};
use crate::factory::Opened;
use crate::log_writer::START;
use crate::names::{fresh_channel, fresh_user};

/// Fields one by one, several at once, and cleared.
pub async fn preferences_merge_by_field(opened: Opened) {
    let (alice, channel) = (Person::new(opened.users(), "alice"), fresh_channel());
    let both = Prefs {
        mute_until_ms: Some(Timestamp(7)),
        archived: Some(true),
        ..Prefs::default()
    };
    let unread = Prefs {
        marked_unread: Some(true),
        archived: Some(true),
        ..Prefs::default()
    };
    let clear = Prefs {
        mute_until_ms: Some(Timestamp(0)),
        draft: Some(String::new()),
        ..Prefs::default()
    };
    let only_unread = Prefs {
        marked_unread: Some(true),
        ..Prefs::default()
    };
    let said = [draft("x"), both, unread, clear];
    for change in &said {
        alice.set_prefs(channel, change.clone()).await;
    }
    let mut expected = Prefs::default();
    let told: Vec<Prefs> = said
        .iter()
        .filter_map(|change| expected.merge(change))
        .collect();
    assert_eq!(
        alice.prefs(&[channel]).await.get(&channel),
        Some(&expected),
        "preferences change by field, and 0 and empty clear"
    );
    let told_log: Vec<Prefs> = alice
        .kinds()
        .await
        .into_iter()
        .filter_map(|kind| match kind {
            UserEntryKind::Prefs(PrefsChange { prefs, .. }) => Some(prefs),
            _ => None,
        })
        .collect();
    assert_eq!(told[2], only_unread);
    // The first told of a draft that is gone.
    let expected = [&[Prefs::default()], &told[1..]].concat();
    assert_eq!(told_log, expected, "the log tells what changed and no more");
}

/// Drafts of two channels, set anew, with something else between, cleared, and set again.
pub async fn only_the_current_draft_is_in_the_log(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    let (one, other) = (fresh_channel(), fresh_channel());
    let archived = Prefs {
        archived: Some(true),
        ..Prefs::default()
    };
    let both = Prefs {
        archived: Some(false),
        ..draft("second")
    };
    for (channel, change) in [
        (one, draft("first")),
        (other, draft("elsewhere")),
        (one, archived),
        (one, both),
        (one, draft("")),
        (one, draft("third")),
        (one, draft("fourth")),
    ] {
        alice.set_prefs(channel, change).await;
    }
    let drafts: Vec<Option<String>> = alice
        .kinds()
        .await
        .into_iter()
        .map(|kind| match kind {
            UserEntryKind::Prefs(change) => change.prefs.draft,
            other => panic!("only preferences were set: {other:?}"),
        })
        .map(|draft| draft.filter(|draft| !draft.is_empty()))
        .collect();
    let kept = |text: &str| Some(text.to_owned());
    assert_eq!(
        drafts,
        [
            None,
            kept("elsewhere"),
            None,
            None,
            None,
            None,
            kept("fourth")
        ],
        "a draft is in the log only while it is the current one"
    );
    assert_eq!(
        alice.prefs(&[one]).await.get(&one),
        Some(&draft("fourth")),
        "and is what is kept"
    );
}

/// Of two users and two channels, one of which nobody asks for.
pub async fn preferences_are_the_users_own(opened: Opened) {
    let (alice, bob) = (
        Person::new(opened.users(), "alice"),
        Person::new(opened.users(), "bob"),
    );
    let [set, other, cleared, untouched] = [(); 4].map(|()| fresh_channel());
    alice.set_prefs(set, draft("a")).await;
    alice.set_prefs(other, draft("b")).await;
    alice.set_prefs(cleared, draft("c")).await;
    alice.set_prefs(cleared, draft("")).await;
    bob.set_prefs(set, draft("d")).await;
    let expected = [(set, draft("a"))].into();
    assert_eq!(
        alice.prefs(&[set, cleared, untouched]).await,
        expected,
        "preferences are answered where there are some, of the channels asked for"
    );
    assert_eq!(
        bob.prefs(&[set, other]).await,
        [(set, draft("d"))].into(),
        "preferences are a user's own"
    );
    assert!(alice.prefs(&[]).await.is_empty());
}

/// Of a user whom nobody has seen.
pub async fn a_profile_changes_by_field(opened: Opened) {
    let alice = Person::new(opened.users(), "alice");
    let changes = [
        (direct(DirectFrom::Contacts), None, DirectFrom::Contacts),
        (named("Alice"), Some("Alice"), DirectFrom::Contacts),
        (
            ProfileChange {
                name: Some("Al".into()),
                direct: Some(DirectFrom::All),
            },
            Some("Al"),
            DirectFrom::All,
        ),
        (named(""), None, DirectFrom::All),
    ];
    for (change, name, direct) in changes.clone() {
        alice.set_profile(change).await;
        let profile = opened.users().profile(&alice.user).await;
        let profile = profile
            .expect("the store answers")
            .expect("changing a profile makes its user known");
        assert_eq!(
            (profile.name.as_deref(), profile.direct, profile.created_at),
            (name, direct, START),
            "a profile changes by field"
        );
    }
    let told = changes.map(|(change, _, _)| UserEntryKind::Profile(change));
    assert_eq!(alice.kinds().await, told, "the log tells what changed");
}

/// Set, set otherwise, of several users, after reopening as well.
pub async fn a_status_is_kept_and_not_logged(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let busy = UserStatus {
        state: Status::Busy,
        text: Some("until five".into()),
    };
    let invisible = UserStatus {
        state: Status::Invisible,
        text: None,
    };
    for (user, status) in [(&alice, &busy), (&bob, &busy), (&bob, &invisible)] {
        let kept = opened.users().set_status(user, status.clone()).await;
        kept.expect("the store answers");
    }
    let asked: BTreeSet<UserId> = [alice.clone(), bob.clone(), fresh_user("carol")].into();
    let opened = opened.reopen().await;
    let statuses = opened.users().statuses(&asked).await;
    let statuses = statuses.expect("the store answers").into_iter();
    let given = |kept: KeptStatus| UserStatus {
        state: kept.state,
        text: kept.text,
    };
    assert_eq!(
        statuses
            .map(|(user, kept)| (user, given(kept)))
            .collect::<Vec<_>>(),
        [(alice.clone(), busy), (bob, invisible)],
        "a status is kept as it was given"
    );
    let seq = opened.users().user_seq(&alice).await;
    assert_eq!(
        seq.expect("the store answers"),
        Seq(0),
        "a status is no entry of the log"
    );
}

/// The same status again, another one, and once more after reopening.
pub async fn each_status_has_a_higher_rev(opened: Opened) {
    let alice = fresh_user("alice");
    let asked: BTreeSet<UserId> = [alice.clone()].into();
    let (mut opened, mut last) = (opened, 0);
    for state in [Status::Away, Status::Away, Status::Online] {
        let status = UserStatus { state, text: None };
        let kept = opened.users().set_status(&alice, status).await;
        kept.expect("the store answers");
        opened = opened.reopen().await;
        let statuses = opened.users().statuses(&asked).await;
        let rev = statuses.expect("the store answers")[&alice].rev;
        assert!(
            rev > last,
            "each status has a higher rev than the one before: {rev} after {last}"
        );
        last = rev;
    }
}
