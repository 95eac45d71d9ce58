//! Another life of a file.

use chat_proto::Epoch;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use crate::config::Config;
use crate::error::OpenError;
use crate::open::{WriterFile, open};
use crate::sql::meta;

/// Begins another life of the store in this file, as after a backup was restored: clients that kept numbers of what the
/// backup does not hold drop what they know. The epoch is new and the generation one higher; all else stays.
///
/// # Errors
/// As [`SqliteStore::open_with`](crate::SqliteStore::open_with), also when a server uses the file; and when there is none.
pub async fn draw_new_epoch(config: &Config) -> Result<Epoch, OpenError> {
    std::fs::metadata(&config.path).map_err(|source| OpenError::Io {
        path: config.path.clone(),
        source,
    })?;
    let opened = open(config).await?;
    opened.readers.close().await;
    let WriterFile {
        mut writer,
        copier,
        lock,
        ..
    } = opened.writer;
    let failed = |source| OpenError::Database {
        path: config.path.clone(),
        source,
    };
    let epoch = Uuid::new_v4();
    raise(&mut writer, epoch).await.map_err(failed)?;
    // The last to close copies the log into the database.
    copier.close().await.map_err(failed)?;
    writer.close().await.map_err(failed)?;
    drop(lock);
    Ok(Epoch::from_uuid(epoch))
}

/// Both in one transaction: a crash leaves the old life or the new one.
async fn raise(db: &mut SqliteConnection, epoch: Uuid) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_with(meta::BEGIN).await?;
    let kept: Vec<u8> = sqlx::query_scalar(meta::SELECT_META)
        .bind(meta::GENERATION)
        .fetch_one(&mut *tx)
        .await?;
    let kept: [u8; 8] = kept
        .try_into()
        .map_err(|_| sqlx::Error::Decode("a generation has 8 bytes".into()))?;
    let generation = u64::from_be_bytes(kept) + 1;
    for (name, value) in [
        (meta::EPOCH, epoch.as_bytes().to_vec()),
        (meta::GENERATION, generation.to_be_bytes().to_vec()),
    ] {
        let update = sqlx::query(meta::UPDATE_META).bind(name).bind(value);
        update.execute(&mut *tx).await?;
    }
    tx.commit().await
}
