//! Chat's own data of a user.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_proto::people::{
    ContactState, DeviceChange, DirectFrom, Prefs, ProfileChange, Relation, RelationChange, Status,
    UserEntry, UserEntryKind,
};
use chat_proto::{ChannelId, DeviceId, Epoch, Seq, Timestamp, UserId};

use super::{PageLimit, PortError};

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

impl Device {
    /// What the user's own log tells of the device.
    pub fn told(&self) -> UserEntryKind {
        let unless_empty = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        UserEntryKind::Device(DeviceChange {
            device: self.device,
            name: unless_empty(&self.name),
            platform: unless_empty(&self.platform),
            removed: false,
        })
    }

    /// What it tells of a device that was forgotten.
    pub fn told_removed(device: DeviceId) -> UserEntryKind {
        UserEntryKind::Device(DeviceChange {
            device,
            name: None,
            platform: None,
            removed: true,
        })
    }
}

/// What others may see of a user, and whose direct messages the user takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Who.
    pub user: UserId,
    /// Display name.
    pub name: Option<String>,
    /// Who may write to the user directly.
    pub direct: DirectFrom,
    /// First seen.
    pub created_at: Timestamp,
}

/// A user changes their profile.
#[derive(Clone, Debug)]
pub struct ProfileWrite {
    /// Who.
    pub user: UserId,
    /// What changes, as [`ProfileChange::apply`] says.
    pub change: ProfileChange,
    /// When.
    pub at: Timestamp,
}

/// A user changes how they stand to another one.
#[derive(Clone, Debug)]
pub struct RelationWrite {
    /// Who does it.
    pub user: UserId,
    /// About whom; somebody else.
    pub other: UserId,
    /// What.
    pub change: RelationChange,
    /// When.
    pub at: Timestamp,
}

impl RelationWrite {
    /// Checks that it is about somebody else.
    ///
    /// # Errors
    /// `misuse`, in the name of the operation `op`.
    pub fn check(&self, op: &'static str) -> Result<(), PortError> {
        if self.user == self.other {
            return Err(PortError::misuse(op).with_source("a user has no relation to themselves"));
        }
        Ok(())
    }
}

/// A user changes what they keep of a channel for themselves.
#[derive(Clone, Debug)]
pub struct PrefsWrite {
    /// Who.
    pub user: UserId,
    /// Of which channel.
    pub channel: ChannelId,
    /// What changes, as [`Prefs::merge`] says.
    pub change: Prefs,
    /// When.
    pub at: Timestamp,
}

/// What a user says of being there, on all their devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserStatus {
    /// Whether.
    pub state: Status,
    /// In their own words.
    pub text: Option<String>,
}

/// A status as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptStatus {
    /// Whether the user is there.
    pub state: Status,
    /// In their own words.
    pub text: Option<String>,
    /// How often the user set one: of two that are heard of, the higher one stands.
    pub rev: u64,
}

/// Asks for a page of a user's own log.
#[derive(Clone, Debug)]
pub struct UserEntriesQuery {
    /// Whose.
    pub user: UserId,
    /// The last entry that is known.
    pub after: Seq,
    /// How much at the most; a page holds at least one entry all the same.
    pub limit: PageLimit,
}

/// A page of a user's own log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserEntriesPage {
    /// Contiguous from the entry behind `after`.
    pub entries: Vec<UserEntry>,
    /// The log's head, not before the last of `entries`.
    pub head: Seq,
}

/// Asks for a page of a user's list of other users.
#[derive(Clone, Debug)]
pub struct PeopleQuery {
    /// Whose list.
    pub user: UserId,
    /// The last user that is known; absent: from the beginning.
    pub after: Option<UserId>,
    /// How many at the most.
    pub limit: usize,
}

/// A page of a list of other users, ascending by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeoplePage<T> {
    /// Who, in the order of ids.
    pub people: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// The entries that a write added to users' own logs, in order; empty where all was so already.
pub type WrittenEntries = BTreeMap<UserId, Vec<UserEntry>>;

/// Users as chat knows them; rows appear at the first sight of an authenticated user.
///
/// Every user has a log of their own, of entries with a contiguous `seq` from 1. What changes of a user is written in one
/// transaction with the entries that report it, also where it concerns the logs of two users.
///
/// # Contract
/// - `seen` MUST make the user and the device known and MUST be idempotent (`first_sight_makes_a_user`,
///   `seeing_again_changes_only_the_time`).
/// - `devices` MUST list a user's own devices only, oldest first (`devices_are_the_users_own`).
/// - `forget_device` MUST remove it from the list (`a_forgotten_device_is_gone`).
/// - The first sight of a device and its end MUST be entries of its user's log (`devices_are_told_by_the_log`).
/// - `user_seq` MUST be 0 for a user whose log is empty or who is unknown (`an_empty_log_is_at_zero`), else the seq of the
///   last entry (`user_seq_is_the_end_of_the_log`).
/// - A user's log MUST be contiguous from 1, also under concurrent writers (`the_users_log_is_contiguous`), and hold what
///   was written for this user only (`logs_are_the_users_own`).
/// - `entries` MUST start right behind `after`, respect both limits, and hold at least one entry if there is one
///   (`pages_of_the_users_log_are_exact`).
/// - Every write MUST answer exactly the entries that it added, for each user (`a_write_answers_what_it_wrote`), and what is
///   so already MUST add none (`what_is_so_already_adds_no_entry`).
/// - `relate` MUST refuse a user's relation to themselves as misuse (`nobody_is_related_to_themselves`), and otherwise change
///   both sides as [`Relation::after`] says, and tell each log what [`Relation::told`] says
///   (`putting_asks_and_then_accepts`, `removing_ends_it_on_both_sides`); two who put each other at once MUST end as
///   contacts (`two_who_put_each_other_at_once_are_contacts`).
/// - A block MUST hide from the blocker that the blocked asks, and tell the blocked nothing (`the_blocked_cannot_tell`).
/// - `contacts` MUST list what [`Relation::shown_contact`] shows, and `blocks` whom the user blocks, both ascending by user
///   id and in pages without gap (`contacts_are_listed_in_pages`, `blocks_are_listed_in_pages`).
/// - `relations` MUST answer for everybody it was asked for, with both sides' blocks (`relations_show_both_sides`).
/// - `set_prefs` MUST change the named fields only, and clear as [`Prefs::merge`] says (`preferences_merge_by_field`);
///   `prefs` MUST answer a user's own, of the channels asked for and only where there are some
///   (`preferences_are_the_users_own`).
/// - A draft MUST be in the log only while it is the current one: the entry that told of the former one loses it
///   (`only_the_current_draft_is_in_the_log`).
/// - `set_profile` MUST change the named fields only, as [`ProfileChange::apply`] says, and make the user known (`a_profile_changes_by_field`).
/// - `set_status` MUST keep the status as it was given and write no entry (`a_status_is_kept_and_not_logged`), with a
///   rev above those of the user's former ones (`each_status_has_a_higher_rev`).
/// - What was acknowledged MUST be found after `reopen` (`users_survive_reopen`).
/// - `epoch` MUST be the same for the life of the store, also after `reopen` (`the_epoch_of_users_outlives_reopen`).
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// The life of the store: places in the logs of users mean nothing in another one. One that keeps messages as well
    /// answers what [`MessageStore::epoch`](super::MessageStore::epoch) does.
    async fn epoch(&self) -> Result<Epoch, PortError>;

    /// Notes that a user's device was used.
    async fn seen(&self, seen: DeviceSeen) -> Result<WrittenEntries, PortError>;

    /// The user, if ever seen or signed up.
    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError>;

    /// Changes a user's profile.
    async fn set_profile(&self, write: ProfileWrite) -> Result<WrittenEntries, PortError>;

    /// The user's devices.
    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError>;

    /// Removes the device; nothing is written when there was none.
    async fn forget_device(
        &self,
        user: &UserId,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<WrittenEntries, PortError>;

    /// The head of the user's own log.
    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError>;

    /// A page of the user's own log.
    async fn entries(&self, query: UserEntriesQuery) -> Result<UserEntriesPage, PortError>;

    /// Changes how a user stands to another one.
    async fn relate(&self, write: RelationWrite) -> Result<WrittenEntries, PortError>;

    /// How a user stands to each of these.
    async fn relations(
        &self,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError>;

    /// A page of the user's contacts, with those who ask and those who were asked.
    async fn contacts(
        &self,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError>;

    /// A page of those whom the user blocks.
    async fn blocks(&self, query: PeopleQuery) -> Result<PeoplePage<UserId>, PortError>;

    /// Changes what a user keeps of a channel.
    async fn set_prefs(&self, write: PrefsWrite) -> Result<WrittenEntries, PortError>;

    /// What the user keeps of these channels.
    async fn prefs(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError>;

    /// Keeps a user's status.
    async fn set_status(&self, user: &UserId, status: UserStatus) -> Result<(), PortError>;

    /// The statuses of these users; who never set one is left out.
    async fn statuses(
        &self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError>;
}
