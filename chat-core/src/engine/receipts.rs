//! How far the members of a channel are.

use std::collections::BTreeMap;

use chat_proto::wire::{MemberMarks, ReceiptsAnswer, ReceiptsQuery};
use chat_proto::{ChannelType, Rejection, UserId};

use super::engine::Engine;
use crate::caller::Caller;
use crate::ports::MembersQuery;

impl Engine {
    /// The marks that the members show, by user id; of a large channel those of the first members.
    pub(super) async fn receipts(
        &self,
        caller: &Caller,
        query: &ReceiptsQuery,
    ) -> Result<ReceiptsAnswer, Rejection> {
        let row = self.readable(caller, query.channel).await?;
        let parts = &self.inner.parts;
        let members = MembersQuery {
            channel: query.channel,
            after: None,
            limit: self.limits().page_entries_max,
        };
        let members = parts.messages.members(members).await?.members;
        let users: Vec<UserId> = members.into_iter().map(|(user, _)| user).collect();
        let marks = parts.inbox.marks(query.channel, &users).await?;
        let by_user: BTreeMap<_, _> = marks.into_iter().collect();
        let is_direct = row.meta.channel_type == ChannelType::Direct;
        let marks = by_user.into_iter().map(|(user, mark)| MemberMarks {
            user,
            read: mark.read.seq,
            // What was read has arrived, whether or not a device said so.
            delivered: is_direct.then(|| mark.delivered.seq.max(mark.read.seq)),
        });
        Ok(ReceiptsAnswer {
            marks: marks.collect(),
        })
    }
}
