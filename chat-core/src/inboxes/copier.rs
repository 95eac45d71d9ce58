//! Reads what an update needs, and tells the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chat_proto::channel::{Member, evolve};
use chat_proto::{ChannelId, ChannelState, Entry, EntryKind, Limits, Seq, UserId};

use super::update::{Appended, inbox_update, named_by};
use crate::entry_at::entry_at;
use crate::ports::{
    EntriesQuery, InboxStore, MembersQuery, MessageStore, MessagesQuery, PageLimit, PortError,
};

/// Rows in one update of a channel that has just become large.
const ROWS_MAX: usize = 500;
/// Entries that are replayed in one piece.
const PIECE_ENTRIES_MAX: usize = 256;
/// Bytes of them.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// Brings the inboxes of a store that does not derive them up to the logs.
#[derive(Clone)]
pub struct Copier {
    messages: Arc<dyn MessageStore>,
    inbox: Arc<dyn InboxStore>,
    preview_bytes_max: usize,
}

impl Copier {
    /// From these logs to these inboxes; copies hold so many bytes of text at the most.
    pub fn new(
        messages: Arc<dyn MessageStore>,
        inbox: Arc<dyn InboxStore>,
        preview_bytes_max: usize,
    ) -> Self {
        Self {
            messages,
            inbox,
            preview_bytes_max,
        }
    }

    /// Copies entries that were appended on top of `before`; `state` is the channel behind them.
    ///
    /// # Errors
    /// When a port fails; what was written by then is written, and [`replay`](Self::replay) does the rest.
    pub async fn copy(
        &self,
        before: &ChannelState,
        state: &ChannelState,
        entries: &[Entry],
    ) -> Result<(), PortError> {
        if state.is_large() && before.is_large() {
            return self.copy_few(state, entries).await;
        }
        match state.roster() {
            Some(roster) => {
                let shrank = before.is_large();
                self.copy_to(state, roster, entries, shrank).await
            }
            None => self.copy_to_all(state, entries).await,
        }
    }

    /// Copies whatever the log holds behind `after`, to everybody who was a member since.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub async fn replay(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        let mut after = after;
        loop {
            let query = EntriesQuery {
                channel,
                after,
                limit: PageLimit {
                    entries: PIECE_ENTRIES_MAX,
                    bytes: PIECE_BYTES_MAX,
                },
            };
            let entries = self.messages.entries(query).await?.entries;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            after = last.seq;
            // Read behind the entries: the members are those at the entries or later.
            let state = self.state(channel).await?;
            if state.is_large() && was_large(&state, &entries) {
                self.copy_few(&state, &entries).await?;
            } else {
                self.copy_to_all(&state, &entries).await?;
            }
        }
    }

    /// The channel at its head.
    async fn state(&self, channel: ChannelId) -> Result<ChannelState, PortError> {
        let loaded = self.messages.load(channel, Seq(0)).await?;
        let mut state = match loaded.snapshot {
            Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
            None => ChannelState::empty(channel),
        };
        for record in &loaded.since {
            evolve(&mut state, &record.entry, record.key.as_ref());
        }
        Ok(state)
    }

    /// To members whom the entries name only: the others of a large channel ask the log.
    async fn copy_few(&self, state: &ChannelState, entries: &[Entry]) -> Result<(), PortError> {
        let members = self.named_members(state.id(), entries).await?;
        let targets = self.targets(state.id(), entries).await?;
        self.tell(Appended {
            state,
            copied: false,
            members: &members,
            entries,
            targets: &targets,
            before: None,
            preview_bytes_max: self.preview_bytes_max,
        })
        .await
    }

    /// To every member, as the rows beside the log tell.
    async fn copy_to_all(&self, state: &ChannelState, entries: &[Entry]) -> Result<(), PortError> {
        if let Some(roster) = state.roster() {
            return self.copy_to(state, roster, entries, true).await;
        }
        // In every part: who came back is not to be taken for gone where another part holds them.
        let named = self.named_members(state.id(), entries).await?;
        let mut after = None;
        loop {
            let query = MembersQuery {
                channel: state.id(),
                after,
                limit: ROWS_MAX,
            };
            let page = self.messages.members(query).await?;
            after = page.members.last().map(|(user, _)| user.clone());
            let mut members: BTreeMap<UserId, Member> = page.members.into_iter().collect();
            members.extend(named.clone());
            self.copy_to(state, &members, entries, true).await?;
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Those whom the entries add or remove, as far as they are members now.
    async fn named_members(
        &self,
        channel: ChannelId,
        entries: &[Entry],
    ) -> Result<BTreeMap<UserId, Member>, PortError> {
        let named: BTreeSet<&UserId> = entries.iter().flat_map(named_by).collect();
        let named: Vec<UserId> = named.into_iter().cloned().collect();
        let mut members = BTreeMap::new();
        for users in named.chunks(ROWS_MAX) {
            let page = self.messages.memberships(channel, users).await?;
            members.extend(page.found);
        }
        Ok(members)
    }

    async fn copy_to(
        &self,
        state: &ChannelState,
        members: &BTreeMap<UserId, Member>,
        entries: &[Entry],
        all_begin: bool,
    ) -> Result<(), PortError> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        let begins =
            |member: &Member| member.joined >= first.seq && member.visible_from < first.seq;
        let needs_before = all_begin || members.values().any(begins);
        let before = match members.keys().next() {
            Some(viewer) if needs_before && first.seq > Seq(1) && !state.is_large() => {
                self.newest_before(state.id(), viewer, first.seq).await?
            }
            Some(_) | None => None,
        };
        let targets = self.targets(state.id(), entries).await?;
        self.tell(Appended {
            state,
            copied: true,
            members,
            entries,
            targets: &targets,
            before: before.as_ref(),
            preview_bytes_max: self.preview_bytes_max,
        })
        .await
    }

    async fn tell(&self, appended: Appended<'_>) -> Result<(), PortError> {
        match inbox_update(&appended) {
            Some(update) if !update.rows.is_empty() => self.inbox.fan_out(update).await,
            Some(_) | None => Ok(()),
        }
    }

    /// The newest message before an entry that is withheld from nobody.
    async fn newest_before(
        &self,
        channel: ChannelId,
        viewer: &UserId,
        before: Seq,
    ) -> Result<Option<Entry>, PortError> {
        let mut before = before;
        loop {
            let query = MessagesQuery {
                channel,
                viewer: viewer.clone(),
                after: Seq(0),
                before,
                newest: true,
                limit: PageLimit {
                    entries: 1,
                    bytes: 1,
                },
            };
            let page = self.messages.messages(query).await?;
            match page.messages.into_iter().next() {
                Some(found) if found.entry.withheld => before = found.entry.seq,
                found => return Ok(found.map(|found| found.entry)),
            }
        }
    }

    /// The messages that these entries edit or erase, as they now are.
    async fn targets(
        &self,
        channel: ChannelId,
        entries: &[Entry],
    ) -> Result<BTreeMap<Seq, Entry>, PortError> {
        let sets_body =
            |entry: &&Entry| matches!(entry.kind, EntryKind::Edit(_) | EntryKind::Delete(_));
        let seqs: BTreeSet<Seq> = entries
            .iter()
            .filter(sets_body)
            .filter_map(Entry::target)
            .collect();
        let mut targets = BTreeMap::new();
        for seq in seqs {
            let found = entry_at(&*self.messages, channel, seq).await?;
            // A log may name what is no message: nothing was done to it.
            let found = found.filter(|entry| entry.kind.is_message());
            targets.extend(found.map(|entry| (seq, entry)));
        }
        Ok(targets)
    }
}

/// Whether a large channel surely was large before these entries too.
fn was_large(state: &ChannelState, entries: &[Entry]) -> bool {
    let (mut added, mut removed) = (0, 0);
    for entry in entries {
        match &entry.kind {
            EntryKind::Created(created) => added += created.members.len(),
            EntryKind::Members(change) => {
                added += change.add.len();
                removed += change.remove.len();
            }
            _ => {}
        }
    }
    let before = (state.member_count() + removed as u64).saturating_sub(added as u64);
    before > Limits::INBOX_COPY_MEMBERS_MAX
}
