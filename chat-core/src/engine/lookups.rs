//! What a decision needs beyond the fold of the log.

use std::collections::BTreeSet;

use chat_proto::channel::{Action, Command, Context, Needs, needs};
use chat_proto::{Rejection, Seq, UserId};

use super::engine::Inner;
use super::plan::Plan;

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
        for seq in &needs.targets {
            let is_message = self.is_message(plan, *seq).await?;
            context.targets.insert(*seq, is_message);
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

    /// A skeleton never changes, so it matters not how old the answer is.
    async fn is_message(&self, plan: &Plan, seq: Seq) -> Result<bool, Rejection> {
        if let Some(planned) = plan.record_at(seq) {
            return Ok(planned.entry.kind.is_message());
        }
        let entry = self.entry_at(plan.draft.state.id(), seq).await?;
        Ok(entry.is_some_and(|entry| entry.kind.is_message()))
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
