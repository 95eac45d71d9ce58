//! What follows from an append, or from having nothing to append: answers, another round, or the news to everybody.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use chat_proto::channel::evolve;
use chat_proto::{ChannelId, ChannelState, Entry, Head, Limits, Rejection};

use super::batch::Batch;
use super::copies::FanOut;
use super::engine::Inner;
use super::plan::{Outcome, Plan, PlannedRecord};
use super::slot::Folded;
use super::submission::Submission;
use crate::draft::Receipt;
use crate::ports::{AppendOutcome, EntriesQuery, FoundKey, PageLimit, PortError, Retry};

/// The longest wait after a lost race; the wait is drawn from 0 to the number of races lost so far, up to this.
const LOST_RACE_WAIT_MS_MAX: u64 = 50;

impl Batch<'_> {
    /// Answers without an append hold only if the log still ends where it was folded.
    pub(super) async fn confirm(&mut self, plan: Plan) -> Result<(), Rejection> {
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

    pub(super) async fn append(&mut self, mut plan: Plan) -> Result<(), Rejection> {
        let append = plan.append();
        let channel = append.channel;
        if let Err(error) = self
            .inner
            .begin_fan_out(channel, append.expected_head)
            .await
        {
            // Nothing was appended, whatever became of the mark: it only says that somebody may have.
            let refused = PortError::unavailable("inbox.keep_fan_out_marks", Retry::Safe);
            return self.fail(plan, &refused.with_source(error));
        }
        let note = self.inner.body_note(&append);
        if let Some(note) = &note
            && let Err(error) = self.inner.parts.messages.keep_body_note(note.clone()).await
        {
            // Nothing was appended, whatever became of the note: it only says that bodies may have been set.
            let refused = PortError::unavailable("messages.keep_body_note", Retry::Safe);
            self.inner.end_fan_out(channel, FanOut::Done);
            return self.fail(plan, &refused.with_source(error));
        }
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
                    Err(error) => {
                        self.inner.end_fan_out(channel, FanOut::Unknown);
                        return self.fail(plan, &error);
                    }
                }
            }
            match outcome {
                Ok(AppendOutcome::Appended { durable }) => {
                    return self.settle_appended(plan, durable).await;
                }
                Ok(AppendOutcome::HeadMoved { .. }) => {
                    self.inner.end_fan_out(channel, FanOut::Done);
                    return self.lose_race(plan).await;
                }
                Ok(AppendOutcome::KeyExists { index, found }) => {
                    self.inner.end_fan_out(channel, FanOut::Done);
                    return self.settle_known(plan, index, found).await;
                }
                Err(error) if error.retry() == Retry::Unknown => {
                    note_attempt(&mut plan);
                    unanswered = true;
                    if self.unknowns >= self.inner.parts.settings.unknown_retries_max {
                        self.inner.end_fan_out(channel, FanOut::Unknown);
                        return self.fail(plan, &error);
                    }
                    tracing::warn!(channel = %self.slot.channel, %error, "an append has no answer; it is sent again");
                    let wait = self.inner.parts.settings.unknown_retry_after
                        * 2_u32.saturating_pow(self.unknowns);
                    self.unknowns += 1;
                    tokio::time::sleep(wait).await;
                }
                Err(error) => {
                    let ended = if unanswered {
                        FanOut::Unknown
                    } else {
                        FanOut::Done
                    };
                    self.inner.end_fan_out(channel, ended);
                    return self.fail(plan, &error);
                }
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
        let state = folded.state.clone();
        self.slot.put_folded(folded);
        plan.records.truncate(durable);
        let bodies = self
            .inner
            .set_bodies_of(&plan.before.state, &state, &plan.records)
            .await;
        let mut again = VecDeque::new();
        for (submission, outcome) in plan.answers {
            let settled = match &outcome {
                Outcome::Records(range) => range.end <= durable,
                // What was decided behind a record that is not durable is void.
                Outcome::Found(_) | Outcome::AlreadySo | Outcome::Refused(_) => whole,
            };
            if settled && again.is_empty() {
                let sets_body = submission.command.action.sets_body();
                match &bodies {
                    Err(rejection) if sets_body => submission.answer(Err(rejection.clone())),
                    _ => {
                        self.answer_settled(submission, outcome, &plan.before.state, &plan.records)
                            .await;
                    }
                }
            } else {
                again.push_back(submission);
            }
        }
        again.append(&mut self.waiting);
        self.waiting = again;
        self.inner
            .copy_and_end(&plan.before.state, &state, &plan.records, bodies.ok())
            .await;
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
    pub(super) async fn lose_race(&mut self, plan: Plan) -> Result<(), Rejection> {
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
                    self.inner
                        .copy_again(self.slot.channel, found.seq.previous());
                }
                let finished = self
                    .inner
                    .finish_body(self.slot.channel, &submission.command, found)
                    .await;
                finished.and_then(|()| first_result(self.slot.channel, &submission, found))
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

fn receipt_of(channel: ChannelId, entry: &Entry) -> Receipt {
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
    channel: ChannelId,
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
