//! A `MessageStore` that does what another does, but for one thing.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::ports::{
    Append, AppendOutcome, BodyNote, EntriesPage, EntriesQuery, FoundKey, KeyQuery, Loaded,
    MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage, MessagesQuery, PortError,
    SetBody, StoreCapabilities, Targets, TargetsQuery,
};
use chat_core::proto::{ChannelId, Epoch, Head, Seq, UserId};

/// What a [`TwistedMessages`] does otherwise than its store; what is not overridden it does alike.
#[async_trait]
pub trait MessagesTwist: Send + Sync + 'static {
    /// Instead of [`MessageStore::epoch`].
    async fn epoch(&self, inner: &dyn MessageStore) -> Result<Epoch, PortError> {
        inner.epoch().await
    }

    /// Instead of [`MessageStore::load`].
    async fn load(
        &self,
        inner: &dyn MessageStore,
        channel: ChannelId,
        folded: Seq,
    ) -> Result<Loaded, PortError> {
        inner.load(channel, folded).await
    }

    /// Instead of [`MessageStore::append`].
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        inner.append(append).await
    }

    /// Instead of [`MessageStore::heads`].
    async fn heads(
        &self,
        inner: &dyn MessageStore,
        channels: &[ChannelId],
    ) -> Result<Vec<Head>, PortError> {
        inner.heads(channels).await
    }

    /// Instead of [`MessageStore::entries`].
    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        inner.entries(query).await
    }

    /// Instead of [`MessageStore::messages`].
    async fn messages(
        &self,
        inner: &dyn MessageStore,
        query: MessagesQuery,
    ) -> Result<MessagesPage, PortError> {
        inner.messages(query).await
    }

    /// Instead of [`MessageStore::targets`].
    async fn targets(
        &self,
        inner: &dyn MessageStore,
        query: TargetsQuery,
    ) -> Result<Targets, PortError> {
        inner.targets(query).await
    }

    /// Instead of [`MessageStore::set_body`].
    async fn set_body(&self, inner: &dyn MessageStore, set: SetBody) -> Result<(), PortError> {
        inner.set_body(set).await
    }

    /// Instead of [`MessageStore::keep_body_note`].
    async fn keep_body_note(
        &self,
        inner: &dyn MessageStore,
        note: BodyNote,
    ) -> Result<(), PortError> {
        inner.keep_body_note(note).await
    }

    /// Instead of [`MessageStore::drop_body_note`].
    async fn drop_body_note(
        &self,
        inner: &dyn MessageStore,
        channel: ChannelId,
        after: Seq,
    ) -> Result<(), PortError> {
        inner.drop_body_note(channel, after).await
    }

    /// Instead of [`MessageStore::body_notes`].
    async fn body_notes(
        &self,
        inner: &dyn MessageStore,
        limit: usize,
    ) -> Result<Vec<BodyNote>, PortError> {
        inner.body_notes(limit).await
    }

    /// Instead of [`MessageStore::find_key`].
    async fn find_key(
        &self,
        inner: &dyn MessageStore,
        query: KeyQuery,
    ) -> Result<Option<FoundKey>, PortError> {
        inner.find_key(query).await
    }

    /// Instead of [`MessageStore::members`].
    async fn members(
        &self,
        inner: &dyn MessageStore,
        query: MembersQuery,
    ) -> Result<MembersPage, PortError> {
        inner.members(query).await
    }

    /// Instead of [`MessageStore::successor`].
    async fn successor(
        &self,
        inner: &dyn MessageStore,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        inner.successor(channel, leaving).await
    }
}

/// A store with one twist.
pub struct TwistedMessages<T> {
    inner: Arc<dyn MessageStore>,
    twist: T,
}

impl<T: MessagesTwist> TwistedMessages<T> {
    /// The store with this twist.
    pub fn new(inner: Arc<dyn MessageStore>, twist: T) -> Self {
        Self { inner, twist }
    }
}

#[async_trait]
impl<T: MessagesTwist> MessageStore for TwistedMessages<T> {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        self.twist.epoch(&*self.inner).await
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        self.twist.load(&*self.inner, channel, folded).await
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        self.twist.append(&*self.inner, append).await
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        self.twist.heads(&*self.inner, channels).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        self.twist.entries(&*self.inner, query).await
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        self.twist.messages(&*self.inner, query).await
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        self.twist.targets(&*self.inner, query).await
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        self.twist.set_body(&*self.inner, set).await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        self.twist.keep_body_note(&*self.inner, note).await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        self.twist
            .drop_body_note(&*self.inner, channel, after)
            .await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        self.twist.body_notes(&*self.inner, limit).await
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        self.twist.find_key(&*self.inner, query).await
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        self.twist.members(&*self.inner, query).await
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        self.inner.memberships(channel, users).await
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        self.twist.successor(&*self.inner, channel, leaving).await
    }
}
