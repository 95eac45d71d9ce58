//! A user of a case, with a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_core::ports::{
    DeviceSeen, PageLimit, PeoplePage, PeopleQuery, PrefsWrite, ProfileWrite, RelationWrite,
    UserEntriesPage, UserEntriesQuery, UserStore, WrittenEntries,
};
use chat_core::proto::people::{
    ContactState, Prefs, ProfileChange, Relation, RelationChange, UserEntry, UserEntryKind,
};
use chat_core::proto::{ChannelId, DeviceId, Seq, Timestamp, UserId};

use crate::log_writer::START;
use crate::names::fresh_user;

/// As much as a case ever reads at once.
pub(super) const ALL: PageLimit = PageLimit {
    entries: 1_000,
    bytes: 16 * 1024 * 1024,
};

/// Somebody whom nobody else uses.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) store: Arc<dyn UserStore>,
    pub(super) user: UserId,
}

impl Person {
    pub(super) fn new(store: &Arc<dyn UserStore>, name: &str) -> Self {
        Self {
            store: Arc::clone(store),
            user: fresh_user(name),
        }
    }

    pub(super) async fn relate(&self, change: RelationChange, other: &UserId) -> WrittenEntries {
        let write = RelationWrite {
            user: self.user.clone(),
            other: other.clone(),
            change,
            at: START,
        };
        self.store.relate(write).await.expect("the store answers")
    }

    pub(super) async fn relation(&self, other: &UserId) -> Relation {
        let asked = [other.clone()].into();
        let relations = self.store.relations(&self.user, &asked).await;
        let relations = relations.expect("the store answers");
        *relations
            .get(other)
            .expect("relations answer for everybody who was asked for")
    }

    /// How the user's list of contacts shows somebody.
    pub(super) async fn listed(&self, other: &UserId) -> Option<ContactState> {
        let page = self.contacts(None, 1_000).await;
        let mut found = page.people.into_iter().filter(|(user, _)| user == other);
        found.next().map(|(_, state)| state)
    }

    pub(super) async fn contacts(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> PeoplePage<(UserId, ContactState)> {
        let page = self.store.contacts(self.people(after, limit)).await;
        page.expect("the store answers")
    }

    pub(super) async fn blocks(&self, after: Option<UserId>, limit: usize) -> PeoplePage<UserId> {
        let page = self.store.blocks(self.people(after, limit)).await;
        page.expect("the store answers")
    }

    fn people(&self, after: Option<UserId>, limit: usize) -> PeopleQuery {
        PeopleQuery {
            user: self.user.clone(),
            after,
            limit,
        }
    }

    pub(super) async fn set_prefs(&self, channel: ChannelId, change: Prefs) -> WrittenEntries {
        let write = PrefsWrite {
            user: self.user.clone(),
            channel,
            change,
            at: START,
        };
        self.store
            .set_prefs(write)
            .await
            .expect("the store answers")
    }

    pub(super) async fn prefs(&self, channels: &[ChannelId]) -> BTreeMap<ChannelId, Prefs> {
        let prefs = self.store.prefs(&self.user, channels).await;
        prefs.expect("the store answers")
    }

    pub(super) async fn set_profile(&self, change: ProfileChange) -> WrittenEntries {
        let write = ProfileWrite {
            user: self.user.clone(),
            change,
            at: START,
        };
        self.store
            .set_profile(write)
            .await
            .expect("the store answers")
    }

    pub(super) async fn see(&self, device: DeviceId, at: Timestamp) -> WrittenEntries {
        let seen = DeviceSeen {
            user: self.user.clone(),
            device,
            user_name: None,
            client: "case/1.0".into(),
            at,
        };
        self.store.seen(seen).await.expect("the store answers")
    }

    pub(super) async fn page(&self, after: Seq, limit: PageLimit) -> UserEntriesPage {
        let query = UserEntriesQuery {
            user: self.user.clone(),
            after,
            limit,
        };
        self.store.entries(query).await.expect("the store answers")
    }

    pub(super) async fn log(&self) -> Vec<UserEntry> {
        self.page(Seq(0), ALL).await.entries
    }

    pub(super) async fn kinds(&self) -> Vec<UserEntryKind> {
        self.log()
            .await
            .into_iter()
            .map(|entry| entry.kind)
            .collect()
    }

    pub(super) async fn user_seq(&self) -> Seq {
        let seq = self.store.user_seq(&self.user).await;
        seq.expect("the store answers")
    }
}

/// A draft, which makes an entry of so many bytes.
pub(crate) fn draft(text: &str) -> Prefs {
    Prefs {
        draft: Some(text.to_owned()),
        ..Prefs::default()
    }
}
