//! All that an engine is built on, from one adapter or two.

use std::path::Path;
use std::sync::Arc;

use chat_core::EngineBuilder;
use chat_core::ports::{Accounts, InboxStore, MessageStore, PortError};

use super::adapter::{Adapter, People};
use super::error::StoresError;
use super::url::StoreUrl;
use crate::settings::StoresSettings;

/// The store's file in the data folder, where no other store is named.
const STORE_FILE: &str = "chat.db";

/// Which stores a server uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Messages and inboxes.
    pub(crate) messages: StoreUrl,
    /// Users and accounts.
    pub(crate) users: StoreUrl,
}

impl Chosen {
    /// What the settings name, else the file in the data folder.
    pub(crate) fn new(settings: &StoresSettings, data: &Path) -> Self {
        let or_file = |named: &Option<StoreUrl>| {
            named
                .clone()
                .unwrap_or_else(|| StoreUrl::file(data.join(STORE_FILE)))
        };
        Self {
            messages: or_file(&settings.messages),
            users: or_file(&settings.users),
        }
    }

    /// Whether anything is kept in this folder.
    pub(crate) fn is_in(&self, data: &Path) -> bool {
        let file = StoreUrl::file(data.join(STORE_FILE));
        self.messages == file || self.users == file
    }

    /// Messages that servers share beside users that they do not: somebody who signs up at one is unknown to the others.
    pub(crate) fn splits_users(&self) -> bool {
        let is_shared = |url: &StoreUrl| !matches!(url, StoreUrl::Sqlite(_));
        is_shared(&self.messages) && !is_shared(&self.users)
    }
}

/// All that an engine is built on. One store that serves as both is opened once.
#[derive(Clone)]
pub struct Stores {
    messages: Arc<dyn MessageStore>,
    inbox: Arc<dyn InboxStore>,
    people: People,
    /// Each store once.
    opened: Vec<Adapter>,
}

impl Stores {
    /// Opens and checks what the settings name; the file in the `data` folder where they name nothing.
    ///
    /// # Errors
    /// When a store cannot be reached, is no chat store, does not keep what it acknowledges, or cannot hold what it is to.
    pub async fn open(settings: &StoresSettings, data: &Path) -> Result<Self, StoresError> {
        Self::open_chosen(&Chosen::new(settings, data)).await
    }

    pub(crate) async fn open_chosen(chosen: &Chosen) -> Result<Self, StoresError> {
        StoresError::check(Some(&chosen.messages), Some(&chosen.users))?;
        let messages = Adapter::open(&chosen.messages).await?;
        let mut opened = vec![messages.clone()];
        let users = if chosen.users == chosen.messages {
            messages.clone()
        } else {
            let users = Adapter::open(&chosen.users).await?;
            opened.push(users.clone());
            users
        };
        let people = users
            .people()
            .expect("a store that holds no users was refused before it was opened");
        Ok(Self {
            messages: messages.messages(),
            inbox: messages.inbox(),
            people,
            opened,
        })
    }

    /// The builder with these stores.
    pub fn give(&self, builder: EngineBuilder) -> EngineBuilder {
        let builder = builder.stores(Arc::clone(&self.messages), Arc::clone(&self.inbox));
        self.people.give(builder)
    }

    /// Accounts and tokens.
    pub fn accounts(&self) -> Arc<dyn Accounts> {
        self.people.accounts()
    }

    /// Why a store takes no writes, if one takes none.
    pub async fn refusal(&self) -> Option<String> {
        for store in &self.opened {
            if let Some(why) = store.refusal().await {
                return Some(why);
            }
        }
        None
    }

    /// Finishes what is queued and lets go of the stores. Each is closed, whatever comes of the others.
    ///
    /// # Errors
    /// The first that a store meets.
    pub async fn close(&self) -> Result<(), PortError> {
        let mut closed = Ok(());
        for store in &self.opened {
            closed = closed.and(store.close().await);
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(messages: Option<&str>, users: Option<&str>) -> StoresSettings {
        let parsed = |url: &str| url.parse().expect("a good URL");
        StoresSettings {
            messages: messages.map(parsed),
            users: users.map(parsed),
        }
    }

    #[test]
    fn what_is_not_named_is_the_file_in_the_data_folder() {
        let data = Path::new("/var/lib/chat");
        let file: StoreUrl = "sqlite:/var/lib/chat/chat.db".parse().expect("a good URL");
        let chosen = Chosen::new(&settings(None, None), data);
        assert_eq!((&chosen.messages, &chosen.users), (&file, &file));
        assert!(!chosen.splits_users() && chosen.is_in(data));
        let chosen = Chosen::new(&settings(Some("postgres://db/chat"), None), data);
        assert_eq!(chosen.users, file);
        assert!(chosen.splits_users() && chosen.is_in(data));
        let chosen = Chosen::new(&settings(None, Some("postgres://db/chat")), data);
        assert!(!chosen.splits_users() && chosen.is_in(data));
        let both = settings(Some("postgres://db/chat"), Some("postgres://db/chat"));
        let chosen = Chosen::new(&both, data);
        assert!(!chosen.splits_users() && !chosen.is_in(data));
    }

    #[tokio::test]
    async fn one_file_named_twice_is_opened_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("one.db").display());
        let both = settings(Some(&url), Some(&url));
        let stores = Stores::open(&both, folder.path()).await.expect("it opens");
        assert_eq!(stores.opened.len(), 1);
        assert_eq!(stores.refusal().await, None);
        stores.close().await.expect("it closes");
    }

    #[tokio::test]
    async fn two_files_are_two_stores_of_one_engine() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let users = format!("sqlite:{}", folder.path().join("users.db").display());
        let apart = settings(None, Some(&users));
        let stores = Stores::open(&apart, folder.path())
            .await
            .expect("they open");
        assert_eq!(stores.opened.len(), 2);
        let engine = stores.give(chat_core::Engine::builder());
        engine.build().expect("an engine").shutdown().await;
        stores.close().await.expect("they close");
        assert!(folder.path().join("users.db").exists() && folder.path().join(STORE_FILE).exists());
    }

    #[tokio::test]
    async fn users_in_cassandra_are_refused_before_anything_is_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = settings(None, Some("cassandra://u:hunter2@a/chat"));
        let refused = Stores::open(&settings, folder.path()).await.map(drop);
        let why = refused.expect_err("refused").to_string();
        assert!(
            why.contains("cassandra://a/chat") && why.contains("name PostgreSQL"),
            "{why}"
        );
        assert!(!folder.path().join(STORE_FILE).exists());
    }
}
