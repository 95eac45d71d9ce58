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

//!
//! Folding is in `fold`, planning in `plan`, and what follows from the append in `settle`.

use std::collections::VecDeque;
use std::sync::Arc;

use chat_proto::{ChannelId, Rejection};

use super::engine::{Engine, Inner};
use super::plan::{Outcome, Plan, Step};
use super::slot::{Queued, Slot};
use super::submission::Submission;

impl Engine {
    /// Queues a command; its reply says what became of it.
    pub(super) fn submit(&self, channel: ChannelId, submission: Submission) {
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
pub(super) struct Batch<'a> {
    pub(super) inner: &'a Inner,
    pub(super) slot: &'a Slot,
    pub(super) waiting: VecDeque<Submission>,
    pub(super) lost_races: u32,
    pub(super) unknowns: u32,
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
}
