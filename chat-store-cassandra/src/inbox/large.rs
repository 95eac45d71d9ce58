//! The states of large channels, which everybody in them asks for: folded on from where they were last seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chat_core::ports::PortError;
use chat_proto::channel::evolve;
use chat_proto::{ChannelId, ChannelState, Seq};

use crate::store::Db;

/// Channels remembered; beyond, all are forgotten and read again.
const STATES_MAX: usize = 1024;

/// Large channels as they were; without their members, a state is as small as its settings.
#[derive(Default)]
pub(crate) struct LargeStates(Mutex<HashMap<ChannelId, ChannelState>>);

impl LargeStates {
    fn of(&self, channel: ChannelId) -> Option<ChannelState> {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(&channel).cloned()
    }

    fn keep(&self, channel: ChannelId, state: &ChannelState) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_large() {
            states.remove(&channel);
            return;
        }
        if states.len() >= STATES_MAX && !states.contains_key(&channel) {
            states.clear();
        }
        let known = states.entry(channel).or_insert_with(|| state.clone());
        if known.head() < state.head() {
            *known = state.clone();
        }
    }
}

impl Db {
    /// The channel at its head.
    pub(super) async fn state_at_head(
        &self,
        op: &'static str,
        channel: ChannelId,
    ) -> Result<ChannelState, PortError> {
        let known = self.large_states.of(channel);
        let folded = known.as_ref().map_or(Seq(0), |state| state.head().seq);
        let loaded = self.load(op, channel, folded).await?;
        let mut state = match loaded.snapshot {
            Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
            None => known.unwrap_or_else(|| ChannelState::empty(channel)),
        };
        for record in &loaded.since {
            evolve(&mut state, &record.entry, record.key.as_ref());
        }
        self.large_states.keep(channel, &state);
        Ok(state)
    }
}
