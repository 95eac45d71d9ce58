//! Inboxes that must be told what was appended, told by whoever appends, as an engine does it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::inboxes::Copier;
use chat_core::ports::{
    Append, AppendOutcome, BodyNote, EntriesPage, EntriesQuery, FoundKey, InboxStore, KeyQuery,
    Loaded, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage, MessagesQuery,
    PortError, SetBody, StoreCapabilities, Targets, TargetsQuery,
};
use chat_core::proto::{ChannelId, Epoch, Head, Limits, Seq, UserId};

/// Logs that tell the inboxes beside them of each append and each body that is set, before they answer.
pub struct FannedOut {
    messages: Arc<dyn MessageStore>,
    copier: Copier,
}

impl FannedOut {
    /// These logs, with these inboxes; as they are where the inboxes derive their rows.
    pub fn over(
        messages: Arc<dyn MessageStore>,
        inbox: Arc<dyn InboxStore>,
    ) -> Arc<dyn MessageStore> {
        if inbox.capabilities().derives_rows {
            return messages;
        }
        let preview_bytes_max = Limits::default().preview_bytes_max;
        let copier = Copier::new(Arc::clone(&messages), inbox, preview_bytes_max);
        Arc::new(Self { messages, copier })
    }
}

#[async_trait]
impl MessageStore for FannedOut {
    fn capabilities(&self) -> StoreCapabilities {
        self.messages.capabilities()
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        self.messages.epoch().await
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        self.messages.load(channel, folded).await
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        let (channel, after) = (append.channel, append.expected_head);
        let outcome = self.messages.append(append).await?;
        if matches!(outcome, AppendOutcome::Appended { .. }) {
            self.copier.replay(channel, after).await?;
        }
        Ok(outcome)
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        self.messages.heads(channels).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        self.messages.entries(query).await
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        self.messages.messages(query).await
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        self.messages.targets(query).await
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        let (channel, after) = (set.channel, set.rev.previous());
        self.messages.set_body(set).await?;
        self.copier.replay(channel, after).await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        self.messages.keep_body_note(note).await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        self.messages.drop_body_note(channel, after).await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        self.messages.body_notes(limit).await
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        self.messages.find_key(query).await
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        self.messages.members(query).await
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        self.messages.memberships(channel, users).await
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        self.messages.successor(channel, leaving).await
    }
}
