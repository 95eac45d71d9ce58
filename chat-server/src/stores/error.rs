//! Why a store cannot be used.

use std::error::Error;

use chat_store_sqlite as sqlite;

use super::check::{refusal_of_messages, refusal_of_users};
use super::url::StoreUrl;

/// Why a store cannot be used; says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoresError {
    /// The file cannot be used.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// A store that is reached over the network cannot be used.
    #[error("the store {store}: {source}")]
    Network {
        /// Which, without login.
        store: String,
        /// Why, and what to do.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The settings name a store for what it cannot hold, or one that this program was built without.
    #[error("the store {store} {why}")]
    Unusable {
        /// Which, without login.
        store: String,
        /// Why, and what to do.
        why: String,
    },
    /// Nothing to act on.
    #[error(
        "no store is named; name one with --messages or --users, or in the settings `stores.messages` and `stores.users`"
    )]
    Nothing,
}

impl StoresError {
    /// The adapter of this URL is not built in.
    #[cfg(not(all(feature = "postgres", feature = "cassandra")))]
    pub(super) fn left_out(url: &StoreUrl) -> Self {
        Self::Unusable {
            store: url.to_string(),
            why: refusal_of_messages(url).unwrap_or_default(),
        }
    }

    /// The first of these that cannot be used for what it is to hold.
    pub(super) fn check(messages: Option<&StoreUrl>, users: Option<&StoreUrl>) -> Result<(), Self> {
        let refused = [
            messages.and_then(|url| Some((url, refusal_of_messages(url)?))),
            users.and_then(|url| Some((url, refusal_of_users(url)?))),
        ];
        match refused.into_iter().flatten().next() {
            None => Ok(()),
            Some((url, why)) => Err(Self::Unusable {
                store: url.to_string(),
                why,
            }),
        }
    }
}
