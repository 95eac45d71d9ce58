//! The file's schema, brought up to date when it is opened.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor, Row};
use uuid::Uuid;

use crate::error::OpenError;
use crate::sql::meta;

/// Each brings the schema one version on, and says so at its end.
pub(crate) const MIGRATIONS: [&str; 4] = [
    concat!(
        include_str!("../migrations/0001_initial.sql"),
        "PRAGMA user_version = 1;"
    ),
    concat!(
        include_str!("../migrations/0002_people.sql"),
        "PRAGMA user_version = 2;"
    ),
    concat!(
        include_str!("../migrations/0003_marks.sql"),
        "PRAGMA user_version = 3;"
    ),
    concat!(
        include_str!("../migrations/0004_entries.sql"),
        "PRAGMA user_version = 4;"
    ),
];

/// Applies what is missing, each step in a transaction of its own, and gives a new file its epoch.
pub(crate) async fn migrate(db: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database {
        path: path.to_owned(),
        source,
    };
    let found: i64 = db
        .fetch_one(meta::SCHEMA_VERSION)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    let applied = usize::try_from(found)
        .ok()
        .filter(|applied| *applied <= MIGRATIONS.len());
    let Some(applied) = applied else {
        return Err(OpenError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    };
    // Opening is one piece: a caller who drops it drops this connection as well, transaction and all.
    for step in &MIGRATIONS[applied..] {
        let mut tx = db.begin().await.map_err(failed)?;
        sqlx::raw_sql(*step)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
    }
    scrub(db).await.map_err(failed)?;
    for (name, value) in [
        (meta::EPOCH, Uuid::new_v4().as_bytes().to_vec()),
        (meta::GENERATION, 1_u64.to_be_bytes().to_vec()),
    ] {
        let query = sqlx::query(meta::INSERT_META).bind(name).bind(value);
        query.execute(&mut *db).await.map_err(failed)?;
    }
    Ok(())
}

/// Writes a file anew that may hold copies of what was moved in it, once. Interrupted, it is done when the file is opened
/// again.
async fn scrub(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let unscrubbed = sqlx::query(meta::SELECT_META).bind(meta::UNSCRUBBED);
    if unscrubbed.fetch_optional(&mut *db).await?.is_none() {
        return Ok(());
    }
    db.execute(meta::VACUUM).await?;
    let scrubbed = sqlx::query(meta::DELETE_META).bind(meta::UNSCRUBBED);
    scrubbed.execute(db).await.map(drop)
}
