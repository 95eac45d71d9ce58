//! Entries of channels that the client does not know yet: they wait for the channel's summary.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::log::{Held, HeldBudget};
use super::settings::{STRANGER_ATTEMPTS_MAX, STRANGERS_MAX};
use crate::entry::Entry;
use crate::id::ChannelId;

/// The channels whose summary is looked for.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    channels: BTreeMap<ChannelId, Stranger>,
}

#[derive(Debug, Default)]
struct Stranger {
    held: Held,
    attempts: u32,
}

impl Strangers {
    /// Notes that the channel exists, and keeps the entry if there is one and room for it. What is not kept will be
    /// pulled. Returns whether the channel is to be looked for, which it is not yet.
    pub(super) fn meet(
        &mut self,
        channel: ChannelId,
        entry: Option<Arc<Entry>>,
        budget: &mut HeldBudget,
    ) -> bool {
        let is_new = !self.channels.contains_key(&channel);
        if is_new && self.channels.len() >= STRANGERS_MAX {
            return false;
        }
        let stranger = self.channels.entry(channel).or_default();
        if let Some(entry) = entry {
            stranger.held.insert(entry, budget);
        }
        is_new
    }

    /// Takes what waited for the channel, now that it is known.
    pub(super) fn take(&mut self, channel: ChannelId, budget: &mut HeldBudget) -> Vec<Arc<Entry>> {
        self.channels
            .remove(&channel)
            .map(|mut stranger| stranger.held.take_all(budget))
            .unwrap_or_default()
    }

    /// Notes that a look for all of them ended. What was looked for too often is dropped: the user is not in it.
    ///
    /// Returns how often the least looked for was, unless none is left.
    pub(super) fn looked_for(&mut self, budget: &mut HeldBudget) -> Option<u32> {
        self.channels.retain(|_, stranger| {
            stranger.attempts += 1;
            let stays = stranger.attempts < STRANGER_ATTEMPTS_MAX;
            if !stays {
                stranger.held.clear(budget);
            }
            stays
        });
        self.channels
            .values()
            .map(|stranger| stranger.attempts)
            .min()
    }
}
