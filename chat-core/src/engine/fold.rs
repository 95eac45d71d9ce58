//! What a channel's log says, as far as this node knows it.

use chat_proto::channel::{evolve, member_changes};
use chat_proto::{ChannelState, Limits, Rejection};

use super::batch::Batch;
use super::slot::Folded;
use crate::ports::MembersQuery;

impl Batch<'_> {
    /// The channel as this node knows it, up to what any waiting command has seen.
    pub(super) async fn folded(&self) -> Result<Folded, Rejection> {
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
    pub(super) async fn fold_on(&self, mut folded: Folded) -> Result<Folded, Rejection> {
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
}
