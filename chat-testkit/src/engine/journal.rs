//! What every command was told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_core::proto::{ChannelId, ClientId, Code, DeviceId, Head, MessageId, Seq, UserId};

use super::verdict::{Breach, Rule};
use crate::history::{Digest, Outcome, Sent};

/// A command of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CommandNumber(usize);

/// Where a command stands in the log, as its sender was told.
pub(super) type Place = (Head, MessageId);

/// Shared by everybody who sends.
#[derive(Clone, Default)]
pub(super) struct Journal(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    commands: Vec<Command>,
    breaches: Vec<Breach>,
    /// Messages of which somebody was told that they are erased.
    erased: BTreeSet<Seq>,
}

struct Command {
    user: UserId,
    device: DeviceId,
    channel: ChannelId,
    client_id: ClientId,
    body: Option<Digest>,
    tries: u32,
    answers: u32,
    acknowledged: Option<Place>,
    unknown: bool,
    /// Refused for good while no other try was under way.
    refused: bool,
}

impl Journal {
    /// A command that is about to be sent for the first time. `device` names whose order it is in.
    pub(super) fn begin(
        &self,
        user: &UserId,
        device: DeviceId,
        channel: ChannelId,
        client_id: ClientId,
        body: Option<Digest>,
    ) -> CommandNumber {
        let mut inner = self.lock();
        let number = CommandNumber(inner.commands.len());
        inner.commands.push(Command {
            user: user.clone(),
            device,
            channel,
            client_id,
            body,
            tries: 0,
            answers: 0,
            acknowledged: None,
            unknown: false,
            refused: false,
        });
        number
    }

    /// The command is in no order with others any more; `label` is nobody's.
    pub(super) fn leaves_order(&self, number: CommandNumber, label: DeviceId) {
        self.lock().commands[number.0].device = label;
    }

    /// The command is sent once more.
    pub(super) fn tries(&self, number: CommandNumber) {
        self.lock().commands[number.0].tries += 1;
    }

    /// A try was answered.
    pub(super) fn answered(&self, number: CommandNumber, answer: Result<Place, Code>) {
        let mut inner = self.lock();
        let command = &mut inner.commands[number.0];
        command.answers += 1;
        let breach = match answer {
            Ok(place) => {
                let first = *command.acknowledged.get_or_insert(place);
                (first != place).then(|| {
                    let detail = format!("told {first:?} first and {place:?} later");
                    command.breach(Rule::OneAnswer, detail)
                })
            }
            Err(Code::UnknownOutcome) => {
                command.unknown = true;
                None
            }
            Err(code) if code.is_transient() => None,
            Err(code) => {
                command.refused |= command.tries == command.answers;
                // Whoever was told that it is stored must not hear that it may not be.
                command
                    .acknowledged
                    .map(|place| command.breach(Rule::OneAnswer, format!("{place:?}, then {code}")))
            }
        };
        inner.breaches.extend(breach);
    }

    /// Somebody was told that this message is erased.
    pub(super) fn erased(&self, message: Seq) {
        self.lock().erased.insert(message);
    }

    /// The messages of which somebody was told so.
    pub(super) fn told_erased(&self) -> BTreeSet<Seq> {
        self.lock().erased.clone()
    }

    /// What was found out while the run went on, and every command with its outcome.
    pub(super) fn finish(&self) -> (Vec<Breach>, Vec<Sent>) {
        let mut inner = self.lock();
        let sent = inner.commands.iter().map(Command::sent).collect();
        (std::mem::take(&mut inner.breaches), sent)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Command {
    fn sent(&self) -> Sent {
        let outcome = match self.acknowledged {
            Some((head, message)) => Outcome::Acknowledged { head, message },
            None if self.refused => Outcome::Rejected,
            // Every try was answered, and each answer said that it surely was not done.
            None if !self.unknown && self.tries == self.answers => Outcome::Rejected,
            None => Outcome::Unknown,
        };
        Sent {
            user: self.user.clone(),
            device: self.device,
            channel: self.channel,
            client_id: self.client_id,
            body: self.body,
            outcome,
        }
    }

    fn breach(&self, rule: Rule, detail: String) -> Breach {
        Breach::new(
            rule,
            format!("{} of {}: {detail}", self.client_id, self.user),
        )
    }
}
