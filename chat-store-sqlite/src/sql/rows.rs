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

/// Four patterns that run together over equally many rows each. Every statement by itself is a journey to the
/// connection's thread and back, which costs as much as writing a few rows.
pub(crate) struct Quartet {
    patterns: [&'static Pattern; 4],
    /// Alone, beginning a transaction, ending it, and both.
    framed: [Sized; 4],
}

/// Whether a statement stands in a transaction that others begin and end.
#[derive(Clone, Copy)]
struct Frame {
    begins: bool,
    ends: bool,
}

impl Quartet {
    pub(crate) const fn new(patterns: [&'static Pattern; 4]) -> Self {
        Self {
            patterns,
            framed: [const { OnceLock::new() }; 4],
        }
    }

    /// Runs all patterns, each over its rows, as a transaction of its own.
    ///
    /// # Panics
    /// When the rows are not equally many, or none.
    pub(crate) async fn commit<A: Row, B: Row, C: Row, D: Row>(
        &self,
        db: &mut SqliteConnection,
        (a, b, c, d): (&[A], &[B], &[C], &[D]),
    ) -> Result<(), sqlx::Error> {
        let count = a.len();
        assert!(
            count > 0 && [b.len(), c.len(), d.len()] == [count; 3],
            "equally many rows for each pattern"
        );
        let parts = parts(count);
        let last = parts.len() - 1;
        for (number, (size, part)) in parts.into_iter().enumerate() {
            let frame = Frame {
                begins: number == 0,
                ends: number == last,
            };
            let mut binds = Binds::default();
            binds.add_rows(&a[part.clone()]);
            binds.add_rows(&b[part.clone()]);
            binds.add_rows(&c[part.clone()]);
            binds.add_rows(&d[part]);
            let query = sqlx::query_with(AssertSqlSafe(self.sql(size, frame)), binds.finish());
            db.execute(query).await?;
        }
        Ok(())
    }

    fn sql(&self, size: usize, frame: Frame) -> Arc<str> {
        let framed = &self.framed[usize::from(frame.begins) + 2 * usize::from(frame.ends)];
        let sized = framed.get_or_init(|| {
            std::array::from_fn(|size| {
                let patterns = self.patterns.map(|pattern| pattern.sql(size).to_string());
                let begin = frame.begins.then(|| meta::BEGIN.to_owned());
                let end = frame.ends.then(|| meta::COMMIT.to_owned());
                let all: Vec<String> = begin.into_iter().chain(patterns).chain(end).collect();
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
