//! What a device saw.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_client::Event;
use chat_proto::{ChannelId, Seq};
use chat_testkit::history::Seen;

/// A device's notes: 32 bytes an entry, of the channels that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    channels: BTreeMap<ChannelId, Sightings>,
    disconnects: u64,
    ended: Option<String>,
}

/// What a device saw of a channel, in the order in which it was told. A new part begins when it was told that its user
/// has left.
#[derive(Clone, Debug)]
pub(crate) struct Sightings {
    pub(crate) parts: Vec<Vec<Seen>>,
}

impl Notes {
    /// Keeps what is seen of the channel from now on.
    pub(crate) fn begin(&self, channel: ChannelId) {
        self.lock().channels.insert(
            channel,
            Sightings {
                parts: vec![Vec::new()],
            },
        );
    }

    /// Gives out what was seen of it and keeps no more.
    pub(crate) fn take(&self, channel: ChannelId) -> Sightings {
        let taken = self.lock().channels.remove(&channel);
        taken.unwrap_or(Sightings {
            parts: vec![Vec::new()],
        })
    }

    /// How far it has come in the channel.
    pub(crate) fn last(&self, channel: ChannelId) -> Option<Seq> {
        let inner = self.lock();
        let last_part = inner.channels.get(&channel)?.parts.last()?;
        last_part.last().map(|seen| seen.head.seq)
    }

    /// How often its connection was gone.
    pub(crate) fn disconnects(&self) -> u64 {
        self.lock().disconnects
    }

    /// Why it will not come back, if so.
    pub(crate) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    pub(crate) fn note(&self, event: &Event) {
        let mut inner = self.lock();
        match event {
            Event::Entry { channel, entry } => {
                if let Some(part) = inner
                    .channels
                    .get_mut(channel)
                    .and_then(|sightings| sightings.parts.last_mut())
                {
                    part.push(Seen::of(entry));
                }
            }
            Event::Left { channel } => {
                if let Some(sightings) = inner.channels.get_mut(channel) {
                    sightings.parts.push(Vec::new());
                }
            }
            Event::Disconnected => inner.disconnects += 1,
            Event::Ended { ending } => inner.ended = Some(ending.to_string()),
            // A reset would be told by what is missing or doubled; the rest says nothing about logs.
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that holds the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
