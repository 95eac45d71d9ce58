//! Who is calling.

use async_trait::async_trait;
use chat_proto::{DeviceId, Timestamp, UserId};

use super::PortError;

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// The device that the token was given to.
    pub device: DeviceId,
    /// A display name that came with the token.
    pub name: Option<String>,
    /// When the token ends; its sessions are closed then.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// A user on a device, with no name and for as long as nobody revokes it.
    pub fn new(user: UserId, device: DeviceId) -> Self {
        Self {
            user,
            device,
            name: None,
            expires_at: None,
        }
    }

    /// The same with a display name.
    #[must_use]
    pub fn named(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }

    /// The same with an end.
    #[must_use]
    pub fn expiring(mut self, at: Option<Timestamp>) -> Self {
        self.expires_at = at;
        self
    }
}

/// Turns a token into a user and a device. An embedding program brings its own.
///
/// # Contract
/// - A token that is unknown, malformed, expired or revoked MUST yield `None`, whichever of these it is.
/// - Time taken MUST NOT depend on how much of a token is right.
/// - `Err` MUST mean that the token could not be checked, never that it is bad.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Whom the token stands for, if it is good.
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError>;
}
