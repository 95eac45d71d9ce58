//! Who is here, and who hears of it.

use async_trait::async_trait;
use chat_proto::people::Presence;
use chat_proto::{NodeId, Timestamp, UserId};
use tokio::sync::mpsc;

use super::{KeptStatus, PortError};

/// Events that wait for a node at the most; what comes then is left out, and the node told so.
pub const PRESENCE_FEED_EVENTS_MAX: usize = 1_024;

/// A node reports something of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who.
    pub user: UserId,
    /// The node that reports.
    pub node: NodeId,
    /// The node's life: drawn when it starts, so that a restarted node is another one.
    pub node_epoch: u64,
    /// What.
    pub step: PresenceStep,
    /// The last sign of life.
    pub at: Timestamp,
}

/// What a node reports of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceStep {
    /// The user has sessions on the node and wants to be seen so.
    Here(KeptStatus),
    /// The node has no session of the user any more.
    Gone,
    /// The user wants to be seen so, wherever they are.
    Status(KeptStatus),
}

/// How others see a user, and since which transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// What they see; a user who is here and invisible is offline.
    pub shown: Presence,
    /// The higher one is the newer.
    pub rev: PresenceRev,
}

/// Orders what is seen of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PresenceRev {
    /// The life of the registry, which counts from there.
    pub generation: u64,
    /// Transitions of the user in it.
    pub rev: u64,
}

/// What reaches a node that watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceEvent {
    /// A watched user is seen otherwise.
    Changed(UserPresence),
    /// Events were left out: the states of watched users must be read again.
    Missed,
    /// The registry lost all that it held and is in a new generation: nodes must announce their users and read states
    /// again. What was watched still is.
    Restarted,
}

/// The events that reach a node; [`PRESENCE_FEED_EVENTS_MAX`] at the most wait in it.
pub type PresenceFeed = mpsc::Receiver<PresenceEvent>;

/// Carries who is online over the fleet: a registry of who is where, and a topic for each user. Beats never reach it,
/// only transitions.
///
/// # Contract
/// The registry holds, for each user, the lives of nodes - (node, node epoch) - where they are, their status and when they
/// were last seen. One atomic step applies a change to it, and if others see the user otherwise than before, counts that
/// transition and feeds it to those who watch.
/// - A user MUST be seen as their status says while any life of a node announced them [`Here`](PresenceStep::Here) and did
///   not take it back (`online_until_the_last_node_is_gone`).
/// - `announce` MUST be idempotent, and taking back what was not announced MUST change nothing
///   (`announcing_twice_is_once`, `a_stranger_cannot_take_back`).
/// - The status of the highest rev MUST stand, whoever reports it when (`the_newest_status_stands`); that of a user who is
///   nowhere changes nothing that is seen (`a_status_brings_nobody_online`).
/// - A user who is invisible MUST be seen as offline, without text (`the_invisible_are_seen_as_offline`), last seen when
///   they became invisible, whatever they do until they are seen again (`last_seen_is_frozen_while_invisible`).
/// - `states` MUST answer in the order asked, one a user, offline for those never seen (`states_in_order`).
/// - From the moment that `watch` answers, each transition of those users MUST reach the node's feed, as `states` answers
///   it, in order (`watched_transitions_are_fed_in_order`), and nobody else's (`only_watchers_are_fed`); a change that
///   nobody sees MUST NOT (`what_nobody_sees_is_not_fed`).
/// - The rev of a user MUST rise with each transition, and be above those of all former generations in a new one
///   (`revs_rise_over_generations`).
/// - `watch` MUST be idempotent (`watching_twice_is_once`), and after `unwatch` answered nothing more is put into the feed
///   (`unwatched_users_are_not_fed`).
/// - A node that joins again MUST begin with nothing watched, and its former feed MUST end (`joining_again_begins_anew`).
/// - Nothing MUST wait for a slow node: what its full feed leaves out is followed by [`Missed`](PresenceEvent::Missed)
///   (`a_full_feed_says_that_it_missed`).
/// - A registry that lost what it held MUST say so in every feed, or end it, before anything of its new generation
///   (`a_restarted_registry_says_so`).
#[async_trait]
pub trait PresenceBus: Send + Sync + 'static {
    /// Applies changes, one after the other.
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError>;

    /// How these users are seen.
    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError>;

    /// Begins to feed this node. Dropping the feed ends that.
    async fn join(&self, node: &NodeId) -> Result<PresenceFeed, PortError>;

    /// Feeds the node with transitions of these users too.
    ///
    /// # Errors
    /// `unavailable` for a node that did not join.
    async fn watch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError>;

    /// Feeds the node no longer with transitions of these users.
    async fn unwatch(&self, node: &NodeId, users: &[UserId]) -> Result<(), PortError>;
}
