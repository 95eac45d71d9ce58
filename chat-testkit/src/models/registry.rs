//! What a `PresenceBus` is: who announced whom, how each wants to be seen, and what each node that watches must hear.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{KeptStatus, PresenceChange, PresenceStep};
use chat_core::proto::people::{Presence, Shown, Status};
use chat_core::proto::{NodeId, Timestamp, UserId};

use crate::log_writer::{START, TICK_MS};
use crate::names::{fresh_node, fresh_users};

/// Few, so that steps meet.
pub(super) const USERS: usize = 2;
pub(super) const NODES: usize = 2;
/// Lives of a node: once restarted is enough to tell them apart.
pub(super) const LIVES: u64 = 2;
/// Statuses that a user sets one after the other; the one of rev 0 was never set.
pub(super) const REVS: u64 = 6;

/// The registry, and what waits for each node.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) users: Vec<UserId>,
    pub(super) nodes: Vec<NodeId>,
    records: BTreeMap<usize, Record>,
    /// Whom a node watches; absent before it joins.
    pub(super) watched: BTreeMap<usize, BTreeSet<usize>>,
    /// What each node must hear and has not read.
    pub(super) waiting: BTreeMap<usize, Vec<Presence>>,
    /// How many transitions each user made since the registry began.
    pub(super) transitions: [u64; USERS],
    steps: u64,
}

#[derive(Clone, Debug, Default)]
struct Record {
    here: BTreeSet<(usize, u64)>,
    status: KeptStatus,
    last_seen: Option<Timestamp>,
}

/// What a node does; users and nodes by number.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PresenceBusStep {
    /// A node reports something of a user.
    Announce {
        /// Who.
        user: usize,
        /// The node.
        node: usize,
        /// Its life.
        life: u64,
        /// What.
        report: Report,
    },
    /// A node begins to be fed, perhaps again.
    Join(usize),
    /// A node watches users.
    Watch(usize, Vec<usize>),
    /// A node watches users no longer.
    Unwatch(usize, Vec<usize>),
    /// A node reads its feed.
    Read(usize),
    /// The registry loses what it holds.
    Restart,
}

/// What a node reports.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// The user is here, with the status of this rev.
    Here(u64),
    /// The user is here no more.
    Gone,
    /// The user has set the status of this rev.
    Says(u64),
}

impl Registry {
    pub(super) fn fresh() -> Self {
        Self {
            users: fresh_users("model", USERS),
            nodes: (0..NODES).map(|_| fresh_node("model")).collect(),
            records: BTreeMap::new(),
            watched: BTreeMap::new(),
            waiting: BTreeMap::new(),
            transitions: [0; USERS],
            steps: 0,
        }
    }

    /// Whether the registry knows the user: a status of somebody whom nobody announced need not be kept.
    pub(super) fn knows(&self, user: usize) -> bool {
        self.records.contains_key(&user)
    }

    pub(super) fn shown(&self, user: usize) -> Presence {
        let unknown = Record::default();
        let record = self.records.get(&user).unwrap_or(&unknown);
        record.shown(&self.users[user])
    }

    /// What the last step's report is in the words of the port.
    pub(super) fn change(
        &self,
        user: usize,
        node: usize,
        life: u64,
        report: Report,
    ) -> PresenceChange {
        PresenceChange {
            user: self.users[user].clone(),
            node: self.nodes[node].clone(),
            node_epoch: life,
            step: match report {
                Report::Here(rev) => PresenceStep::Here(status(user, rev)),
                Report::Gone => PresenceStep::Gone,
                Report::Says(rev) => PresenceStep::Status(status(user, rev)),
            },
            at: self.now(),
        }
    }

    pub(super) fn apply(&mut self, step: &PresenceBusStep) {
        self.steps += 1;
        match step {
            PresenceBusStep::Announce {
                user,
                node,
                life,
                report,
            } => self.announce(*user, (*node, *life), *report),
            PresenceBusStep::Join(node) => {
                self.watched.insert(*node, BTreeSet::new());
                self.waiting.insert(*node, Vec::new());
            }
            PresenceBusStep::Watch(node, users) => {
                if let Some(watched) = self.watched.get_mut(node) {
                    watched.extend(users);
                }
            }
            PresenceBusStep::Unwatch(node, users) => {
                if let Some(watched) = self.watched.get_mut(node) {
                    watched.retain(|user| !users.contains(user));
                }
            }
            PresenceBusStep::Read(node) => {
                self.waiting.insert(*node, Vec::new());
            }
            PresenceBusStep::Restart => {
                self.records.clear();
                self.transitions = [0; USERS];
                self.waiting.values_mut().for_each(Vec::clear);
            }
        }
    }

    fn announce(&mut self, user: usize, life: (usize, u64), report: Report) {
        if !self.knows(user) && !matches!(report, Report::Here(_)) {
            return;
        }
        let (before, now) = (self.shown(user), self.now());
        let record = self.records.entry(user).or_default();
        let was_seen = record.is_seen();
        let left = match report {
            Report::Here(rev) => {
                record.here.insert(life);
                record.take(status(user, rev));
                false
            }
            Report::Gone => record.here.remove(&life),
            Report::Says(rev) => {
                record.take(status(user, rev));
                false
            }
        };
        if was_seen && (left || !record.is_seen()) {
            record.last_seen = Some(now);
        }
        let shown = self.shown(user);
        if shown == before {
            return;
        }
        self.transitions[user] += 1;
        for (node, watched) in &self.watched {
            if watched.contains(&user) {
                let waiting = self.waiting.entry(*node).or_default();
                waiting.push(shown.clone());
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(START.0 + self.steps * TICK_MS)
    }
}

impl Record {
    fn take(&mut self, status: KeptStatus) {
        if status.rev > self.status.rev {
            self.status = status;
        }
    }

    fn is_seen(&self) -> bool {
        !self.here.is_empty() && self.status.state != Status::Invisible
    }

    fn shown(&self, user: &UserId) -> Presence {
        let state = match self.status.state {
            Status::Online => Shown::Online,
            Status::Away => Shown::Away,
            Status::Busy => Shown::Busy,
            Status::Invisible => Shown::Offline,
        };
        let seen = self.is_seen();
        Presence {
            user: user.clone(),
            state: if seen { state } else { Shown::Offline },
            text: self.status.text.clone().filter(|_| seen),
            last_seen_ms: self.last_seen.filter(|_| !seen),
        }
    }
}

/// The status that a user set as the `rev`th: the same whoever reports it.
fn status(user: usize, rev: u64) -> KeptStatus {
    const STATES: [Status; 4] = [
        Status::Online,
        Status::Invisible,
        Status::Away,
        Status::Busy,
    ];
    if rev == 0 {
        return KeptStatus::default();
    }
    let turn = (user as u64 + rev) % STATES.len() as u64;
    KeptStatus {
        state: STATES[usize::try_from(turn).expect("a small number")],
        text: rev.is_multiple_of(2).then(|| format!("words {rev}")),
        rev,
    }
}
