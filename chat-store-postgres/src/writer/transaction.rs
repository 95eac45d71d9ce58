//! What one transaction does, from BEGIN up to but without COMMIT.

use chat_core::ports::AppendOutcome;
use chat_proto::Seq;
use sqlx::Executor;
use sqlx::postgres::PgConnection;

use super::append::{Placed, append_all, lock_channels};
use super::marks::raise_all;
use super::people::{PersonDone, PersonWrite, lock_users};
use super::queue::{Request, Work};
use crate::error::WriteFailure;
use crate::sql::meta;

/// What becomes of a request if the transaction commits.
pub(super) enum Outcome {
    Append(Result<AppendOutcome, WriteFailure>),
    Done,
    Person(PersonDone),
}

/// Does all of these, and answers for each. They are all about channels, or all about people: so a transaction holds locks of
/// one kind only.
pub(super) async fn begin(
    db: &mut PgConnection,
    batch: &[Request],
) -> Result<Vec<Outcome>, sqlx::Error> {
    db.execute(meta::BEGIN).await?;
    if batch.iter().any(Request::is_about_people) {
        write_people(db, batch).await
    } else {
        write_channels(db, batch).await
    }
}

async fn write_channels(
    db: &mut PgConnection,
    batch: &[Request],
) -> Result<Vec<Outcome>, sqlx::Error> {
    let appends = batch.iter().enumerate();
    let appends: Vec<Placed<'_>> = appends
        .filter_map(|(place, request)| match &request.work {
            Work::Append(append, _) => Some((place, append)),
            Work::Raise(..) | Work::Body(..) | Work::FanOut(..) | Work::Person(..) => None,
        })
        .collect();
    let begun = appends
        .iter()
        .filter(|(_, append)| append.expected_head == Seq(0));
    let begun = begun.map(|(_, append)| append.channel.as_uuid()).collect();
    let wanted = batch.iter().flat_map(Request::locks).collect();
    let mut heads = lock_channels(db, begun, wanted).await?;
    let mut appended = append_all(db, &appends, &mut heads).await?;
    raise_all(db, batch).await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for (place, request) in batch.iter().enumerate() {
        outcomes.push(match &request.work {
            Work::Append(..) => {
                let outcome = appended.remove(&place);
                Outcome::Append(outcome.expect("each append of the batch was decided"))
            }
            Work::Body(write, _) => {
                write.write(db, &heads).await?;
                Outcome::Done
            }
            Work::FanOut(write, _) => {
                write.write(db).await?;
                Outcome::Done
            }
            Work::Raise(..) | Work::Person(..) => Outcome::Done,
        });
    }
    Ok(outcomes)
}

async fn write_people(
    db: &mut PgConnection,
    batch: &[Request],
) -> Result<Vec<Outcome>, sqlx::Error> {
    lock_users(db, batch.iter().filter_map(person)).await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for write in batch.iter().filter_map(person) {
        outcomes.push(Outcome::Person(write.write(db).await?));
    }
    Ok(outcomes)
}

fn person(request: &Request) -> Option<&PersonWrite> {
    match &request.work {
        Work::Person(write, _) => Some(write),
        Work::Append(..) | Work::Raise(..) | Work::Body(..) | Work::FanOut(..) => None,
    }
}
