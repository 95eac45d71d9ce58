//! A `UserStore` that does what another does, but for one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{
    Device, DeviceSeen, KeptStatus, PeoplePage, PeopleQuery, PortError, PrefsWrite, Profile,
    ProfileWrite, RelationWrite, UserEntriesPage, UserEntriesQuery, UserStatus, UserStore,
    WrittenEntries,
};
use chat_core::proto::people::{ContactState, Prefs, Relation};
use chat_core::proto::{ChannelId, DeviceId, Epoch, Seq, Timestamp, UserId};

/// What a [`TwistedUsers`] does otherwise than its store; what is not overridden it does alike.
#[async_trait]
pub trait UsersTwist: Send + Sync + 'static {
    /// Instead of [`UserStore::epoch`].
    async fn epoch(&self, inner: &dyn UserStore) -> Result<Epoch, PortError> {
        inner.epoch().await
    }

    /// Instead of [`UserStore::seen`].
    async fn seen(
        &self,
        inner: &dyn UserStore,
        seen: DeviceSeen,
    ) -> Result<WrittenEntries, PortError> {
        inner.seen(seen).await
    }

    /// Instead of [`UserStore::set_profile`].
    async fn set_profile(
        &self,
        inner: &dyn UserStore,
        write: ProfileWrite,
    ) -> Result<WrittenEntries, PortError> {
        inner.set_profile(write).await
    }

    /// Instead of [`UserStore::devices`].
    async fn devices(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
    ) -> Result<Vec<Device>, PortError> {
        inner.devices(user).await
    }

    /// Instead of [`UserStore::forget_device`].
    async fn forget_device(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<WrittenEntries, PortError> {
        inner.forget_device(user, device, at).await
    }

    /// Instead of [`UserStore::user_seq`].
    async fn user_seq(&self, inner: &dyn UserStore, user: &UserId) -> Result<Seq, PortError> {
        inner.user_seq(user).await
    }

    /// Instead of [`UserStore::entries`].
    async fn entries(
        &self,
        inner: &dyn UserStore,
        query: UserEntriesQuery,
    ) -> Result<UserEntriesPage, PortError> {
        inner.entries(query).await
    }

    /// Instead of [`UserStore::relate`].
    async fn relate(
        &self,
        inner: &dyn UserStore,
        write: RelationWrite,
    ) -> Result<WrittenEntries, PortError> {
        inner.relate(write).await
    }

    /// Instead of [`UserStore::relations`].
    async fn relations(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError> {
        inner.relations(user, others).await
    }

    /// Instead of [`UserStore::contacts`].
    async fn contacts(
        &self,
        inner: &dyn UserStore,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        inner.contacts(query).await
    }

    /// Instead of [`UserStore::blocks`].
    async fn blocks(
        &self,
        inner: &dyn UserStore,
        query: PeopleQuery,
    ) -> Result<PeoplePage<UserId>, PortError> {
        inner.blocks(query).await
    }

    /// Instead of [`UserStore::set_prefs`].
    async fn set_prefs(
        &self,
        inner: &dyn UserStore,
        write: PrefsWrite,
    ) -> Result<WrittenEntries, PortError> {
        inner.set_prefs(write).await
    }

    /// Instead of [`UserStore::prefs`].
    async fn prefs(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError> {
        inner.prefs(user, channels).await
    }

    /// Instead of [`UserStore::statuses`].
    async fn statuses(
        &self,
        inner: &dyn UserStore,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError> {
        inner.statuses(users).await
    }

    /// Instead of [`UserStore::set_status`].
    async fn set_status(
        &self,
        inner: &dyn UserStore,
        user: &UserId,
        status: UserStatus,
    ) -> Result<(), PortError> {
        inner.set_status(user, status).await
    }
}

/// A store with one twist.
pub struct TwistedUsers<T> {
    inner: Arc<dyn UserStore>,
    twist: T,
}

impl<T: UsersTwist> TwistedUsers<T> {
    /// The store with this twist.
    pub fn new(inner: Arc<dyn UserStore>, twist: T) -> Self {
        Self { inner, twist }
    }
}

#[async_trait]
impl<T: UsersTwist> UserStore for TwistedUsers<T> {
    async fn epoch(&self) -> Result<Epoch, PortError> {
        self.twist.epoch(&*self.inner).await
    }

    async fn seen(&self, seen: DeviceSeen) -> Result<WrittenEntries, PortError> {
        self.twist.seen(&*self.inner, seen).await
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError> {
        self.inner.profile(user).await
    }

    async fn set_profile(&self, write: ProfileWrite) -> Result<WrittenEntries, PortError> {
        self.twist.set_profile(&*self.inner, write).await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError> {
        self.twist.devices(&*self.inner, user).await
    }

    async fn forget_device(
        &self,
        user: &UserId,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<WrittenEntries, PortError> {
        self.twist
            .forget_device(&*self.inner, user, device, at)
            .await
    }

    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError> {
        self.twist.user_seq(&*self.inner, user).await
    }

    async fn entries(&self, query: UserEntriesQuery) -> Result<UserEntriesPage, PortError> {
        self.twist.entries(&*self.inner, query).await
    }

    async fn relate(&self, write: RelationWrite) -> Result<WrittenEntries, PortError> {
        self.twist.relate(&*self.inner, write).await
    }

    async fn relations(
        &self,
        user: &UserId,
        others: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Relation>, PortError> {
        self.twist.relations(&*self.inner, user, others).await
    }

    async fn contacts(
        &self,
        query: PeopleQuery,
    ) -> Result<PeoplePage<(UserId, ContactState)>, PortError> {
        self.twist.contacts(&*self.inner, query).await
    }

    async fn blocks(&self, query: PeopleQuery) -> Result<PeoplePage<UserId>, PortError> {
        self.twist.blocks(&*self.inner, query).await
    }

    async fn set_prefs(&self, write: PrefsWrite) -> Result<WrittenEntries, PortError> {
        self.twist.set_prefs(&*self.inner, write).await
    }

    async fn prefs(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Prefs>, PortError> {
        self.twist.prefs(&*self.inner, user, channels).await
    }

    async fn set_status(&self, user: &UserId, status: UserStatus) -> Result<(), PortError> {
        self.twist.set_status(&*self.inner, user, status).await
    }

    async fn statuses(
        &self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, KeptStatus>, PortError> {
        self.twist.statuses(&*self.inner, users).await
    }
}
