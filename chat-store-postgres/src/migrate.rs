//! The database's schema, brought up to date when a store is opened, by one server at a time.

use chat_proto::Epoch;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use uuid::Uuid;

use crate::config::SchemaName;
use crate::error::OpenError;
use crate::sql::meta;

/// Each brings the schema one version on.
pub(crate) const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_initial.sql")];

/// The number under which this program locks a schema.
const LOCK: i32 = 0x6368_6174;

/// Applies what is missing, all of it in one transaction, gives a new schema its epoch, and reads the epoch.
pub(crate) async fn migrate(
    db: &mut PgConnection,
    schema: Option<&SchemaName>,
) -> Result<Epoch, OpenError> {
    let failed = |source| OpenError::Database { source };
    let found = version(db).await.map_err(failed)?;
    if missing(found)? > 0 {
        // Opening is one piece: a caller who drops it drops this connection as well, transaction and all.
        let mut tx = db.begin().await.map_err(failed)?;
        sqlx::query(meta::LOCK_SCHEMA)
            .bind(LOCK)
            .bind(schema.map(SchemaName::as_str))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        if let Some(schema) = schema {
            make_schema(&mut tx, schema).await.map_err(failed)?;
        }
        tx.execute(meta::CREATE_VERSION).await.map_err(failed)?;
        // Another server may have been here while this one waited.
        let found = version(&mut tx).await.map_err(failed)?;
        let missing = missing(found)?;
        for step in &MIGRATIONS[MIGRATIONS.len() - missing..] {
            tx.execute(sqlx::raw_sql(*step)).await.map_err(failed)?;
        }
        if missing > 0 {
            tx.execute(meta::CLEAR_VERSION).await.map_err(failed)?;
            let written = sqlx::query(meta::WRITE_VERSION).bind(MIGRATIONS.len() as i64);
            written.execute(&mut *tx).await.map_err(failed)?;
        }
        let begun = sqlx::query(meta::INSERT_META).bind(Uuid::new_v4());
        begun.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
    }
    let row = db.fetch_one(meta::READ_EPOCH).await;
    let epoch = row.and_then(|row| row.try_get("epoch")).map_err(failed)?;
    Ok(Epoch::from_uuid(epoch))
}

/// How many steps an older schema lacks.
fn missing(found: i64) -> Result<usize, OpenError> {
    let known = MIGRATIONS.len();
    usize::try_from(found)
        .ok()
        .and_then(|found| known.checked_sub(found))
        .ok_or(OpenError::NewerSchema {
            found,
            known: known as i64,
        })
}

async fn make_schema(db: &mut PgConnection, schema: &SchemaName) -> Result<(), sqlx::Error> {
    let row = sqlx::query(meta::SCHEMA_EXISTS).bind(schema.as_str());
    let found: bool = row.fetch_one(&mut *db).await?.try_get("found")?;
    if !found {
        // The name needs no quotes: it was parsed.
        let sql = format!("CREATE SCHEMA {}", schema.as_str());
        db.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// The schema's version; 0 where there is nothing yet.
async fn version(db: &mut PgConnection) -> Result<i64, sqlx::Error> {
    if !db.fetch_one(meta::VERSION_EXISTS).await?.try_get("found")? {
        return Ok(0);
    }
    db.fetch_one(meta::READ_VERSION).await?.try_get("version")
}
