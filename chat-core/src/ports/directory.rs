//! Which users there are.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_proto::UserId;

use super::PortError;

/// The users that exist, as the embedding program knows them.
///
/// # Contract
/// - `existing` MUST return a subset of what it was asked.
/// - A user who exists MUST go on existing: ids are never reused.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Those of `users` who exist.
    async fn existing(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, PortError>;

    /// Whether `from` may write to `to` directly, before any block or setting of chat's own.
    async fn may_talk(&self, from: &UserId, to: &UserId) -> Result<bool, PortError>;
}
