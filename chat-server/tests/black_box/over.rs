//! What a test runs over: how clients connect, and where the server keeps what is durable.

use std::path::Path;
use std::time::Duration;

use chat_testkit::Skip;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tempfile::TempDir;
use uuid::Uuid;

/// Names the PostgreSQL server that the tests share.
const POSTGRES_VARIABLE: &str = "CHAT_TEST_POSTGRES";
/// Long enough to drop a small database on a busy machine.
const DROP_MAX: Duration = Duration::from_secs(20);

/// How clients connect.
#[derive(Clone, Copy)]
pub(crate) enum Transport {
    WebSocket,
    Poll,
    Events,
}

/// Where the server keeps what is durable.
#[derive(Clone, Copy)]
pub(crate) enum Store {
    /// In a folder of its own.
    Sqlite,
    /// In a database of its own.
    Postgres,
}

/// Both.
#[derive(Clone, Copy)]
pub(crate) struct Over {
    pub(crate) transport: Transport,
    pub(crate) store: Store,
}

impl Over {
    pub(crate) const WEBSOCKET: Self = Self::transport(Transport::WebSocket);
    pub(crate) const POLL: Self = Self::transport(Transport::Poll);
    pub(crate) const EVENTS: Self = Self::transport(Transport::Events);

    const fn transport(transport: Transport) -> Self {
        Self {
            transport,
            store: Store::Sqlite,
        }
    }

    /// WebSockets to servers over PostgreSQL; `None`, and said aloud, where there is none.
    pub(crate) fn postgres() -> Option<Self> {
        if postgres_url().is_none() {
            Skip("postgres").announce();
            return None;
        }
        Some(Self {
            transport: Transport::WebSocket,
            store: Store::Postgres,
        })
    }
}

/// Where servers keep what is durable for one test; gone with it.
pub(crate) struct Home {
    folder: TempDir,
    database: Option<Database>,
}

impl Home {
    pub(crate) async fn new(over: Over) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = match over.store {
            Store::Sqlite => None,
            Store::Postgres => Some(Database::new().await),
        };
        Self { folder, database }
    }

    /// The folder of what is not in a database.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What tells a server where its stores are.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.database.as_ref().map(Database::url);
        url.into_iter()
            .flat_map(|url| {
                [
                    ("CHAT_STORES__MESSAGES", url.clone()),
                    ("CHAT_STORES__USERS", url),
                ]
            })
            .collect()
    }

    /// The same as arguments, with the file of SQLite named too.
    pub(crate) fn chosen(&self) -> [String; 4] {
        let url = match &self.database {
            None => format!("sqlite:{}", self.path().join("chosen.db").display()),
            Some(database) => database.url(),
        };
        [
            "--messages".to_owned(),
            url.clone(),
            "--users".to_owned(),
            url,
        ]
    }

    /// Ends every connection to the database and takes no new ones, or takes them again.
    pub(crate) async fn let_nobody_in(&self, nobody: bool) {
        let database = self.database.as_ref().expect("a test over PostgreSQL");
        let (mut db, name) = (connect(&database.server).await, &database.name);
        let sql = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !nobody);
        db.execute(AssertSqlSafe(sql)).await.expect("it is ours");
        if nobody {
            let sql = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            );
            db.execute(AssertSqlSafe(sql)).await.expect("they are ours");
        }
    }

    /// A connection to the database, to look behind the server's back.
    pub(crate) async fn database(&self) -> PgConnection {
        let database = self.database.as_ref().expect("a test over PostgreSQL");
        connect(database.url().as_str()).await
    }
}

fn postgres_url() -> Option<String> {
    std::env::var(POSTGRES_VARIABLE)
        .ok()
        .filter(|url| !url.is_empty())
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.connect().await.expect("PostgreSQL answers")
}

/// A database that nobody else uses, in the server that all tests share.
struct Database {
    server: String,
    name: String,
}

impl Database {
    async fn new() -> Self {
        let server = postgres_url().expect("a test that was not skipped");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut db = connect(&server).await;
        let sql = format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
        db.execute(AssertSqlSafe(sql)).await.expect("a database");
        Self { server, name }
    }

    /// The server's URL with this database in it.
    fn url(&self) -> String {
        let (address, options) = match self.server.split_once('?') {
            Some((address, options)) => (address, format!("?{options}")),
            None => (self.server.as_str(), String::new()),
        };
        let host = address
            .strip_prefix("postgres://")
            .or_else(|| address.strip_prefix("postgresql://"))
            .expect("a URL of PostgreSQL");
        let host = host.split('/').next().unwrap_or_default();
        format!("postgres://{host}/{}{options}", self.name)
    }
}

impl Drop for Database {
    /// On a thread of its own: the test's runtime may be about to end. What cannot be dropped stays behind.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a thread").block_on(async {
                let dropped = async {
                    let options: PgConnectOptions = server.parse().expect("a URL");
                    let Ok(mut db) = options.connect().await else {
                        return;
                    };
                    // A server that was killed may not have been missed yet.
                    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    drop(db.execute(AssertSqlSafe(sql)).await);
                };
                drop(tokio::time::timeout(DROP_MAX, dropped).await);
            });
        });
        drop(dropping.join());
    }
}
