//! The logs.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_proto::channel::{Annotations, ContentHash, Member, MemberChange, Snapshot, Target};
use chat_proto::{
    Body, ChannelId, ClientId, Entry, Epoch, Head, Limits, MessageId, Ordinal, Record, Seq,
    Timestamp, UserId,
};

use super::PortError;

/// What a store can do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreCapabilities {
    /// An append refuses every key that the log holds, whatever its age (a unique index), so that the engine need not
    /// search first.
    pub append_searches_keys: bool,
    /// An append of an edit or a deletion also sets its target's body, in the same step. Elsewhere the engine does it with
    /// [`MessageStore::set_body`], under a durable note.
    pub append_sets_bodies: bool,
}

/// What a caller needs to know a channel's state.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// A state of the channel, from which to fold on; absent: from the state that the caller said it has.
    pub snapshot: Option<Snapshot>,
    /// The entries after that state with their keys, contiguous to the head; at most `Limits::SNAPSHOT_AGE_ENTRIES_MAX`.
    pub since: Vec<Record>,
}

/// Entries to append to one channel's log.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose log.
    pub channel: ChannelId,
    /// The last entry that was folded to decide these; 0 for a channel that does not exist.
    pub expected_head: Seq,
    /// Contiguous from `expected_head + 1`; 1 to `Limits::APPEND_ENTRIES_MAX`.
    pub records: Vec<AppendRecord>,
    /// The channel's state after all of them, without its roster. Present whenever one of them is not a message; what a
    /// store with views writes beside the log.
    pub state: Option<Snapshot>,
}

impl Append {
    /// Refuses what no correct caller asks for: another number of records, places that do not follow each other, a key twice.
    /// Rows of one key in one write would both be written: each is compared with what was there before.
    ///
    /// # Errors
    /// `Misuse` of the operation `op`.
    pub fn check(&self, op: &'static str) -> Result<(), PortError> {
        let misuse = |why: &'static str| Err(PortError::misuse(op).with_source(why));
        if !(1..=Limits::APPEND_ENTRIES_MAX).contains(&self.records.len()) {
            return misuse("an append has at least one record and no more than the limit");
        }
        let mut next = self.expected_head.next();
        let mut keys = BTreeSet::new();
        for AppendRecord { record, .. } in &self.records {
            if record.channel != self.channel || record.entry.seq != next {
                return misuse("the records are not the next ones of this log");
            }
            next = next.next();
            if let Some(key) = record.key
                && !keys.insert((&record.entry.from, key.client_id))
            {
                return misuse("one append has the same key twice");
            }
        }
        Ok(())
    }
}

/// An entry to append, and what it means for the members.
#[derive(Clone, Debug)]
pub struct AppendRecord {
    /// The entry and its key.
    pub record: Record,
    /// Who came, went or changed, as `chat_proto::channel::member_changes` tells.
    pub changes: Vec<MemberChange>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The first `durable` records (at least one) are durable, the others surely not.
    Appended {
        /// How many.
        durable: usize,
    },
    /// Nothing was appended: the log's head is another one.
    HeadMoved {
        /// Where it is.
        head: Seq,
    },
    /// Nothing was appended: the log holds this record's key.
    KeyExists {
        /// Which of the records.
        index: usize,
        /// What the log holds under it.
        found: FoundKey,
    },
}

/// The first result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// Its entry.
    pub seq: Seq,
    /// Messages up to it.
    pub n: Ordinal,
    /// Its name.
    pub message: MessageId,
    /// When it was taken.
    pub at: Timestamp,
    /// What was sent.
    pub content: ContentHash,
}

/// A search for a key in a part of a log.
#[derive(Clone, Debug)]
pub struct KeyQuery {
    /// Whose log.
    pub channel: ChannelId,
    /// The sender, part of the key.
    pub sender: UserId,
    /// The command.
    pub client_id: ClientId,
    /// Behind this entry.
    pub after: Seq,
    /// Up to and with this one.
    pub through: Seq,
}

/// How much a page holds at the most; at least one entry all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// Entries.
    pub entries: usize,
    /// Bytes, as `Entry::size_bytes` counts them.
    pub bytes: usize,
}

/// A contiguous part of a log.
#[derive(Clone, Debug)]
pub struct EntriesQuery {
    /// Whose log.
    pub channel: ChannelId,
    /// Behind this entry.
    pub after: Seq,
    /// How much.
    pub limit: PageLimit,
}

/// Contiguous entries as they now are.
#[derive(Clone, Debug, Default)]
pub struct EntriesPage {
    /// From `after + 1` on.
    pub entries: Vec<Entry>,
    /// The log's head, at or behind the last entry.
    pub head: Head,
}

/// Messages in a part of a log, without what lies between.
#[derive(Clone, Debug)]
pub struct MessagesQuery {
    /// Whose log.
    pub channel: ChannelId,
    /// Who reads: their own reactions are told apart, and what is withheld from them is not counted.
    pub viewer: UserId,
    /// Behind this entry.
    pub after: Seq,
    /// Before this one.
    pub before: Seq,
    /// The newest of the range, or else the oldest.
    pub newest: bool,
    /// How much.
    pub limit: PageLimit,
}

/// Messages as they now are, ascending.
#[derive(Clone, Debug, Default)]
pub struct MessagesPage {
    /// The messages. Their bodies are at least as new as `as_of`.
    pub messages: Vec<AnnotatedMessage>,
    /// The log's head whose reactions, pins and replies the messages show, exactly.
    pub as_of: Seq,
    /// Whether the range holds more.
    pub more: bool,
}

/// A message with what was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnotatedMessage {
    /// The message.
    pub entry: Entry,
    /// Its reactions, pin and replies, as the viewer sees them.
    pub annotations: Annotations,
}

/// Entries to decide something about.
#[derive(Clone, Debug)]
pub struct TargetsQuery {
    /// Of which log.
    pub channel: ChannelId,
    /// Whose reactions are told apart.
    pub caller: UserId,
    /// Which entries.
    pub seqs: BTreeSet<Seq>,
}

/// Messages as decisions about them need them.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Everything that was done to them up to here is in it; perhaps later things too.
    pub through: Seq,
    /// Those of the asked that are messages.
    pub found: BTreeMap<Seq, Target>,
}

/// What an edit or a deletion leaves a message with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetBody {
    /// Whose log.
    pub channel: ChannelId,
    /// The message.
    pub target: Seq,
    /// The entry that sets it.
    pub rev: Seq,
    /// The body; none: erased for ever.
    pub body: Option<Body>,
}

/// A note that entries behind `after` may set the bodies of these messages, and that somebody is about to see to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BodyNote {
    /// Whose log.
    pub channel: ChannelId,
    /// The head at which the entries were decided.
    pub after: Seq,
    /// The messages.
    pub targets: BTreeSet<Seq>,
}

/// A part of a channel's members, by user id.
#[derive(Clone, Debug)]
pub struct MembersQuery {
    /// Of which channel.
    pub channel: ChannelId,
    /// Behind this user.
    pub after: Option<UserId>,
    /// Members at the most.
    pub limit: usize,
}

/// Members, ascending by user id.
#[derive(Clone, Debug, Default)]
pub struct MembersPage {
    /// Every change of members up to here is in the rows; perhaps later ones too.
    pub through: Seq,
    /// The rows.
    pub members: Vec<(UserId, Member)>,
    /// Whether more follow.
    pub more: bool,
}

/// Single members of a channel.
#[derive(Clone, Debug, Default)]
pub struct Memberships {
    /// Every change of members up to here is in the rows; perhaps later ones too.
    pub through: Seq,
    /// Those of the asked who are members.
    pub found: BTreeMap<UserId, Member>,
}

/// Channels' logs: contiguous, append-only, with keys.
///
/// # Contract
/// Appending:
/// - Entries MUST get the place they ask for: `seq` contiguous from 1 under any number of concurrent writers
///   (`seq_is_contiguous_under_concurrent_writers`).
/// - An append whose expected head is not the log's MUST append nothing and tell the head
///   (`append_refuses_a_moved_head`); of two at once with one expected head exactly one succeeds
///   (`one_of_two_racing_appends_wins`).
/// - An append is prefix-atomic: when it answers `Appended { durable }`, exactly the first `durable` records MUST be in the
///   log (`append_is_prefix_atomic`). A channel's first two records in one append MUST be durable together
///   (`creation_and_first_message_are_one_unit`).
/// - With `append_searches_keys` a record whose (sender, `client_id`) the log holds MUST be refused as `KeyExists`, also when
///   the head has moved, and nothing appended (`append_refuses_a_known_key`); keys MUST be apart by sender and channel
///   (`keys_are_apart_by_sender_and_channel`).
/// - What `Appended` acknowledged MUST survive a crash and `reopen` (`acknowledged_survives_reopen`).
/// - An `Err` MUST say `Retry::Safe` or `Never` only when the records are surely not and never will be in the log. After
///   `Unknown`, an append at the same expected head MUST settle it: either it succeeds, and the first attempt never will, or
///   the head has moved.
/// - A message body of 100,000 scalar values MUST be stored and returned byte for byte (`long_bodies_return_exactly`), as
///   MUST any hostile text (`hostile_bodies_return_exactly`).
/// - An entry of a kind that this version does not know MUST be returned as it came (`unknown_kinds_are_kept`).
///
/// Reading:
/// - Entry k MUST become visible only when 1..k-1 are, to every reader (`visible_only_in_order`).
/// - A read that begins after an append was acknowledged MUST see it (`reads_see_what_was_acknowledged`).
/// - `entries` MUST be contiguous from `after + 1`, respect both limits and hold at least one entry if there is one
///   (`pages_are_contiguous`, `pages_respect_bytes_and_hold_one`), with a head at or behind the last entry.
/// - `messages` MUST hold exactly the messages of the range that its end asks for, ascending, and MUST tell whether there
///   are more (`message_pages_are_exact`).
/// - `load` MUST fold to the same state as the log itself, from nothing and from any earlier state
///   (`load_folds_to_the_log`), and its records MUST carry their keys (`loaded_records_carry_their_keys`).
/// - `find_key` MUST find a key in all of `(after, through]` and nowhere else (`find_key_searches_exactly_the_range`).
/// - `members` and `memberships` MUST hold every change up to `through` (`members_follow_the_log`), page by user id without
///   gap or repetition (`member_pages_are_exact`).
/// - `successor` MUST be the longest-standing admin, else member, other than those leaving
///   (`successor_is_longest_standing`).
/// - `targets` MUST tell of every message of those asked what was done to it up to `through`, and of no other entry
///   (`targets_follow_the_log`).
///
/// Bodies:
/// - A message's body MUST be the one of the highest `rev` set so far, in every read, with that `rev`; an erased one stays
///   erased; in whatever order they were set, and however often (`bodies_converge_in_any_order`).
/// - An edit MUST carry its body only while it is the current one (`an_edit_carries_its_body_while_it_is_current`).
/// - Once a body is superseded or erased, no read MUST return it (`a_superseded_body_is_in_no_read`).
/// - With `append_sets_bodies` all of that MUST hold as soon as the append is acknowledged
///   (`an_append_sets_bodies_at_once`); without it, after `set_body`.
/// - A page of messages MUST show reactions, pins and replies exactly as of `as_of`, which MUST NOT be before what was
///   acknowledged when the call began (`annotations_are_exact`); of what is withheld from the viewer nothing
///   (`annotations_leave_out_what_is_withheld`). Whether an entry is withheld MUST be kept (`withheld_is_kept`).
/// - A body note MUST be listed from when it is acknowledged until it is dropped, also after `reopen`
///   (`body_notes_last_until_dropped`).
/// - Channels MUST be isolated from each other (`channels_are_isolated`), and a channel that does not exist reads as empty
///   (`an_absent_channel_is_empty`).
/// - `epoch` MUST be the same for the life of the store, also after `reopen` (`epoch_outlives_reopen`).
///
/// # Cancellation
/// Dropping the future of `append` MAY leave the append going on; it MUST NOT leave it half done.
#[async_trait]
pub trait MessageStore: Send + Sync + 'static {
    /// What the store can do by itself; never changes.
    fn capabilities(&self) -> StoreCapabilities;

    /// The life of the store.
    async fn epoch(&self) -> Result<Epoch, PortError>;

    /// What to fold to know the channel's state at its head, for a caller that has folded up to `folded` (0: nothing).
    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError>;

    /// Appends if the head is the expected one and no key is known.
    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError>;

    /// The heads of these channels, in the order asked.
    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError>;

    /// A contiguous part of the log, as it now is.
    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError>;

    /// Messages in a part of the log, as they now are.
    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError>;

    /// What these entries are, for a decision.
    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError>;

    /// Sets a message's body if the `rev` is higher than its own, or erases it; no former body is kept anywhere.
    async fn set_body(&self, set: SetBody) -> Result<(), PortError>;

    /// Keeps a note. One of the same channel and `after` is joined with it.
    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError>;

    /// Forgets a note: its bodies are set.
    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError>;

    /// Notes that were kept and not dropped, `limit` at the most, in the order of channel and `after`.
    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError>;

    /// The entry that a command left in this part of the log.
    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError>;

    /// A page of the members.
    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError>;

    /// Those of `users` who are members.
    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError>;

    /// Who becomes owner when `leaving`, the last owner among them, go.
    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError>;
}
