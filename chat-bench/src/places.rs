//! Stores that a measurement makes for itself, by the URLs it is given.

use std::fs;
use std::path::PathBuf;

use chat_store_cassandra::Config as CassandraConfig;
use scylla::client::session_builder::SessionBuilder;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use uuid::Uuid;

use crate::error::Error;

/// What stands for a name drawn for the run.
const RUN: &str = "{run}";
/// The database from which others are made.
const MAINTENANCE: &str = "postgres";

/// A store of which at least the name is there: a database, a keyspace with its tables, a path.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    /// Whether it was made for the run, and goes with it.
    drawn: Option<String>,
}

/// A name for a run, good in every kind of store.
pub(crate) fn run_name() -> String {
    let drawn = Uuid::new_v4().simple().to_string();
    format!("chat_bench_{}", &drawn[..12])
}

impl Place {
    /// The store with this URL; where the URL says `{run}`, a fresh one under this name.
    pub(crate) async fn prepare(url: &str, name: &str) -> Result<Self, Error> {
        let drawn = url.contains(RUN).then(|| name.to_owned());
        let place = Self {
            url: url.replace(RUN, name),
            drawn,
        };
        if place.drawn.is_none() {
            return Ok(place);
        }
        if is_postgres(&place.url) {
            let sql = format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
            place.maintain(&sql).await?;
        } else if is_cassandra(&place.url) {
            let applied = chat_store_cassandra::apply_schema(&place.cassandra()?).await;
            applied.map_err(|error| failed("making the keyspace", error))?;
        }
        Ok(place)
    }

    /// The store with this URL, `{run}` being this name, that somebody else makes and removes.
    pub(crate) fn given(url: &str, name: &str) -> Self {
        Self {
            url: url.replace(RUN, name),
            drawn: None,
        }
    }

    /// Without what may be a password.
    pub(crate) fn shown(&self) -> String {
        shown(&self.url)
    }

    /// Removes what was made for the run; nothing else.
    pub(crate) async fn remove(self) -> Result<(), Error> {
        let Some(name) = &self.drawn else {
            return Ok(());
        };
        if is_postgres(&self.url) {
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            return self.maintain(&sql).await;
        }
        if is_cassandra(&self.url) {
            let config = self.cassandra()?;
            let mut builder = SessionBuilder::new().known_nodes(&config.contact_points);
            if let Some((user, password)) = &config.login {
                builder = builder.user(user, password);
            }
            let session = builder
                .build()
                .await
                .map_err(|error| failed("reaching Cassandra", error))?;
            let dropped = session
                .query_unpaged(format!("DROP KEYSPACE IF EXISTS {name}"), ())
                .await;
            return dropped
                .map(drop)
                .map_err(|error| failed("dropping the keyspace", error));
        }
        if let Some(path) = self.file() {
            for suffix in ["", "-wal", "-shm", ".lock"] {
                let mut file = path.clone().into_os_string();
                file.push(suffix);
                // Some of them need not be there.
                let _ = fs::remove_file(file);
            }
        }
        Ok(())
    }

    /// The file of a SQLite store.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// A Cassandra store as its driver wants it.
    pub(crate) fn cassandra(&self) -> Result<CassandraConfig, Error> {
        let parsed = self.url.parse::<CassandraConfig>();
        parsed.map_err(|error| Error::Invalid(error.to_string()))
    }

    async fn maintain(&self, sql: &str) -> Result<(), Error> {
        let options: PgConnectOptions = self
            .url
            .parse()
            .map_err(|error| failed("reading the URL", error))?;
        let mut db: PgConnection = options
            .database(MAINTENANCE)
            .connect()
            .await
            .map_err(|error| failed("reaching PostgreSQL", error))?;
        let done = db.execute(AssertSqlSafe(sql.to_owned())).await;
        done.map(drop)
            .map_err(|error| failed("making or dropping the database", error))
    }
}

pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

pub(crate) fn is_cassandra(url: &str) -> bool {
    url.starts_with("cassandra://")
}

/// A URL without what may be a password.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let behind = rest.rsplit_once('@').map_or(rest, |(_, behind)| behind);
    let behind = behind.split('?').next().unwrap_or_default();
    format!("{scheme}://{behind}")
}

/// What a store or a driver said.
pub(crate) fn failed(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_drawn_only_where_it_is_asked_for() {
        let given = Place::prepare("sqlite:/tmp/chat.db", "drawn").await;
        let given = given.expect("nothing is made");
        assert_eq!(
            (given.url.as_str(), &given.drawn),
            ("sqlite:/tmp/chat.db", &None)
        );
        let drawn = Place::prepare("sqlite:/tmp/{run}.db", "drawn").await;
        assert_eq!(drawn.expect("nothing is made").url, "sqlite:/tmp/drawn.db");
        assert_ne!(run_name(), run_name());
    }

    #[test]
    fn passwords_are_not_told() {
        let url = "postgres://chat:hunter2@db:5433/chat?password=hunter2";
        assert_eq!(shown(url), "postgres://db:5433/chat");
    }
}
