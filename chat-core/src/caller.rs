//! On whose behalf the engine acts.

use chat_proto::{DeviceId, UserId};

/// An authenticated user, with the device if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// With which device; absent when the embedding program acts for the user.
    pub device: Option<DeviceId>,
    /// Whether the embedding program itself acts: roles do not bind it.
    pub system: bool,
}

impl Caller {
    /// A user on a device.
    pub fn device(user: UserId, device: DeviceId) -> Self {
        Self {
            user,
            device: Some(device),
            system: false,
        }
    }

    /// A user for whom the embedding program acts; every rule binds as it binds the user.
    pub fn user(user: UserId) -> Self {
        Self {
            user,
            device: None,
            system: false,
        }
    }

    /// The embedding program under this name.
    pub fn system(name: UserId) -> Self {
        Self {
            user: name,
            device: None,
            system: true,
        }
    }
}
