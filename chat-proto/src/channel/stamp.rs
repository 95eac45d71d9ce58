//! From a decision to the records that a store appends.

use super::command::Command;
use super::decide::Draft;
use super::state::ChannelState;
use crate::entry::{Entry, Record};
use crate::id::{MessageId, Ordinal, Timestamp};

/// Gives what was decided against `state` its place, ordinals, names and time. `ids` are one for each draft. The time
/// is `at`, or the log's latest where the clock is behind it, so that time never runs back inside a channel.
///
/// # Panics
/// When `ids` are not as many as drafts, or not rising above [`ChannelState::last_message_id`].
pub fn stamp(
    state: &ChannelState,
    command: &Command,
    drafts: Vec<Draft>,
    ids: &[MessageId],
    at: Timestamp,
) -> Vec<Record> {
    assert_eq!(ids.len(), drafts.len(), "one id for each draft");
    let at = at.max(state.last_at());
    let (mut head, mut last_id) = (state.head(), state.last_message_id());
    let stamped = drafts.into_iter().zip(ids).map(|(draft, &id)| {
        assert!(id > last_id, "names rise with their place in the log");
        last_id = id;
        head.seq = head.seq.next();
        head.n = Ordinal(head.n.0 + u64::from(draft.kind.is_message()));
        Record {
            channel: state.id(),
            entry: Entry {
                seq: head.seq,
                n: head.n,
                message: id,
                at,
                from: command.from.clone(),
                device: command.device,
                withheld: draft.withheld,
                kind: draft.kind,
            },
            key: draft.key,
        }
    });
    stamped.collect()
}
