//! Statements for many rows at once, in a few fixed sizes so that each is prepared once.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::meta;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Executor, Sqlite, Type};

/// How many rows one statement writes at the most.
const ROWS_MAX: usize = 64;

/// The sizes in which every pattern is prepared; any count is a short sum of them.
const SIZES: [usize; 7] = [ROWS_MAX, 32, 16, 8, 4, 2, 1];

/// A statement in each of the sizes, made once.
type Sized = OnceLock<[Arc<str>; SIZES.len()]>;

/// A statement with a repeated row: `head`, then `row` as often as there are rows with commas between, then `tail`.
pub(crate) struct Pattern {
    head: &'static str,
    row: &'static str,
    tail: &'static str,
    sized: Sized,
}

impl Pattern {
    pub(crate) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            row,
            tail,
            sized: OnceLock::new(),
        }
    }

    /// Runs the statement over all rows, the largest sizes first.
    pub(crate) async fn write<R: Row>(
        &self,
        db: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<(), sqlx::Error> {
        for (size, part) in parts(rows.len()) {
            let mut binds = Binds::default();
            binds.add_rows(&rows[part]);
            let query = sqlx::query_with(AssertSqlSafe(self.sql(size)), binds.finish());
            db.execute(query).await?;
        }
        Ok(())
    }

    /// Runs the statement over all rows and collects what it finds.
    pub(crate) async fn read<R: Row>(
        &self,
        db: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        for (size, part) in parts(rows.len()) {
            let mut binds = Binds::default();
            binds.add_rows(&rows[part]);
            let query = sqlx::query_with(AssertSqlSafe(self.sql(size)), binds.finish());
            found.extend(db.fetch_all(query).await?);
        }
        Ok(found)
    }

    /// The statement for two rows, to be explained.
    #[cfg(test)]
    pub(crate) fn of_two(&self) -> Arc<str> {
        self.sql(SIZES.len() - 2)
    }

    /// The statement in a size, by its place in [`SIZES`].
    fn sql(&self, size: usize) -> Arc<str> {
        let Self {
            head,
            row,
            tail,
            sized,
        } = self;
        let sized = sized.get_or_init(|| {
            SIZES.map(|size| format!("{head} {} {tail}", vec![*row; size].join(", ")).into())
        });
        Arc::clone(&sized[size])
    }
}

/// A pattern whose rows are a transaction of their own. Where they fit one statement, that statement is the transaction:
/// it says once that it is done, and whoever waits wakes up once.
pub(crate) struct Transaction {
    pattern: &'static Pattern,
    /// In a longer transaction: neither end, its begin, its end.
    framed: [Sized; 3],
}

impl Transaction {
    pub(crate) const fn new(pattern: &'static Pattern) -> Self {
        Self {
            pattern,
            framed: [const { OnceLock::new() }; 3],
        }
    }

    /// Writes all rows, or none.
    ///
    /// # Panics
    /// When there are none.
    pub(crate) async fn commit<R: Row>(
        &self,
        db: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<(), sqlx::Error> {
        assert!(!rows.is_empty(), "a transaction writes something");
        let parts = parts(rows.len());
        let last = parts.len() - 1;
        for (number, (size, part)) in parts.into_iter().enumerate() {
            let mut binds = Binds::default();
            binds.add_rows(&rows[part]);
            let sql = if last == 0 {
                self.pattern.sql(size)
            } else {
                self.sql(size, number == 0, number == last)
            };
            let query = sqlx::query_with(AssertSqlSafe(sql), binds.finish());
            db.execute(query).await?;
        }
        Ok(())
    }

    fn sql(&self, size: usize, begins: bool, ends: bool) -> Arc<str> {
        let framed = &self.framed[usize::from(begins) + 2 * usize::from(ends)];
        let sized = framed.get_or_init(|| {
            std::array::from_fn(|size| {
                let pattern = self.pattern.sql(size);
                let begin = if begins { meta::BEGIN } else { "" };
                let end = if ends { meta::COMMIT } else { "" };
                let all = [begin, &pattern, end];
                let all: Vec<&str> = all.into_iter().filter(|sql| !sql.is_empty()).collect();
                all.join(";\n").into()
            })
        });
        Arc::clone(&sized[size])
    }
}

/// Splits a count into the sizes: each one's place in [`SIZES`], and the rows that it covers.
fn parts(count: usize) -> Vec<(usize, Range<usize>)> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (place, size) in SIZES.iter().enumerate() {
        while count - begin >= *size {
            parts.push((place, begin..begin + size));
            begin += size;
        }
    }
    parts
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

    fn add_rows<R: Row>(&mut self, rows: &[R]) {
        let before = self.0.len();
        self.0.reserve(rows.len() * R::COLUMNS, 0);
        rows.iter().for_each(|row| row.bind(self));
        debug_assert_eq!(
            self.0.len() - before,
            rows.len() * R::COLUMNS,
            "as many as columns"
        );
    }

    /// The values for a statement.
    pub(crate) fn finish(self) -> SqliteArguments {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_row_once() {
        for count in 0..300 {
            let covered: Vec<usize> = parts(count)
                .into_iter()
                .flat_map(|(_, part)| part)
                .collect();
            assert_eq!(covered, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(parts(100).len(), 3);
    }
}
