//! Statements that are not written in bulk.

use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

use crate::sql::rows::Binds;

/// Runs a statement; whether it changed a row.
pub(super) async fn run(
    db: &mut SqliteConnection,
    sql: &'static str,
    binds: Binds,
) -> Result<bool, sqlx::Error> {
    let done = db.execute(sqlx::query_with(sql, binds.finish())).await?;
    Ok(done.rows_affected() > 0)
}

/// What is stored is not what was written.
pub(super) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
