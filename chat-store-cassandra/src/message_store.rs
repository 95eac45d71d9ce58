//! The port: each call handed to whom it concerns.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_core::ports::{
    Append, AppendOutcome, BodyNote, EntriesPage, EntriesQuery, FoundKey, KeyQuery, Loaded,
    MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage, MessagesQuery, PortError,
    SetBody, StoreCapabilities, Targets, TargetsQuery,
};
use chat_proto::{ChannelId, Epoch, Head, Seq, UserId};

use crate::store::CassandraStore;

#[async_trait]
impl MessageStore for CassandraStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities {
            // Keys lie in the bucket of their entry: an append compares those of one bucket only.
            append_searches_keys: false,
            append_sets_bodies: false,
        }
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.db.epoch)
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        self.db.load("messages.load", channel, folded).await
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        self.db.append(append).await
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        self.db.heads("messages.heads", channels).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        self.db.entries("messages.entries", &query).await
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        self.db.messages("messages.messages", &query).await
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        self.db.targets("messages.targets", &query).await
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        self.db.set_body(set).await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        self.db.keep_note("messages.keep_body_note", &note).await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        const OP: &str = "messages.drop_body_note";
        self.db.drop_note(OP, channel, after).await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        self.db.notes("messages.body_notes", limit).await
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        self.db.find_key("messages.find_key", &query).await
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        self.db.members("messages.members", &query).await
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        self.db
            .memberships("messages.memberships", channel, users)
            .await
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        self.db
            .successor("messages.successor", channel, leaving)
            .await
    }
}
