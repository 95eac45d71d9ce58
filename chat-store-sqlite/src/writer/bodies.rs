//! Messages' bodies: set, erased, and notes that they are to be.

use std::collections::HashMap;

use chat_core::ports::BodyNote;
use chat_core::rows::{PreparedSet, SetRow, TargetKey, bound};
use chat_proto::{ChannelId, Seq};
use sqlx::sqlite::SqliteConnection;

use super::plan::Heads;
use super::rows::BodyRow;
use super::statement::{damaged, run};
use crate::decode::Fields;
use crate::sql::rows::{Binds, Row};
use crate::sql::{bodies, messages};

/// A write that is about bodies alone.
#[derive(Debug)]
pub(crate) enum BodyWrite {
    Set(ChannelId, PreparedSet),
    KeepNote(BodyNote),
    DropNote(ChannelId, Seq),
}

impl BodyWrite {
    pub(super) async fn write(
        &self,
        db: &mut SqliteConnection,
        heads: &mut Heads,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Set(channel, set) => {
                let found = messages::FIND_CHANNELS.read(db, &[*channel]).await?;
                let Some(row) = found.first() else {
                    return Ok(());
                };
                let channel = value(&Fields::new(row, OP), "id")?;
                set_bodies(db, &[SetRow::of(channel, set)], heads).await
            }
            Self::KeepNote(note) => {
                let targets = serde_json::to_string(&note.targets);
                let mut binds = of_note(note.channel, note.after);
                binds.add(targets.expect("numbers are JSON"));
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

const OP: &str = "writer.bodies";

/// Does to messages what `chat_proto::entry::Message::set_body` does: the higher revision wins, and an erasure is for ever.
/// One set a message. The former body is overwritten, and the new one gets a place of its own.
pub(super) async fn set_bodies(
    db: &mut SqliteConnection,
    sets: &[SetRow<'_>],
    heads: &mut Heads,
) -> Result<(), sqlx::Error> {
    let targets: Vec<TargetKey> = sets.iter().map(|set| set.target).collect();
    let mut former = HashMap::with_capacity(sets.len());
    for row in bodies::FORMER.read(db, &targets).await? {
        let fields = Fields::new(&row, OP);
        let target = TargetKey {
            channel: value(&fields, "channel")?,
            seq: value(&fields, "seq")?,
        };
        let kept: (Option<i64>, Option<i64>) = (value(&fields, "rev")?, value(&fields, "body")?);
        former.insert(target, kept);
    }
    let mut changes = Changes::default();
    for set in sets {
        let Some(&(rev, body)) = former.get(&set.target) else {
            continue;
        };
        let rev = rev.unwrap_or(0);
        let becomes = match (set.erases, body, set.body) {
            (true, _, _) => None,
            (false, Some(_), Some(new)) if rev < set.rev => {
                let id = heads.new_body();
                changes.bodies.push(BodyRow { id, body: new });
                Some(id)
            }
            (false, body, _) => body,
        };
        if set.erases {
            changes.erased.push(set.target);
        }
        changes.former.extend(body.filter(|_| body != becomes));
        changes.messages.push(ChangedRow {
            target: set.target,
            rev: rev.max(set.rev),
            body: becomes,
        });
    }
    changes.write(db).await
}

/// What changes in the tables.
#[derive(Default)]
struct Changes<'a> {
    former: Vec<i64>,
    bodies: Vec<BodyRow<'a>>,
    messages: Vec<ChangedRow>,
    erased: Vec<TargetKey>,
}

impl Changes<'_> {
    async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        bodies::ERASE.write(db, &self.former).await?;
        messages::INSERT_BODIES.write(db, &self.bodies).await?;
        bodies::SET.write(db, &self.messages).await?;
        bodies::DELETE_MENTIONS.write(db, &self.erased).await?;
        bodies::DELETE_REACTIONS_OF.write(db, &self.erased).await?;
        bodies::DELETE_PINS_OF.write(db, &self.erased).await
    }
}

/// A message behind a change.
struct ChangedRow {
    target: TargetKey,
    rev: i64,
    body: Option<i64>,
}

impl Row for ChangedRow {
    const COLUMNS: usize = 4;

    fn bind(&self, binds: &mut Binds) {
        self.target.bind(binds);
        binds.add(self.rev).add(self.body);
    }
}

impl Row for i64 {
    const COLUMNS: usize = 1;

    fn bind(&self, binds: &mut Binds) {
        binds.add(*self);
    }
}

fn value<'r, T>(fields: &Fields<'r>, column: &str) -> Result<T, sqlx::Error>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    fields.value(column).map_err(damaged)
}

fn of_note(channel: ChannelId, after: Seq) -> Binds {
    let mut binds = Binds::default();
    binds.add(channel.as_bytes().as_slice()).add(bound(after.0));
    binds
}
