//! A channel's state as plain data, for stores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::roster::Member;
use super::state::Meta;
use crate::entry::Role;
use crate::id::{Head, MessageId, Timestamp, UserId};

/// The fold of a log up to `head`. Folding the entries after it gives the same state as folding the whole log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry in it.
    pub head: Head,
    /// The highest name in the log up to there.
    pub message: MessageId,
    /// The latest time in the log up to there.
    pub at: Timestamp,
    /// The settings; none while the channel does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
    /// How many members there are.
    pub member_count: u64,
    /// Whether the channel was large at `head`. Not to be computed from the count: between the two limits it
    /// depends on the past.
    pub large: bool,
    /// All members; none where the channel is large, or became small and nobody has read its members yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<BTreeMap<UserId, Member>>,
    /// Owners and admins. Not read where `members` are there.
    #[serde(default)]
    pub privileged: BTreeMap<UserId, Role>,
    /// Whether every entry up to `head` was of a known kind. A newer version must fold the log itself where not.
    pub understood: bool,
}
