//! Read and delivered marks until they are durable.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::retry_delay_ms;
use crate::id::{ChannelId, Seq};

/// Which of a user's marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkKind {
    Read,
    Delivered,
}

impl MarkKind {
    pub(super) const ALL: [Self; 2] = [Self::Read, Self::Delivered];
}

/// The marks that the user set. Only the highest of a channel and kind is kept, and one is on its way at a time, so
/// that a client which scrolls does not flood its server.
#[derive(Debug, Default)]
pub(super) struct Marks {
    wanted: BTreeMap<(ChannelId, MarkKind), Wanted>,
    ready: BTreeSet<(ChannelId, MarkKind)>,
}

#[derive(Debug)]
struct Wanted {
    seq: Seq,
    in_flight: bool,
    failures: u32,
}

impl Marks {
    pub(super) fn want(&mut self, channel: ChannelId, kind: MarkKind, seq: Seq) {
        let wanted = self.wanted.entry((channel, kind)).or_insert(Wanted {
            seq: Seq(0),
            in_flight: false,
            failures: 0,
        });
        if seq > wanted.seq {
            wanted.seq = seq;
            // One that failed waits for its timer.
            if !wanted.in_flight && wanted.failures == 0 {
                self.ready.insert((channel, kind));
            }
        }
    }

    pub(super) fn next_ready(&mut self) -> Option<(ChannelId, MarkKind, Seq)> {
        while let Some((channel, kind)) = self.ready.pop_first() {
            if let Some(wanted) = self.wanted.get_mut(&(channel, kind)) {
                wanted.in_flight = true;
                return Some((channel, kind, wanted.seq));
            }
        }
        None
    }

    pub(super) fn confirmed(&mut self, channel: ChannelId, kind: MarkKind, seq: Seq) {
        let key = (channel, kind);
        if let Some(wanted) = self.wanted.get_mut(&key) {
            if wanted.seq > seq {
                wanted.in_flight = false;
                wanted.failures = 0;
                self.ready.insert(key);
            } else {
                self.wanted.remove(&key);
            }
        }
    }

    /// Milliseconds after which to try again.
    pub(super) fn failed(&mut self, channel: ChannelId, kind: MarkKind) -> Option<u64> {
        let wanted = self.wanted.get_mut(&(channel, kind))?;
        wanted.in_flight = false;
        wanted.failures = wanted.failures.saturating_add(1);
        Some(retry_delay_ms(wanted.failures))
    }

    /// The server will not take the mark.
    pub(super) fn refused(&mut self, channel: ChannelId, kind: MarkKind) {
        self.wanted.remove(&(channel, kind));
    }

    pub(super) fn forget(&mut self, channel: ChannelId) {
        for kind in MarkKind::ALL {
            self.wanted.remove(&(channel, kind));
        }
    }

    /// Whatever of the channel waits for its timer need not wait any longer.
    pub(super) fn retry(&mut self, channel: ChannelId) {
        for kind in MarkKind::ALL {
            let key = (channel, kind);
            if self
                .wanted
                .get(&key)
                .is_some_and(|wanted| !wanted.in_flight)
            {
                self.ready.insert(key);
            }
        }
    }

    /// The connection is gone: all of them are to be sent again on the next.
    pub(super) fn disconnected(&mut self) {
        for (key, wanted) in &mut self.wanted {
            wanted.in_flight = false;
            self.ready.insert(*key);
        }
    }

    pub(super) fn clear(&mut self) {
        self.wanted.clear();
        self.ready.clear();
    }

    pub(super) fn snapshot(&self, kind: MarkKind) -> BTreeMap<ChannelId, Seq> {
        self.wanted
            .iter()
            .filter(|((_, of), _)| *of == kind)
            .map(|((channel, _), wanted)| (*channel, wanted.seq))
            .collect()
    }
}
