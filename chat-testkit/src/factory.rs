//! How a suite gets the stores that it examines.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{Accounts, InboxStore, MessageStore, UserStore};

use crate::skip::Skip;

/// Opens fresh, empty stores for one case; an adapter author implements it once for all store suites.
///
/// Cases run side by side. Data that they share (one database for all) does no harm: every case draws names of its own.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// Stores that hold nothing yet, or the name of the service that is missing.
    async fn open(&self) -> Result<Opened, Skip>;
}

/// The ports that one set of stores serves, all over the same data.
#[derive(Clone)]
pub struct Stores {
    messages: Arc<dyn MessageStore>,
    inbox: Option<Arc<dyn InboxStore>>,
    users: Option<Arc<dyn UserStore>>,
    accounts: Option<Arc<dyn Accounts>>,
}

impl Stores {
    /// Stores of logs, and nothing else yet.
    pub fn new(messages: Arc<dyn MessageStore>) -> Self {
        Self {
            messages,
            inbox: None,
            users: None,
            accounts: None,
        }
    }

    /// The same with other logs.
    #[must_use]
    pub fn with_messages(mut self, messages: Arc<dyn MessageStore>) -> Self {
        self.messages = messages;
        self
    }

    /// The same with inboxes.
    #[must_use]
    pub fn with_inbox(mut self, inbox: Arc<dyn InboxStore>) -> Self {
        self.inbox = Some(inbox);
        self
    }

    /// The same with users.
    #[must_use]
    pub fn with_users(mut self, users: Arc<dyn UserStore>) -> Self {
        self.users = Some(users);
        self
    }

    /// The same with accounts.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Arc<dyn Accounts>) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// The logs.
    pub fn messages(&self) -> &Arc<dyn MessageStore> {
        &self.messages
    }

    /// The inboxes.
    ///
    /// # Panics
    /// When the factory gave none, and so mounts a suite that it cannot serve; the same for the others.
    pub fn inbox(&self) -> &Arc<dyn InboxStore> {
        self.inbox
            .as_ref()
            .expect("a factory with a suite for inboxes opens an InboxStore")
    }

    /// The users.
    ///
    /// # Panics
    /// As [`Stores::inbox`].
    pub fn users(&self) -> &Arc<dyn UserStore> {
        self.users
            .as_ref()
            .expect("a factory with a suite for users opens a UserStore")
    }

    /// The accounts.
    ///
    /// # Panics
    /// As [`Stores::inbox`].
    pub fn accounts(&self) -> &Arc<dyn Accounts> {
        self.accounts
            .as_ref()
            .expect("a factory with a suite for accounts opens Accounts")
    }
}

/// What keeps opened stores alive (a temporary directory, a key space) and can open their data again. Dropped when the
/// case is over.
#[async_trait]
pub trait Guard: Send + Sync {
    /// Closes the stores as a process that ends would, and opens the same data again. The case has dropped its own
    /// handles before.
    async fn reopen(&mut self) -> Stores;
}

/// Open stores with what keeps them.
pub struct Opened {
    stores: Stores,
    guard: Box<dyn Guard>,
}

impl Opened {
    /// These stores, kept by this guard.
    pub fn new(stores: Stores, guard: impl Guard + 'static) -> Self {
        Self {
            stores,
            guard: Box::new(guard),
        }
    }

    /// The stores.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The logs.
    pub fn messages(&self) -> &Arc<dyn MessageStore> {
        self.stores.messages()
    }

    /// The inboxes; see [`Stores::inbox`].
    pub fn inbox(&self) -> &Arc<dyn InboxStore> {
        self.stores.inbox()
    }

    /// The users; see [`Stores::users`].
    pub fn users(&self) -> &Arc<dyn UserStore> {
        self.stores.users()
    }

    /// The accounts; see [`Stores::accounts`].
    pub fn accounts(&self) -> &Arc<dyn Accounts> {
        self.stores.accounts()
    }

    /// Closes everything and opens the same data again.
    pub async fn reopen(self) -> Self {
        let Self { stores, mut guard } = self;
        drop(stores);
        let stores = guard.reopen().await;
        Self { stores, guard }
    }

    /// The same with its stores replaced, now and after each reopening; how [`broken`](crate::broken) adapters come
    /// between a case and the stores.
    #[must_use]
    pub fn wrapped(self, wrap: Arc<dyn Fn(Stores) -> Stores + Send + Sync>) -> Self {
        Self {
            stores: wrap(self.stores),
            guard: Box::new(WrappingGuard {
                inner: self.guard,
                wrap,
            }),
        }
    }
}

struct WrappingGuard {
    inner: Box<dyn Guard>,
    wrap: Arc<dyn Fn(Stores) -> Stores + Send + Sync>,
}

#[async_trait]
impl Guard for WrappingGuard {
    async fn reopen(&mut self) -> Stores {
        (self.wrap)(self.inner.reopen().await)
    }
}
