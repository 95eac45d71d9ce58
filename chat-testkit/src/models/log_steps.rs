//! What is done to logs and inboxes: steps that name users, channels and messages by number, so that they mean something
//! whatever was done before them.

use chat_core::ports::MarkKind;
use chat_core::proto::{Limits, Role};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::logs::{CHANNELS, USERS};
use crate::strategies::texts;

/// Deeds of one append at the most; [`LogStep::Fill`] makes full ones.
const DEEDS_MAX: usize = 4;
/// How far back the messages lie that something is done to.
const TARGETS: usize = 5;
/// Signs, few enough to be set again.
const SIGNS: &[&str] = &["+", "-", "\u{1f44d}"];

/// A step of the model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LogStep {
    /// Deeds in one append; those that the rules refuse are left out.
    Append {
        /// Where.
        channel: usize,
        /// By whom, what.
        deeds: Vec<(usize, Deed)>,
        /// Later messages have lower names.
        unordered: bool,
    },
    /// As many texts as an append holds.
    Fill {
        /// Where.
        channel: usize,
        /// By whom.
        user: usize,
    },
    /// An append at a head that the log does not have.
    Misplaced {
        /// Where.
        channel: usize,
        /// By whom.
        user: usize,
        /// How far above the head; negative: below.
        above: i64,
    },
    /// An append of a key that the log holds.
    Again {
        /// Where.
        channel: usize,
        /// The key's record, counted from the newest.
        back: usize,
        /// New messages before it.
        before: usize,
        /// As for [`LogStep::Misplaced`]; 0: at the head.
        above: i64,
    },
    /// What an edit or a deletion left a message with is set once more.
    SetBody {
        /// Where.
        channel: usize,
        /// Which, counted from the newest.
        back: usize,
    },
    /// Marks rise, in one call.
    Raise {
        /// Where.
        channel: usize,
        /// Which.
        rises: Vec<Rise>,
    },
    /// The users of a direct channel block each other, or no longer.
    Block {
        /// Where.
        channel: usize,
        /// Whether they do.
        blocks: bool,
    },
    /// A note about bodies is kept or dropped.
    Note {
        /// Where.
        channel: usize,
        /// Of which head.
        after: u64,
        /// Which message.
        target: u64,
        /// Dropped.
        drop: bool,
    },
    /// Pages are read.
    Page(PageStep),
    /// The store is closed and opened again.
    Reopen,
}

/// A page of entries and one of messages.
#[derive(Clone, Debug)]
pub struct PageStep {
    /// Where.
    pub channel: usize,
    /// By whom.
    pub viewer: usize,
    /// Behind this entry.
    pub after: u64,
    /// Messages before this one: so far behind `after`.
    pub width: u64,
    /// The newest messages.
    pub newest: bool,
    /// Entries at the most.
    pub entries: usize,
    /// Bytes at the most.
    pub bytes: usize,
}

/// A mark that rises.
#[derive(Clone, Debug)]
pub struct Rise {
    /// Whose.
    pub user: usize,
    /// Which.
    pub kind: MarkKind,
    /// To the entry so far back from the newest.
    pub back: usize,
    /// Not shown.
    pub private: bool,
}

/// What one command does; targets are messages counted from the newest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Deed {
    /// A message.
    Say {
        /// What.
        text: String,
        /// Whom it names.
        mentions: Vec<usize>,
        /// What it answers.
        reply_to: Option<usize>,
        /// Whose thread it is in.
        thread: Option<usize>,
    },
    /// A message longer than a column of 65,535 bytes.
    SayLong,
    /// Its author edits a message.
    Edit(usize, String),
    /// Its author deletes a message.
    Delete(usize),
    /// A sign is set, or taken back.
    React(usize, &'static str, bool),
    /// A message is pinned, or no longer.
    Pin(usize, bool),
    /// Somebody comes.
    Add(usize, Role),
    /// Somebody goes.
    Remove(usize),
    /// Somebody has another role.
    Role(usize, Role),
    /// So many come that the channel is large, or they go.
    Crowd,
    /// The title changes.
    Title(String),
    /// Something of a later version, behind which nothing is decided.
    Unknown,
}

impl LogStep {
    /// Which channel it may change.
    pub(super) fn writes_to(&self) -> Option<usize> {
        match self {
            Self::Append { channel, .. }
            | Self::Fill { channel, .. }
            | Self::Misplaced { channel, .. }
            | Self::Again { channel, .. }
            | Self::SetBody { channel, .. }
            | Self::Raise { channel, .. }
            | Self::Note { channel, .. } => Some(*channel),
            Self::Block { .. } | Self::Page(_) | Self::Reopen => None,
        }
    }
}

pub(super) fn steps() -> BoxedStrategy<LogStep> {
    let (channel, user) = (0..CHANNELS, 0..USERS);
    let above = || select(vec![-3_i64, -1, 1, 2]);
    prop_oneof![
        24 => (channel.clone(), vec((user.clone(), deeds()), 1..=DEEDS_MAX), any::<bool>())
            .prop_map(|(channel, deeds, unordered)| LogStep::Append { channel, deeds, unordered }),
        2 => (0..2_usize, user.clone()).prop_map(|(channel, user)| LogStep::Fill { channel, user }),
        2 => (channel.clone(), user.clone(), above())
            .prop_map(|(channel, user, above)| LogStep::Misplaced { channel, user, above }),
        2 => (channel.clone(), 0..200_usize, 0..3_usize, prop_oneof![Just(0), above()]).prop_map(
            |(channel, back, before, above)| LogStep::Again { channel, back, before, above }
        ),
        3 => (channel.clone(), 0..TARGETS)
            .prop_map(|(channel, back)| LogStep::SetBody { channel, back }),
        8 => (channel.clone(), vec(rises(), 1..4))
            .prop_map(|(channel, rises)| LogStep::Raise { channel, rises }),
        3 => (channel.clone(), any::<bool>())
            .prop_map(|(channel, blocks)| LogStep::Block { channel, blocks }),
        2 => (channel.clone(), 0..3_u64, 0..3_u64, any::<bool>()).prop_map(
            |(channel, after, target, drop)| LogStep::Note { channel, after, target, drop }
        ),
        5 => pages().prop_map(LogStep::Page),
        2 => Just(LogStep::Reopen),
    ]
    .boxed()
}

fn deeds() -> impl Strategy<Value = Deed> {
    let (user, target) = (0..USERS, 0..TARGETS);
    let roles = || select(vec![Role::Guest, Role::Member, Role::Admin, Role::Owner]);
    let said = (
        said(),
        vec(user.clone(), 0..3),
        option::weighted(0.2, target.clone()),
        option::weighted(0.3, target.clone()),
    );
    prop_oneof![
        24 => said.prop_map(|(text, mentions, reply_to, thread)| Deed::Say {
            text,
            mentions,
            reply_to,
            thread
        }),
        1 => Just(Deed::SayLong),
        10 => (target.clone(), said_again()).prop_map(|(target, text)| Deed::Edit(target, text)),
        4 => target.clone().prop_map(Deed::Delete),
        8 => (target.clone(), select(SIGNS), any::<bool>())
            .prop_map(|(target, sign, remove)| Deed::React(target, sign, remove)),
        4 => (target, any::<bool>()).prop_map(|(target, remove)| Deed::Pin(target, remove)),
        6 => (user.clone(), roles()).prop_map(|(user, role)| Deed::Add(user, role)),
        4 => user.clone().prop_map(Deed::Remove),
        3 => (user, roles()).prop_map(|(user, role)| Deed::Role(user, role)),
        1 => Just(Deed::Crowd),
        3 => "[a-z]{1,6}".prop_map(Deed::Title),
        1 => Just(Deed::Unknown),
    ]
}

fn said() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => "[a-z]{1,8}",
        1 => "[a-z]{0,3}\u{0}[a-z]{0,3}",
        1 => texts().prop_filter("not the longest", |text| {
            text.len() <= Limits::default().preview_bytes_max
        }),
    ]
}

fn said_again() -> impl Strategy<Value = String> {
    said().prop_map(|text| format!("{text} again"))
}

fn rises() -> impl Strategy<Value = Rise> {
    let kinds = select(vec![
        (MarkKind::Read, false),
        (MarkKind::Read, true),
        (MarkKind::Delivered, false),
    ]);
    (0..USERS, kinds, 0..8_usize).prop_map(|(user, (kind, private), back)| Rise {
        user,
        kind,
        back,
        private,
    })
}

fn pages() -> impl Strategy<Value = PageStep> {
    let places = (0..CHANNELS, 0..USERS, 0..60_u64, 0..60_u64);
    let limits = (any::<bool>(), 1..8_usize, 1..2_000_usize);
    (places, limits).prop_map(
        |((channel, viewer, after, width), (newest, entries, bytes))| PageStep {
            channel,
            viewer,
            after,
            width,
            newest,
            entries,
            bytes,
        },
    )
}
