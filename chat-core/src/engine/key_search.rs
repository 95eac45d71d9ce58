//! The rule that makes a retry find its first result, in one place.
//!
//! An append at expected head h is legal only after its key has been searched in all of `(after, h]`, whoever folded
//! those entries. The state remembers the keys of the newest entries, `(keys_after, head]`; the store is asked for what
//! lies between `after` and `keys_after`, unless its append refuses known keys by itself.

use chat_proto::{ChannelState, Seq};

use super::submission::Submission;
use crate::ports::{FoundKey, KeyQuery, MessageStore, PortError};

/// What is known of a command's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeySearch {
    /// The log holds it.
    Found(FoundKey),
    /// It is in none of `(after, head]`.
    Absent,
    /// What the state does not remember is searched by the append.
    LeftToAppend,
}

/// Who may rely on the append to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An append follows.
    Append,
    /// Nothing is appended: the answer itself depends on the key.
    Answer,
}

/// Searches the log up to `state`'s head for the key of a command.
///
/// # Errors
/// When the store could not be asked; then nothing may be appended.
pub(super) async fn search(
    store: &dyn MessageStore,
    state: &ChannelState,
    submission: &mut Submission,
    next: Next,
) -> Result<KeySearch, PortError> {
    let Some(key) = submission.command.key else {
        return Ok(KeySearch::Absent);
    };
    let sender = &submission.command.from;
    if let Some(recent) = state.recent_key(sender, key.client_id) {
        return Ok(KeySearch::Found(FoundKey {
            seq: recent.seq,
            n: recent.n,
            message: recent.message,
            at: recent.at,
            content: recent.content,
        }));
    }
    // A client that claims to know more than there is knows nothing.
    let after = if submission.after > state.head().seq {
        Seq(0)
    } else {
        submission.after
    };
    let from = after.max(submission.searched_through);
    let through = state.keys_after();
    if through <= from {
        return Ok(KeySearch::Absent);
    }
    if next == Next::Append && store.capabilities().append_searches_keys {
        return Ok(KeySearch::LeftToAppend);
    }
    let query = KeyQuery {
        channel: state.id(),
        sender: sender.clone(),
        client_id: key.client_id,
        after: from,
        through,
    };
    match store.find_key(query).await? {
        Some(found) => Ok(KeySearch::Found(found)),
        None => {
            submission.searched_through = through;
            Ok(KeySearch::Absent)
        }
    }
}
