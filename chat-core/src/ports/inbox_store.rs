//! A user's channels as the first screen of an app shows them.

use async_trait::async_trait;
use chat_proto::channel::{Member, Meta};
use chat_proto::{ChannelId, Entry, Head, NodeId, Timestamp, UserId};

use super::{FanOutMark, InboxCapabilities, InboxUpdate, PortError};

/// One of a user's channels.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Which.
    pub channel: ChannelId,
    /// Its settings.
    pub meta: Meta,
    /// The other user of a direct channel; the user for notes to oneself.
    pub peer: Option<UserId>,
    /// The user's own membership.
    pub member: Member,
    /// How many members.
    pub member_count: u64,
    /// The log's end.
    pub head: Head,
    /// The user's read mark; at least `member.joined` for who was added later.
    pub read: Head,
    /// Messages after the read mark that mention the user.
    pub mentions: u64,
    /// The newest message that the user may see.
    pub last: Option<Entry>,
    /// When the channel last changed for this user: its newest entry or the user's own mark.
    pub activity: Timestamp,
}

/// A place in an inbox, newest activity first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxPosition {
    /// The row's activity.
    pub activity: Timestamp,
    /// The row's channel, which orders rows of the same activity, descending.
    pub channel: ChannelId,
}

/// Which rows to list.
#[derive(Clone, Debug)]
pub struct InboxQuery {
    /// Whose inbox.
    pub user: UserId,
    /// Only rows with an activity at or after this; absent: all.
    pub since: Option<Timestamp>,
    /// Only rows behind this one.
    pub behind: Option<InboxPosition>,
    /// Rows at the most.
    pub limit: usize,
}

/// Some of a user's channels, newest activity first.
#[derive(Clone, Debug, Default)]
pub struct InboxPage {
    /// The rows.
    pub rows: Vec<InboxRow>,
    /// Whether more follow.
    pub more: bool,
}

/// A channel that a user is no longer in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftChannel {
    /// Which.
    pub channel: ChannelId,
    /// Since when.
    pub at: Timestamp,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// The user has read up to here.
    Read,
    /// A device of the user has received up to here.
    Delivered,
}

/// A mark to raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRise {
    /// In which channel.
    pub channel: ChannelId,
    /// Whose.
    pub user: UserId,
    /// Which.
    pub kind: MarkKind,
    /// To where; marks merge by maximum.
    pub to: Head,
    /// When.
    pub at: Timestamp,
    /// It is the user's own to know: their row follows it, what others are shown does not.
    pub private: bool,
}

/// Where a user stands in a channel, as others are shown it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Read up to here.
    pub read: Head,
    /// Received up to here.
    pub delivered: Head,
}

/// A user's channels with heads, newest messages and marks.
///
/// # Contract
/// - `list` MUST hold every channel that the user is a member of, and no other (`inbox_lists_own_channels_only`), once each over
///   all pages, newest activity first (`inbox_pages_in_order_without_gap`).
/// - A row's head MUST be the log's head for what was appended before the call in stores that derive it
///   (`inbox_follows_the_log`).
/// - A mark MUST never fall, whatever order rises come in (`marks_never_fall`), and rising MUST be idempotent
///   (`raising_twice_is_once`). What was acknowledged MUST be found after `reopen` (`marks_survive_reopen`).
/// - The sender's own read mark MUST rise with their message when, and only when, everything before it was read
///   (`own_message_is_read_when_all_before_was`).
/// - `unread = head.n - read.n` MUST hold for every row, with joins and settings between messages (`unread_is_arithmetic`).
/// - A member added later MUST start with the read mark at the adding entry (`a_new_member_has_nothing_unread`).
/// - `mentions` MUST count messages after the read mark that name the user, once each (`mentions_count_once`), and not those
///   that were erased (`an_erased_message_mentions_nobody`).
/// - `last` MUST be the newest message at or after `visible_from`, or absent (`last_respects_the_visible_range`), as it now
///   is (`last_follows_edits_and_deletions`).
/// - An entry that is withheld from the user MUST count in the head alone: it raises neither activity nor mentions and is not
///   `last` (`what_is_withheld_raises_nothing`), and `list` leaves out a channel that holds nothing else
///   (`a_channel_of_withheld_entries_is_not_listed`).
/// - `left` MUST name the channels that the user left at or after `since` and is not in (`left_names_what_was_left`).
/// - A private rise of a read mark MUST raise the row of its user, and MUST NOT change what `marks` answers of them
///   (`a_private_rise_is_not_shown`), until a rise that is not private goes higher than what is shown; an own message does
///   not (`a_public_rise_shows_again`). Delivered marks are never raised privately.
/// - A raised mark MUST count as activity of that user's row only (`a_mark_is_activity_of_its_owner`).
///
/// Where rows are not derived from the logs, all of the above MUST hold once `fan_out` was told of what was appended, and:
/// - Updates MUST lead to the same rows in whatever order they come, and however often; only the read mark over one's own
///   messages, which asks what was read before, may stay behind (`updates_converge_in_any_order`).
///   No body that an update has replaced or erased may be in any read (`a_replaced_copy_is_in_no_read`).
/// - Once a channel is large, its rows MUST show what the log holds when they are asked for
///   (`rows_of_large_channels_are_read_on_request`).
///
/// In stores that are shared:
/// - A fan-out mark MUST be found from when it is acknowledged until it is dropped, once the lease of its owner has ended, and
///   not before (`fan_out_marks_outlive_their_owner`). Of two of one owner and channel the lower `after` holds.
#[async_trait]
pub trait InboxStore: Send + Sync + 'static {
    /// What the store does by itself; never changes.
    fn capabilities(&self) -> InboxCapabilities;

    /// Brings rows, own marks and mentions up to what was appended; answers when durable. Never called where rows are derived.
    /// Left as it is by stores that derive their rows.
    async fn fan_out(&self, update: InboxUpdate) -> Result<(), PortError> {
        let _ = update;
        Err(PortError::misuse("inbox.fan_out"))
    }

    /// Keeps notes of channels of which nobody may have heard. Left as it is, like the three below, by stores that are not
    /// shared: none of them is called there.
    async fn keep_fan_out_marks(&self, marks: Vec<FanOutMark>) -> Result<(), PortError> {
        let _ = marks;
        Err(PortError::misuse("inbox.keep_fan_out_marks"))
    }

    /// Forgets the owner's notes of these channels.
    async fn drop_fan_out_marks(
        &self,
        owner: &NodeId,
        channels: &[ChannelId],
    ) -> Result<(), PortError> {
        let _ = (owner, channels);
        Err(PortError::misuse("inbox.drop_fan_out_marks"))
    }

    /// The owner lives at least until then, by the clock of whoever calls.
    async fn renew_lease(&self, owner: &NodeId, until: Timestamp) -> Result<(), PortError> {
        let _ = (owner, until);
        Err(PortError::misuse("inbox.renew_lease"))
    }

    /// Marks of owners whose lease ended before `now`, or who never had one, `limit` at the most.
    async fn orphaned_fan_out_marks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        let _ = (now, limit);
        Err(PortError::misuse("inbox.orphaned_fan_out_marks"))
    }

    /// A page of the user's channels.
    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError>;

    /// The rows of those of `channels` that the user is in, in any order.
    async fn rows(&self, user: &UserId, channels: &[ChannelId])
    -> Result<Vec<InboxRow>, PortError>;

    /// The channels that the user left at or after `since` and is not in, `limit` at the most, newest first.
    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError>;

    /// The large channels that the user is in: those whose members are not copied to.
    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError>;

    /// Raises marks of members; answers when durable. A mark of somebody who is no member is dropped.
    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError>;

    /// Where these members stand in the channel, as others are shown it; absent users are left out.
    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError>;
}
