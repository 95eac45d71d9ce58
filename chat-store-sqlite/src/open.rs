//! From a path to connections whose settings have been read back.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use chat_proto::Epoch;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Executor, Row};

use crate::config::{
    BUSY_WAIT_MAX, Config, READ_WAIT_MAX, READER_CACHE_KIB, ROWS_AHEAD_MAX, STATEMENTS_MAX,
    Synchronous, WRITER_CACHE_KIB,
};
use crate::error::OpenError;
use crate::migrate::migrate;
use crate::sql::meta;

/// A store's file, opened and checked.
pub(crate) struct Opened {
    /// What the writer owns.
    pub(crate) writer: WriterFile,
    /// The connections that read.
    pub(crate) readers: SqlitePool,
    /// The life of the store.
    pub(crate) epoch: Epoch,
}

/// What the writer owns.
pub(crate) struct WriterFile {
    /// The only connection that writes.
    pub(crate) writer: SqliteConnection,
    /// A connection that copies the write-ahead log into the database.
    pub(crate) copier: SqliteConnection,
    /// Held as long as the writer lives; the system lets go of it when the process dies.
    pub(crate) lock: File,
    /// The highest channel key given out.
    pub(crate) last_channel: i64,
    /// The highest number of a body given out.
    pub(crate) last_body: i64,
}

pub(crate) async fn open(config: &Config) -> Result<Opened, OpenError> {
    let path = config.path.as_path();
    let lock = lock(path)?;
    let failed = |source| OpenError::Database {
        path: path.to_owned(),
        source,
    };
    let mut writer = writer_options(config).connect().await.map_err(failed)?;
    check_durable(&mut writer, config).await?;
    migrate(&mut writer, path).await?;
    sync_folder(path)?;
    let epoch: Vec<u8> = sqlx::query_scalar(meta::SELECT_META)
        .bind(meta::EPOCH)
        .fetch_one(&mut writer)
        .await
        .map_err(failed)?;
    let epoch = Epoch::from_slice(&epoch)
        .map_err(|rejection| failed(sqlx::Error::Decode(rejection.message.to_string().into())))?;
    // The log of a process that died may hold what was erased since.
    writer
        .execute(meta::CHECKPOINT_TRUNCATE)
        .await
        .map_err(failed)?;
    let mut last_of = [0_i64; 2];
    for (last, sql) in last_of
        .iter_mut()
        .zip([meta::LAST_CHANNEL, meta::LAST_BODY])
    {
        let row = writer.fetch_one(sql).await;
        *last = row.and_then(|row| row.try_get(0)).map_err(failed)?;
    }
    let [last_channel, last_body] = last_of;
    let readers = SqlitePoolOptions::new()
        .max_connections(config.readers)
        .min_connections(0)
        .acquire_timeout(READ_WAIT_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(reader_options(path));
    let copier = copier_options(&config.path)
        .connect()
        .await
        .map_err(failed)?;
    let writer = WriterFile {
        writer,
        copier,
        lock,
        last_channel,
        last_body,
    };
    Ok(Opened {
        writer,
        readers,
        epoch,
    })
}

/// Takes the lock file beside the store. SQLite's own locks would let two processes write in turn, each with a memory of
/// heads that the other makes wrong.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(path.as_os_str());
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| OpenError::Io {
        path: lock_path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn writer_options(config: &Config) -> SqliteConnectOptions {
    options(&config.path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match config.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        // The writer makes checkpoints itself: one that SQLite makes on the way hides its errors.
        .pragma("wal_autocheckpoint", "0")
        // What is deleted or overwritten is overwritten with zeros.
        .pragma("secure_delete", "ON")
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        .thread_name(|_| "chat-sqlite-writer".to_owned())
}

fn copier_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "0")
        .pragma("checkpoint_fullfsync", "ON")
        .thread_name(|_| "chat-sqlite-copier".to_owned())
}

fn reader_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .read_only(true)
        .pragma("query_only", "ON")
        .pragma("cache_size", format!("-{READER_CACHE_KIB}"))
        .row_buffer_size(ROWS_AHEAD_MAX)
        .thread_name(|id| format!("chat-sqlite-reader-{id}"))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_WAIT_MAX)
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging()
}

/// Reads the settings back on which every acknowledgement rests.
async fn check_durable(db: &mut SqliteConnection, config: &Config) -> Result<(), OpenError> {
    let path = config.path.as_path();
    let failed = |source| OpenError::Database {
        path: path.to_owned(),
        source,
    };
    let mode: String = db
        .fetch_one(meta::JOURNAL_MODE)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    let level: i64 = db
        .fetch_one(meta::SYNCHRONOUS)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    let wanted = config.synchronous.level();
    let refused = |setting, wanted: String, found| OpenError::NotDurable {
        path: path.to_owned(),
        setting,
        wanted,
        found,
    };
    if mode != "wal" {
        return Err(refused("journal_mode", "wal".into(), mode));
    }
    if level != wanted {
        return Err(refused(
            "synchronous",
            wanted.to_string(),
            level.to_string(),
        ));
    }
    if config.synchronous != Synchronous::Full {
        tracing::warn!("the store acknowledges writes that a power loss undoes");
    }
    Ok(())
}

/// Makes the names of new files durable, as fsync on a file alone need not.
fn sync_folder(path: &Path) -> Result<(), OpenError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let synced = if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all())
    } else {
        Ok(())
    };
    synced.map_err(|source| OpenError::Io {
        path: folder.to_owned(),
        source,
    })
}
