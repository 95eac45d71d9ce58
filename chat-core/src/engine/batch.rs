//! From queued commands to one append.
//!
//! A round folds the log, plans every waiting command on top of what is planned before it, appends the whole plan at
//! the head it was decided against, and only then answers. What can go wrong between two steps, and what follows:
//!
//! | what | then |
//! |---|---|
//! | another node appended first | the plan is void: fold what came, decide again |
//! | the append has no answer | the same append at the same head again: either it succeeds, which makes the first try impossible for ever, or the head has moved and the names of the entries there tell whether they are this plan's |
//! | the append was refused | every planned command hears `unavailable`; nothing was promised |
//! | only a prefix is durable | those are answered, the rest is decided again |
//! | a key is found | the command's answer is its first result |
//! | nothing is to be appended | the answers hold only if the head is still the one folded |
//! | this task panics | the slot forgets its fold, the waiting hear `unknown_outcome` |

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::channel::{Action, Command, Decision, decide, evolve, member_changes, stamp};
use chat_proto::{ChannelState, Entry, EntryKind, Head, Limits, MessageId, Rejection, Seq};

use super::engine::{Engine, Inner};
use super::key_search::{KeySearch, Next, search};
use super::lookups::Looked;
use super::slot::{Folded, Queued, Slot};
use super::submission::Submission;
use crate::draft::Receipt;
use crate::ports::{
    Append, AppendOutcome, AppendRecord, EntriesQuery, FoundKey, MembersQuery, Operation,
    PageLimit, PortError, Retry, Verdict,
};

/// The longest wait after a lost race; the wait is drawn from 0 to the number of races lost so far, up to this.
const LOST_RACE_WAIT_MS_MAX: u64 = 50;
/// A direct channel's creation with its first message: the most records that one command makes.
const RECORDS_PER_COMMAND_MAX: usize = 2;

impl Engine {
    /// Queues a command; its reply says what became of it.
    pub(super) fn submit(&self, channel: chat_proto::ChannelId, submission: Submission) {
        // Held before the look: a shutdown that has not begun yet then waits for what is spawned here.
        let _token = self.inner.tasks.token();
        if self.inner.closed.load(std::sync::atomic::Ordering::Acquire) {
            let stopped = Rejection::unavailable("this server is stopping: retry with another");
            return submission.answer(Err(stopped));
        }
        let slot = self.inner.channels.slot(channel);
        match slot.enqueue(submission, self.inner.parts.settings.channel_queue_max) {
            Queued::Waits => {}
            Queued::Drive => drop(self.inner.tasks.spawn(drive(Arc::clone(&self.inner), slot))),
            Queued::Full(submission) => {
                let full = Rejection::unavailable("too many commands wait for this channel: retry")
                    .retry_after_ms(500);
                submission.answer(Err(full));
            }
        }
    }
}

/// Works on a channel until nothing waits for it.
async fn drive(inner: Arc<Inner>, slot: Arc<Slot>) {
    let mut guard = AbandonOnPanic {
        slot: &slot,
        armed: true,
    };
    while let Some(waiting) = slot.next_batch() {
        Batch {
            inner: &inner,
            slot: &slot,
            waiting,
            lost_races: 0,
            unknowns: 0,
        }
        .settle()
        .await;
    }
    guard.armed = false;
}

struct AbandonOnPanic<'a> {
    slot: &'a Slot,
    armed: bool,
}

impl Drop for AbandonOnPanic<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.slot.abandon();
        }
    }
}

/// Commands of one channel that go into one append, if nothing comes between.
struct Batch<'a> {
    inner: &'a Inner,
    slot: &'a Slot,
    waiting: VecDeque<Submission>,
    lost_races: u32,
    unknowns: u32,
}

/// What a round will append and answer.
pub(super) struct Plan {
    /// The log as it is.
    pub(super) before: Folded,
    /// The log as it will be.
    pub(super) draft: Folded,
    records: Vec<PlannedRecord>,
    /// Whether one of the records changes the members.
    pub(super) changes_members: bool,
    answers: Vec<(Submission, Outcome)>,
    bytes: usize,
    /// Sessions of which a command is refused for now: later ones must not overtake it.
    held: Vec<u64>,
    /// The fold must be renewed before anything else is planned.
    stale: bool,
}

/// A record on its way, with the state behind it where the members change.
pub(super) struct PlannedRecord {
    pub(super) append: AppendRecord,
    pub(super) state_behind: Option<ChannelState>,
    /// The session whose answer tells of this entry.
    pub(super) origin: Option<u64>,
}

enum Outcome {
    /// These of the plan's records.
    Records(Range<usize>),
    /// The log holds it already.
    Found(FoundKey),
    AlreadySo,
    Refused(Rejection),
}

impl Plan {
    fn new(folded: Folded) -> Self {
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
    pub(super) fn record_at(&self, seq: Seq) -> Option<&chat_proto::Record> {
        let first = self.before.state.head().seq.next();
        let index = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        self.records
            .get(index)
            .map(|planned| &planned.append.record)
    }

    fn is_full(&self) -> bool {
        self.records.len() + RECORDS_PER_COMMAND_MAX > Limits::APPEND_ENTRIES_MAX
            || self.bytes > Limits::APPEND_BYTES_MAX
    }

    /// A refusal is only as certain as the plan it is part of. If the rules changed behind it in the same plan, a later
    /// command of its sender could be stored, the plan's answer get lost, and the refused one come again behind it.
    fn ends_before(&self, next: &Submission) -> bool {
        let refuses = |(_, outcome): &(Submission, Outcome)| matches!(outcome, Outcome::Refused(_));
        !matches!(next.command.action, Action::Send(_)) && self.answers.iter().any(refuses)
    }

    fn append(&self) -> Append {
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
enum Step {
    Planned,
    /// What is planned must be appended, or the log folded, first.
    Cut,
}

impl Batch<'_> {
    async fn settle(mut self) {
        while !self.waiting.is_empty() {
            if let Err(rejection) = self.round().await {
                self.slot.forget_folded();
                for submission in std::mem::take(&mut self.waiting) {
                    submission.answer(Err(rejection.clone()));
                }
            }
        }
    }

    async fn round(&mut self) -> Result<(), Rejection> {
        let folded = self.folded().await?;
        let mut plan = Plan::new(folded);
        while !plan.is_full()
            && let Some(mut submission) = self.waiting.pop_front_if(|next| !plan.ends_before(next))
        {
            match self.plan_one(&mut plan, &mut submission).await {
                Ok((Step::Planned, outcome)) => {
                    if let (Outcome::Refused(rejection), Some(origin)) =
                        (&outcome, submission.reply.origin())
                        && rejection.code.is_transient()
                    {
                        plan.held.push(origin.id);
                    }
                    plan.answers.push((submission, outcome));
                }
                Ok((Step::Cut, _)) => {
                    self.waiting.push_front(submission);
                    break;
                }
                Err(rejection) => {
                    plan.held
                        .extend(submission.reply.origin().map(|session| session.id));
                    plan.answers.push((submission, Outcome::Refused(rejection)));
                }
            }
        }
        if !plan.records.is_empty() {
            return self.append(plan).await;
        }
        if plan.stale && plan.answers.is_empty() {
            return self.lose_race(plan).await;
        }
        self.confirm(plan).await
    }

    /// The channel as this node knows it, up to what any waiting command has seen.
    async fn folded(&self) -> Result<Folded, Rejection> {
        let mut folded = match self.slot.folded() {
            Some(folded) => folded,
            None => {
                self.fold_on(Folded::new(ChannelState::empty(self.slot.channel)))
                    .await?
            }
        };
        let seen = self
            .waiting
            .iter()
            .map(|submission| submission.after)
            .max()
            .unwrap_or_default();
        if seen > folded.state.head().seq {
            folded = self.fold_on(folded).await?;
        }
        Ok(folded)
    }

    /// Folds what the log holds behind `folded`, and learns the members of a channel that has become small again.
    async fn fold_on(&self, mut folded: Folded) -> Result<Folded, Rejection> {
        for _ in 0..self.inner.parts.settings.lost_races_max {
            let loaded = self
                .inner
                .parts
                .messages
                .load(self.slot.channel, folded.state.head().seq)
                .await?;
            if let Some(snapshot) = loaded.snapshot {
                folded = Folded::new(ChannelState::from_snapshot(self.slot.channel, snapshot));
            }
            for record in &loaded.since {
                let expected = folded.state.head().seq.next();
                if record.entry.seq != expected {
                    let channel = self.slot.channel;
                    tracing::error!(%channel, %expected, found = %record.entry.seq, "the store's log has a hole");
                    return Err(Rejection::unavailable("this channel cannot be read"));
                }
                let changes = member_changes(&folded.state, &record.entry);
                evolve(&mut folded.state, &record.entry, record.key.as_ref());
                folded.apply(&changes);
            }
            let knows_members = folded.state.is_large() || folded.state.roster().is_some();
            if knows_members || self.learn_roster(&mut folded).await? {
                self.slot.put_folded(folded.clone());
                return Ok(folded);
            }
        }
        Err(Rejection::unavailable(
            "the channel changes faster than it can be read: retry",
        ))
    }

    /// False when the rows are ahead of the fold.
    async fn learn_roster(&self, folded: &mut Folded) -> Result<bool, Rejection> {
        let limit = usize::try_from(Limits::INBOX_COPY_MEMBERS_MAX).expect("a hundred") + 1;
        let query = MembersQuery {
            channel: self.slot.channel,
            after: None,
            limit,
        };
        let page = self.inner.parts.messages.members(query).await?;
        if page.through != folded.state.head().seq || page.more {
            return Ok(false);
        }
        folded
            .state
            .adopt_roster(page.members.into_iter().collect());
        Ok(true)
    }

    async fn plan_one(
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
            Some(Verdict::ReplaceBody(body)) => match &submission.command.action {
                Action::Send(message) => {
                    let message = chat_proto::channel::NewMessage {
                        body: body.clone(),
                        ..message.clone()
                    };
                    Some(Command {
                        action: Action::Send(message),
                        ..submission.command.clone()
                    })
                }
                Action::Create(_) | Action::Members(_) | Action::Meta(_) | _ => None,
            },
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
        let Some(authorizer) = &self.inner.parts.authorizer else {
            return Ok(());
        };
        if submission.verdict.is_none() && !submission.command.system {
            let command = &submission.command;
            let operation = Operation::Command(&command.action);
            let verdict = authorizer
                .authorize(&command.from, self.slot.channel, operation)
                .await?;
            submission.verdict = Some(verdict);
        }
        Ok(())
    }

    /// Gives decided entries their place behind the plan.
    fn stamped(
        &self,
        plan: &mut Plan,
        submission: &Submission,
        drafts: Vec<chat_proto::channel::Draft>,
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
            // The answer tells a sender of the message; a creation before it is news to them too.
            let origin = origin.filter(|_| matches!(record.entry.kind, EntryKind::Message(_)));
            plan.records.push(PlannedRecord {
                append: AppendRecord { record, changes },
                state_behind,
                origin,
            });
        }
        Ok(first..plan.records.len())
    }

    /// Answers without an append hold only if the log still ends where it was folded.
    async fn confirm(&mut self, plan: Plan) -> Result<(), Rejection> {
        let depends_on_head = plan.answers.iter().any(|(_, outcome)| match outcome {
            Outcome::AlreadySo => true,
            Outcome::Refused(rejection) => !rejection.code.is_transient(),
            Outcome::Found(_) | Outcome::Records(_) => false,
        });
        if depends_on_head {
            let heads = self.inner.parts.messages.heads(&[self.slot.channel]).await;
            let head = match heads {
                Ok(heads) => heads.first().copied().unwrap_or(Head::EMPTY),
                Err(error) => return self.fail(plan, &error),
            };
            if head.seq != plan.before.state.head().seq {
                return self.lose_race(plan).await;
            }
        }
        self.slot.put_folded(plan.draft);
        for (submission, outcome) in plan.answers {
            self.answer_settled(submission, outcome, &plan.before.state, &[])
                .await;
        }
        Ok(())
    }

    async fn append(&mut self, mut plan: Plan) -> Result<(), Rejection> {
        let append = plan.append();
        let mut unanswered = false;
        loop {
            let outcome = self.inner.parts.messages.append(append.clone()).await;
            if unanswered
                && matches!(
                    outcome,
                    Ok(AppendOutcome::HeadMoved { .. } | AppendOutcome::KeyExists { .. })
                )
            {
                match self.inner.durable_of(&plan).await {
                    Ok(0) => {}
                    // The try without an answer was carried out: everything stands as it was decided.
                    Ok(durable) => return self.settle_appended(plan, durable).await,
                    Err(error) => return self.fail(plan, &error),
                }
            }
            match outcome {
                Ok(AppendOutcome::Appended { durable }) => {
                    return self.settle_appended(plan, durable).await;
                }
                Ok(AppendOutcome::HeadMoved { .. }) => return self.lose_race(plan).await,
                Ok(AppendOutcome::KeyExists { index, found }) => {
                    return self.settle_known(plan, index, found).await;
                }
                Err(error) if error.retry() == Retry::Unknown => {
                    note_attempt(&mut plan);
                    unanswered = true;
                    if self.unknowns >= self.inner.parts.settings.unknown_retries_max {
                        return self.fail(plan, &error);
                    }
                    tracing::warn!(channel = %self.slot.channel, %error, "an append has no answer; it is sent again");
                    let wait = self.inner.parts.settings.unknown_retry_after
                        * 2_u32.saturating_pow(self.unknowns);
                    self.unknowns += 1;
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return self.fail(plan, &error),
            }
        }
    }

    /// The first `durable` records are in the log: what they answer is answered, they are told to everybody, and the
    /// rest is decided again.
    async fn settle_appended(&mut self, mut plan: Plan, durable: usize) -> Result<(), Rejection> {
        let whole = durable >= plan.records.len();
        let folded = if whole {
            plan.draft
        } else {
            fold_prefix(&plan, durable)
        };
        self.slot.put_folded(folded);
        plan.records.truncate(durable);
        let mut again = VecDeque::new();
        for (submission, outcome) in plan.answers {
            let settled = match &outcome {
                Outcome::Records(range) => range.end <= durable,
                // What was decided behind a record that is not durable is void.
                Outcome::Found(_) | Outcome::AlreadySo | Outcome::Refused(_) => whole,
            };
            if settled && again.is_empty() {
                self.answer_settled(submission, outcome, &plan.before.state, &plan.records)
                    .await;
            } else {
                again.push_back(submission);
            }
        }
        again.append(&mut self.waiting);
        self.waiting = again;
        self.inner.fan_out(&plan.before.state, plan.records).await;
        Ok(())
    }

    /// A record's key was in the log: that command has its answer, the others are decided again.
    async fn settle_known(
        &mut self,
        plan: Plan,
        index: usize,
        found: FoundKey,
    ) -> Result<(), Rejection> {
        let mut again = VecDeque::new();
        for (submission, outcome) in plan.answers {
            match outcome {
                Outcome::Records(range) if range.contains(&index) => {
                    self.answer_settled(submission, Outcome::Found(found), &plan.before.state, &[])
                        .await;
                }
                Outcome::Records(_)
                | Outcome::Found(_)
                | Outcome::AlreadySo
                | Outcome::Refused(_) => {
                    again.push_back(submission);
                }
            }
        }
        again.append(&mut self.waiting);
        self.waiting = again;
        self.fold_on(plan.before).await.map(drop)
    }

    /// Somebody else appended first: everything is decided again on top of it.
    async fn lose_race(&mut self, plan: Plan) -> Result<(), Rejection> {
        let mut again: VecDeque<Submission> = plan
            .answers
            .into_iter()
            .map(|(submission, _)| submission)
            .collect();
        again.append(&mut self.waiting);
        self.waiting = again;
        self.lost_races += 1;
        metrics::counter!("chat_lost_races_total").increment(1);
        if self.lost_races > self.inner.parts.settings.lost_races_max {
            return Err(Rejection::unavailable(
                "other servers write to this channel all the time: retry",
            )
            .retry_after_ms(500));
        }
        if self.lost_races > 1 {
            tokio::time::sleep(self.wait_after_lost_race()).await;
        }
        self.fold_on(plan.before).await.map(drop)
    }

    /// Different for each node and each time, so that racing nodes part; computed rather than drawn, so that a run of
    /// engines on a paused clock can be repeated.
    fn wait_after_lost_race(&self) -> Duration {
        let most = u64::from(self.lost_races).min(LOST_RACE_WAIT_MS_MAX);
        let mut hasher = DefaultHasher::new();
        let node = self.inner.parts.node.as_str();
        (node, self.inner.elapsed_ms(), self.lost_races).hash(&mut hasher);
        Duration::from_millis(hasher.finish() % (most + 1))
    }

    /// The append was refused or never answered: everybody hears which. The fold stands, for nothing was added to it.
    fn fail(&mut self, plan: Plan, error: &PortError) -> Result<(), Rejection> {
        tracing::warn!(channel = %self.slot.channel, %error, commands = plan.answers.len(), "commands could not be carried out");
        self.slot.forget_folded();
        let may_be_in_the_log = plan
            .answers
            .iter()
            .any(|(submission, _)| !submission.attempted.is_empty());
        let committed = plan.before.state.head().seq;
        for (submission, outcome) in plan.answers {
            let result = match outcome {
                // The same command twice in one plan: the one is as uncertain as the other.
                Outcome::Found(found) if found.seq > committed && may_be_in_the_log => {
                    Err(Rejection::unknown_outcome(
                        "the server could not confirm it: retry with the same client_id",
                    ))
                }
                Outcome::Found(found) if found.seq <= committed => {
                    first_result(self.slot.channel, &submission, found)
                }
                Outcome::Refused(rejection) if rejection.code.is_transient() => Err(rejection),
                Outcome::Records(_)
                | Outcome::Found(_)
                | Outcome::AlreadySo
                | Outcome::Refused(_) => Err(Rejection::unavailable(
                    "the server cannot do this now: retry later",
                )),
            };
            submission.answer(result);
        }
        Ok(())
    }

    async fn answer_settled(
        &self,
        submission: Submission,
        outcome: Outcome,
        before: &ChannelState,
        records: &[PlannedRecord],
    ) {
        let result = match outcome {
            Outcome::Records(range) => {
                // The entry that carries the key, which is the last one a command makes.
                let last = &records[range.end - 1].append.record.entry;
                Ok(receipt_of(self.slot.channel, last))
            }
            Outcome::Found(found) => {
                // The node that took it first may have died before it told anybody. What is older was followed by
                // others, which showed the gap.
                let age = before.head().seq.0.saturating_sub(found.seq.0);
                if age <= Limits::RECENT_KEYS_MAX as u64 {
                    let head = Head {
                        seq: found.seq,
                        n: found.n,
                    };
                    self.inner.tell_head(before, head).await;
                }
                first_result(self.slot.channel, &submission, found)
            }
            Outcome::AlreadySo => Ok(Receipt {
                channel: self.slot.channel,
                seq: before.head().seq,
                n: before.head().n,
                message: before.last_message_id(),
                at: before.last_at(),
                duplicate: true,
            }),
            Outcome::Refused(rejection) => Err(rejection),
        };
        submission.answer(result);
    }
}

impl Inner {
    /// How many of a plan's records are in the log, as their names at their places tell.
    async fn durable_of(&self, plan: &Plan) -> Result<usize, PortError> {
        let query = EntriesQuery {
            channel: plan.before.state.id(),
            after: plan.before.state.head().seq,
            limit: PageLimit {
                entries: plan.records.len(),
                bytes: usize::MAX,
            },
        };
        let page = self.parts.messages.entries(query).await?;
        let places = plan.records.iter().zip(&page.entries);
        Ok(places
            .take_while(|(planned, entry)| planned.append.record.entry.message == entry.message)
            .count())
    }
}

/// Remembers the names of records whose append had no answer: found later, they are this try's own.
fn note_attempt(plan: &mut Plan) {
    let Plan {
        answers, records, ..
    } = plan;
    for (submission, outcome) in answers {
        if let Outcome::Records(range) = outcome {
            let names = records[range.clone()]
                .iter()
                .map(|planned| planned.append.record.entry.message);
            submission.attempted.extend(names);
        }
    }
}

fn fold_prefix(plan: &Plan, durable: usize) -> Folded {
    let mut folded = plan.before.clone();
    for planned in &plan.records[..durable] {
        let record = &planned.append.record;
        evolve(&mut folded.state, &record.entry, record.key.as_ref());
        folded.apply(&planned.append.changes);
    }
    folded
}

fn receipt_of(channel: chat_proto::ChannelId, entry: &Entry) -> Receipt {
    Receipt {
        channel,
        seq: entry.seq,
        n: entry.n,
        message: entry.message,
        at: entry.at,
        duplicate: false,
    }
}

fn first_result(
    channel: chat_proto::ChannelId,
    submission: &Submission,
    found: FoundKey,
) -> Result<Receipt, Rejection> {
    if submission
        .command
        .key
        .is_some_and(|key| key.content != found.content)
    {
        return Err(Rejection::conflict(
            "this client_id was used for another command: draw a new one for each command",
        ));
    }
    Ok(Receipt {
        channel,
        seq: found.seq,
        n: found.n,
        message: found.message,
        at: found.at,
        duplicate: !submission.attempted.contains(&found.message),
    })
}
