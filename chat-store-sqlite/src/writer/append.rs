//! The appends of one transaction: keys, entries, heads and what hangs on them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chat_core::ports::{AppendOutcome, FoundKey, PortError, PortErrorKind, Retry};
use chat_core::rows::PreparedAppend;
use chat_proto::{ChannelId, Seq};
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

use super::bodies::set_bodies;
use super::known::{Known, KnownChannels};
use super::plan::{Heads, Plan};
use super::rows::{LeftKey, PlainRow, WantedKey};
use crate::decode::Fields;
use crate::error::WriteFailure;
use crate::sql::{bodies, inbox, messages, meta};

/// An append and its place in the batch.
pub(super) type Placed<'a> = (usize, &'a PreparedAppend);

/// What becomes of the appends, by their places, if the transaction commits.
type Outcomes = BTreeMap<usize, Result<AppendOutcome, WriteFailure>>;

/// What a transaction has appended.
pub(super) struct Appended {
    outcomes: Outcomes,
    /// What the writer knows of the channels if it commits.
    pub(super) heads: Heads,
}

impl Appended {
    /// What became of the append at this place of the batch.
    pub(super) fn outcome(&mut self, place: usize) -> Result<AppendOutcome, WriteFailure> {
        let outcome = self.outcomes.remove(&place);
        outcome.expect("each append of the batch was decided")
    }
}

/// Writes appends.
pub(super) struct AppendStep<'w> {
    pub(super) db: &'w mut SqliteConnection,
    pub(super) known: &'w KnownChannels,
    pub(super) last_channel: i64,
    pub(super) last_body: i64,
}

impl AppendStep<'_> {
    /// Any appends, in a transaction that has begun.
    pub(super) async fn run(mut self, appends: &[Placed<'_>]) -> Result<Appended, sqlx::Error> {
        let mut heads = self.heads_of(appends).await?;
        let outcomes = self.append_all(appends, &mut heads).await?;
        Ok(Appended { outcomes, heads })
    }

    /// What nearly every transaction is, messages with keys in channels that are there, written as a transaction of their
    /// own. `None`, with nothing written, for any other.
    pub(super) async fn run_at_once(
        mut self,
        appends: &[Placed<'_>],
    ) -> Result<Option<Appended>, sqlx::Error> {
        let mut heads = self.heads_of(appends).await?;
        let plan = Plan::new(appends.iter().copied(), &mut heads, false);
        let begins_channels = heads.next_channel != self.last_channel;
        let others = begins_channels || !plan.late.is_empty() || !plan.misuse.is_empty();
        if others || plan.done.is_empty() || !plan.is_plain() {
            return Ok(None);
        }
        let rows: Vec<_> = plan.messages.iter().map(PlainRow).collect();
        match messages::PLAIN_MESSAGES.commit(self.db, &rows).await {
            Ok(()) => {}
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                // One statement has rolled back by itself; of several, the transaction is still open.
                drop(self.db.execute(meta::ROLLBACK).await);
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let done = plan.done.into_iter();
        let outcomes = done.map(|(place, outcome)| (place, Ok(outcome))).collect();
        Ok(Some(Appended { outcomes, heads }))
    }

    /// The keys and heads of the channels that are appended to.
    async fn heads_of(&mut self, appends: &[Placed<'_>]) -> Result<Heads, sqlx::Error> {
        let mut known = HashMap::with_capacity(appends.len());
        let mut unknown = Vec::new();
        for (_, append) in appends {
            match self.known.find(append.channel) {
                Some(found) => drop(known.insert(append.channel, found)),
                None => unknown.push(append.channel),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        for row in messages::FIND_CHANNELS.read(self.db, &unknown).await? {
            let fields = Fields::new(&row, "writer.heads");
            let found = Known {
                key: fields.value("id").map_err(unreadable)?,
                head: fields.head("head_seq", "head_n").map_err(unreadable)?,
            };
            known.insert(fields.channel("uuid").map_err(unreadable)?, found);
        }
        Ok(Heads {
            known,
            next_channel: self.last_channel,
            next_body: self.last_body,
        })
    }

    async fn append_all(
        &mut self,
        appends: &[Placed<'_>],
        heads: &mut Heads,
    ) -> Result<Outcomes, sqlx::Error> {
        let mut outcomes = Outcomes::new();
        let mut plan = Plan::new(appends.iter().copied(), heads, false);
        if !self.write_rows(&mut plan, heads).await? {
            // A retry, or a key that comes twice in this batch: begin again without those that the log holds.
            self.db.execute(meta::ROLLBACK).await?;
            self.db.execute(meta::BEGIN).await?;
            *heads = self.heads_of(appends).await?;
            for (place, (index, found)) in self.find_keys(appends, heads).await? {
                outcomes.insert(place, Ok(AppendOutcome::KeyExists { index, found }));
            }
            let rest = appends
                .iter()
                .copied()
                .filter(|(place, _)| !outcomes.contains_key(place));
            plan = Plan::new(rest, heads, true);
            if !self.write_rows(&mut plan, heads).await? {
                return Err(sqlx::Error::Protocol(
                    "a key is there that no search finds".into(),
                ));
            }
        }
        outcomes.extend(
            plan.done
                .into_iter()
                .map(|(place, outcome)| (place, Ok(outcome))),
        );
        outcomes.extend(
            plan.misuse
                .into_iter()
                .map(|place| (place, Err(ordinals_do_not_follow()))),
        );
        if !plan.late.is_empty() {
            let late: Vec<_> = appends
                .iter()
                .copied()
                .filter(|(place, _)| plan.late.contains(place))
                .collect();
            let mut found = self.find_keys(&late, heads).await?;
            for (place, append) in late {
                let outcome = match found.remove(&place) {
                    Some((index, found)) => AppendOutcome::KeyExists { index, found },
                    None => AppendOutcome::HeadMoved {
                        head: head_of(heads, append.channel),
                    },
                };
                outcomes.insert(place, Ok(outcome));
            }
        }
        Ok(outcomes)
    }

    /// Writes everything; false when a key was there already, and then the transaction is of no more use.
    async fn write_rows(
        &mut self,
        plan: &mut Plan<'_>,
        heads: &mut Heads,
    ) -> Result<bool, sqlx::Error> {
        match self.write_all(plan, heads).await {
            Ok(()) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write_all(
        &mut self,
        plan: &mut Plan<'_>,
        heads: &mut Heads,
    ) -> Result<(), sqlx::Error> {
        let db = &mut *self.db;
        messages::INSERT_KEYS.write(db, &plan.keys).await?;
        messages::INSERT_BODIES.write(db, &plan.bodies).await?;
        messages::INSERT_MESSAGES.write(db, &plan.messages).await?;
        messages::INSERT_EVENTS.write(db, &plan.events).await?;
        messages::INSERT_MENTIONS.write(db, &plan.mentions).await?;
        messages::UPSERT_CHANNELS
            .write(db, &plan.take_channels())
            .await?;
        messages::UPSERT_STATES
            .write(db, &plan.take_states())
            .await?;
        let members = plan.take_members();
        messages::INSERT_MEMBERS.write(db, &members.joined).await?;
        let back: Vec<LeftKey<'_>> = members.back.iter().map(LeftKey).collect();
        messages::DELETE_LEFT.write(db, &back).await?;
        messages::DELETE_MEMBERS.write(db, &members.gone).await?;
        messages::INSERT_LEFT.write(db, &members.left).await?;
        messages::UPDATE_ROLES.write(db, &members.roles).await?;
        // After the members: the first message of a new channel is read by its sender as any other.
        inbox::RAISE_OWN.write(db, plan.own_marks.rows()).await?;
        if plan.targets.is_empty() {
            return Ok(());
        }
        let targets = plan.targets.take_rows();
        inbox::RAISE_WITHHELD.write(db, &targets.withheld).await?;
        bodies::ADD_REPLIES.write(db, &targets.replies).await?;
        bodies::DELETE_REACTIONS
            .write(db, &targets.reactions_gone)
            .await?;
        bodies::INSERT_REACTIONS
            .write(db, &targets.reactions)
            .await?;
        bodies::UPSERT_PINS.write(db, &targets.pins).await?;
        // Last: of what is erased nothing stays.
        set_bodies(db, &targets.sets, heads).await
    }

    /// For each append of which the log holds a key: the first such record, and what the log holds.
    async fn find_keys(
        &mut self,
        appends: &[Placed<'_>],
        heads: &Heads,
    ) -> Result<BTreeMap<usize, (usize, FoundKey)>, sqlx::Error> {
        let (mut wanted, mut origins) = (Vec::new(), Vec::new());
        for (place, append) in appends {
            let Some(known) = heads.known.get(&append.channel) else {
                continue;
            };
            for (index, entry) in append.entries.iter().enumerate() {
                let Some((client_id, _)) = entry.key else {
                    continue;
                };
                wanted.push(WantedKey {
                    place: origins.len() as i64,
                    channel: known.key,
                    sender: Arc::clone(&entry.sender),
                    client_id,
                });
                origins.push((*place, index));
            }
        }
        let mut found: BTreeMap<usize, (usize, FoundKey)> = BTreeMap::new();
        for row in messages::FIND_KEYS.read(self.db, &wanted).await? {
            let fields = Fields::new(&row, "writer.find_keys");
            let number = fields.number("place").map_err(unreadable)? as usize;
            let Some(&(place, index)) = origins.get(number) else {
                continue;
            };
            let key = fields.found_key().map_err(unreadable)?;
            let first = found.entry(place).or_insert((index, key));
            if index < first.0 {
                *first = (index, key);
            }
        }
        Ok(found)
    }
}

fn head_of(heads: &Heads, channel: ChannelId) -> Seq {
    heads
        .known
        .get(&channel)
        .map_or(Seq(0), |known| known.head.seq)
}

fn ordinals_do_not_follow() -> WriteFailure {
    WriteFailure {
        kind: PortErrorKind::Misuse,
        retry: Retry::Never,
        why: "the first record's ordinal does not follow the head's".into(),
    }
}

fn unreadable(error: PortError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
