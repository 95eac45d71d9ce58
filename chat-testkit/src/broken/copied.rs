//! Inboxes that are told what to show, and do something else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use chat_core::ports::{FanOutMark, InboxRow, InboxStore, InboxUpdate, PortError};
use chat_core::proto::{ChannelId, Limits, Timestamp, UserId};

use super::inbox::InboxTwist;

/// Shows whatever it was told last.
#[derive(Default)]
pub struct LastToldWins(AtomicU64);

#[async_trait]
impl InboxTwist for LastToldWins {
    async fn fan_out(
        &self,
        inner: &dyn InboxStore,
        mut update: InboxUpdate,
    ) -> Result<(), PortError> {
        let told_before = self.0.fetch_add(1, Ordering::Relaxed);
        update.head.seq.0 = 1_000 + told_before;
        inner.fan_out(update).await
    }
}

/// Copies a message once, and never again.
#[derive(Default)]
pub struct CopiesOnce;

#[async_trait]
impl InboxTwist for CopiesOnce {
    async fn fan_out(
        &self,
        inner: &dyn InboxStore,
        mut update: InboxUpdate,
    ) -> Result<(), PortError> {
        for row in &mut update.rows {
            row.messages
                .retain(|entry| entry.as_message().is_some_and(|of| of.rev.is_none()));
        }
        inner.fan_out(update).await
    }
}

/// Keeps a row of its own for members of large channels, from when it was asked first.
#[derive(Default)]
pub struct KeepsLargeRows(Mutex<BTreeMap<(UserId, ChannelId), InboxRow>>);

#[async_trait]
impl InboxTwist for KeepsLargeRows {
    async fn row(&self, user: &UserId, row: InboxRow) -> InboxRow {
        if row.member_count <= Limits::INBOX_COPY_MEMBERS_MAX {
            return row;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.entry((user.clone(), row.channel));
        kept.or_insert(row).clone()
    }
}

/// Takes the marks of nodes that are alive.
#[derive(Default)]
pub struct TakesMarksOfTheLiving;

#[async_trait]
impl InboxTwist for TakesMarksOfTheLiving {
    async fn orphaned_fan_out_marks(
        &self,
        inner: &dyn InboxStore,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FanOutMark>, PortError> {
        const LEASE_MS: u64 = 60_000;
        let later = Timestamp(now.0 + LEASE_MS);
        inner.orphaned_fan_out_marks(later, limit).await
    }
}
