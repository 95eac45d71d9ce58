//! Makes the keyspace and its tables, and draws epochs.

use chat_proto::Epoch;
use scylla::client::session::Session;
use scylla::frame::types::Consistency;
use scylla::statement::Statement;
use scylla::value::Row;
use uuid::Uuid;

use crate::config::{Config, SCHEMA_VERSION};
use crate::cql::meta;
use crate::error::OpenError;
use crate::open::{check_meta, connect, query};

/// Applied one after the other, each whole.
const FILES: [&str; 2] = [
    include_str!("../schema/0001_initial.cql"),
    include_str!("../schema/0002_inbox.cql"),
];
/// Tries against other operators who draw an epoch at the same moment.
const DRAWS_MAX: usize = 16;

/// Makes what is missing of the keyspace, the tables and the epoch; what is there stays as it is. May be run again, and by
/// several at once: the first gives the epoch.
///
/// A new keyspace gets three copies in the data centre, or one where a single node is allowed.
///
/// # Errors
/// As [`CassandraStore::open_with`](crate::CassandraStore::open_with), and when the keyspace is of another version or layout.
pub async fn apply_schema(config: &Config) -> Result<Epoch, OpenError> {
    let (session, datacenter) = connect(config).await?;
    let copies = if config.allow_single_node { 1 } else { 3 };
    // Nothing can be bound here. The keyspace was checked; in a literal a quote is written twice.
    let datacenter = datacenter.replace('\'', "''");
    let keyspace = &config.keyspace;
    let make = format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace}
         WITH replication = {{'class': 'NetworkTopologyStrategy', '{datacenter}': {copies}}} AND durable_writes = true"
    );
    run(&session, &make).await?;
    session
        .use_keyspace(keyspace, false)
        .await
        .map_err(|error| OpenError::database("enter the keyspace", error))?;
    for statement in FILES.into_iter().flat_map(statements) {
        run(&session, &statement).await?;
    }
    let bucket_entries = i32::try_from(config.bucket_entries).unwrap_or(i32::MAX);
    let values = (SCHEMA_VERSION, bucket_entries, Uuid::new_v4());
    // Whether ours or another's was first: the row is read back.
    query::<Row>(&session, conditional(meta::INSERT_META), values).await?;
    let kept = check_meta(&session, config).await?;
    Ok(Epoch::from_uuid(kept.epoch))
}

/// Begins another life of the keyspace, as after a backup was restored: clients drop what they know, and everything that
/// follows from the logs is forgotten and written again from them. Inboxes stay as the backup has them: what is told from now
/// on wins over them, so that each row follows its log again from the next append on. Stop all chat servers before.
///
/// # Errors
/// As [`apply_schema`].
pub async fn draw_new_epoch(config: &Config) -> Result<Epoch, OpenError> {
    let (session, _) = connect(config).await?;
    session
        .use_keyspace(&config.keyspace, false)
        .await
        .map_err(|_| OpenError::NoSchema {
            keyspace: config.keyspace.clone(),
        })?;
    for statement in meta::TRUNCATE_VIEWS {
        run(&session, statement).await?;
    }
    let epoch = Uuid::new_v4();
    for _ in 0..DRAWS_MAX {
        let kept = check_meta(&session, config).await?;
        if kept.epoch == epoch {
            return Ok(Epoch::from_uuid(epoch));
        }
        let values = (epoch, kept.generation + 1, kept.generation);
        query::<Row>(&session, conditional(meta::DRAW_EPOCH), values).await?;
    }
    let why = "others draw epochs all the time: retry";
    Err(OpenError::database("draw an epoch", why))
}

fn conditional(cql: &str) -> Statement {
    let mut statement = Statement::new(cql);
    statement.set_consistency(Consistency::LocalQuorum);
    statement
}

async fn run(session: &Session, cql: &str) -> Result<(), OpenError> {
    let done = session.query_unpaged(cql, ()).await;
    done.map(drop)
        .map_err(|error| OpenError::database("apply the schema", error))
}

/// The statements of a schema file, without its comments.
fn statements(file: &str) -> Vec<String> {
    let lines = file.lines().filter(|line| !line.starts_with("--"));
    let text: Vec<&str> = lines.collect();
    let statements = text.join("\n");
    let statements = statements.split(';').map(|part| part.trim().to_owned());
    statements.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_split_into_its_statements() {
        let statements: Vec<String> = FILES.into_iter().flat_map(statements).collect();
        assert_eq!(statements.len(), 13);
        for statement in statements {
            assert!(
                statement.starts_with("CREATE TABLE IF NOT EXISTS"),
                "{statement}"
            );
            assert!(!statement.contains("--"), "{statement}");
        }
    }
}
