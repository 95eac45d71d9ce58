//! The store: a session, what is prepared on it, and what this process remembers of channels.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chat_core::ports::PortError;
use chat_proto::{ChannelId, Epoch, Seq};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::frame::types::Consistency;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, MaybeUnset};

use crate::config::Config;
use crate::cql::Statements;
use crate::error::{OpenError, corrupt, read_failed, write_failed};
use crate::inbox::large::LargeStates;
use crate::inbox::notes::Notes;
use crate::lanes::Lanes;
use crate::open::open;

/// Channels remembered; beyond, all are forgotten and learned again.
const KNOWN_CHANNELS_MAX: usize = 65_536;

/// `MessageStore` and `InboxStore` in a keyspace. Cheap to clone; all clones are the same store.
///
/// # Cancellation
/// Dropping the future of a write may leave the write going on: a request that was sent is carried out.
#[derive(Clone)]
pub struct CassandraStore {
    pub(crate) db: Arc<Db>,
}

impl CassandraStore {
    /// Opens the store in the keyspace that [`apply_schema`](crate::apply_schema) made.
    ///
    /// # Errors
    /// When no node answers, the keyspace has no schema or one of another version or layout, or when keyspace or nodes are
    /// set up so that acknowledged writes could be lost; each error says what to change.
    pub async fn open_with(config: Config) -> Result<Self, OpenError> {
        // Apart from the caller's future, which all the statements would make a large one.
        let db = Box::pin(Db::open(config)).await?;
        Ok(Self { db })
    }
}

impl fmt::Debug for CassandraStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraStore")
            .field("epoch", &self.db.epoch)
            .finish_non_exhaustive()
    }
}

/// What all clones of a store share.
pub(crate) struct Db {
    pub(crate) session: Session,
    pub(crate) statements: Statements,
    pub(crate) epoch: Epoch,
    pub(crate) stamps: Stamps,
    pub(crate) buckets: Buckets,
    pub(crate) known: Known,
    pub(crate) lanes: Lanes,
    pub(crate) notes: Notes,
    pub(crate) large_states: LargeStates,
}

/// A bound value: absent ones leave no tombstone, null ones do or are compared.
pub(crate) type Bound = MaybeUnset<Option<CqlValue>>;

impl Db {
    async fn open(config: Config) -> Result<Arc<Self>, OpenError> {
        let opened = open(&config).await?;
        let statements = Statements::prepare(&opened.session)
            .await
            .map_err(|error| OpenError::database("prepare the statements", error))?;
        Ok(Arc::new(Self {
            session: opened.session,
            statements,
            epoch: opened.epoch,
            stamps: Stamps::of(opened.generation),
            buckets: Buckets(u64::from(config.bucket_entries.max(2))),
            known: Known::default(),
            lanes: Lanes::new(),
            notes: Notes::default(),
            large_states: LargeStates::default(),
        }))
    }

    /// The rows of a statement.
    pub(crate) async fn read<T>(
        &self,
        op: &'static str,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<T>, PortError>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let result = self.session.execute_unpaged(statement, values).await;
        let result = result.map_err(|error| read_failed(op, error))?;
        let rows = result
            .into_rows_result()
            .map_err(|error| corrupt(op, error))?;
        let rows = rows.rows::<T>().map_err(|error| corrupt(op, error))?;
        rows.collect::<Result<_, _>>()
            .map_err(|error| corrupt(op, error))
    }

    /// Runs a plain statement that changes something.
    pub(crate) async fn write(
        &self,
        op: &'static str,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), PortError> {
        let done = self.session.execute_unpaged(statement, values).await;
        done.map(drop).map_err(|error| write_failed(op, error))
    }
}

/// The same read, which first completes whatever conditional write is under way in the partition.
pub(crate) fn serial(statement: &PreparedStatement) -> PreparedStatement {
    let mut statement = statement.clone();
    statement.set_consistency(Consistency::LocalSerial);
    statement
}

/// Timestamps of what converges: a later life of the keyspace above a former one, inside of it the higher seq.
#[derive(Clone, Copy)]
pub(crate) struct Stamps {
    generation: i64,
}

impl Stamps {
    /// Entries of one log, with room: four million millions.
    const SEQ_BITS: u32 = 42;
    const SEQ_MAX: i64 = (1 << Self::SEQ_BITS) - 1;

    fn of(generation: i64) -> Self {
        Self { generation }
    }

    pub(crate) fn at(self, seq: Seq) -> i64 {
        let seq = column(seq.0).min(Self::SEQ_MAX - 1);
        (self.generation << Self::SEQ_BITS) | seq
    }

    pub(crate) fn generation(self) -> i64 {
        self.generation
    }

    /// Above every seq.
    pub(crate) fn last(self) -> i64 {
        (self.generation << Self::SEQ_BITS) | Self::SEQ_MAX
    }
}

/// Where entries lie.
#[derive(Clone, Copy)]
pub(crate) struct Buckets(u64);

impl Buckets {
    pub(crate) fn of(self, seq: Seq) -> u64 {
        seq.0.saturating_sub(1) / self.0
    }

    /// The last entry of a bucket, and so what its head is once it is full.
    pub(crate) fn last(self, bucket: u64) -> Seq {
        Seq(bucket.saturating_add(1).saturating_mul(self.0))
    }

    pub(crate) fn is_last(self, seq: Seq) -> bool {
        seq.0 > 0 && seq.0.is_multiple_of(self.0)
    }
}

/// A bucket as its column.
pub(crate) fn bucket_column(bucket: u64) -> i32 {
    i32::try_from(bucket).unwrap_or(i32::MAX)
}

/// A count or a place as its column; what lies beyond every stored number is the same as the highest.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What this process knows of channels. All of it only ever rises, so that what is old is not wrong.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<ChannelId, KnownChannel>>);

/// Lower bounds.
#[derive(Clone, Copy, Default)]
pub(crate) struct KnownChannel {
    /// The log's head is in this bucket or a later one.
    pub(crate) bucket: Option<u64>,
    /// Everything up to here is in the views.
    pub(crate) done: Option<Seq>,
    /// And their row says so up to here.
    pub(crate) raised: Seq,
}

impl Known {
    pub(crate) fn of(&self, channel: ChannelId) -> KnownChannel {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&channel).copied().unwrap_or_default()
    }

    pub(crate) fn learn(&self, channel: ChannelId, learn: impl FnOnce(&mut KnownChannel)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_CHANNELS_MAX && !known.contains_key(&channel) {
            known.clear();
        }
        learn(known.entry(channel).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        let buckets = Buckets(4);
        for (seq, bucket) in [(0, 0), (1, 0), (4, 0), (5, 1), (8, 1), (9, 2)] {
            assert_eq!(buckets.of(Seq(seq)), bucket);
        }
        assert_eq!(buckets.last(0), Seq(4));
        assert!(buckets.is_last(Seq(8)) && !buckets.is_last(Seq(9)) && !buckets.is_last(Seq(0)));
    }

    #[test]
    fn stamps_rise_with_generation_then_seq() {
        let (first, second) = (Stamps::of(1), Stamps::of(2));
        assert!(first.at(Seq(1)) < first.at(Seq(2)));
        assert!(first.at(Seq(u64::MAX)) < first.last());
        assert!(first.last() < second.at(Seq(0)));
    }
}
