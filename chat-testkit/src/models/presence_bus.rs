//! A `PresenceBus` held to its model.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_core::ports::{
    KeptStatus, PortErrorKind, PresenceChange, PresenceEvent, PresenceFeed, PresenceRev,
    PresenceStep, UserPresence,
};
use chat_core::proto::people::Shown;
use chat_core::proto::{NodeId, UserId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::registry::{LIVES, NODES, PresenceBusStep, REVS, Registry, Report, USERS};
use super::runner::Model;
use crate::log_writer::START;
use crate::names::{fresh_node, fresh_users};
use crate::presence_bus::OpenedPresenceBus;

/// An event that has not reached a feed by then does not reach it.
const EVENT_SECONDS_MAX: u64 = 5;

/// The model of `PresenceBus`.
pub struct PresenceBusModel;

/// The bus, with the feeds of its nodes.
pub struct Subject {
    opened: OpenedPresenceBus,
    feeds: BTreeMap<usize, PresenceFeed>,
    /// What each node must hear, as the model said before the step.
    before: Registry,
    /// The last rev of each user.
    revs: [PresenceRev; USERS],
    /// For each node somebody whom it alone watches, and who comes and goes when it reads, so that all that was fed
    /// before is known to have come.
    last: Vec<UserId>,
    last_node: NodeId,
}

impl ReferenceStateMachine for PresenceBusModel {
    type State = Registry;
    type Transition = PresenceBusStep;

    fn init_state() -> BoxedStrategy<Registry> {
        Just(()).prop_map(|()| Registry::fresh()).boxed()
    }

    fn transitions(_: &Registry) -> BoxedStrategy<PresenceBusStep> {
        let node = 0..NODES;
        let some = || vec(0..USERS, 1..=USERS);
        let report = prop_oneof![
            3 => (0..REVS).prop_map(Report::Here),
            3 => Just(Report::Gone),
            2 => (1..REVS).prop_map(Report::Says),
        ];
        let announce =
            (0..USERS, node.clone(), 0..LIVES, report).prop_map(|(user, node, life, report)| {
                PresenceBusStep::Announce {
                    user,
                    node,
                    life,
                    report,
                }
            });
        prop_oneof![
            12 => announce,
            1 => node.clone().prop_map(PresenceBusStep::Join),
            5 => (node.clone(), some()).prop_map(|(node, users)| PresenceBusStep::Watch(node, users)),
            4 => (node.clone(), some()).prop_map(|(node, users)| PresenceBusStep::Unwatch(node, users)),
            4 => node.prop_map(PresenceBusStep::Read),
            1 => Just(PresenceBusStep::Restart),
        ]
        .boxed()
    }

    fn preconditions(state: &Registry, step: &PresenceBusStep) -> bool {
        match step {
            PresenceBusStep::Announce { user, report, .. } => {
                !matches!(report, Report::Says(_)) || state.knows(*user)
            }
            PresenceBusStep::Unwatch(node, _) | PresenceBusStep::Read(node) => {
                state.watched.contains_key(node)
            }
            PresenceBusStep::Join(_) | PresenceBusStep::Watch(..) | PresenceBusStep::Restart => {
                true
            }
        }
    }

    fn apply(mut state: Registry, step: &PresenceBusStep) -> Registry {
        state.apply(step);
        state
    }
}

impl Model for PresenceBusModel {
    type Opened = OpenedPresenceBus;
    type Subject = Subject;

    fn fresh() -> Registry {
        Registry::fresh()
    }

    async fn begin(opened: OpenedPresenceBus, state: &Registry) -> Subject {
        Subject {
            opened,
            feeds: BTreeMap::new(),
            before: state.clone(),
            revs: [PresenceRev::default(); USERS],
            last: fresh_users("last", NODES),
            last_node: fresh_node("last"),
        }
    }

    async fn step(mut subject: Subject, after: &Registry, step: PresenceBusStep) -> Subject {
        subject.take(after, step).await;
        subject.compare(after).await;
        subject.before = after.clone();
        subject
    }
}

impl Subject {
    async fn take(&mut self, model: &Registry, step: PresenceBusStep) {
        match step {
            PresenceBusStep::Announce {
                user,
                node,
                life,
                report,
            } => {
                self.announce(model.change(user, node, life, report)).await;
            }
            PresenceBusStep::Join(node) => {
                let former = self.feeds.remove(&node);
                self.join(model, node).await;
                if let Some(mut former) = former {
                    for expected in &self.before.waiting[&node] {
                        let shown = transition(next(&mut former).await).shown;
                        assert_eq!(
                            shown, *expected,
                            "what was fed before the node joined again"
                        );
                    }
                    assert_eq!(next(&mut former).await, None, "the former feed ends");
                }
            }
            PresenceBusStep::Watch(node, users) => self.watch(model, node, &users).await,
            PresenceBusStep::Unwatch(node, users) => {
                let users: Vec<UserId> = users
                    .iter()
                    .map(|user| model.users[*user].clone())
                    .collect();
                let ended = self.opened.bus.unwatch(&model.nodes[node], &users).await;
                ended.expect("the bus answers");
            }
            PresenceBusStep::Read(node) => self.read(node).await,
            PresenceBusStep::Restart => self.restart(model).await,
        }
    }

    async fn join(&mut self, model: &Registry, node: usize) {
        let (bus, id) = (&self.opened.bus, &model.nodes[node]);
        let feed = bus.join(id).await.expect("the bus answers");
        self.feeds.insert(node, feed);
        let watched = bus.watch(id, std::slice::from_ref(&self.last[node])).await;
        watched.expect("a node that joined may watch");
    }

    async fn watch(&mut self, model: &Registry, node: usize, users: &[usize]) {
        let users: Vec<UserId> = users
            .iter()
            .map(|user| model.users[*user].clone())
            .collect();
        let watched = self.opened.bus.watch(&model.nodes[node], &users).await;
        if self.feeds.contains_key(&node) {
            watched.expect("a node that joined may watch");
        } else {
            let refused = watched.expect_err("a node that did not join watches nobody");
            assert_eq!(refused.kind(), PortErrorKind::Unavailable);
        }
    }

    /// All that waits for a node is what the model says.
    async fn read(&mut self, node: usize) {
        for step in [
            PresenceStep::Gone,
            PresenceStep::Here(KeptStatus::default()),
        ] {
            self.announce(PresenceChange {
                user: self.last[node].clone(),
                node: self.last_node.clone(),
                node_epoch: 1,
                step,
                at: START,
            })
            .await;
        }
        let feed = self.feeds.get_mut(&node).expect("a node that joined reads");
        let mut fed = Vec::new();
        loop {
            let presence = transition(next(feed).await).shown;
            if presence.user != self.last[node] {
                fed.push(presence);
            } else if presence.state == Shown::Online {
                break;
            }
        }
        assert_eq!(
            fed, self.before.waiting[&node],
            "each transition of who is watched is fed, in order, and nobody else's"
        );
    }

    async fn restart(&mut self, model: &Registry) {
        let nodes: Vec<usize> = self.feeds.keys().copied().collect();
        for node in &nodes {
            self.read(*node).await;
        }
        (self.opened.restart)().await;
        for node in nodes {
            let feed = self.feeds.get_mut(&node).expect("a node that joined");
            match next(feed).await {
                Some(PresenceEvent::Restarted) => {}
                None => {
                    self.join(model, node).await;
                    let watched: Vec<usize> = model.watched[&node].iter().copied().collect();
                    self.watch(model, node, &watched).await;
                }
                other => panic!("a registry that lost what it held says so first, not {other:?}"),
            }
        }
    }

    async fn announce(&self, change: PresenceChange) {
        let announced = self.opened.bus.announce(&[change]).await;
        announced.expect("the bus answers");
    }

    async fn compare(&mut self, model: &Registry) {
        // Not in the order of their ids, and one of them twice.
        let asked: Vec<usize> = (0..USERS).rev().chain([1]).collect();
        let users: Vec<UserId> = asked
            .iter()
            .map(|user| model.users[*user].clone())
            .collect();
        let states = self.opened.bus.states(&users).await;
        let states = states.expect("the bus answers");
        let shown: Vec<_> = states.iter().map(|state| state.shown.clone()).collect();
        let expected: Vec<_> = asked.iter().map(|user| model.shown(*user)).collect();
        assert_eq!(shown, expected, "how users are seen, in the order asked");
        for (user, state) in asked.into_iter().zip(&states) {
            let (before, moved) = (
                self.revs[user],
                model.transitions[user] > self.before.transitions[user],
            );
            assert!(
                state.rev >= before && (!moved || state.rev > before),
                "the rev rises with each transition: {before:?}, then {:?}",
                state.rev
            );
        }
        for (user, state) in (0..USERS).rev().zip(&states) {
            self.revs[user] = state.rev;
        }
    }
}

async fn next(feed: &mut PresenceFeed) -> Option<PresenceEvent> {
    let limit = Duration::from_secs(EVENT_SECONDS_MAX);
    let event = tokio::time::timeout(limit, feed.recv()).await;
    event.expect("an event reaches the feed")
}

fn transition(event: Option<PresenceEvent>) -> UserPresence {
    match event {
        Some(PresenceEvent::Changed(presence)) => presence,
        other => panic!("a transition is fed, not {other:?}"),
    }
}
