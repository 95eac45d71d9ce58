//! What survives a restart of the client.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chat_proto::sync::{OutboxSnapshot, Progress, SyncSnapshot};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StateError;

/// Keeps a client's state: a file, a row in the application's own database.
///
/// # Contract
/// - `save_outbox` returns when the outbox would survive a crash; no message is sent before. A message that was sent
///   and then forgotten would not be sent again if its acknowledgement was lost.
/// - `save_progress` may be lazier: with old progress entries come again, and none is missed.
/// - Each replaces what was saved before, as a whole or not at all. One client at a time uses a state.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// All that was saved; the default where nothing was.
    ///
    /// # Errors
    /// When it cannot be read. Starting without it would send nothing twice, but tell everything again.
    async fn load(&self) -> Result<SyncSnapshot, StateError>;

    /// Replaces the stored progress.
    ///
    /// # Errors
    /// When it cannot be written.
    async fn save_progress(&self, progress: &Progress) -> Result<(), StateError>;

    /// Replaces the stored outbox.
    ///
    /// # Errors
    /// When it cannot be written.
    async fn save_outbox(&self, outbox: &OutboxSnapshot) -> Result<(), StateError>;
}

/// State in two JSON files: one for the progress, and beside it one with the suffix `.outbox`.
///
/// Each is written to a temporary file, synced and renamed, and then its folder is synced. So a send costs an `fsync`
/// before its first attempt (one for all that wait together, up to 64), and the whole outbox is written each time:
/// little for a person who writes, much for a program that floods. Such a program keeps its own record of what it sent
/// with which `client_id`, uses [`crate::Client::send_with`] and needs no outbox on disk.
#[derive(Clone, Debug)]
pub struct FileState {
    progress: PathBuf,
    outbox: PathBuf,
}

impl FileState {
    /// State in this file and its companion. The folder must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let progress = path.into();
        Self {
            outbox: with_suffix(&progress, ".outbox"),
            progress,
        }
    }
}

#[async_trait]
impl StateStore for FileState {
    async fn load(&self) -> Result<SyncSnapshot, StateError> {
        let files = self.clone();
        off_the_runtime("read", move || {
            Ok(SyncSnapshot {
                progress: read(&files.progress)?,
                outbox: read(&files.outbox)?,
            })
        })
        .await
    }

    async fn save_progress(&self, progress: &Progress) -> Result<(), StateError> {
        save(&self.progress, progress).await
    }

    async fn save_outbox(&self, outbox: &OutboxSnapshot) -> Result<(), StateError> {
        save(&self.outbox, outbox).await
    }
}

async fn save(path: &Path, value: &impl Serialize) -> Result<(), StateError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StateError::new("written", source))?;
    let path = path.to_owned();
    off_the_runtime("written", move || replace(&path, &bytes)).await
}

async fn off_the_runtime<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StateError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| StateError::new(action, source))?
        .map_err(|source| StateError::new(action, source))
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_suffix(path, ".new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // Without this the rename itself may be lost. Where a folder cannot be opened, as on Windows, it is synced with
    // the file.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        folder.sync_all()?;
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
