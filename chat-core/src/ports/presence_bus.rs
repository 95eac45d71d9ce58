//! Who is here.

use async_trait::async_trait;
use chat_proto::{NodeId, Timestamp, UserId};

use super::PortError;

/// A user's first session on a node began, or the last one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who.
    pub user: UserId,
    /// On which node.
    pub node: NodeId,
    /// The node's life: drawn when it starts, so that a restarted node is another one.
    pub node_epoch: u64,
    /// Whether the user is there now.
    pub online: bool,
    /// The last sign of life.
    pub at: Timestamp,
}

/// Whether a user is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// Who.
    pub user: UserId,
    /// On any node.
    pub online: bool,
    /// The last sign of life of a user who was here and is not.
    pub last_seen: Option<Timestamp>,
}

/// Carries who is online over the fleet. Beats never reach it, only transitions.
///
/// # Contract
/// - A user MUST be online while any (node, node epoch) announced them so and did not take it back
///   (`online_until_the_last_node_is_gone`).
/// - `announce` MUST be idempotent, and taking back what was not announced MUST change nothing
///   (`announcing_twice_is_once`, `a_stranger_cannot_take_back`).
/// - `states` MUST answer in the order asked, one a user, offline for those never seen (`states_in_order`).
#[async_trait]
pub trait PresenceBus: Send + Sync + 'static {
    /// Records transitions.
    async fn announce(&self, changes: &[PresenceChange]) -> Result<(), PortError>;

    /// Where these users stand.
    async fn states(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PortError>;
}
