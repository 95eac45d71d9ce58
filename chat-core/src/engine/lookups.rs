//! What a decision needs beyond the fold of the log.

use std::collections::{BTreeMap, BTreeSet};

use chat_proto::channel::{Action, Command, Context, Needs, Target, needs};
use chat_proto::{Rejection, Seq, UserId};

use super::engine::Inner;
use super::plan::Plan;
use crate::ports::TargetsQuery;

/// Whether a decision can be made now.
pub(super) enum Looked<'a> {
    /// With this.
    Up(Context<'a>),
    /// Only after what is planned has been appended: the store knows nothing of it yet.
    AfterAppend,
    /// Only after a fresh fold: the rows are ahead of it.
    AfterFold,
}

impl Inner {
    /// Looks up what `command` needs on top of what `plan` has decided so far.
    ///
    /// # Errors
    /// `unavailable` when something could not be read.
    pub(super) async fn look_up(
        &self,
        plan: &mut Plan,
        command: &Command,
    ) -> Result<Looked<'_>, Rejection> {
        let mut context = Context::new(&self.parts.limits);
        let needs = needs(&plan.draft.state, command);
        if needs.is_empty() {
            return Ok(Looked::Up(context));
        }
        if !needs.people.is_empty() {
            self.look_for_strangers(command, &needs, &mut context)
                .await?;
        }
        if !needs.targets.is_empty()
            && !self
                .look_up_targets(plan, command, &needs, &mut context)
                .await?
        {
            return Ok(Looked::AfterFold);
        }
        if let Some(receiver) = &needs.reception {
            context.reception = Some(self.reception(receiver, &command.from).await?);
        }
        let unknown: Vec<UserId> = needs
            .members
            .iter()
            .filter(|user| !plan.draft.known.contains_key(*user))
            .cloned()
            .collect();
        if !unknown.is_empty() || needs.successor {
            if plan.changes_members {
                return Ok(Looked::AfterAppend);
            }
            if !self.look_up_members(plan, &unknown).await? {
                return Ok(Looked::AfterFold);
            }
            if needs.successor {
                context.successor = self.successor(plan, command).await?;
            }
        }
        for user in &needs.members {
            if let Some(known) = plan.draft.known.get(user) {
                context.memberships.insert(user.clone(), *known);
            }
        }
        Ok(Looked::Up(context))
    }

    async fn look_for_strangers(
        &self,
        command: &Command,
        needs: &Needs,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        let existing = self.parts.directory.existing(&needs.people).await?;
        context.strangers = needs.people.difference(&existing).cloned().collect();
        if let Action::Send(message) = &command.action
            && let Some(to) = &message.direct_to
            && existing.contains(to)
            && !self.parts.directory.may_talk(&command.from, to).await?
        {
            return Err(Rejection::forbidden("you may not write to this user"));
        }
        Ok(())
    }

    /// Looks up what the targets are, with what the plan does to them; false when the rows are ahead of the fold.
    async fn look_up_targets(
        &self,
        plan: &Plan,
        command: &Command,
        needs: &Needs,
        context: &mut Context<'_>,
    ) -> Result<bool, Rejection> {
        let caller = &command.from;
        let planned = |seq: &Seq| plan.record_at(*seq).map(|record| &record.entry);
        let stored = needs.targets.iter().filter(|seq| planned(seq).is_none());
        let query = TargetsQuery {
            channel: plan.draft.state.id(),
            caller: caller.clone(),
            seqs: stored.copied().collect(),
        };
        let mut found = BTreeMap::new();
        if !query.seqs.is_empty() {
            let rows = self.parts.messages.targets(query).await?;
            let folded = plan.before.state.head().seq;
            if rows.through > folded {
                return Ok(false);
            }
            if rows.through < folded {
                return Err(Rejection::unavailable(
                    "what was done to the message is not written yet: retry",
                ));
            }
            found = rows.found;
        }
        for seq in &needs.targets {
            let stored = found.remove(seq);
            let mut target = stored.or_else(|| planned(seq).and_then(Target::of));
            if let Some(target) = &mut target {
                for record in &plan.records {
                    target.apply(*seq, &record.append.record.entry, caller);
                }
            }
            context.targets.insert(*seq, target);
        }
        Ok(true)
    }

    /// Adds these users' memberships to what is known; false when the rows are ahead of the fold.
    async fn look_up_members(&self, plan: &mut Plan, users: &[UserId]) -> Result<bool, Rejection> {
        if users.is_empty() {
            return Ok(true);
        }
        let state = &plan.draft.state;
        let rows = self.parts.messages.memberships(state.id(), users).await?;
        let folded = plan.before.state.head().seq;
        if rows.through > folded {
            return Ok(false);
        }
        if rows.through < folded {
            return Err(Rejection::unavailable(
                "the members are not written yet: retry",
            ));
        }
        let known = &mut plan.draft.known;
        if known.len() + users.len() > self.parts.settings.cached_memberships_max {
            known.clear();
        }
        known.extend(
            users
                .iter()
                .map(|user| (user.clone(), rows.found.get(user).copied())),
        );
        Ok(true)
    }

    async fn successor(&self, plan: &Plan, command: &Command) -> Result<Option<UserId>, Rejection> {
        let Action::Members(change) = &command.action else {
            return Ok(None);
        };
        let leaving: BTreeSet<UserId> = change.remove.iter().cloned().collect();
        Ok(self
            .parts
            .messages
            .successor(plan.draft.state.id(), &leaving)
            .await?)
    }
}
