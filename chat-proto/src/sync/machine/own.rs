//! The user's own log.

use super::SyncMachine;
use crate::people::UserEntry;
use crate::sync::event::Event;

impl SyncMachine {
    /// An entry of the user's own log was pushed. What lies before it and is missing, a sync tells with it.
    pub(super) fn own_pushed(&mut self, entry: UserEntry) {
        let seq = entry.seq;
        self.own_entry(entry);
        if seq > self.user_seq {
            self.catchup.want();
        }
    }

    /// The next entry of the user's own log is told to the application, and no other.
    pub(super) fn own_entry(&mut self, entry: UserEntry) {
        if entry.seq == self.user_seq.next() {
            self.user_seq = entry.seq;
            self.event(Event::UserEntry {
                entry: Box::new(entry),
            });
        }
    }
}
