//! Which users there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{Accounts, Directory, PortError};
use chat_core::proto::UserId;

/// Those who signed up; where the host's tokens are accepted, everybody: the server does not know the host's users.
#[derive(Clone)]
pub struct ServerDirectory {
    accounts: Arc<dyn Accounts>,
    everybody: bool,
}

impl ServerDirectory {
    /// The users of these accounts, or everybody.
    pub fn new(accounts: Arc<dyn Accounts>, everybody: bool) -> Self {
        Self {
            accounts,
            everybody,
        }
    }
}

#[async_trait]
impl Directory for ServerDirectory {
    async fn existing(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, PortError> {
        if self.everybody {
            return Ok(users.clone());
        }
        let mut existing = BTreeSet::new();
        for user in users {
            if self.accounts.account(user).await?.is_some() {
                existing.insert(user.clone());
            }
        }
        Ok(existing)
    }

    async fn may_talk(&self, _from: &UserId, _to: &UserId) -> Result<bool, PortError> {
        Ok(true)
    }
}
