//! Unread counts by subtraction.

use crate::entry::Entry;
use crate::id::Head;

/// Messages between a read mark and a head.
pub fn unread(head: Head, read: Head) -> u64 {
    head.n.0.saturating_sub(read.n.0)
}

/// Where the sender's own read mark rises by their message: to the message, if they had read every one before it.
/// Otherwise it stays, because a mark that jumped would call read what nobody saw.
pub fn mark_after_own_message(read: Head, entry: &Entry) -> Option<Head> {
    let read_all_before = Some(read.n.0) == entry.n.0.checked_sub(1);
    (entry.kind.is_message() && read_all_before).then(|| entry.head())
}
