//! Messages' bodies: set, erased, and notes that they are to be.

use chat_core::ports::BodyNote;
use chat_core::rows::{PreparedSet, SetRow, TargetKey, bound};
use chat_proto::{ChannelId, Seq};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::plan::Heads;
use crate::sql::bodies;
use crate::sql::rows::{Binds, run, write};

/// A write that is about bodies alone.
#[derive(Debug)]
pub(crate) enum BodyWrite {
    Set(ChannelId, PreparedSet),
    KeepNote(BodyNote),
    DropNote(ChannelId, Seq),
}

impl BodyWrite {
    /// Whose.
    pub(super) fn channel(&self) -> ChannelId {
        match self {
            Self::Set(channel, _) | Self::DropNote(channel, _) => *channel,
            Self::KeepNote(note) => note.channel,
        }
    }

    /// The channel that it locks.
    pub(super) fn locks(&self) -> Option<Uuid> {
        match self {
            Self::Set(channel, _) => Some(channel.as_uuid()),
            Self::KeepNote(_) | Self::DropNote(..) => None,
        }
    }

    pub(super) async fn write(
        &self,
        db: &mut PgConnection,
        heads: &Heads,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Set(channel, set) => {
                let Some(known) = heads.get(channel) else {
                    return Ok(());
                };
                set_bodies(db, &[SetRow::of(known.key, set)]).await
            }
            Self::KeepNote(note) => {
                let targets: Vec<i64> = note.targets.iter().map(|seq| bound(seq.0)).collect();
                let mut binds = of_note(note.channel, note.after);
                binds.add(targets);
                run(db, bodies::INSERT_NOTE, binds).await.map(drop)
            }
            Self::DropNote(channel, after) => {
                let note = of_note(*channel, *after);
                run(db, bodies::DELETE_NOTE, note).await.map(drop)
            }
        }
    }

    /// Roughly the bytes that it occupies.
    pub(super) fn bytes(&self) -> usize {
        const FIXED: usize = 256;
        FIXED
            + match self {
                Self::Set(_, set) => set.body.as_ref().map_or(0, |(_, bytes)| bytes.len()),
                Self::KeepNote(note) => note.targets.len() * size_of::<Seq>(),
                Self::DropNote(..) => 0,
            }
    }
}

/// Does to messages what `chat_proto::entry::Message::set_body` does: the higher revision wins, and an erasure is for ever.
/// One set a message.
pub(super) async fn set_bodies(
    db: &mut PgConnection,
    sets: &[SetRow<'_>],
) -> Result<(), sqlx::Error> {
    write(db, bodies::SET, sets).await?;
    let erased = sets.iter().filter(|set| set.erases);
    let erased: Vec<TargetKey> = erased.map(|set| set.target).collect();
    write(db, bodies::DELETE_MENTIONS_OF, &erased).await?;
    write(db, bodies::DELETE_REACTIONS_OF, &erased).await?;
    write(db, bodies::DELETE_PINS_OF, &erased).await?;
    Ok(())
}

fn of_note(channel: ChannelId, after: Seq) -> Binds {
    let mut binds = Binds::default();
    binds.add(channel.as_uuid()).add(bound(after.0));
    binds
}
