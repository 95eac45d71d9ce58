//! Schemas and epochs, for operators.

use chat_proto::Epoch;

use super::adapter::Adapter;
use super::error::StoresError;
use super::url::StoreUrl;
use crate::settings::StoresSettings;

/// What was done to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Which, without login.
    pub store: String,
    /// The epoch that was drawn, if one was.
    pub epoch: Option<Epoch>,
}

/// Makes what is missing of the schemas of the stores that the settings name, a Cassandra keyspace included. May be run
/// again: what is there stays.
///
/// # Errors
/// When no store is named, or one cannot be used; those before it are done.
pub async fn apply_schemas(settings: &StoresSettings) -> Result<Vec<Upkeep>, StoresError> {
    let mut done = Vec::new();
    for url in named(settings)? {
        Adapter::apply_schema(url).await?;
        done.push(Upkeep {
            store: url.to_string(),
            epoch: None,
        });
    }
    Ok(done)
}

/// Begins another life of each store that the settings name, as after a backup was restored: every client drops what it
/// knows and asks again. No server may use the stores meanwhile.
///
/// # Errors
/// When no store is named, or one cannot be used; those before it are done.
pub async fn draw_new_epochs(settings: &StoresSettings) -> Result<Vec<Upkeep>, StoresError> {
    let mut done = Vec::new();
    for url in named(settings)? {
        let epoch = Adapter::draw_new_epoch(url).await?;
        done.push(Upkeep {
            store: url.to_string(),
            epoch: Some(epoch),
        });
    }
    Ok(done)
}

/// Each store once.
fn named(settings: &StoresSettings) -> Result<Vec<&StoreUrl>, StoresError> {
    StoresError::check(settings.messages.as_ref(), settings.users.as_ref())?;
    let mut named: Vec<&StoreUrl> = settings.messages.iter().chain(&settings.users).collect();
    named.dedup();
    if named.is_empty() {
        return Err(StoresError::Nothing);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::Stores;

    fn in_files(folder: &std::path::Path, messages: &str, users: &str) -> StoresSettings {
        let url = |name: &str| format!("sqlite:{}", folder.join(name).display());
        StoresSettings {
            messages: Some(url(messages).parse().expect("a good URL")),
            users: Some(url(users).parse().expect("a good URL")),
        }
    }

    #[tokio::test]
    async fn each_store_gets_one_new_epoch() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let apart = in_files(folder.path(), "messages.db", "users.db");
        let applied = apply_schemas(&apart).await.expect("two new files");
        assert_eq!(applied.len(), 2);
        let first = draw_new_epochs(&apart).await.expect("two epochs");
        let second = draw_new_epochs(&apart).await.expect("two epochs");
        assert_eq!((first.len(), second.len()), (2, 2));
        assert!(
            first
                .iter()
                .zip(&second)
                .all(|(one, other)| one.store == other.store && one.epoch != other.epoch)
        );
        let together = in_files(folder.path(), "messages.db", "messages.db");
        assert_eq!(
            draw_new_epochs(&together).await.expect("one epoch").len(),
            1
        );
    }

    #[tokio::test]
    async fn a_store_that_is_in_use_gets_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = in_files(folder.path(), "chat.db", "chat.db");
        let stores = Stores::open(&settings, folder.path())
            .await
            .expect("it opens");
        assert!(matches!(
            draw_new_epochs(&settings).await,
            Err(StoresError::Sqlite(_))
        ));
        stores.close().await.expect("it closes");
        draw_new_epochs(&settings).await.expect("the file is free");
    }

    #[tokio::test]
    async fn nothing_named_is_said() {
        let nothing = StoresSettings::default();
        assert!(matches!(
            apply_schemas(&nothing).await,
            Err(StoresError::Nothing)
        ));
        assert!(matches!(
            draw_new_epochs(&nothing).await,
            Err(StoresError::Nothing)
        ));
    }
}
