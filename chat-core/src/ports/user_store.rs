//! Chat's own data of a user.

use async_trait::async_trait;
use chat_proto::{DeviceId, Seq, Timestamp, UserId};

use super::PortError;

/// A device was used.
#[derive(Clone, Debug)]
pub struct DeviceSeen {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// The user's display name, where the token told it.
    pub user_name: Option<String>,
    /// The client program, as `name/1.0`.
    pub client: String,
    /// When.
    pub at: Timestamp,
}

/// One of a user's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub device: DeviceId,
    /// As its owner named it at log-in; else its client program.
    pub name: String,
    /// As `web` or `ios`; empty where unknown.
    pub platform: String,
    /// First seen.
    pub created_at: Timestamp,
    /// Last seen.
    pub seen_at: Timestamp,
}

/// What others may see of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Who.
    pub user: UserId,
    /// Display name.
    pub name: Option<String>,
    /// First seen.
    pub created_at: Timestamp,
}

/// Users as chat knows them; rows appear at the first sight of an authenticated user.
///
/// # Contract
/// - `seen` MUST make the user and the device known and MUST be idempotent (`first_sight_makes_a_user`,
///   `seeing_again_changes_only_the_time`).
/// - `devices` MUST list a user's own devices only, oldest first (`devices_are_the_users_own`).
/// - `forget_device` MUST remove it from the list (`a_forgotten_device_is_gone`).
/// - `user_seq` MUST be 0 for a user whose log is empty or who is unknown (`an_empty_log_is_at_zero`).
/// - What was acknowledged MUST be found after `reopen` (`users_survive_reopen`).
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Notes that a user's device was used.
    async fn seen(&self, seen: DeviceSeen) -> Result<(), PortError>;

    /// The user, if ever seen or signed up.
    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError>;

    /// The user's devices.
    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError>;

    /// Removes the device; `false` when there was none.
    async fn forget_device(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError>;

    /// The head of the user's own log.
    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError>;
}
