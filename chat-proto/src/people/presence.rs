//! Whether somebody is there.

use serde::{Deserialize, Serialize};

use crate::flat::flat;
use crate::id::{Timestamp, UserId};

/// What a user says of being there, on all their devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Status {
    /// Here.
    #[default]
    Online,
    /// Not at the device.
    Away,
    /// Here, and not to be disturbed.
    Busy,
    /// Here, and shown to others as offline.
    Invisible,
}

/// What others see of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Shown {
    /// Connected.
    Online,
    /// Connected, and not at the device.
    Away,
    /// Connected, and not to be disturbed.
    Busy,
    /// Not connected, or invisible.
    Offline,
}

/// A user's presence as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Presence {
    /// Whose.
    pub user: UserId,
    /// Whether they are there.
    pub state: Shown,
    /// What they say beside it.
    #[serde(default)]
    pub text: Option<String>,
    /// When they were last there, of somebody who is not.
    #[serde(default)]
    pub last_seen_ms: Option<Timestamp>,
}

impl Presence {
    /// Roughly the bytes that it occupies; what queues count.
    pub fn size_bytes(&self) -> usize {
        128 + self.user.as_str().len() + self.text.as_ref().map_or(0, String::len)
    }
}

flat!(Presence {
    always: user, state;
    present: text, last_seen_ms;
});
