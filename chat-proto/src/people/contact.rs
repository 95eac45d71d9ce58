//! How two users stand to each other.

use serde::{Deserialize, Serialize};

/// How one user stands to another, as the first sees it; nothing at all for a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ContactState {
    /// The user has asked the other, who has not accepted yet.
    Asked,
    /// The other is asking the user.
    Asking,
    /// Both agreed.
    Contact,
}

/// Who may write to a user directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DirectFrom {
    /// Everybody.
    #[default]
    All,
    /// Contacts only.
    Contacts,
}
