//! The appends of one transaction: keys, entries, heads and what hangs on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_core::ports::{AppendOutcome, FoundKey, PortErrorKind, Retry};
use chat_core::rows::PreparedAppend;
use chat_proto::{ChannelId, Seq};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::bodies::set_bodies;
use super::damaged;
use super::plan::{Heads, Known, Plan};
use super::rows::WantedKey;
use crate::decode::Fields;
use crate::error::WriteFailure;
use crate::sql::rows::{Binds, read, run, write};
use crate::sql::{bodies, inbox, messages};

/// An append and its place in the batch.
pub(super) type Placed<'a> = (usize, &'a PreparedAppend);

/// What becomes of the appends, by their places, if the transaction commits.
pub(super) type Outcomes = BTreeMap<usize, Result<AppendOutcome, WriteFailure>>;

/// Begins the channels of `new` that are not there, and locks all of `wanted`. From here to the end of the transaction nobody
/// else appends to them, raises a mark in them or sets a body.
///
/// Channels that begin are seen by nobody until the transaction commits, and are all there before the first lock is waited
/// for. So whoever waits for a beginning holds no lock that others can see, and locks are taken in one order: no circle.
pub(super) async fn lock_channels(
    db: &mut PgConnection,
    mut new: Vec<Uuid>,
    mut wanted: Vec<Uuid>,
) -> Result<Heads, sqlx::Error> {
    const OP: &str = "writer.heads";
    sort(&mut new);
    if !new.is_empty() {
        let mut binds = Binds::default();
        binds.add(new);
        run(db, messages::INSERT_CHANNELS, binds).await?;
    }
    sort(&mut wanted);
    if wanted.is_empty() {
        return Ok(Heads::new());
    }
    let mut binds = Binds::default();
    binds.add(wanted);
    let query = sqlx::query_with(messages::LOCK_CHANNELS, binds.finish());
    let rows = query.fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new(row, OP);
            let known = Known {
                key: fields.value("id").map_err(damaged)?,
                head: fields.head("head_seq", "head_n").map_err(damaged)?,
            };
            Ok((fields.channel("uuid").map_err(damaged)?, known))
        })
        .collect()
}

fn sort(uuids: &mut Vec<Uuid>) {
    uuids.sort_unstable();
    uuids.dedup();
}

/// Appends what may be appended to locked channels.
pub(super) async fn append_all(
    db: &mut PgConnection,
    appends: &[Placed<'_>],
    heads: &mut Heads,
) -> Result<Outcomes, sqlx::Error> {
    let mut outcomes = Outcomes::new();
    // Under the lock, what no search finds is not there.
    for (place, (index, found)) in find_keys(db, appends, heads).await? {
        outcomes.insert(place, Ok(AppendOutcome::KeyExists { index, found }));
    }
    let rest = appends.iter().copied();
    let rest = rest.filter(|(place, _)| !outcomes.contains_key(place));
    let mut plan = Plan::new(rest, heads);
    write_all(db, &mut plan).await?;
    let done = plan.done.into_iter();
    outcomes.extend(done.map(|(place, outcome)| (place, Ok(outcome))));
    let misuse = plan.misuse.into_iter();
    outcomes.extend(misuse.map(|place| (place, Err(ordinals_do_not_follow()))));
    let late = appends.iter().copied();
    let late: Vec<_> = late
        .filter(|(place, _)| plan.late.contains(place))
        .collect();
    // Another append of this transaction may have brought the key just now.
    let mut found = find_keys(db, &late, heads).await?;
    for (place, append) in late {
        let outcome = match found.remove(&place) {
            Some((index, found)) => AppendOutcome::KeyExists { index, found },
            None => AppendOutcome::HeadMoved {
                head: head_of(heads, append.channel),
            },
        };
        outcomes.insert(place, Ok(outcome));
    }
    Ok(outcomes)
}

async fn write_all(db: &mut PgConnection, plan: &mut Plan<'_>) -> Result<(), sqlx::Error> {
    write(db, messages::INSERT_MESSAGES, &plan.messages).await?;
    write(db, messages::INSERT_EVENTS, &plan.events).await?;
    write(db, messages::INSERT_MENTIONS, &plan.mentions).await?;
    let channels = plan.take_channels();
    let moved = write(db, messages::MOVE_HEADS, &channels).await?;
    if moved != channels.len() as u64 {
        // Whoever moved it did not ask for the lock. Nothing of this transaction may stay.
        return Err(sqlx::Error::Protocol(
            "a log moved while it was locked".into(),
        ));
    }
    write(db, messages::UPSERT_STATES, &plan.take_states()).await?;
    let members = plan.take_members();
    write(db, messages::UPSERT_MEMBERS, &members.joined).await?;
    write(db, messages::DELETE_LEFT, &members.back).await?;
    write(db, messages::DELETE_MEMBERS, &members.gone).await?;
    write(db, messages::UPSERT_LEFT, &members.left).await?;
    write(db, messages::UPDATE_ROLES, &members.roles).await?;
    // After the members: the first message of a new channel is read by its sender as any other.
    write(db, inbox::RAISE_OWN, plan.own_marks.rows()).await?;
    if plan.targets.is_empty() {
        return Ok(());
    }
    let targets = plan.targets.take_rows();
    write(db, inbox::RAISE_WITHHELD, &targets.withheld).await?;
    write(db, bodies::ADD_REPLIES, &targets.replies).await?;
    write(db, bodies::DELETE_REACTIONS, &targets.reactions_gone).await?;
    write(db, bodies::INSERT_REACTIONS, &targets.reactions).await?;
    write(db, bodies::UPSERT_PINS, &targets.pins).await?;
    // Last: of what is erased nothing stays.
    set_bodies(db, &targets.sets).await
}

/// For each append of which the log holds a key: the first such record, and what the log holds.
async fn find_keys(
    db: &mut PgConnection,
    appends: &[Placed<'_>],
    heads: &Heads,
) -> Result<BTreeMap<usize, (usize, FoundKey)>, sqlx::Error> {
    let (mut wanted, mut origins) = (Vec::new(), Vec::new());
    for (place, append) in appends {
        let Some(known) = heads.get(&append.channel) else {
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
    for row in read(db, messages::FIND_KEYS, &wanted).await? {
        let fields = Fields::new(&row, "writer.find_keys");
        let number = fields.number("place").map_err(damaged)? as usize;
        let Some(&(place, index)) = origins.get(number) else {
            continue;
        };
        let key = fields.found_key().map_err(damaged)?;
        let first = found.entry(place).or_insert((index, key));
        if index < first.0 {
            *first = (index, key);
        }
    }
    Ok(found)
}

fn head_of(heads: &Heads, channel: ChannelId) -> Seq {
    heads.get(&channel).map_or(Seq(0), |known| known.head.seq)
}

fn ordinals_do_not_follow() -> WriteFailure {
    WriteFailure {
        kind: PortErrorKind::Misuse,
        retry: Retry::Never,
        why: "the first record's ordinal does not follow the head's".into(),
    }
}
