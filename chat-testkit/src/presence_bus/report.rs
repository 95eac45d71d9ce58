//! What nodes report, and what the bus answers, in short words.

use std::sync::Arc;
use std::time::Duration;

use chat_core::ports::{
    KeptStatus, PresenceBus, PresenceChange, PresenceEvent, PresenceFeed, PresenceStep,
    UserPresence,
};
use chat_core::proto::people::{Presence, Shown, Status};
use chat_core::proto::{NodeId, Timestamp, UserId};

use tokio::time::error::Elapsed;

use crate::log_writer::{START, TICK_MS};

/// Time for an event to reach a feed.
const EVENT_SECONDS_MAX: u64 = 10;

/// A node in one of its lives.
pub(super) type Life = (NodeId, u64);

pub(super) fn here(user: &UserId, life: &Life, tick: u64) -> PresenceChange {
    here_as(user, life, KeptStatus::default(), tick)
}

pub(super) fn here_as(user: &UserId, life: &Life, status: KeptStatus, tick: u64) -> PresenceChange {
    change(user, life, PresenceStep::Here(status), tick)
}

pub(super) fn gone(user: &UserId, life: &Life, tick: u64) -> PresenceChange {
    change(user, life, PresenceStep::Gone, tick)
}

pub(super) fn says(user: &UserId, life: &Life, status: KeptStatus, tick: u64) -> PresenceChange {
    change(user, life, PresenceStep::Status(status), tick)
}

fn change(user: &UserId, life: &Life, step: PresenceStep, tick: u64) -> PresenceChange {
    PresenceChange {
        user: user.clone(),
        node: life.0.clone(),
        node_epoch: life.1,
        step,
        at: at(tick),
    }
}

/// The status that a user set as the `rev`th.
pub(super) fn status(state: Status, text: Option<&str>, rev: u64) -> KeptStatus {
    KeptStatus {
        state,
        text: text.map(ToOwned::to_owned),
        rev,
    }
}

pub(super) async fn announce(bus: &Arc<dyn PresenceBus>, changes: &[PresenceChange]) {
    bus.announce(changes).await.expect("the bus answers");
}

pub(super) async fn join(bus: &Arc<dyn PresenceBus>, node: &NodeId) -> PresenceFeed {
    bus.join(node).await.expect("the bus answers")
}

pub(super) async fn watch(bus: &Arc<dyn PresenceBus>, node: &NodeId, user: &UserId) {
    let watched = bus.watch(node, std::slice::from_ref(user)).await;
    watched.expect("the bus answers");
}

pub(super) async fn unwatch(bus: &Arc<dyn PresenceBus>, node: &NodeId, user: &UserId) {
    let ended = bus.unwatch(node, std::slice::from_ref(user)).await;
    ended.expect("the bus answers");
}

pub(super) async fn state(bus: &Arc<dyn PresenceBus>, user: &UserId) -> UserPresence {
    let states = bus.states(std::slice::from_ref(user)).await;
    let mut states = states.expect("the bus answers");
    assert_eq!(states.len(), 1, "one state a user");
    states.remove(0)
}

pub(super) async fn shown(bus: &Arc<dyn PresenceBus>, user: &UserId) -> Presence {
    state(bus, user).await.shown
}

/// The next event; `None` at the end of the feed.
pub(super) async fn next(feed: &mut PresenceFeed) -> Option<PresenceEvent> {
    let event = next_within(feed).await;
    event.expect("an event reaches the feed")
}

/// The next event, if one comes while a case waits for it.
pub(super) async fn next_within(feed: &mut PresenceFeed) -> Result<Option<PresenceEvent>, Elapsed> {
    let limit = Duration::from_secs(EVENT_SECONDS_MAX);
    tokio::time::timeout(limit, feed.recv()).await
}

/// The next transition.
pub(super) async fn transition(feed: &mut PresenceFeed) -> UserPresence {
    match next(feed).await {
        Some(PresenceEvent::Changed(presence)) => presence,
        other => panic!("a transition is fed, not {other:?}"),
    }
}

pub(super) fn online(user: &UserId) -> Presence {
    seen(user, Shown::Online, None)
}

pub(super) fn seen(user: &UserId, state: Shown, text: Option<&str>) -> Presence {
    Presence {
        user: user.clone(),
        state,
        text: text.map(ToOwned::to_owned),
        last_seen_ms: None,
    }
}

pub(super) fn offline(user: &UserId, last_seen_tick: Option<u64>) -> Presence {
    Presence {
        last_seen_ms: last_seen_tick.map(at),
        ..seen(user, Shown::Offline, None)
    }
}

fn at(tick: u64) -> Timestamp {
    Timestamp(START.0 + tick * TICK_MS)
}
