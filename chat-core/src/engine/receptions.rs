//! How users take direct messages of others: looked up before each, so remembered for a moment.
//!
//! | what | then |
//! |---|---|
//! | a user changes it on this node | what is remembered of them is forgotten before the change is answered |
//! | on another node | an envelope says so; where it is lost, what is remembered is no older than 30 s |
//! | while it is being looked up | the answer is used, for it is as good as one from a moment before, and not remembered |
//! | too many are remembered | all are forgotten |

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use chat_proto::UserId;
use chat_proto::channel::Reception;
use chat_proto::people::{ContactState, DirectFrom, Relation};

use super::engine::Inner;
use crate::lock::lock;
use crate::ports::{Payload, PortError};

/// How old what is remembered may be.
const AGE_MAX: Duration = Duration::from_secs(30);
/// Pairs of users of whom it is remembered.
const PAIRS_MAX: usize = 100_000;

/// What was looked up of late.
#[derive(Default)]
pub(super) struct Receptions {
    inner: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By receiver, then by sender.
    of: HashMap<UserId, BTreeMap<UserId, Remembered>>,
    pairs: usize,
    /// Counts what was forgotten, so that a look-up that began before is told from one after.
    forgotten: u64,
}

#[derive(Clone, Copy)]
struct Remembered {
    reception: Reception,
    read_ms: u64,
}

impl Receptions {
    pub(super) fn forget_all(&self) {
        let mut state = self.lock();
        *state = State {
            forgotten: state.forgotten + 1,
            ..State::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.inner)
    }
}

impl State {
    fn forget(&mut self, receiver: &UserId) {
        self.forgotten += 1;
        if let Some(senders) = self.of.remove(receiver) {
            self.pairs -= senders.len();
        }
    }

    fn remember(&mut self, receiver: &UserId, sender: &UserId, remembered: Remembered) {
        if self.pairs >= PAIRS_MAX {
            self.of.clear();
            self.pairs = 0;
        }
        let senders = self.of.entry(receiver.clone()).or_default();
        if senders.insert(sender.clone(), remembered).is_none() {
            self.pairs += 1;
        }
    }
}

impl Inner {
    /// How `receiver` takes direct messages of `sender`.
    pub(super) async fn reception(
        &self,
        receiver: &UserId,
        sender: &UserId,
    ) -> Result<Reception, PortError> {
        let now_ms = self.elapsed_ms();
        let forgotten = {
            let state = self.receptions.lock();
            let known = state.of.get(receiver).and_then(|of| of.get(sender));
            let age_ms_max = u64::try_from(AGE_MAX.as_millis()).expect("a moment is short");
            if let Some(known) = known.filter(|known| now_ms - known.read_ms < age_ms_max) {
                return Ok(known.reception);
            }
            state.forgotten
        };
        let reception = self.look_up_reception(receiver, sender).await?;
        let mut state = self.receptions.lock();
        if state.forgotten == forgotten {
            let remembered = Remembered {
                reception,
                read_ms: now_ms,
            };
            state.remember(receiver, sender, remembered);
        }
        Ok(reception)
    }

    async fn look_up_reception(
        &self,
        receiver: &UserId,
        sender: &UserId,
    ) -> Result<Reception, PortError> {
        let users = &self.parts.users;
        let others = BTreeSet::from([sender.clone()]);
        let relation = users.relations(receiver, &others).await?.remove(sender);
        let relation = relation.unwrap_or_default();
        let profile = users.profile(receiver).await?;
        let direct = profile.map_or(DirectFrom::default(), |profile| profile.direct);
        Ok(reception(relation, direct))
    }

    /// What is remembered of these users holds no longer, here and where they or those whom they write to are served.
    pub(super) async fn forget_receptions(&self, users: &[UserId]) {
        self.forget_receptions_here(users);
        let payload = Payload::Relations {
            users: users.to_vec(),
        };
        self.publish_to_nodes_of(users, self.envelope(payload))
            .await;
    }

    pub(super) fn forget_receptions_here(&self, users: &[UserId]) {
        let mut state = self.receptions.lock();
        for user in users {
            state.forget(user);
        }
    }
}

fn reception(relation: Relation, direct: DirectFrom) -> Reception {
    Reception {
        blocks: relation.blocks,
        refuses: match direct {
            DirectFrom::All => false,
            DirectFrom::Contacts => relation.contact != Some(ContactState::Contact),
        },
    }
}
