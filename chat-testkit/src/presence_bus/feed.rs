//! Cases of what reaches the nodes that watch.

use chat_core::ports::{PRESENCE_FEED_EVENTS_MAX, PresenceChange, PresenceEvent};
use chat_core::proto::people::Status;

use super::factory::OpenedPresenceBus;
use super::report::{
    announce, gone, here, here_as, join, next, next_within, offline, online, says, shown, state,
    status, transition, unwatch, watch,
};
use crate::names::{fresh_node, fresh_user};

/// Arrivals, statuses and departures of one user, watched by two nodes; of one call and of several.
pub async fn watched_transitions_are_fed_in_order(opened: OpenedPresenceBus) {
    let (bus, alice) = (&opened.bus, fresh_user("alice"));
    let (node, far) = ((fresh_node("a"), 1), fresh_node("b"));
    let (mut near_feed, mut far_feed) = (join(bus, &node.0).await, join(bus, &far).await);
    watch(bus, &node.0, &alice).await;
    watch(bus, &far, &alice).await;
    let away = |rev| status(Status::Away, Some("lunch"), rev);
    let steps = [
        here(&alice, &node, 0),
        says(&alice, &node, away(1), 1),
        gone(&alice, &node, 2),
        here_as(&alice, &node, away(1), 3),
        says(&alice, &node, status(Status::Invisible, None, 2), 4),
    ];
    let mut expected = Vec::new();
    for step in &steps {
        announce(bus, std::slice::from_ref(step)).await;
        expected.push(state(bus, &alice).await);
    }
    for feed in [&mut near_feed, &mut far_feed] {
        for expected in &expected {
            assert_eq!(
                transition(feed).await,
                *expected,
                "each transition of a watched user is fed, in order, as it was"
            );
        }
    }
    let many: Vec<PresenceChange> = (0..20)
        .flat_map(|tick| {
            let online = status(Status::Online, None, 3);
            [
                here_as(&alice, &node, online, 10 + tick),
                gone(&alice, &node, 10 + tick),
            ]
        })
        .collect();
    announce(bus, &many).await;
    let mut last = expected.last().expect("there were steps").rev;
    for _ in &many {
        let rev = transition(&mut far_feed).await.rev;
        assert!(
            rev > last,
            "each transition of a watched user is fed, in order, once"
        );
        last = rev;
    }
    assert_eq!(state(bus, &alice).await.rev, last);
}

/// A node that watches somebody else, one that watches nobody, and one that watches later.
pub async fn only_watchers_are_fed(opened: OpenedPresenceBus) {
    let (bus, node) = (&opened.bus, (fresh_node("a"), 1));
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let other = fresh_node("b");
    let (mut feed, mut other_feed) = (join(bus, &node.0).await, join(bus, &other).await);
    watch(bus, &node.0, &bob).await;
    announce(bus, &[here(&alice, &node, 0)]).await;
    watch(bus, &node.0, &alice).await;
    watch(bus, &other, &alice).await;
    announce(bus, &[gone(&alice, &node, 1)]).await;
    for feed in [&mut feed, &mut other_feed] {
        assert_eq!(
            transition(feed).await.shown,
            offline(&alice, Some(1)),
            "who did not watch a user is fed nothing of them"
        );
    }
}

/// Repetitions, second nodes, older statuses, and what an invisible user does.
pub async fn what_nobody_sees_is_not_fed(opened: OpenedPresenceBus) {
    let (bus, alice) = (&opened.bus, fresh_user("alice"));
    let (one, other) = ((fresh_node("a"), 1), (fresh_node("b"), 1));
    let mut feed = join(bus, &one.0).await;
    watch(bus, &one.0, &alice).await;
    let hidden = || status(Status::Invisible, None, 2);
    let unseen = [
        vec![here(&alice, &one, 0), here(&alice, &other, 1)],
        vec![
            here(&alice, &one, 1),
            gone(&alice, &one, 2),
            gone(&alice, &one, 2),
        ],
        vec![says(&alice, &one, status(Status::Online, None, 1), 3)],
        vec![
            says(&alice, &one, hidden(), 4),
            gone(&alice, &other, 5),
            here_as(&alice, &other, hidden(), 6),
        ],
    ];
    for changes in &unseen {
        announce(bus, changes).await;
    }
    announce(
        bus,
        &[says(&alice, &one, status(Status::Online, None, 3), 7)],
    )
    .await;
    for expected in [online(&alice), offline(&alice, Some(4)), online(&alice)] {
        assert_eq!(
            transition(&mut feed).await.shown,
            expected,
            "a change that nobody sees is not fed"
        );
    }
}

/// Watched twice, fed once; and one unwatch ends it.
pub async fn watching_twice_is_once(opened: OpenedPresenceBus) {
    let (bus, alice, node) = (&opened.bus, fresh_user("alice"), (fresh_node("a"), 1));
    let mut feed = join(bus, &node.0).await;
    for _ in 0..3 {
        watch(bus, &node.0, &alice).await;
    }
    announce(bus, &[here(&alice, &node, 0), gone(&alice, &node, 1)]).await;
    for expected in [online(&alice), offline(&alice, Some(1))] {
        assert_eq!(
            transition(&mut feed).await.shown,
            expected,
            "watching twice feeds once"
        );
    }
    unwatch(bus, &node.0, &alice).await;
    announce(bus, &[here(&alice, &node, 2)]).await;
    watch(bus, &node.0, &alice).await;
    announce(bus, &[gone(&alice, &node, 3)]).await;
    assert_eq!(
        transition(&mut feed).await.shown,
        offline(&alice, Some(3)),
        "one end ends a watch, however often it was begun"
    );
}

/// A watch that ends while another user's goes on, and another node's.
pub async fn unwatched_users_are_not_fed(opened: OpenedPresenceBus) {
    let (bus, node, other) = (&opened.bus, (fresh_node("a"), 1), fresh_node("b"));
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let (mut feed, mut other_feed) = (join(bus, &node.0).await, join(bus, &other).await);
    for user in [&alice, &bob] {
        watch(bus, &node.0, user).await;
        watch(bus, &other, user).await;
    }
    unwatch(bus, &node.0, &alice).await;
    // Twice changes nothing, nor does the end of what never began.
    unwatch(bus, &node.0, &alice).await;
    unwatch(bus, &node.0, &fresh_user("carol")).await;
    announce(bus, &[here(&alice, &node, 0), here(&bob, &node, 0)]).await;
    assert_eq!(
        transition(&mut feed).await.shown,
        online(&bob),
        "who watches a user no longer is fed nothing more of them"
    );
    let fed = transition(&mut other_feed).await.shown;
    assert!(
        fed == online(&alice) || fed == online(&bob),
        "another node's watch goes on"
    );
    let fed_next = transition(&mut other_feed).await.shown;
    assert_ne!(fed, fed_next, "another node's watches go on");
}

/// A node that is restarted under its name.
pub async fn joining_again_begins_anew(opened: OpenedPresenceBus) {
    let (bus, alice, node) = (&opened.bus, fresh_user("alice"), (fresh_node("a"), 1));
    let mut former = join(bus, &node.0).await;
    watch(bus, &node.0, &alice).await;
    let mut feed = join(bus, &node.0).await;
    assert_eq!(
        next(&mut former).await,
        None,
        "a node that joins again has one feed"
    );
    announce(bus, &[here(&alice, &node, 0)]).await;
    watch(bus, &node.0, &alice).await;
    announce(bus, &[gone(&alice, &node, 1)]).await;
    assert_eq!(
        transition(&mut feed).await.shown,
        offline(&alice, Some(1)),
        "a node that joins again begins with nothing watched"
    );
}

/// More transitions than a feed holds while nobody reads it; one who reads beside it.
pub async fn a_full_feed_says_that_it_missed(opened: OpenedPresenceBus) {
    let (bus, alice, node) = (&opened.bus, fresh_user("alice"), (fresh_node("a"), 1));
    let mut feed = join(bus, &node.0).await;
    watch(bus, &node.0, &alice).await;
    let flaps: Vec<PresenceChange> = (0..PRESENCE_FEED_EVENTS_MAX as u64)
        .flat_map(|tick| [here(&alice, &node, tick), gone(&alice, &node, tick)])
        .collect();
    announce(bus, &flaps).await;
    // There is room again for the newest state, and none was made for those in between.
    let mut fed = 2;
    transition(&mut feed).await;
    transition(&mut feed).await;
    announce(bus, &[here(&alice, &node, 9_999)]).await;
    let newest = state(bus, &alice).await;
    let told = loop {
        match next_within(&mut feed).await {
            Ok(Some(PresenceEvent::Changed(presence))) if presence == newest => break false,
            Ok(Some(PresenceEvent::Changed(_))) => fed += 1,
            Ok(Some(PresenceEvent::Missed | PresenceEvent::Restarted) | None) => break true,
            Err(_) => break false,
        }
    };
    assert!(
        told || fed == flaps.len(),
        "what a full feed leaves out is followed by word of it: {fed} of {} came",
        flaps.len()
    );
}

/// A registry that forgets who was here, with a watcher and a node that joins afterwards.
pub async fn a_restarted_registry_says_so(opened: OpenedPresenceBus) {
    let (bus, alice, node) = (&opened.bus, fresh_user("alice"), (fresh_node("a"), 1));
    let mut feed = join(bus, &node.0).await;
    watch(bus, &node.0, &alice).await;
    announce(bus, &[here(&alice, &node, 0)]).await;
    let before = transition(&mut feed).await;
    (opened.restart)().await;
    assert_eq!(shown(bus, &alice).await, offline(&alice, None));
    announce(bus, &[here(&alice, &node, 1)]).await;
    let after = match next(&mut feed).await {
        Some(PresenceEvent::Restarted) => transition(&mut feed).await,
        // An ended feed says as much: the node joins anew.
        None => state(bus, &alice).await,
        other => panic!("a registry that lost what it held says so first, not {other:?}"),
    };
    assert_eq!(after.shown, online(&alice), "what was watched still is");
    assert!(
        after.rev > before.rev,
        "a new generation is above the former one: {:?} after {:?}",
        after.rev,
        before.rev
    );
}
