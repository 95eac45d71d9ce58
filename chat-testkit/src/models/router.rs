//! A `Router` held to its model: attachments counted by node and user, and for each node what waits for it.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::proto::{ChannelId, UserId};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::runner::Model;
use crate::names::{fresh_channel, fresh_users};
use crate::router::{Fleet, NODES, OpenedRouter};

const USERS: usize = 3;
const CHANNELS: usize = 2;

/// The model of `Router`.
pub struct RouterModel;

/// Who is served where, and what waits for whom.
#[derive(Clone, Debug)]
pub struct Served {
    users: Vec<UserId>,
    channels: Vec<ChannelId>,
    attachments: BTreeMap<(usize, usize), usize>,
    topics: BTreeSet<(usize, usize)>,
    /// For each node, by sender.
    waiting: [[Vec<u64>; NODES]; NODES],
    sent: u64,
}

/// What a node does; users and channels by number.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RouterStep {
    /// A node serves a user once more.
    Attach(usize, usize),
    /// And once less.
    Detach(usize, usize),
    /// A node leaves, and joins again.
    Rejoin(usize),
    /// A node hears a channel's topic.
    JoinTopic(usize, usize),
    /// And hears it no longer.
    LeaveTopic(usize, usize),
    /// A node sends to another one.
    Publish(usize, usize),
    /// A node sends to a channel's topic.
    PublishTopic(usize, usize),
    /// A node reads what waits for it.
    Receive(usize),
}

impl Served {
    fn fresh() -> Self {
        Self {
            users: fresh_users("model", USERS),
            channels: (0..CHANNELS).map(|_| fresh_channel()).collect(),
            attachments: BTreeMap::new(),
            topics: BTreeSet::new(),
            waiting: Default::default(),
            sent: 0,
        }
    }

    fn located(&self, asker: usize, users: &[usize]) -> BTreeSet<usize> {
        let there = self.attachments.iter().filter(|(_, count)| **count > 0);
        let nodes = there.filter(|((_, user), _)| users.contains(user));
        nodes
            .map(|((node, _), _)| *node)
            .filter(|node| *node != asker)
            .collect()
    }

    fn send(&mut self, from: usize, to: usize) {
        self.waiting[to][from].push(self.sent);
    }
}

impl ReferenceStateMachine for RouterModel {
    type State = Served;
    type Transition = RouterStep;

    fn init_state() -> BoxedStrategy<Served> {
        Just(()).prop_map(|()| Served::fresh()).boxed()
    }

    fn transitions(_: &Served) -> BoxedStrategy<RouterStep> {
        let (node, user, channel) = (0..NODES, 0..USERS, 0..CHANNELS);
        let another = (node.clone(), 1..NODES).prop_map(|(from, by)| (from, (from + by) % NODES));
        prop_oneof![
            6 => (node.clone(), user.clone()).prop_map(|(node, user)| RouterStep::Attach(node, user)),
            5 => (node.clone(), user).prop_map(|(node, user)| RouterStep::Detach(node, user)),
            1 => node.clone().prop_map(RouterStep::Rejoin),
            3 => (node.clone(), channel.clone())
                .prop_map(|(node, channel)| RouterStep::JoinTopic(node, channel)),
            1 => (node.clone(), channel.clone())
                .prop_map(|(node, channel)| RouterStep::LeaveTopic(node, channel)),
            4 => another.prop_map(|(from, to)| RouterStep::Publish(from, to)),
            5 => (node.clone(), channel)
                .prop_map(|(node, channel)| RouterStep::PublishTopic(node, channel)),
            3 => node.prop_map(RouterStep::Receive),
        ]
        .boxed()
    }

    fn apply(mut state: Served, step: &RouterStep) -> Served {
        state.sent += 1;
        match *step {
            RouterStep::Attach(node, user) => {
                *state.attachments.entry((node, user)).or_default() += 1;
            }
            RouterStep::Detach(node, user) => {
                let count = state.attachments.entry((node, user)).or_default();
                *count = count.saturating_sub(1);
            }
            RouterStep::Rejoin(node) => {
                state.attachments.retain(|(at, _), _| *at != node);
                state.topics.retain(|(at, _)| *at != node);
                state.waiting[node] = Default::default();
            }
            RouterStep::JoinTopic(node, channel) => {
                state.topics.insert((node, channel));
            }
            RouterStep::LeaveTopic(node, channel) => {
                state.topics.remove(&(node, channel));
                state.waiting[node] = Default::default();
            }
            RouterStep::Publish(from, to) => state.send(from, to),
            RouterStep::PublishTopic(from, channel) => {
                for to in (0..NODES).filter(|to| *to != from) {
                    if state.topics.contains(&(to, channel)) {
                        state.send(from, to);
                    }
                }
            }
            RouterStep::Receive(node) => state.waiting[node] = Default::default(),
        }
        state
    }
}

/// The routers, with what waits for their nodes as the model says.
pub struct Subject {
    fleet: Fleet,
    waiting: [[Vec<u64>; NODES]; NODES],
    /// Dropped with the subject: it keeps the routers alive.
    _opened: OpenedRouter,
}

impl Model for RouterModel {
    type Opened = OpenedRouter;
    type Subject = Subject;

    fn fresh() -> Served {
        Served::fresh()
    }

    async fn begin(opened: OpenedRouter, _: &Served) -> Subject {
        Subject {
            fleet: Fleet::join(&opened).await,
            waiting: Default::default(),
            _opened: opened,
        }
    }

    async fn step(mut subject: Subject, after: &Served, step: RouterStep) -> Subject {
        subject.take(after, &step).await;
        subject.waiting = after.waiting.clone();
        for asker in 0..NODES {
            subject.compare(after, asker).await;
        }
        subject
    }
}

impl Subject {
    async fn take(&mut self, model: &Served, step: &RouterStep) {
        let fleet = &mut self.fleet;
        match *step {
            RouterStep::Attach(node, user) => fleet.attach(node, &model.users[user]).await,
            RouterStep::Detach(node, user) => fleet.detach(node, &model.users[user]).await,
            RouterStep::Rejoin(node) => fleet.rejoin(node).await,
            RouterStep::JoinTopic(node, channel) => {
                fleet.join_topic(node, model.channels[channel]).await;
            }
            RouterStep::LeaveTopic(node, channel) => {
                // What is on the way when a topic is left may arrive or not.
                self.receive(node).await;
                self.fleet.leave_topic(node, model.channels[channel]).await;
            }
            RouterStep::Publish(from, to) => {
                fleet.publish(from, to, model.channels[0], model.sent).await;
            }
            RouterStep::PublishTopic(from, channel) => {
                let channel = model.channels[channel];
                fleet.publish_topic(from, channel, model.sent).await;
            }
            RouterStep::Receive(node) => self.receive(node).await,
        }
    }

    async fn receive(&mut self, node: usize) {
        assert_eq!(
            self.fleet.received(node).await,
            self.waiting[node],
            "what was sent to a node, once each and in order, by sender"
        );
    }

    async fn compare(&self, model: &Served, asker: usize) {
        let together = [(0..USERS).collect::<Vec<_>>()];
        for asked in (0..USERS).map(|user| vec![user]).chain(together) {
            let users: Vec<UserId> = asked
                .iter()
                .map(|user| model.users[*user].clone())
                .collect();
            let located = self.fleet.locate(asker, &users).await;
            let expected = model.located(asker, &asked);
            let expected: BTreeSet<_> = expected
                .into_iter()
                .map(|node| self.fleet.name(node).clone())
                .collect();
            assert_eq!(located, expected, "the other nodes that serve the users");
        }
    }
}
