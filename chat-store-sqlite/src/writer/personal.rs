//! Changes of what a user has beside channels, each with the entries of the users' own logs that tell of it.

use chat_core::ports::{PrefsWrite, ProfileWrite, RelationWrite, UserStatus, WrittenEntries};
use chat_core::rows::bound;
use chat_proto::people::{Prefs, PrefsChange, Relation, UserEntry, UserEntryKind};
use chat_proto::{Seq, Timestamp, UserId};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};

use super::people::see_user;
use super::statement::{damaged, run};
use crate::decode::{Fields, name_of};
use crate::message_store::{json_of_channels, json_of_users};
use crate::sql::rows::Binds;
use crate::sql::{people, users};

/// Appends to a user's own log.
pub(super) async fn tell(
    db: &mut SqliteConnection,
    user: &UserId,
    at: Timestamp,
    kinds: impl IntoIterator<Item = UserEntryKind>,
) -> Result<WrittenEntries, sqlx::Error> {
    let mut kinds = kinds.into_iter().peekable();
    if kinds.peek().is_none() {
        return Ok(WrittenEntries::new());
    }
    let mut binds = Binds::default();
    binds.add(user.as_str());
    let head = db
        .fetch_one(sqlx::query_with(people::USER_SEQ, binds.finish()))
        .await?;
    let mut seq = Seq(head.try_get::<i64, _>("head")?.cast_unsigned());
    let mut written = Vec::new();
    for kind in kinds {
        seq = seq.next();
        let entry = UserEntry { seq, at, kind };
        let json = serde_json::to_vec(&entry).map_err(damaged)?;
        let mut binds = Binds::default();
        binds.add(user.as_str()).add(bound(seq.0)).add(json);
        run(db, people::TELL, binds).await?;
        written.push(entry);
    }
    Ok([(user.clone(), written)].into())
}

pub(super) async fn relate(
    db: &mut SqliteConnection,
    write: &RelationWrite,
) -> Result<WrittenEntries, sqlx::Error> {
    let RelationWrite {
        user,
        other,
        change,
        at,
    } = write;
    let before = relation(db, user, other).await?;
    let next = before.after(*change);
    let mut written = WrittenEntries::new();
    for (of, to, before, next) in [
        (user, other, before, next),
        (other, user, before.mirror(), next.mirror()),
    ] {
        keep_side(db, of, to, before, next).await?;
        written.append(&mut tell(db, of, *at, before.told(next, to)).await?);
    }
    Ok(written)
}

async fn relation(
    db: &mut SqliteConnection,
    user: &UserId,
    other: &UserId,
) -> Result<Relation, sqlx::Error> {
    let mut binds = Binds::default();
    binds.add(user.as_str()).add(json_of_users([other]));
    let row = db
        .fetch_one(sqlx::query_with(people::RELATIONS, binds.finish()))
        .await?;
    Fields::new(&row, "users.relate")
        .relation()
        .map_err(damaged)
}

/// Writes one user's side of a relation, as far as it changed.
async fn keep_side(
    db: &mut SqliteConnection,
    user: &UserId,
    other: &UserId,
    before: Relation,
    next: Relation,
) -> Result<(), sqlx::Error> {
    let pair = || {
        let mut binds = Binds::default();
        binds.add(user.as_str()).add(other.as_str());
        binds
    };
    if before.contact != next.contact {
        match next.contact {
            Some(state) => {
                let mut binds = pair();
                binds.add(name_of(&state));
                run(db, people::SET_CONTACT, binds).await?;
            }
            None => drop(run(db, people::REMOVE_CONTACT, pair()).await?),
        }
    }
    if before.blocks != next.blocks {
        let sql = if next.blocks {
            people::SET_BLOCK
        } else {
            people::REMOVE_BLOCK
        };
        run(db, sql, pair()).await?;
    }
    Ok(())
}

pub(super) async fn set_prefs(
    db: &mut SqliteConnection,
    write: &PrefsWrite,
) -> Result<WrittenEntries, sqlx::Error> {
    let PrefsWrite {
        user,
        channel,
        change,
        at,
    } = write;
    let mut asked = Binds::default();
    asked.add(user.as_str()).add(json_of_channels(&[*channel]));
    let row = db
        .fetch_optional(sqlx::query_with(people::PREFS, asked.finish()))
        .await?;
    let (mut prefs, mut draft_seq) = match row {
        Some(row) => {
            let fields = Fields::new(&row, "users.set_prefs");
            let draft_seq: Option<i64> = row.try_get("draft_seq")?;
            (fields.prefs().map_err(damaged)?, draft_seq)
        }
        None => (Prefs::default(), None),
    };
    let Some(changed) = prefs.merge(change) else {
        return Ok(WrittenEntries::new());
    };
    let draft_changes = changed.draft.is_some();
    let told = UserEntryKind::Prefs(PrefsChange {
        channel: *channel,
        prefs: changed,
    });
    let written = tell(db, user, *at, [told]).await?;
    if draft_changes {
        if let Some(former) = draft_seq {
            let mut binds = Binds::default();
            binds.add(user.as_str()).add(former);
            run(db, people::FORGET_DRAFT, binds).await?;
        }
        let last = written.get(user).and_then(|entries| entries.last());
        draft_seq = last
            .filter(|_| prefs.draft.is_some())
            .map(|entry| bound(entry.seq.0));
    }
    let mut binds = Binds::default();
    binds.add(user.as_str()).add(channel.as_bytes().as_slice());
    if prefs.is_empty() {
        run(db, people::REMOVE_PREFS, binds).await?;
    } else {
        let json = serde_json::to_vec(&prefs).map_err(damaged)?;
        binds.add(json).add(draft_seq);
        run(db, people::SET_PREFS, binds).await?;
    }
    Ok(written)
}

pub(super) async fn set_profile(
    db: &mut SqliteConnection,
    write: &ProfileWrite,
) -> Result<WrittenEntries, sqlx::Error> {
    let ProfileWrite { user, change, at } = write;
    see_user(db, user, None, bound(at.0)).await?;
    let mut binds = Binds::default();
    binds.add(user.as_str());
    let row = db
        .fetch_one(sqlx::query_with(users::PROFILE, binds.finish()))
        .await?;
    let mut profile = Fields::new(&row, "users.set_profile")
        .profile()
        .map_err(damaged)?;
    let Some(changed) = change.apply(&mut profile.name, &mut profile.direct) else {
        return Ok(WrittenEntries::new());
    };
    let mut binds = Binds::default();
    binds
        .add(user.as_str())
        .add(profile.name)
        .add(name_of(&profile.direct));
    run(db, users::SET_PROFILE, binds).await?;
    tell(db, user, *at, [UserEntryKind::Profile(changed)]).await
}

pub(super) async fn set_status(
    db: &mut SqliteConnection,
    user: &UserId,
    status: &UserStatus,
) -> Result<bool, sqlx::Error> {
    let mut binds = Binds::default();
    binds
        .add(user.as_str())
        .add(name_of(&status.state))
        .add(status.text.as_deref());
    run(db, people::SET_STATUS, binds).await
}
