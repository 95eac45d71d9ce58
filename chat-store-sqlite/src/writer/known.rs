//! What the writer remembers of channels, so that most appends need no look-up.

use std::collections::HashMap;

use chat_proto::{ChannelId, Head};

use crate::config::KNOWN_CHANNELS_MAX;

/// A channel's integer key and head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: i64,
    pub(super) head: Head,
}

/// The channels used last. When the young generation is full it becomes the old one, and the old one is forgotten: as
/// bounded as a list in order of use, at the price of one look-up.
#[derive(Debug, Default)]
pub(super) struct KnownChannels {
    young: HashMap<ChannelId, Known>,
    old: HashMap<ChannelId, Known>,
}

impl KnownChannels {
    pub(super) fn find(&self, channel: ChannelId) -> Option<Known> {
        self.young
            .get(&channel)
            .or_else(|| self.old.get(&channel))
            .copied()
    }

    pub(super) fn remember(&mut self, channel: ChannelId, known: Known) {
        if self.young.len() >= KNOWN_CHANNELS_MAX && !self.young.contains_key(&channel) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(channel, known);
    }

    /// Forgets everything: after a failure only the database knows.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_used_are_remembered_and_memory_is_bounded() {
        let mut channels = KnownChannels::default();
        let id = |i: usize| ChannelId::external(&i.to_string());
        let known = |i: usize| Known {
            key: i as i64,
            head: Head::EMPTY,
        };
        for i in 0..3 * KNOWN_CHANNELS_MAX {
            channels.remember(id(i), known(i));
            channels.remember(id(0), known(0));
        }
        assert_eq!(channels.find(id(0)), Some(known(0)));
        assert_eq!(channels.find(id(1)), None);
        assert!(channels.young.len() + channels.old.len() <= 2 * KNOWN_CHANNELS_MAX);
        channels.clear();
        assert_eq!(channels.find(id(0)), None);
    }
}
