//! The desk's own users: rows of its table, and the tokens that its log-in gave out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{Authenticator, Directory, Identity, PortError};
use chat_core::proto::{DeviceId, UserId};

type Broken = Box<dyn std::error::Error>;

/// What somebody is at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Works here.
    Agent,
    /// Has an account.
    Customer,
    /// Wrote once, and is known by nothing but a link in a mail.
    Guest,
}

/// A row of the table of users.
#[derive(Clone, Debug)]
struct Person {
    name: String,
    kind: Kind,
}

/// The tables, here in memory; in earnest your database.
#[derive(Clone)]
pub(crate) struct Desk {
    people: Arc<HashMap<UserId, Person>>,
    /// Looked up by a keyed hash: time tells nothing of how much of a token is right.
    tokens: Arc<HashMap<String, (UserId, DeviceId)>>,
}

impl Desk {
    /// Today's users, each with one device.
    pub(crate) fn of_today() -> Result<Self, Broken> {
        let rows = [
            (
                "ada",
                "Ada",
                Kind::Agent,
                "0d2f3c1a-5b6e-4f70-8a91-b2c3d4e5f601",
            ),
            (
                "carl",
                "Carl",
                Kind::Customer,
                "0d2f3c1a-5b6e-4f70-8a91-b2c3d4e5f602",
            ),
            (
                "gil",
                "Gil",
                Kind::Guest,
                "0d2f3c1a-5b6e-4f70-8a91-b2c3d4e5f603",
            ),
        ];
        let (mut people, mut tokens) = (HashMap::new(), HashMap::new());
        for (id, name, kind, device) in rows {
            let user: UserId = id.parse()?;
            tokens.insert(format!("{id}-secret"), (user.clone(), device.parse()?));
            let name = name.to_owned();
            people.insert(user, Person { name, kind });
        }
        Ok(Self {
            people: Arc::new(people),
            tokens: Arc::new(tokens),
        })
    }

    /// What somebody is, if they are in the table.
    pub(crate) fn kind_of(&self, user: &UserId) -> Option<Kind> {
        Some(self.people.get(user)?.kind)
    }
}

#[async_trait]
impl Authenticator for Desk {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        let Some((user, device)) = self.tokens.get(token) else {
            return Ok(None);
        };
        let name = self.people.get(user).map(|person| person.name.clone());
        Ok(Some(Identity::new(user.clone(), *device).named(name)))
    }
}

#[async_trait]
impl Directory for Desk {
    async fn existing(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, PortError> {
        let known = users.iter().filter(|user| self.people.contains_key(*user));
        Ok(known.cloned().collect())
    }

    async fn may_talk(&self, from: &UserId, to: &UserId) -> Result<bool, PortError> {
        // Customers talk to agents, and agents to everybody.
        let agent = Some(Kind::Agent);
        Ok(self.kind_of(from) == agent || self.kind_of(to) == agent)
    }
}
