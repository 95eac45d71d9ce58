//! Cases of how users want to be seen.

use chat_core::proto::people::{Shown, Status};

use super::factory::OpenedPresenceBus;
use super::report::{announce, gone, here_as, offline, online, says, seen, shown, status};
use crate::names::{fresh_node, fresh_user};

/// Statuses that overtake each other: with an arrival, on another node, and by themselves.
pub async fn the_newest_status_stands(opened: OpenedPresenceBus) {
    let (bus, alice) = (&opened.bus, fresh_user("alice"));
    let (one, other) = ((fresh_node("a"), 1), (fresh_node("b"), 1));
    let busy = status(Status::Busy, Some("writing"), 2);
    announce(bus, &[here_as(&alice, &one, busy, 0)]).await;
    let expected = seen(&alice, Shown::Busy, Some("writing"));
    assert_eq!(shown(bus, &alice).await, expected);
    let older = status(Status::Away, Some("lunch"), 1);
    for late in [
        here_as(&alice, &other, older.clone(), 1),
        here_as(&alice, &one, older.clone(), 1),
        says(&alice, &other, older, 1),
    ] {
        announce(bus, &[late]).await;
        assert_eq!(
            shown(bus, &alice).await,
            expected,
            "a status of a lower rev does not take the place of a newer one"
        );
    }
    announce(bus, &[gone(&alice, &one, 2)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        expected,
        "a status is the user's, not the node's that reported it"
    );
    let newest = status(Status::Away, None, 3);
    announce(bus, &[says(&alice, &one, newest, 3)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        seen(&alice, Shown::Away, None),
        "a node without the user may report their status"
    );
    // A status that overtakes the coming of its user, who was nowhere.
    let bob = fresh_user("bob");
    let (older, newer) = (status(Status::Away, None, 1), status(Status::Busy, None, 2));
    announce(bus, &[says(&bob, &other, newer, 4)]).await;
    announce(bus, &[here_as(&bob, &one, older, 5)]).await;
    assert_eq!(
        shown(bus, &bob).await,
        seen(&bob, Shown::Busy, None),
        "a status of a lower rev does not take the place of a newer one"
    );
}

/// Of a user whom nobody has seen, and of one who has gone.
pub async fn a_status_brings_nobody_online(opened: OpenedPresenceBus) {
    let (bus, life) = (&opened.bus, (fresh_node("a"), 1));
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let busy = |rev| status(Status::Busy, Some("here"), rev);
    announce(bus, &[says(&alice, &life, busy(1), 0)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, None),
        "a status alone brings nobody online"
    );
    announce(
        bus,
        &[here_as(&bob, &life, busy(1), 0), gone(&bob, &life, 2)],
    )
    .await;
    announce(bus, &[says(&bob, &life, busy(2), 5)]).await;
    assert_eq!(
        shown(bus, &bob).await,
        offline(&bob, Some(2)),
        "a status is no sign of life"
    );
}

/// Invisible from the first moment, and later on.
pub async fn the_invisible_are_seen_as_offline(opened: OpenedPresenceBus) {
    let (bus, life) = (&opened.bus, (fresh_node("a"), 1));
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let hidden = |rev| status(Status::Invisible, Some("psst"), rev);
    announce(bus, &[here_as(&alice, &life, hidden(1), 0)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, None),
        "who comes invisible was never seen"
    );
    let open = |rev| status(Status::Online, None, rev);
    announce(bus, &[here_as(&bob, &life, open(1), 0)]).await;
    announce(bus, &[here_as(&bob, &life, hidden(2), 4)]).await;
    assert_eq!(
        shown(bus, &bob).await,
        offline(&bob, Some(4)),
        "who becomes invisible goes"
    );
    for user in [&alice, &bob] {
        announce(bus, &[says(user, &life, open(3), 5)]).await;
        assert_eq!(
            shown(bus, user).await,
            online(user),
            "who is invisible is here all the same"
        );
    }
}

/// An invisible user leaves one of two nodes, then both, and comes back to each.
pub async fn last_seen_is_frozen_while_invisible(opened: OpenedPresenceBus) {
    let (bus, alice) = (&opened.bus, fresh_user("alice"));
    let (one, other) = ((fresh_node("a"), 1), (fresh_node("b"), 1));
    let hidden = || status(Status::Invisible, None, 2);
    let open = |rev| status(Status::Online, None, rev);
    announce(bus, &[here_as(&alice, &one, open(1), 0)]).await;
    announce(bus, &[here_as(&alice, &other, hidden(), 3)]).await;
    for change in [
        gone(&alice, &one, 5),
        gone(&alice, &other, 6),
        here_as(&alice, &one, hidden(), 7),
        gone(&alice, &one, 8),
        says(&alice, &one, open(3), 9),
    ] {
        announce(bus, &[change]).await;
        assert_eq!(
            shown(bus, &alice).await,
            offline(&alice, Some(3)),
            "an invisible user was last seen when they became so"
        );
    }
    announce(bus, &[here_as(&alice, &one, open(3), 10)]).await;
    announce(bus, &[gone(&alice, &one, 12)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, Some(12)),
        "who is seen again is last seen again"
    );
}
