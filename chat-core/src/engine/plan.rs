//! What a round will append and answer: each command decided on top of the ones before it.

use std::ops::Range;

use chat_proto::channel::{
    Action, Command, Decision, Draft, NewBody, NewMessage, decide, evolve, member_changes, stamp,
};
use chat_proto::{Body, ChannelState, EntryKind, Limits, MessageId, Record, Rejection, Seq};

use super::batch::Batch;
use super::key_search::{KeySearch, Next, search};
use super::lookups::Looked;
use super::slot::Folded;
use super::submission::Submission;
use crate::ports::{Append, AppendRecord, FoundKey, Operation, Verdict};

/// A direct channel's creation with its first message: the most records that one command makes.
const RECORDS_PER_COMMAND_MAX: usize = 2;

/// What a round will append and answer.
pub(super) struct Plan {
    /// The log as it is.
    pub(super) before: Folded,
    /// The log as it will be.
    pub(super) draft: Folded,
    pub(super) records: Vec<PlannedRecord>,
    /// Whether one of the records changes the members.
    pub(super) changes_members: bool,
    pub(super) answers: Vec<(Submission, Outcome)>,
    pub(super) bytes: usize,
    /// Sessions of which a command is refused for now: later ones must not overtake it.
    pub(super) held: Vec<u64>,
    /// The fold must be renewed before anything else is planned.
    pub(super) stale: bool,
}

/// A record on its way, with the state behind it where the members change.
pub(super) struct PlannedRecord {
    pub(super) append: AppendRecord,
    pub(super) state_behind: Option<ChannelState>,
    /// The session whose answer tells of this entry.
    pub(super) origin: Option<u64>,
}

pub(super) enum Outcome {
    /// These of the plan's records.
    Records(Range<usize>),
    /// The log holds it already.
    Found(FoundKey),
    AlreadySo,
    Refused(Rejection),
}

impl Plan {
    pub(super) fn new(folded: Folded) -> Self {
        Self {
            draft: folded.clone(),
            before: folded,
            records: Vec::new(),
            changes_members: false,
            answers: Vec::new(),
            bytes: 0,
            held: Vec::new(),
            stale: false,
        }
    }

    /// The record that is planned for this place.
    pub(super) fn record_at(&self, seq: Seq) -> Option<&Record> {
        let first = self.before.state.head().seq.next();
        let index = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        self.records
            .get(index)
            .map(|planned| &planned.append.record)
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() + RECORDS_PER_COMMAND_MAX > Limits::APPEND_ENTRIES_MAX
            || self.bytes > Limits::APPEND_BYTES_MAX
    }

    /// A refusal is only as certain as the plan it is part of. If the rules changed behind it in the same plan, a later
    /// command of its sender could be stored, the plan's answer get lost, and the refused one come again behind it.
    pub(super) fn ends_before(&self, next: &Submission) -> bool {
        let refuses = |(_, outcome): &(Submission, Outcome)| matches!(outcome, Outcome::Refused(_));
        !matches!(next.command.action, Action::Send(_)) && self.answers.iter().any(refuses)
    }

    pub(super) fn append(&self) -> Append {
        let plain = self
            .records
            .iter()
            .all(|planned| planned.append.record.entry.kind.is_message());
        Append {
            channel: self.draft.state.id(),
            expected_head: self.before.state.head().seq,
            records: self
                .records
                .iter()
                .map(|planned| planned.append.clone())
                .collect(),
            state: (!plain).then(|| {
                let mut snapshot = self.draft.state.to_snapshot();
                snapshot.members = None;
                snapshot
            }),
        }
    }
}

/// Whether planning may go on.
pub(super) enum Step {
    Planned,
    /// What is planned must be appended, or the log folded, first.
    Cut,
}

impl Batch<'_> {
    pub(super) async fn plan_one(
        &self,
        plan: &mut Plan,
        submission: &mut Submission,
    ) -> Result<(Step, Outcome), Rejection> {
        let held = submission
            .reply
            .origin()
            .is_some_and(|session| plan.held.contains(&session.id));
        if held || submission.must_wait() {
            return Err(Rejection::unavailable(
                "an earlier command of this connection in this channel failed: send it again first",
            ));
        }
        let messages = self.inner.parts.messages.as_ref();
        // Before authorisation: a retry of something that was stored is never refused.
        if let KeySearch::Found(found) =
            search(messages, &plan.draft.state, submission, Next::Append).await?
        {
            return Ok((Step::Planned, Outcome::Found(found)));
        }
        let refusal = match self.decided(plan, submission).await? {
            Some(Ok(Decision::Record(drafts))) => {
                let records = self.stamped(plan, submission, drafts)?;
                return Ok((Step::Planned, Outcome::Records(records)));
            }
            Some(Ok(Decision::AlreadySo)) => Outcome::AlreadySo,
            Some(Err(rejection)) => Outcome::Refused(rejection),
            None => return Ok((Step::Cut, Outcome::AlreadySo)),
        };
        match search(messages, &plan.draft.state, submission, Next::Answer).await? {
            KeySearch::Found(found) => Ok((Step::Planned, Outcome::Found(found))),
            KeySearch::Absent | KeySearch::LeftToAppend => Ok((Step::Planned, refusal)),
        }
    }

    /// The host's say and the rules of chat; `None` when they cannot be asked before the plan so far is appended.
    async fn decided(
        &self,
        plan: &mut Plan,
        submission: &mut Submission,
    ) -> Result<Option<Result<Decision, Rejection>>, Rejection> {
        self.ask_host(submission).await?;
        let replaced = match &submission.verdict {
            None | Some(Verdict::Allow) => None,
            Some(Verdict::Deny(rejection)) => return Ok(Some(Err(rejection.clone()))),
            Some(Verdict::ReplaceBody(body)) => replace_body(&submission.command, body),
        };
        let command = replaced.as_ref().unwrap_or(&submission.command);
        match self.inner.look_up(plan, command).await? {
            Looked::Up(context) => Ok(Some(decide(&plan.draft.state, command, &context))),
            Looked::AfterAppend => Ok(None),
            Looked::AfterFold => {
                plan.stale = true;
                Ok(None)
            }
        }
    }

    async fn ask_host(&self, submission: &mut Submission) -> Result<(), Rejection> {
        if submission.verdict.is_none() && !submission.command.system {
            let command = &submission.command;
            let operation = Operation::Command {
                channel: self.slot.channel,
                action: &command.action,
            };
            let verdict = self.inner.host_verdict(&command.from, operation).await?;
            submission.verdict = Some(verdict);
        }
        Ok(())
    }

    /// Gives decided entries their place behind the plan.
    fn stamped(
        &self,
        plan: &mut Plan,
        submission: &Submission,
        drafts: Vec<Draft>,
    ) -> Result<Range<usize>, Rejection> {
        let parts = &self.inner.parts;
        let mut ids = [MessageId(0); RECORDS_PER_COMMAND_MAX];
        let ids = &mut ids[..drafts.len()];
        let mut last = plan.draft.state.last_message_id();
        for id in ids.iter_mut() {
            *id = parts.ids.next_after(last)?;
            last = *id;
        }
        let first = plan.records.len();
        let records = stamp(
            &plan.draft.state,
            &submission.command,
            drafts,
            ids,
            parts.clock.now(),
        );
        for record in records {
            let changes = member_changes(&plan.draft.state, &record.entry);
            evolve(&mut plan.draft.state, &record.entry, record.key.as_ref());
            plan.draft.apply(&changes);
            plan.bytes += record.entry.size_bytes();
            let state_behind = (!changes.is_empty()).then(|| plan.draft.state.clone());
            plan.changes_members |= state_behind.is_some();
            let origin = submission.reply.origin().map(|session| session.id);
            // The answer tells a sender of their entry; a creation before their first message is news to them too.
            let origin = origin.filter(|_| !matches!(record.entry.kind, EntryKind::Created(_)));
            plan.records.push(PlannedRecord {
                append: AppendRecord { record, changes },
                state_behind,
                origin,
            });
        }
        Ok(first..plan.records.len())
    }
}

/// The command with another body; none where it has none to replace.
fn replace_body(command: &Command, body: &Body) -> Option<Command> {
    let body = body.clone();
    let action = match &command.action {
        Action::Send(message) => Action::Send(NewMessage {
            body,
            ..message.clone()
        }),
        Action::Edit(edit) => Action::Edit(NewBody { body, ..*edit }),
        _ => return None,
    };
    Some(Command {
        action,
        ..command.clone()
    })
}
