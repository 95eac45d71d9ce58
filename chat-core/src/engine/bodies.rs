//! Bodies of stores whose append does not set them by itself.
//!
//! An edit or a deletion is answered when the former body is gone everywhere. What can go wrong on the way, and what then:
//!
//! | what | then |
//! |---|---|
//! | the note is not kept | nothing is appended: `unavailable` |
//! | the server dies before the append | the note stays until the log has gone on; then nothing of it is found, and it is dropped |
//! | the server dies after the append | whoever starts next finds the note, and sets the bodies that the entries behind it tell |
//! | a body is not set | the command hears `unknown_outcome`; sent again it finds its entry, and sets the body before it is answered; the note is tried again as well |
//! | the append lost its race | the note stays, as for an append that never came; the next try keeps its own |
//! | two set bodies of one message | the higher revision wins, an erasure for ever, in any order |
//! | another server takes the note of an append under way | it sets the same bodies; it drops the note only when the log is past it, so that the append either is found or can never happen |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chat_proto::channel::{ChannelState, Command};
use chat_proto::entry::BodySet;
use chat_proto::{ChannelId, Entry, Limits, Rejection, Seq};

use super::engine::{Engine, Inner};
use super::plan::PlannedRecord;
use crate::ports::{Append, BodyNote, EntriesQuery, FoundKey, PageLimit, PortError, SetBody};

/// Between two looks at the notes.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Notes taken at one look.
const NOTES_MAX: usize = 256;

impl Engine {
    /// Finishes what servers that died have left, and what failed here, as long as the engine lives.
    pub(super) fn spawn_bodies(&self) {
        if self.inner.appends_set_bodies() {
            return;
        }
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let stop = inner.stop.clone();
            // A note that is left half done is done again.
            let _stopped = stop.run_until_cancelled(inner.look_at_notes()).await;
        });
    }
}

impl Inner {
    fn appends_set_bodies(&self) -> bool {
        self.parts.messages.capabilities().append_sets_bodies
    }

    /// What to note before this append.
    pub(super) fn body_note(&self, append: &Append) -> Option<BodyNote> {
        if self.appends_set_bodies() {
            return None;
        }
        let entries = append.records.iter().map(|of| &of.record.entry);
        let targets: BTreeSet<Seq> = entries
            .filter_map(Entry::sets_body)
            .map(|set| set.target)
            .collect();
        (!targets.is_empty()).then_some(BodyNote {
            channel: append.channel,
            after: append.expected_head,
            targets,
        })
    }

    /// Sets the bodies that these records, appended on top of `before`, tell, also where they were copied to, and drops the
    /// note. `state` is the channel behind them. Tells whether the records are copied to the inboxes by that.
    pub(super) async fn set_bodies_of(
        &self,
        before: &ChannelState,
        state: &ChannelState,
        records: &[PlannedRecord],
    ) -> Result<bool, Rejection> {
        let entries = || records.iter().map(|of| &of.append.record.entry);
        let sets: Vec<SetBody> = entries()
            .filter_map(Entry::sets_body)
            .map(|set| set_body(before.id(), set))
            .collect();
        if sets.is_empty() {
            return Ok(false);
        }
        let messages = &self.parts.messages;
        let done = async {
            if !self.appends_set_bodies() {
                for set in newest(sets) {
                    messages.set_body(set).await?;
                }
            }
            let entries: Vec<Entry> = entries().cloned().collect();
            self.copy_to_inboxes(before, state, &entries).await?;
            if !self.appends_set_bodies() {
                let after = before.head().seq;
                messages.drop_body_note(before.id(), after).await?;
            }
            Ok(true)
        };
        done.await.map_err(unfinished)
    }

    /// A retry of an edit or a deletion finds its entry: its body is set before it is answered.
    pub(super) async fn finish_body(
        &self,
        channel: ChannelId,
        command: &Command,
        found: FoundKey,
    ) -> Result<(), Rejection> {
        if !command.action.sets_body() || (self.appends_set_bodies() && !self.copies_to_inboxes()) {
            return Ok(());
        }
        let entry = self.entry_at(channel, found.seq).await?;
        // An edit without body is no longer the current one: nothing of it is left to do.
        let set = entry.as_ref().and_then(Entry::sets_body);
        if let Some(set) = set {
            let set = set_body(channel, set);
            let done = async {
                if !self.appends_set_bodies() {
                    self.parts.messages.set_body(set).await?;
                }
                self.replay_copies(channel, found.seq.previous()).await
            };
            done.await.map_err(unfinished)?;
        }
        Ok(())
    }

    async fn look_at_notes(&self) {
        loop {
            if let Err(error) = self.finish_notes().await {
                tracing::warn!(%error, "bodies that were to be set or erased wait; trying again");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn finish_notes(&self) -> Result<(), PortError> {
        for note in self.parts.messages.body_notes(NOTES_MAX).await? {
            let query = EntriesQuery {
                channel: note.channel,
                after: note.after,
                limit: PageLimit {
                    entries: Limits::APPEND_ENTRIES_MAX,
                    bytes: usize::MAX,
                },
            };
            let page = self.parts.messages.entries(query).await?;
            let sets = page.entries.iter().filter_map(Entry::sets_body);
            let noted = sets.filter(|set| note.targets.contains(&set.target));
            for set in newest(noted.map(|set| set_body(note.channel, set)).collect()) {
                self.parts.messages.set_body(set).await?;
            }
            self.replay_copies(note.channel, note.after).await?;
            // At a head that was left behind nothing can be appended any more.
            if page.head.seq > note.after {
                let messages = &self.parts.messages;
                messages.drop_body_note(note.channel, note.after).await?;
            }
        }
        Ok(())
    }
}

fn set_body(channel: ChannelId, set: BodySet<'_>) -> SetBody {
    SetBody {
        channel,
        target: set.target,
        rev: set.rev,
        body: set.body.cloned(),
    }
}

/// The last of each message: the others would be superseded at once.
fn newest(sets: Vec<SetBody>) -> impl Iterator<Item = SetBody> {
    let of_target: BTreeMap<Seq, SetBody> = sets.into_iter().map(|set| (set.target, set)).collect();
    of_target.into_values()
}

fn unfinished(error: PortError) -> Rejection {
    tracing::warn!(%error, "a body could not be set or erased; it is tried again");
    Rejection::unknown_outcome(
        "it is recorded, but the former text may still be there: retry with the same client_id",
    )
}
