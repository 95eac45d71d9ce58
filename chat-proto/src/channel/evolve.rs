//! What a record means.

use super::command::CommandKey;
use super::state::ChannelState;
use super::views::{is_creation, member_changes};
use crate::entry::{Entry, EntryKind};

/// Folds the log's next entry, with the key that its record carries. Never looks at a body, and carries on over
/// whatever an entry says: a log that a faulty program wrote is read like any other.
///
/// # Panics
/// When `entry` is not the one after [`ChannelState::head`]: only a faulty caller folds out of order.
pub fn evolve(state: &mut ChannelState, entry: &Entry, key: Option<&CommandKey>) {
    assert_eq!(
        entry.seq,
        state.head().seq.next(),
        "entries are folded in the order of their log"
    );
    let changes = member_changes(state, entry);
    match &entry.kind {
        EntryKind::Created(created) => {
            if is_creation(state, entry) {
                state.create(created, entry);
            }
        }
        EntryKind::Meta(change) => state.change_meta(change),
        EntryKind::Unknown { .. } => state.meet_unknown(),
        // Bodies and what hangs on messages are the stores'.
        EntryKind::Message(_)
        | EntryKind::Members(_)
        | EntryKind::Edit(_)
        | EntryKind::Delete(_)
        | EntryKind::React(_)
        | EntryKind::Pin(_)
        | EntryKind::Withheld => {}
    }
    state.change_members(&changes);
    state.advance(entry, key);
}
