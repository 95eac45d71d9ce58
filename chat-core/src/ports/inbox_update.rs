//! What the engine tells an inbox store that does not derive its rows from the logs, and what it notes before it does.

use chat_proto::channel::{Member, Meta};
use chat_proto::{ChannelId, Entry, Head, NodeId, Seq, Timestamp, UserId};

/// What an inbox store does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxCapabilities {
    /// Rows, own marks and mentions follow the logs: nothing need be told. Elsewhere the engine tells of every append with
    /// [`InboxStore::fan_out`](super::InboxStore::fan_out).
    pub derives_rows: bool,
    /// Engines of several processes may be over the same data, so that one must finish what another left half done.
    pub is_shared: bool,
}

/// What entries of one log leave in the inboxes of those whom they concern.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxUpdate {
    /// Whose log.
    pub channel: ChannelId,
    /// The log's end behind the entries. Of two updates of a row the one with the higher `head.seq` holds, whichever comes
    /// first.
    pub head: Head,
    /// The channel's settings there.
    pub meta: Meta,
    /// Its members there.
    pub member_count: u64,
    /// Whether nothing is copied to its members: `rows` then begin and end memberships, and everything else that a row shows
    /// is read from the log when it is asked for.
    pub large: bool,
    /// One for each user concerned.
    pub rows: Vec<RowUpdate>,
}

/// What entries leave in one user's row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowUpdate {
    /// Whose.
    pub user: UserId,
    /// How the user stands to the channel now; absent where that did not change and nothing of the row is copied.
    pub standing: Option<InboxStanding>,
    /// The other user of a direct channel; the user for notes to oneself.
    pub peer: Option<UserId>,
    /// When the newest of the entries came that is not withheld from the user; absent where all of them are.
    pub active_at: Option<Timestamp>,
    /// Messages that the user may see, new or with another body, as they now are and cut to a preview, ascending. The newest
    /// message that a row was ever told of is its `last`, with the body of the highest `rev`.
    pub messages: Vec<Entry>,
    /// The user's own messages among the entries, ascending: each raises the user's read mark if everything before it was read.
    pub own: Vec<Head>,
    /// The entry that made the user a member: the read mark stands there at least, and others are shown it.
    pub joined: Option<Head>,
    /// Messages that name the user.
    pub mentions: Vec<Seq>,
    /// Messages that named the user and were erased.
    pub unmentioned: Vec<Seq>,
}

/// How a user stands to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxStanding {
    /// A member, as this one.
    Member(Member),
    /// Not any more, since then.
    Left {
        /// The time of the entry that ended it.
        at: Timestamp,
    },
}

/// A note that a node may have appended to a log behind `after` and told nobody of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FanOutMark {
    /// The node's name in one life of its process.
    pub owner: NodeId,
    /// Which log.
    pub channel: ChannelId,
    /// The head before the first append that the note is for.
    pub after: Seq,
}
