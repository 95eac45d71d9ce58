//! Cases of who is where.

use chat_core::ports::PresenceChange;

use super::factory::OpenedPresenceBus;
use super::report::{announce, gone, here, offline, online, shown, state};
use crate::names::{fresh_node, fresh_user};

/// Two nodes and two lives of one of them, announced together, taken back one by one.
pub async fn online_until_the_last_node_is_gone(opened: OpenedPresenceBus) {
    let (bus, alice, bob) = (&opened.bus, fresh_user("alice"), fresh_user("bob"));
    let lives = [(fresh_node("a"), 1), (fresh_node("b"), 1)];
    let lives = [&lives[..], &[(lives[0].0.clone(), 2)]].concat();
    let arrivals: Vec<PresenceChange> = lives.iter().map(|life| here(&alice, life, 0)).collect();
    announce(bus, &arrivals).await;
    for (tick, life) in lives.iter().enumerate() {
        assert_eq!(
            shown(bus, &alice).await,
            online(&alice),
            "a user is online while any node's life announces them"
        );
        announce(bus, &[gone(&alice, life, tick as u64 + 1)]).await;
    }
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, Some(3)),
        "a user whom every node took back is offline since the last sign of life"
    );
    assert_eq!(
        shown(bus, &bob).await,
        offline(&bob, None),
        "one user's presence is no other's"
    );
    announce(bus, &[here(&alice, &lives[0], 9)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        online(&alice),
        "a user may return"
    );
}

/// Arrivals and departures, each announced twice, in one call and in two.
pub async fn announcing_twice_is_once(opened: OpenedPresenceBus) {
    let (bus, alice) = (&opened.bus, fresh_user("alice"));
    let life = (fresh_node("a"), 7);
    let arrival = here(&alice, &life, 0);
    announce(bus, &[arrival.clone(), arrival.clone()]).await;
    announce(bus, &[arrival]).await;
    assert_eq!(shown(bus, &alice).await, online(&alice));
    let departure = gone(&alice, &life, 5);
    announce(bus, std::slice::from_ref(&departure)).await;
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, Some(5)),
        "what was announced three times is taken back by one departure"
    );
    announce(bus, &[departure.clone(), departure]).await;
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, Some(5)),
        "a departure announced again changes nothing"
    );
    announce(bus, &[]).await;
}

/// Departures told by another node, by an earlier life, and of a user who never came.
pub async fn a_stranger_cannot_take_back(opened: OpenedPresenceBus) {
    let (bus, alice, bob) = (&opened.bus, fresh_user("alice"), fresh_user("bob"));
    let (node, other) = (fresh_node("a"), fresh_node("b"));
    announce(bus, &[here(&alice, &(node.clone(), 2), 0)]).await;
    for stranger in [(other, 2), (node.clone(), 1), (node.clone(), 3)] {
        announce(bus, &[gone(&alice, &stranger, 9)]).await;
        assert_eq!(
            shown(bus, &alice).await,
            online(&alice),
            "who did not announce a user cannot take them back"
        );
    }
    announce(bus, &[gone(&bob, &(node.clone(), 2), 9)]).await;
    assert_eq!(
        shown(bus, &bob).await,
        offline(&bob, None),
        "taking back what was not announced changes nothing"
    );
    announce(bus, &[gone(&alice, &(node, 2), 3)]).await;
    assert_eq!(
        shown(bus, &alice).await,
        offline(&alice, Some(3)),
        "a stranger's departure is no sign of life"
    );
}

/// Users who are here, gone and unknown, in several orders, one of them twice.
pub async fn states_in_order(opened: OpenedPresenceBus) {
    let bus = &opened.bus;
    let (present, left, unknown) = (
        fresh_user("here"),
        fresh_user("gone"),
        fresh_user("unknown"),
    );
    let life = (fresh_node("a"), 1);
    let changes = [
        here(&present, &life, 0),
        here(&left, &life, 0),
        gone(&left, &life, 4),
    ];
    announce(bus, &changes).await;
    let expected = [
        online(&present),
        offline(&left, Some(4)),
        offline(&unknown, None),
    ];
    for order in [[0, 1, 2, 0], [2, 1, 0, 1], [1, 2, 2, 0]] {
        let asked = order.map(|place| expected[place].user.clone());
        let states = bus.states(&asked).await.expect("the bus answers");
        let states: Vec<_> = states.into_iter().map(|state| state.shown).collect();
        assert_eq!(
            states,
            order.map(|place| expected[place].clone()),
            "states come in the order asked, one a user"
        );
    }
    assert_eq!(bus.states(&[]).await.expect("the bus answers"), []);
}

/// Two users come and go, in two lives of the registry.
pub async fn revs_rise_over_generations(opened: OpenedPresenceBus) {
    let (bus, life) = (&opened.bus, (fresh_node("a"), 1));
    let users = [fresh_user("alice"), fresh_user("bob")];
    let mut last = [
        state(bus, &users[0]).await.rev,
        state(bus, &users[1]).await.rev,
    ];
    for _generation in 0..2 {
        for tick in 0..6 {
            for (user, last) in users.iter().zip(&mut last) {
                let change = if tick % 2 == 0 {
                    here(user, &life, tick)
                } else {
                    gone(user, &life, tick)
                };
                announce(bus, &[change]).await;
                let rev = state(bus, user).await.rev;
                assert!(
                    rev > *last,
                    "a transition has a higher rev than the one before: {rev:?} after {last:?}"
                );
                *last = rev;
            }
        }
        (opened.restart)().await;
    }
}
