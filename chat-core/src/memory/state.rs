//! What the stores hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_proto::{ChannelId, DeviceId, Seq, Timestamp, UserId};

use super::copied::Copied;
use super::log::Log;
use super::person::People;
use crate::ports::{Device, Profile, TokenHash};

#[derive(Default)]
pub(super) struct State {
    pub(super) logs: HashMap<ChannelId, Log>,
    /// Notes by channel and the head at which they were made.
    pub(super) body_notes: BTreeMap<(ChannelId, Seq), BTreeSet<Seq>>,
    /// Inboxes, where they are not derived.
    pub(super) copied: Copied,
    /// Every channel that a user is or was in.
    pub(super) channels_of: HashMap<UserId, BTreeMap<ChannelId, Standing>>,
    pub(super) users: HashMap<UserId, User>,
    pub(super) people: People,
    pub(super) tokens: HashMap<TokenHash, Token>,
    pub(super) token_of_device: HashMap<(UserId, DeviceId), TokenHash>,
}

/// How a user stands to a channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Member,
    Left { at: Timestamp },
}

pub(super) struct User {
    pub(super) profile: Profile,
    /// Absent for a user who never signed up here.
    pub(super) password_hash: Option<String>,
    pub(super) devices: BTreeMap<DeviceId, Device>,
}

pub(super) struct Token {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) expires_at: Timestamp,
}
