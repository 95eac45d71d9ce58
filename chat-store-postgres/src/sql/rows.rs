//! Values for statements: one by one, or for many rows at once as an array a column.

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Arguments, Encode, Executor, Postgres, Type};

/// Rows that a statement unpacks from arrays.
pub(crate) trait Rows: Sized {
    /// Adds each column of these rows, in the order of the statement.
    fn bind(rows: &[Self], binds: &mut Binds);
}

/// Runs a statement over all rows; how many it changed. Without rows it is not run.
pub(crate) async fn write<R: Rows>(
    db: &mut PgConnection,
    sql: &'static str,
    rows: &[R],
) -> Result<u64, sqlx::Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    run(db, sql, columns(rows)).await
}

/// Runs a statement over all rows and collects what it finds. Without rows it is not run.
pub(crate) async fn read<R: Rows>(
    db: &mut PgConnection,
    sql: &'static str,
    rows: &[R],
) -> Result<Vec<PgRow>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    db.fetch_all(sqlx::query_with(sql, columns(rows).finish()))
        .await
}

/// Runs a statement; how many rows it changed.
pub(crate) async fn run(
    db: &mut PgConnection,
    sql: &'static str,
    binds: Binds,
) -> Result<u64, sqlx::Error> {
    let done = db.execute(sqlx::query_with(sql, binds.finish())).await?;
    Ok(done.rows_affected())
}

/// The first row that a statement finds.
pub(crate) async fn first(
    db: &mut PgConnection,
    sql: &'static str,
    binds: Binds,
) -> Result<Option<PgRow>, sqlx::Error> {
    db.fetch_optional(sqlx::query_with(sql, binds.finish()))
        .await
}

fn columns<R: Rows>(rows: &[R]) -> Binds {
    let mut binds = Binds::default();
    R::bind(rows, &mut binds);
    binds
}

/// Values bound to a statement.
#[derive(Clone, Default)]
pub(crate) struct Binds(PgArguments);

impl Binds {
    /// Adds a value.
    pub(crate) fn add<'v, T: Encode<'v, Postgres> + Type<Postgres>>(
        &mut self,
        value: T,
    ) -> &mut Self {
        self.0
            .add(value)
            .expect("numbers, texts and bytes of bounded size always encode");
        self
    }

    /// Adds one value of each row, as an array.
    pub(crate) fn column<'v, R, T>(
        &mut self,
        rows: &'v [R],
        value: impl Fn(&'v R) -> T,
    ) -> &mut Self
    where
        Vec<T>: Encode<'v, Postgres> + Type<Postgres>,
    {
        self.add(rows.iter().map(value).collect::<Vec<T>>())
    }

    /// The values for a statement.
    pub(crate) fn finish(self) -> PgArguments {
        self.0
    }
}
