//! What is due, and when.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::ChannelId;

/// What happens when the time has come. One of each is set at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The gap of a channel is pulled unless it has closed.
    Gap(ChannelId),
    /// The commands to a channel are sent again.
    Lane(ChannelId),
    /// The marks of a channel are sent again.
    Marks(ChannelId),
    /// The server is asked again what changed.
    Catchup,
    /// A server that said it goes away has had its time.
    Leave,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(u64, Timer)>,
    set: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets the timer, in place of its former time.
    pub(super) fn set(&mut self, timer: Timer, at_ms: u64) {
        self.cancel(timer);
        self.due.insert((at_ms, timer));
        self.set.insert(timer, at_ms);
    }

    /// Sets the timer unless it is set already.
    pub(super) fn set_if_unset(&mut self, timer: Timer, at_ms: u64) {
        if !self.set.contains_key(&timer) {
            self.set(timer, at_ms);
        }
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(at_ms) = self.set.remove(&timer) {
            self.due.remove(&(at_ms, timer));
        }
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes a timer whose time has come.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<Timer> {
        let (_, timer) = *self.due.first().filter(|(at_ms, _)| *at_ms <= now_ms)?;
        self.cancel(timer);
        Some(timer)
    }

    /// Cancels all that means nothing without the connection on which it was set. A server that asked to wait with
    /// a command means it beyond the connection.
    pub(super) fn keep_lanes(&mut self) {
        self.due
            .retain(|(_, timer)| matches!(timer, Timer::Lane(_)));
        self.set.retain(|timer, _| matches!(timer, Timer::Lane(_)));
    }
}
