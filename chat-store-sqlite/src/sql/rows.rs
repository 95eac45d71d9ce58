//! Statements for many rows at once, in a few fixed sizes so that each is prepared once.

use std::sync::{Arc, OnceLock};

use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Executor, Sqlite, Type};

/// How many rows one statement writes at the most.
const ROWS_MAX: usize = 64;

/// The sizes in which every pattern is prepared; any count is a short sum of them.
const SIZES: [usize; 7] = [ROWS_MAX, 32, 16, 8, 4, 2, 1];

/// A statement with a repeated row: `head`, then `row` as often as there are rows with commas between, then `tail`.
pub(crate) struct Pattern {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    /// The statement in each of the sizes, made once.
    sizes: OnceLock<[Arc<str>; SIZES.len()]>,
}

impl Pattern {
    pub(crate) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            row,
            tail,
            sizes: OnceLock::new(),
        }
    }

    /// Runs the statement over all rows, the largest sizes first; how many rows of the database changed.
    pub(crate) async fn write<R: Row>(
        &self,
        db: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for (sql, chunk) in self.chunks(rows) {
            let query = sqlx::query_with(AssertSqlSafe(sql), bind(chunk));
            changed += db.execute(query).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs the statement over all rows and collects what it finds.
    pub(crate) async fn read<R: Row>(
        &self,
        db: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        for (sql, chunk) in self.chunks(rows) {
            let query = sqlx::query_with(AssertSqlSafe(sql), bind(chunk));
            found.extend(db.fetch_all(query).await?);
        }
        Ok(found)
    }

    /// The rows in parts of the prepared sizes, each with its statement.
    fn chunks<'r, R>(&self, mut rows: &'r [R]) -> Vec<(Arc<str>, &'r [R])> {
        let Self {
            head,
            row,
            tail,
            sizes,
        } = self;
        let sizes = sizes.get_or_init(|| {
            SIZES.map(|size| format!("{head} {} {tail}", vec![*row; size].join(", ")).into())
        });
        let mut chunks = Vec::new();
        for (size, sql) in SIZES.iter().zip(sizes) {
            while let Some((chunk, rest)) = rows.split_at_checked(*size) {
                chunks.push((Arc::clone(sql), chunk));
                rows = rest;
            }
        }
        chunks
    }
}

fn bind<R: Row>(rows: &[R]) -> SqliteArguments {
    let mut binds = Binds::default();
    binds.0.reserve(rows.len() * R::COLUMNS, 0);
    for row in rows {
        row.bind(&mut binds);
    }
    debug_assert_eq!(binds.0.len(), rows.len() * R::COLUMNS);
    binds.0
}

/// A row of values for a [`Pattern`].
pub(crate) trait Row {
    /// How many values.
    const COLUMNS: usize;

    /// Adds the values in the order of the pattern.
    fn bind(&self, binds: &mut Binds);
}

/// Values bound to a statement.
#[derive(Default)]
pub(crate) struct Binds(SqliteArguments);

impl Binds {
    /// Adds a value.
    pub(crate) fn add<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        self.0
            .add(value)
            .expect("integers, texts and bytes always encode");
        self
    }

    /// The values for a single statement.
    pub(crate) fn finish(self) -> SqliteArguments {
        self.0
    }
}
