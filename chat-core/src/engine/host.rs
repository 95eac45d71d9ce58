//! The host's say, asked in one way.

use std::collections::BTreeSet;

use chat_proto::{ChannelId, Rejection, UserId};

use super::engine::Inner;
use crate::caller::Caller;
use crate::ports::{InboxRow, Operation, PortError, Verdict};

impl Inner {
    /// What the host says of something that a user is about to do.
    pub(super) async fn host_verdict(
        &self,
        user: &UserId,
        operation: Operation<'_>,
    ) -> Result<Verdict, PortError> {
        match &self.parts.authorizer {
            Some(authorizer) => authorizer.authorize(user, operation).await,
            None => Ok(Verdict::Allow),
        }
    }

    /// Refuses a read that the host denies. What the host reads itself it is not asked about.
    pub(super) async fn allow_read(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<(), Rejection> {
        if caller.system {
            return Ok(());
        }
        let read = Operation::Read { channel };
        match self.host_verdict(&caller.user, read).await? {
            Verdict::Allow | Verdict::ReplaceBody(_) => Ok(()),
            Verdict::Deny(rejection) => Err(rejection),
        }
    }

    /// Those of the caller's rows that the host lets them read.
    pub(super) async fn readable_rows(
        &self,
        caller: &Caller,
        rows: Vec<InboxRow>,
    ) -> Result<Vec<InboxRow>, PortError> {
        if self.parts.authorizer.is_none() || caller.system {
            return Ok(rows);
        }
        let mut readable = Vec::with_capacity(rows.len());
        for row in rows {
            let channel = row.channel;
            let read = Operation::Read { channel };
            let verdict = self.host_verdict(&caller.user, read).await?;
            if !matches!(verdict, Verdict::Deny(_)) {
                readable.push(row);
            }
        }
        Ok(readable)
    }

    /// Those of a user's contacts whom the host does not let them watch.
    pub(super) async fn unwatchable(
        &self,
        user: &UserId,
        contacts: &BTreeSet<UserId>,
    ) -> Result<BTreeSet<UserId>, PortError> {
        let mut denied = BTreeSet::new();
        if self.parts.authorizer.is_none() {
            return Ok(denied);
        }
        for contact in contacts {
            let verdict = self.host_verdict(user, Operation::Watch { contact });
            if matches!(verdict.await?, Verdict::Deny(_)) {
                denied.insert(contact.clone());
            }
        }
        Ok(denied)
    }
}
