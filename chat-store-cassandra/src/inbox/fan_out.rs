//! Brings rows up to what was appended: one mutation a user, side by side.

use chat_core::ports::{InboxStanding, InboxUpdate, PortError, RowUpdate};
use chat_core::rows::role_number;
use chat_proto::Seq;
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::value::{CqlValue, MaybeUnset};

use super::row::LEFT;
use super::writes::RowWrites;
use crate::batch::{number, optional, set};
use crate::config::INBOX_WRITES_IN_FLIGHT_MAX;
use crate::store::{Bound, Db, column};

const OP: &str = "inbox.fan_out";

/// What all rows of an update have in common.
struct Common<'a> {
    update: &'a InboxUpdate,
    meta: Vec<u8>,
}

impl Db {
    pub(crate) async fn fan_out(&self, update: InboxUpdate) -> Result<(), PortError> {
        let meta = serde_json::to_vec(&update.meta);
        let meta = meta.map_err(|error| PortError::misuse(OP).with_source(error))?;
        let common = Common {
            update: &update,
            meta,
        };
        let rows: Vec<_> = update
            .rows
            .iter()
            .map(|row| self.tell_row(&common, row))
            .collect();
        stream::iter(rows)
            .buffer_unordered(INBOX_WRITES_IN_FLIGHT_MAX)
            .try_collect()
            .await
    }

    async fn tell_row(&self, common: &Common<'_>, row: &RowUpdate) -> Result<(), PortError> {
        let (update, statements) = (common.update, &self.statements);
        let mut writes = RowWrites::of(self, &row.user, update.channel);
        if let Some(standing) = row.standing {
            let at_head = self.stamps.at(update.head.seq);
            let values = standing_columns(common, row, standing);
            writes.set(&statements.set_standing, at_head, values);
            let left = matches!(standing, InboxStanding::Left { .. });
            if left || update.large {
                let cleared = [number(update.head.seq.0)];
                writes.set(&statements.clear_copies, at_head, cleared);
            }
        }
        if let Some(at) = row.active_at {
            let stamp = self.stamps.at_time(at);
            writes.set(&statements.set_active, stamp, [number(at.0)]);
        }
        self.tell_copies(OP, &row.messages, &mut writes)?;
        for seq in &row.mentions {
            writes.mention(*seq);
        }
        if let Some(last) = row.mentions.iter().max() {
            let stamp = self.stamps.at(*last);
            writes.set(&statements.set_mentioned, stamp, [number(last.0)]);
        }
        for seq in &row.unmentioned {
            writes.unmention(*seq, update.head);
        }
        if row.joined.is_some() || !row.own.is_empty() {
            let known = self.marks_row(OP, &row.user, update.channel).await?;
            let stored = known.marks();
            let mut marks = stored.clone();
            marks.follow();
            if let Some(joined) = row.joined {
                marks.begin_at(joined);
            }
            for own in &row.own {
                marks.tell_own(*own);
            }
            let joined = Seq(known.joined.unwrap_or(0).cast_unsigned());
            writes.marks(&stored, &marks, joined);
        }
        writes.run(OP).await
    }
}

/// A former member is not told of the channel any more.
fn standing_columns(common: &Common<'_>, row: &RowUpdate, standing: InboxStanding) -> [Bound; 10] {
    let update = common.update;
    match standing {
        InboxStanding::Member(member) => [
            set(CqlValue::TinyInt(role_number(member.role))),
            number(member.joined.0),
            number(member.visible_from.0),
            number(0),
            set(CqlValue::Boolean(update.large)),
            number(update.head.seq.0),
            number(update.head.n.0),
            set(CqlValue::BigInt(column(update.member_count))),
            optional(
                row.peer
                    .as_ref()
                    .map(|peer| CqlValue::Text(peer.as_str().to_owned())),
            ),
            set(CqlValue::Blob(common.meta.clone())),
        ],
        InboxStanding::Left { at } => {
            let mut columns = [const { MaybeUnset::Unset }; 10];
            columns[0] = set(CqlValue::TinyInt(LEFT));
            columns[1] = number(0);
            columns[2] = number(0);
            columns[3] = number(at.0);
            columns
        }
    }
}
