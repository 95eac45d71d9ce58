//! From a URL to connections whose settings have been read back.

use std::str::FromStr;
use std::time::Duration;

use chat_proto::Epoch;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, Row};

use crate::config::{
    CONNECT_TIME_MAX, Config, LOCK_WAIT_MAX, READ_TIME_MAX, SILENCE_MAX, STATEMENTS_MAX,
};
use crate::error::OpenError;
use crate::migrate::migrate;
use crate::sql::meta;

/// The oldest server whose behaviour the tests know.
const VERSION_MIN: i64 = 130_000;

/// A store's database, reached and checked.
pub(crate) struct Opened {
    /// How its writers connect.
    pub(crate) writers: Connector,
    /// How its readers connect.
    pub(crate) readers: Connector,
    /// The life of the store.
    pub(crate) epoch: Epoch,
}

pub(crate) async fn open(config: &Config) -> Result<Opened, OpenError> {
    let options = PgConnectOptions::from_str(&config.url)
        .map_err(|source| OpenError::Url { source })?
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging();
    let options = match &config.schema {
        Some(schema) => options.options([("search_path", schema.as_str())]),
        None => options,
    };
    // Without settings of our own: what the server, the role, the database and the URL ask for is what is judged.
    let mut db = connect(&options).await?;
    let settings = read_settings(&mut db).await?;
    settings.check()?;
    if settings.schema.is_none() && config.schema.is_none() {
        return Err(OpenError::NoSchema);
    }
    let epoch = migrate(&mut db, config.schema.as_ref()).await?;
    // What was wanted is done; a server that does not hear the farewell notices by itself.
    drop(tokio::time::timeout(CONNECT_TIME_MAX, db.close()).await);
    let writers = Connector {
        options: options.clone().options([
            // Kept for the life of the store: what a role is told later does not weaken a running server.
            ("synchronous_commit", settings.synchronous_commit),
            ("lock_timeout", milliseconds(LOCK_WAIT_MAX)),
            (
                "idle_in_transaction_session_timeout",
                milliseconds(SILENCE_MAX),
            ),
            // A time-out that fires while COMMIT waits for a standby would let it return as if the standby had answered.
            ("statement_timeout", "0".to_owned()),
        ]),
        writes: true,
    };
    let readers = Connector {
        options: options.options([
            ("default_transaction_read_only", "on".to_owned()),
            ("statement_timeout", milliseconds(READ_TIME_MAX)),
        ]),
        writes: false,
    };
    Ok(Opened {
        writers,
        readers,
        epoch,
    })
}

/// Makes connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    options: PgConnectOptions,
    /// Whether what is written on them must last.
    writes: bool,
}

impl Connector {
    /// A connection; one that writes with its settings read back, since the server may be another one by now.
    pub(crate) async fn connect(&self) -> Result<PgConnection, OpenError> {
        let mut db = connect(&self.options).await?;
        if self.writes {
            read_settings(&mut db).await?.check()?;
        }
        Ok(db)
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    in_time(options.connect())
        .await?
        .map_err(|source| OpenError::Connect { source })
}

async fn read_settings(db: &mut PgConnection) -> Result<Settings, OpenError> {
    let row = in_time(db.fetch_one(meta::SETTINGS)).await?;
    row.and_then(|row| Settings::read(&row))
        .map_err(|source| OpenError::Database { source })
}

async fn in_time<T>(step: impl Future<Output = T>) -> Result<T, OpenError> {
    let ended = tokio::time::timeout(CONNECT_TIME_MAX, step).await;
    ended.map_err(|_| OpenError::Silent {
        seconds: CONNECT_TIME_MAX.as_secs(),
    })
}

fn milliseconds(time: Duration) -> String {
    time.as_millis().to_string()
}

/// What an acknowledgement rests on.
struct Settings {
    version: i64,
    encoding: String,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    read_only: bool,
    schema: Option<String>,
}

impl Settings {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            version: row.try_get("version")?,
            encoding: row.try_get("encoding")?,
            fsync: row.try_get("fsync")?,
            full_page_writes: row.try_get("full_page_writes")?,
            synchronous_commit: row.try_get("synchronous_commit")?,
            read_only: row.try_get("read_only")?,
            schema: row.try_get("schema")?,
        })
    }

    fn check(&self) -> Result<(), OpenError> {
        if self.version < VERSION_MIN {
            return Err(OpenError::OldServer {
                found: self.version,
            });
        }
        if self.encoding != "UTF8" {
            return Err(OpenError::Encoding {
                found: self.encoding.clone(),
            });
        }
        let settings = [
            (
                "fsync",
                &self.fsync,
                "set `fsync = on` in postgresql.conf and restart it",
            ),
            (
                "full_page_writes",
                &self.full_page_writes,
                "set `full_page_writes = on` in postgresql.conf and reload it",
            ),
            (
                "synchronous_commit",
                &self.synchronous_commit,
                "take it out of the URL's options, of postgresql.conf, and of `ALTER ROLE` and `ALTER DATABASE`, or set it \
                 to `on`",
            ),
        ];
        // `local` waits for this server's disk, `remote_write` and `remote_apply` also for others: each survives a crash.
        let off = settings.into_iter().find(|(_, found, _)| *found == "off");
        if let Some((setting, found, remedy)) = off {
            return Err(OpenError::NotDurable {
                setting,
                found: found.clone(),
                remedy,
            });
        }
        if self.read_only {
            return Err(OpenError::ReadOnly);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            version: 150_004,
            encoding: "UTF8".into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            synchronous_commit: "remote_apply".into(),
            read_only: false,
            schema: Some("public".into()),
        }
    }

    fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = good();
        change(&mut settings);
        let refused = settings.check().expect_err("it is not durable");
        refused.to_string()
    }

    #[test]
    fn what_does_not_survive_a_crash_is_refused_with_what_to_do() {
        assert!(good().check().is_ok());
        assert!(refusal(|it| it.fsync = "off".into()).contains("fsync = on"));
        assert!(refusal(|it| it.full_page_writes = "off".into()).contains("full_page_writes = on"));
        assert!(refusal(|it| it.synchronous_commit = "off".into()).contains("ALTER ROLE"));
        assert!(refusal(|it| it.version = 120_009).contains("13 or newer"));
        assert!(refusal(|it| it.encoding = "SQL_ASCII".into()).contains("ENCODING 'UTF8'"));
        assert!(refusal(|it| it.read_only = true).contains("primary"));
    }
}
