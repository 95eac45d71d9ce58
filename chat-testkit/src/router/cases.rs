//! The cases.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::Envelope;

use super::factory::{NODES, OpenedRouter};
use super::fleet::{Fleet, numbered};
use super::payloads::payloads;
use crate::names::{fresh_channel, fresh_user};

/// Users on one node, on two, on none; named once each, from the first moment on.
pub async fn attached_is_located(opened: OpenedRouter) {
    let fleet = Fleet::join(&opened).await;
    let users = ["alice", "bob", "carol"].map(fresh_user);
    for (node, user) in [(1, 0), (2, 0), (2, 1)] {
        fleet.attach(node, &users[user]).await;
        assert!(
            fleet
                .locate(0, &users[user..=user])
                .await
                .contains(fleet.name(node)),
            "an attached user is located at once"
        );
    }
    let all = BTreeSet::from([fleet.name(1).clone(), fleet.name(2).clone()]);
    assert_eq!(
        fleet.locate(0, &users).await,
        all,
        "the nodes of several users are named"
    );
    assert_eq!(
        fleet.locate(0, &users[2..]).await,
        BTreeSet::new(),
        "who is attached nowhere is located nowhere"
    );
    assert_eq!(fleet.locate(0, &[]).await, BTreeSet::new());
}

/// A user who left one of two nodes, then the other; and everybody of a node that left.
pub async fn detached_is_not_located(opened: OpenedRouter) {
    let fleet = Fleet::join(&opened).await;
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    for (node, user) in [(1, &alice), (2, &alice), (1, &bob)] {
        fleet.attach(node, user).await;
    }
    fleet.detach(1, &alice).await;
    assert_eq!(
        fleet.locate(0, std::slice::from_ref(&alice)).await,
        BTreeSet::from([fleet.name(2).clone()]),
        "a user is not located where they were detached"
    );
    fleet.detach(2, &alice).await;
    assert_eq!(
        fleet.locate(0, std::slice::from_ref(&alice)).await,
        BTreeSet::new(),
        "a user who was detached everywhere is located nowhere"
    );
    assert_eq!(
        fleet.locate(0, &[alice, bob.clone()]).await,
        BTreeSet::from([fleet.name(1).clone()]),
        "another user stays attached"
    );
    let left = opened.routers[1].leave(fleet.name(1)).await;
    left.expect("the router answers");
    assert_eq!(
        fleet.locate(0, &[bob]).await,
        BTreeSet::new(),
        "a node that left serves nobody"
    );
}

/// One user attached three times and detached as often, and once more than that.
pub async fn attachments_are_counted(opened: OpenedRouter) {
    let fleet = Fleet::join(&opened).await;
    let alice = fresh_user("alice");
    let users = std::slice::from_ref(&alice);
    let there = BTreeSet::from([fleet.name(1).clone()]);
    for _ in 0..3 {
        fleet.attach(1, &alice).await;
    }
    for left in [2, 1] {
        fleet.detach(1, &alice).await;
        assert_eq!(
            fleet.locate(0, users).await,
            there,
            "a user with {left} attachments left is still there"
        );
    }
    fleet.detach(1, &alice).await;
    assert_eq!(fleet.locate(0, users).await, BTreeSet::new());
    fleet.detach(1, &alice).await;
    fleet.attach(1, &alice).await;
    assert_eq!(
        fleet.locate(0, users).await,
        there,
        "a detachment too many is not owed by the next attachment"
    );
}

/// A user on the asking node only, and on another too.
pub async fn locate_leaves_out_the_asker(opened: OpenedRouter) {
    let fleet = Fleet::join(&opened).await;
    let alice = fresh_user("alice");
    let users = std::slice::from_ref(&alice);
    fleet.attach(0, &alice).await;
    assert_eq!(
        fleet.locate(0, users).await,
        BTreeSet::new(),
        "the asking node is not named"
    );
    fleet.attach(1, &alice).await;
    for (asker, other) in [(0, 1), (1, 0)] {
        assert_eq!(
            fleet.locate(asker, users).await,
            BTreeSet::from([fleet.name(other).clone()]),
            "the other node is named, the asking one is not"
        );
    }
}

/// One of every kind, directly and by a topic, compared with what was sent.
pub async fn envelopes_arrive_as_they_were_sent(opened: OpenedRouter) {
    let mut fleet = Fleet::join(&opened).await;
    let channel = fresh_channel();
    fleet.join_topic(0, channel).await;
    for payload in payloads(channel) {
        let sent = Arc::new(Envelope {
            from: fleet.name(1).clone(),
            payload,
        });
        let router = &opened.routers[1];
        let direct = router.publish(fleet.name(0), Arc::clone(&sent)).await;
        direct.expect("the router answers");
        let on_topic = router.publish_topic(channel, Arc::clone(&sent)).await;
        on_topic.expect("the router answers");
        for _ in 0..2 {
            let came = fleet.envelope(0).await;
            assert_eq!(
                format!("{came:?}"),
                format!("{sent:?}"),
                "an envelope arrives as it was sent"
            );
        }
    }
}

/// Two senders to one receiver, directly and by a topic: each sender's envelopes in order, each once.
pub async fn envelopes_keep_their_order(opened: OpenedRouter) {
    const EACH: u64 = 200;
    let mut fleet = Fleet::join(&opened).await;
    let channel = fresh_channel();
    fleet.join_topic(0, channel).await;
    let senders = [1, 2].map(|node: usize| {
        let (router, from) = (Arc::clone(&opened.routers[node]), fleet.name(node).clone());
        let to = fleet.name(0).clone();
        tokio::spawn(async move {
            for number in 1..=EACH {
                let envelope = numbered(&from, channel, number);
                let sent = if number % 3 == 0 {
                    router.publish_topic(channel, envelope).await
                } else {
                    router.publish(&to, envelope).await
                };
                sent.expect("the router answers");
            }
        })
    });
    let mut last = [0; NODES];
    while last[1] < EACH || last[2] < EACH {
        let (from, number) = fleet.receive(0).await;
        assert_eq!(
            number,
            last[from] + 1,
            "envelopes of one sender arrive in the order sent, each once"
        );
        last[from] = number;
    }
    crate::case::join_all(senders).await;
    fleet.assert_silent(0).await;
}

/// A node joins, hears, leaves the topic and hears no more; other topics are not heard.
pub async fn joined_topics_are_heard(opened: OpenedRouter) {
    let mut fleet = Fleet::join(&opened).await;
    let (channel, other) = (fresh_channel(), fresh_channel());
    fleet.publish_topic(0, channel, 1).await;
    fleet.join_topic(1, channel).await;
    fleet.publish_topic(0, channel, 2).await;
    fleet.publish_topic(0, other, 3).await;
    assert_eq!(
        fleet.receive(1).await,
        (0, 2),
        "what is published after joining is heard, from the first envelope on"
    );
    fleet.join_topic(2, channel).await;
    fleet.publish_topic(0, channel, 4).await;
    for node in [1, 2] {
        assert_eq!(
            fleet.receive(node).await,
            (0, 4),
            "every node on the topic hears"
        );
    }
    let left = opened.routers[1].leave_topic(fleet.name(1), channel).await;
    left.expect("the router answers");
    fleet.publish_topic(0, channel, 5).await;
    assert_eq!(fleet.receive(2).await, (0, 5));
    fleet.assert_silent(1).await;
}

/// A publisher on its own topic.
pub async fn a_publisher_does_not_hear_itself(opened: OpenedRouter) {
    let mut fleet = Fleet::join(&opened).await;
    let channel = fresh_channel();
    for node in 0..NODES {
        fleet.join_topic(node, channel).await;
    }
    for publisher in 0..NODES {
        fleet.publish_topic(publisher, channel, 1).await;
        for listener in (0..NODES).filter(|node| *node != publisher) {
            assert_eq!(fleet.receive(listener).await, (publisher, 1));
        }
        fleet.assert_silent(publisher).await;
    }
}

/// A node that reads nothing, sent far more than any queue holds: the sender goes on, the others hear, and what waits
/// for the slow one is the beginning, in order.
pub async fn a_full_receiver_stops_nobody(opened: OpenedRouter) {
    const FLOOD: u64 = 20_000;
    let mut fleet = Fleet::join(&opened).await;
    let channel = fresh_channel();
    for node in [1, 2] {
        fleet.join_topic(node, channel).await;
    }
    for number in 1..=FLOOD {
        fleet.publish(0, 1, channel, number).await;
    }
    fleet.publish_topic(0, channel, FLOOD + 1).await;
    assert_eq!(
        fleet.receive(2).await,
        (0, FLOOD + 1),
        "another node hears while one is full"
    );
    let mut last = 0;
    while let Ok(envelope) = fleet.feeds[1].try_recv() {
        let (_, number) = fleet.read(&envelope);
        assert!(
            number > last,
            "what a full node was sent is in order: {number} after {last}"
        );
        last = number;
    }
    assert!(last > 0, "a full node holds what came before it was full");
}
