//! The cases.

use std::sync::Arc;

use chat_core::ports::{PresenceBus, PresenceChange, UserPresence};
use chat_core::proto::{NodeId, Timestamp, UserId};

use super::factory::OpenedPresenceBus;
use crate::log_writer::{START, TICK_MS};
use crate::names::{fresh_node, fresh_user};

/// Two nodes and two lives of one of them, announced together, taken back one by one.
pub async fn online_until_the_last_node_is_gone(opened: OpenedPresenceBus) {
    let (bus, alice, bob) = (&opened.bus, fresh_user("alice"), fresh_user("bob"));
    let lives = [(fresh_node("a"), 1), (fresh_node("b"), 1)];
    let lives = [&lives[..], &[(lives[0].0.clone(), 2)]].concat();
    let arrivals: Vec<PresenceChange> = lives
        .iter()
        .map(|life| change(&alice, life, true, 0))
        .collect();
    announce(bus, &arrivals).await;
    for (tick, life) in lives.iter().enumerate() {
        assert_eq!(
            state(bus, &alice).await,
            online(&alice),
            "a user is online while any node's life announces them"
        );
        announce(bus, &[change(&alice, life, false, tick as u64 + 1)]).await;
    }
    assert_eq!(
        state(bus, &alice).await,
        offline(&alice, Some(3)),
        "a user whom every node took back is offline since the last sign of life"
    );
    assert_eq!(
        state(bus, &bob).await,
        offline(&bob, None),
        "one user's presence is no other's"
    );
    announce(bus, &[change(&alice, &lives[0], true, 9)]).await;
    assert_eq!(
        state(bus, &alice).await,
        online(&alice),
        "a user may return"
    );
}

/// Arrivals and departures, each announced twice, in one call and in two.
pub async fn announcing_twice_is_once(opened: OpenedPresenceBus) {
    let (bus, alice) = (&opened.bus, fresh_user("alice"));
    let life = (fresh_node("a"), 7);
    let arrival = change(&alice, &life, true, 0);
    announce(bus, &[arrival.clone(), arrival.clone()]).await;
    announce(bus, &[arrival]).await;
    assert_eq!(state(bus, &alice).await, online(&alice));
    let departure = change(&alice, &life, false, 5);
    announce(bus, std::slice::from_ref(&departure)).await;
    assert_eq!(
        state(bus, &alice).await,
        offline(&alice, Some(5)),
        "what was announced three times is taken back by one departure"
    );
    announce(bus, &[departure.clone(), departure]).await;
    assert_eq!(
        state(bus, &alice).await,
        offline(&alice, Some(5)),
        "a departure announced again changes nothing"
    );
    announce(bus, &[]).await;
}

/// Departures told by another node, by an earlier life, and of a user who never came.
pub async fn a_stranger_cannot_take_back(opened: OpenedPresenceBus) {
    let (bus, alice, bob) = (&opened.bus, fresh_user("alice"), fresh_user("bob"));
    let (node, other) = (fresh_node("a"), fresh_node("b"));
    announce(bus, &[change(&alice, &(node.clone(), 2), true, 0)]).await;
    for stranger in [(other, 2), (node.clone(), 1), (node.clone(), 3)] {
        announce(bus, &[change(&alice, &stranger, false, 9)]).await;
        assert_eq!(
            state(bus, &alice).await,
            online(&alice),
            "who did not announce a user cannot take them back"
        );
    }
    announce(bus, &[change(&bob, &(node.clone(), 2), false, 9)]).await;
    assert_eq!(
        state(bus, &bob).await,
        offline(&bob, None),
        "taking back what was not announced changes nothing"
    );
    announce(bus, &[change(&alice, &(node, 2), false, 3)]).await;
    assert_eq!(
        state(bus, &alice).await,
        offline(&alice, Some(3)),
        "a stranger's departure is no sign of life"
    );
}

/// Users who are here, gone and unknown, in several orders, one of them twice.
pub async fn states_in_order(opened: OpenedPresenceBus) {
    let bus = &opened.bus;
    let (here, gone, unknown) = (
        fresh_user("here"),
        fresh_user("gone"),
        fresh_user("unknown"),
    );
    let life = (fresh_node("a"), 1);
    announce(
        bus,
        &[
            change(&here, &life, true, 0),
            change(&gone, &life, true, 0),
            change(&gone, &life, false, 4),
        ],
    )
    .await;
    let expected = [
        online(&here),
        offline(&gone, Some(4)),
        offline(&unknown, None),
    ];
    for order in [[0, 1, 2, 0], [2, 1, 0, 1], [1, 2, 2, 0]] {
        let asked = order.map(|place| expected[place].user.clone());
        let states = bus.states(&asked).await.expect("the bus answers");
        assert_eq!(
            states,
            order.map(|place| expected[place].clone()),
            "states come in the order asked, one a user"
        );
    }
    assert_eq!(bus.states(&[]).await.expect("the bus answers"), []);
}

async fn announce(bus: &Arc<dyn PresenceBus>, changes: &[PresenceChange]) {
    bus.announce(changes).await.expect("the bus answers");
}

async fn state(bus: &Arc<dyn PresenceBus>, user: &UserId) -> UserPresence {
    let states = bus.states(std::slice::from_ref(user)).await;
    let mut states = states.expect("the bus answers");
    assert_eq!(states.len(), 1, "one state a user");
    states.remove(0)
}

fn change(user: &UserId, life: &(NodeId, u64), online: bool, tick: u64) -> PresenceChange {
    PresenceChange {
        user: user.clone(),
        node: life.0.clone(),
        node_epoch: life.1,
        online,
        at: at(tick),
    }
}

fn online(user: &UserId) -> UserPresence {
    UserPresence {
        user: user.clone(),
        online: true,
        last_seen: None,
    }
}

fn offline(user: &UserId, last_seen_tick: Option<u64>) -> UserPresence {
    UserPresence {
        user: user.clone(),
        online: false,
        last_seen: last_seen_tick.map(at),
    }
}

fn at(tick: u64) -> Timestamp {
    Timestamp(START.0 + tick * TICK_MS)
}
