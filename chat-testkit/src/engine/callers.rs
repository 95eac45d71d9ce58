//! Senders without a session: they try again on another engine, on two at once, after success, or never.

use std::time::Duration;

use chat_core::proto::entry::{MemberRole, MembersChange};
use chat_core::proto::wire::{ClientOp, DeleteMessage, EditMessage, Pin, React};
use chat_core::proto::{Body, ClientId, Code, DeviceId, Head, Rejection, Role, Seq, UserId};
use chat_core::{Caller, Draft, Engine, Receipt};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::journal::{CommandNumber, Journal};
use super::scenario::Channel;
use crate::history::Digest;

/// Tries of a command that has had no final answer.
const TRIES_MAX: u32 = 30;
/// Of the commands that were stored, the youngest that is sent once more is this many behind.
const OLD_COMMANDS: usize = 20;

/// A program that sends for a user.
pub(super) struct Sender {
    pub(super) user: UserId,
    pub(super) channel: Channel,
    pub(super) engines: Vec<Engine>,
    pub(super) journal: Journal,
    pub(super) messages: u32,
    pub(super) rng: SmallRng,
}

#[derive(Clone, Copy)]
enum Way {
    Once,
    UntilKnown,
    TwoAtOnce,
    Dropped,
}

impl Sender {
    /// Sends everything, one after the other.
    pub(super) async fn run(mut self) {
        let order = self.drawn_device();
        let mut stored: Vec<(CommandNumber, Draft)> = Vec::new();
        for _ in 0..self.messages {
            let way = match self.rng.random_range(0..10) {
                0..=1 => Way::Once,
                2..=6 => Way::UntilKnown,
                7..=8 => Way::TwoAtOnce,
                _ => Way::Dropped,
            };
            let in_order = matches!(way, Way::Once | Way::UntilKnown);
            // What is under way twice, or after nobody waits for it, is in no order.
            let device = if in_order { order } else { self.drawn_device() };
            let (number, draft) = self.draft(device);
            let is_stored = match way {
                Way::Once => self.attempt(number, &draft).await.is_ok(),
                Way::UntilKnown => self.until_known(number, &draft).await,
                Way::TwoAtOnce => self.two_at_once(number, &draft).await,
                Way::Dropped => self.dropped(number, &draft).await,
            };
            if is_stored {
                stored.push((number, draft));
            }
            if stored.len() > OLD_COMMANDS && self.rng.random_bool(0.3) {
                let old = self.rng.random_range(0..stored.len() - OLD_COMMANDS);
                let (number, draft) = stored[old].clone();
                let _answer = self.attempt(number, &draft).await;
            }
            let pause = Duration::from_millis(self.rng.random_range(0..20));
            tokio::time::sleep(pause).await;
        }
    }

    fn drawn_device(&mut self) -> DeviceId {
        DeviceId::from_uuid(Uuid::from_u128(self.rng.random()))
    }

    fn draft(&mut self, device: DeviceId) -> (CommandNumber, Draft) {
        let client_id = ClientId::from_uuid(Uuid::from_u128(self.rng.random()));
        let text = format!("said by {} as {client_id}", self.user);
        let digest = Some(Digest::of_text(&text));
        let number = self
            .journal
            .begin(&self.user, device, self.channel.id, client_id, digest);
        let target = self.channel.target_of(&self.user);
        (
            number,
            Draft::new(target, Body::text(text)).client_id(client_id),
        )
    }

    fn any_engine(&mut self) -> Engine {
        self.engines[self.rng.random_range(0..self.engines.len())].clone()
    }

    async fn attempt(&mut self, number: CommandNumber, draft: &Draft) -> Result<(), Code> {
        let engine = self.any_engine();
        self.journal.tries(number);
        let answer = engine.send(&self.user, draft.clone()).await;
        self.note(number, answer)
    }

    fn note(&self, number: CommandNumber, answer: Result<Receipt, Rejection>) -> Result<(), Code> {
        let answer = answer
            .map(|receipt| {
                let head = Head {
                    seq: receipt.seq,
                    n: receipt.n,
                };
                (head, receipt.message)
            })
            .map_err(|rejection| rejection.code);
        self.journal.answered(number, answer);
        answer.map(drop)
    }

    async fn until_known(&mut self, number: CommandNumber, draft: &Draft) -> bool {
        for _ in 0..TRIES_MAX {
            match self.attempt(number, draft).await {
                Ok(()) => return true,
                Err(code) if code.is_transient() => {
                    let pause = Duration::from_millis(self.rng.random_range(1..50));
                    tokio::time::sleep(pause).await;
                }
                Err(_) => return false,
            }
        }
        false
    }

    async fn two_at_once(&mut self, number: CommandNumber, draft: &Draft) -> bool {
        let (one, other) = (self.any_engine(), self.any_engine());
        self.journal.tries(number);
        self.journal.tries(number);
        let (first, second) = tokio::join!(
            one.send(&self.user, draft.clone()),
            other.send(&self.user, draft.clone())
        );
        // At once: whoever was refused for good may have asked before the other was admitted, so it proves nothing.
        let mut answers = [first, second];
        answers.sort_by_key(|answer| match answer {
            Err(rejection) if !rejection.code.is_transient() => 0,
            Err(_) => 1,
            Ok(_) => 2,
        });
        let noted = answers.map(|answer| self.note(number, answer));
        noted.iter().any(Result::is_ok)
    }

    /// Nobody waits for the answer: the message may go on all the same.
    async fn dropped(&mut self, number: CommandNumber, draft: &Draft) -> bool {
        let engine = self.any_engine();
        self.journal.tries(number);
        let patience = Duration::from_millis(self.rng.random_range(0..5));
        match tokio::time::timeout(patience, engine.send(&self.user, draft.clone())).await {
            Ok(answer) => self.note(number, answer).is_ok(),
            Err(_) => false,
        }
    }
}

/// Removes members and adds them again.
pub(super) struct Owner {
    pub(super) user: UserId,
    pub(super) channel: Channel,
    pub(super) engines: Vec<Engine>,
    pub(super) victims: Vec<UserId>,
    pub(super) rounds: u32,
    pub(super) rng: SmallRng,
}

impl Owner {
    /// Each of the victims is a member again in the end.
    pub(super) async fn run(mut self) {
        for round in 0..self.rounds {
            let victim = self.victims[round as usize % self.victims.len()].clone();
            let removed = MembersChange {
                remove: vec![victim.clone()],
                ..MembersChange::default()
            };
            self.change(removed).await;
            let pause = Duration::from_millis(self.rng.random_range(0..150));
            tokio::time::sleep(pause).await;
            let added = MembersChange {
                add: vec![MemberRole {
                    user: victim,
                    role: Role::Member,
                }],
                ..MembersChange::default()
            };
            self.change(added).await;
            let pause = Duration::from_millis(self.rng.random_range(0..150));
            tokio::time::sleep(pause).await;
        }
    }

    async fn change(&mut self, change: MembersChange) {
        let client_id = ClientId::from_uuid(Uuid::from_u128(self.rng.random()));
        let caller = Caller::user(self.user.clone());
        for _ in 0..TRIES_MAX {
            let engine = &self.engines[self.rng.random_range(0..self.engines.len())];
            let key = Some(client_id).filter(|_| self.rng.random_bool(0.7));
            let answer = engine
                .change_members(&caller, self.channel.id, key, change.clone())
                .await;
            match answer {
                Ok(_) => return,
                Err(rejection) if rejection.code.is_transient() => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(_) => return,
            }
        }
    }
}

/// Does something to messages: reacts, pins, edits and deletes, and asks again until it is known what came of it.
pub(super) struct Changer {
    pub(super) user: UserId,
    pub(super) channel: Channel,
    pub(super) engines: Vec<Engine>,
    pub(super) journal: Journal,
    pub(super) changes: u32,
    pub(super) rng: SmallRng,
}

impl Changer {
    /// Changes whatever there is: most of what it may not is refused.
    pub(super) async fn run(mut self) {
        for _ in 0..self.changes {
            let op = self.draw();
            let is_deletion = matches!(op, ClientOp::Delete(_));
            for _ in 0..TRIES_MAX {
                let engine = self.engines[self.rng.random_range(0..self.engines.len())].clone();
                let caller = Caller::user(self.user.clone());
                match engine.run(&caller, op.clone()).await {
                    Ok(_) => {
                        if let ClientOp::Delete(deletion) = &op {
                            self.journal.erased(deletion.seq);
                        }
                        break;
                    }
                    Err(rejection) if rejection.code.is_transient() => {
                        let pause = Duration::from_millis(self.rng.random_range(1..50));
                        tokio::time::sleep(pause).await;
                    }
                    Err(_) => break,
                }
            }
            let most = if is_deletion { 40 } else { 15 };
            let pause = Duration::from_millis(self.rng.random_range(0..most));
            tokio::time::sleep(pause).await;
        }
    }

    /// Something to do to an entry near the beginning, whatever it is.
    fn draw(&mut self) -> ClientOp {
        let (channel, seq) = (self.channel.id, Seq(self.rng.random_range(2..30)));
        let client_id = ClientId::from_uuid(Uuid::from_u128(self.rng.random()));
        let (after, retry) = (None, false);
        match self.rng.random_range(0..8) {
            0..=2 => ClientOp::Edit(EditMessage {
                channel,
                seq,
                client_id,
                after,
                retry,
                body: Body::text(format!("edited as {client_id}")),
            }),
            3 => ClientOp::Delete(DeleteMessage {
                channel,
                seq,
                client_id,
                after,
                retry,
            }),
            4..=6 => ClientOp::React(React {
                channel,
                seq,
                client_id,
                after,
                retry,
                emoji: "+".into(),
                remove: self.rng.random(),
            }),
            _ => ClientOp::Pin(Pin {
                channel,
                seq,
                client_id,
                after,
                retry,
                remove: self.rng.random(),
            }),
        }
    }
}

/// Randomness for one actor of a run.
pub(super) fn dice(seed: u64, actor: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (actor << 48))
}
