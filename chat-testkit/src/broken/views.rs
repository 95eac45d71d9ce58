//! Views beside the log that go wrong.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_core::ports::{MembersPage, MembersQuery, MessageStore, PortError, UserStore};
use chat_core::proto::{ChannelId, Epoch, Head, UserId};
use uuid::Uuid;

use super::messages::MessagesTwist;
use super::users::UsersTwist;

/// Begins a page of members with the one that the last page ended with.
#[derive(Default)]
pub struct MemberPagesRepeat;

#[async_trait]
impl MessagesTwist for MemberPagesRepeat {
    async fn members(
        &self,
        inner: &dyn MessageStore,
        query: MembersQuery,
    ) -> Result<MembersPage, PortError> {
        let Some(last) = query.after.clone() else {
            return inner.members(query).await;
        };
        let again = inner
            .memberships(query.channel, std::slice::from_ref(&last))
            .await?;
        let mut page = inner.members(query).await?;
        page.members.splice(0..0, again.found);
        Ok(page)
    }
}

/// Names the member with the lowest id as successor.
#[derive(Default)]
pub struct SuccessorByName;

#[async_trait]
impl MessagesTwist for SuccessorByName {
    async fn successor(
        &self,
        inner: &dyn MessageStore,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        let query = MembersQuery {
            channel,
            after: None,
            limit: leaving.len() + 1,
        };
        let page = inner.members(query).await?;
        let mut users = page.members.into_iter().map(|(user, _)| user);
        Ok(users.find(|user| !leaving.contains(user)))
    }
}

/// Leaves channels that do not exist out of the heads, so that the others move up.
#[derive(Default)]
pub struct HeadsWithoutTheAbsent;

#[async_trait]
impl MessagesTwist for HeadsWithoutTheAbsent {
    async fn heads(
        &self,
        inner: &dyn MessageStore,
        channels: &[ChannelId],
    ) -> Result<Vec<Head>, PortError> {
        let mut heads = inner.heads(channels).await?;
        heads.retain(|head| *head != Head::EMPTY);
        Ok(heads)
    }
}

/// Draws an epoch whenever it is opened.
pub struct EpochDrawnAnew {
    epoch: Epoch,
}

impl Default for EpochDrawnAnew {
    fn default() -> Self {
        Self {
            epoch: Epoch::from_uuid(Uuid::new_v4()),
        }
    }
}

#[async_trait]
impl UsersTwist for EpochDrawnAnew {
    async fn epoch(&self, _inner: &dyn UserStore) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }
}

#[async_trait]
impl MessagesTwist for EpochDrawnAnew {
    async fn epoch(&self, _inner: &dyn MessageStore) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }
}
