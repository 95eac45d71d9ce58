//! The writes of one user's rows, as one mutation: all of them are seen, or none.

use chat_core::ports::PortError;
use chat_proto::{ChannelId, Head, Seq, Timestamp, UserId};
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;

use super::marks::{Marks, Own};
use crate::batch::{number, set, text, uuid};
use crate::error::write_failed;
use crate::store::{Bound, Db, column};

/// Statements over one user and channel.
pub(super) struct RowWrites<'a> {
    db: &'a Db,
    place: [Bound; 2],
    batch: Batch,
    values: Vec<Vec<Bound>>,
}

impl<'a> RowWrites<'a> {
    pub(super) fn of(db: &'a Db, user: &UserId, channel: ChannelId) -> Self {
        Self {
            db,
            place: [text(user.as_str()), uuid(channel.as_uuid())],
            batch: Batch::new(BatchType::Unlogged),
            values: Vec::new(),
        }
    }

    /// Sets columns of the row at this timestamp; the values are those before its place.
    pub(super) fn set(
        &mut self,
        statement: &PreparedStatement,
        stamp: i64,
        values: impl IntoIterator<Item = Bound>,
    ) {
        let mut bound = vec![set(CqlValue::BigInt(stamp))];
        bound.extend(values);
        bound.extend_from_slice(&self.place);
        self.push(statement, bound);
    }

    pub(super) fn mention(&mut self, seq: Seq) {
        let stamp = self.db.stamps.at(seq);
        let mut bound = self.place.to_vec();
        bound.extend([number(seq.0), set(CqlValue::BigInt(stamp))]);
        self.push(&self.db.statements.insert_mention, bound);
    }

    /// `head` is behind the message, so that no later write of the mention brings it back.
    pub(super) fn unmention(&mut self, seq: Seq, head: Head) {
        let stamp = self.db.stamps.at(head.seq.max(seq));
        let mut bound = vec![set(CqlValue::BigInt(stamp))];
        bound.extend_from_slice(&self.place);
        bound.push(number(seq.0));
        self.push(&self.db.statements.delete_mention, bound);
    }

    /// Brings the marks from how the columns are to how they are now. `joined` is the membership that they are of.
    pub(super) fn marks(&mut self, stored: &Marks, now: &Marks, joined: Seq) {
        let (statements, stamps) = (&self.db.statements, self.db.stamps);
        let both = |mark: Head| [number(mark.seq.0), number(mark.n.0)];
        if now.read != stored.read {
            self.set(
                &statements.set_read,
                stamps.at(now.read.seq),
                both(now.read),
            );
        }
        if now.shown != stored.shown {
            self.set(
                &statements.set_shown,
                stamps.at(now.shown.seq),
                both(now.shown),
            );
        }
        if now.delivered != stored.delivered {
            // At least at the joining, so that a mark of a former membership gives way to it.
            let stamp = stamps.at(now.delivered.seq.max(joined));
            let [seq, n] = both(now.delivered);
            self.set(&statements.set_delivered, stamp, [seq, n, number(joined.0)]);
        }
        if now.raised_at != stored.raised_at {
            let values = [number(now.raised_at.0), number(joined.0)];
            self.set(
                &statements.set_raised,
                stamps.at_time(now.raised_at),
                values,
            );
        }
        let own = now.own_since(stored);
        for (n, own) in own.replaces {
            let entry = (CqlValue::BigInt(column(n)), CqlValue::BigInt(own.column()));
            let values = [set(CqlValue::Map(vec![entry]))];
            self.set(&statements.replace_own, stamps.at(own.seq), values);
        }
        for (n, own) in own.waiting {
            self.set(&statements.set_own, stamps.at(own.seq), own_cell(n, own));
        }
    }

    fn push(&mut self, statement: &PreparedStatement, values: Vec<Bound>) {
        self.batch.append_statement(statement.clone());
        self.values.push(values);
    }

    /// Writes everything, at once.
    pub(super) async fn run(self, op: &'static str) -> Result<(), PortError> {
        if self.values.is_empty() {
            return Ok(());
        }
        let done = self.db.session.batch(&self.batch, &self.values).await;
        done.map(drop).map_err(|error| write_failed(op, error))
    }
}

fn own_cell(n: u64, own: Own) -> [Bound; 2] {
    [number(n), set(CqlValue::BigInt(own.column()))]
}

impl crate::store::Stamps {
    /// For what merges by its time: 42 bits of milliseconds last beyond the year 2100.
    pub(super) fn at_time(self, at: Timestamp) -> i64 {
        self.at(Seq(at.0))
    }
}
