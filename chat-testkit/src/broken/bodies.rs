//! What is done to messages, done wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_core::ports::{
    Append, AppendOutcome, BodyNote, EntriesPage, EntriesQuery, InboxRow, InboxStore, MessageStore,
    MessagesPage, MessagesQuery, PageLimit, PortError, SetBody, Targets, TargetsQuery,
};
use chat_core::proto::{Body, ChannelId, Entry, EntryKind, Seq, UserId};

use super::appends::lock;
use super::inbox::InboxTwist;
use super::messages::MessagesTwist;

/// Forgets that a message was pinned when somebody wants to do something to it.
#[derive(Default)]
pub struct TargetsWithoutPins;

#[async_trait]
impl MessagesTwist for TargetsWithoutPins {
    async fn targets(
        &self,
        inner: &dyn MessageStore,
        query: TargetsQuery,
    ) -> Result<Targets, PortError> {
        let mut targets = inner.targets(query).await?;
        for target in targets.found.values_mut() {
            target.pinned = false;
        }
        Ok(targets)
    }
}

/// Bodies by their messages.
type Bodies = Mutex<BTreeMap<(ChannelId, Seq), Option<Body>>>;

/// The last body that was set wins, whatever its revision.
#[derive(Default)]
pub struct LastSetWins {
    set: Bodies,
}

#[async_trait]
impl MessagesTwist for LastSetWins {
    async fn set_body(&self, inner: &dyn MessageStore, set: SetBody) -> Result<(), PortError> {
        lock(&self.set).insert((set.channel, set.target), set.body.clone());
        inner.set_body(set).await
    }

    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.entries(query).await?;
        let set = lock(&self.set);
        for entry in &mut page.entries {
            if let (Some(body), EntryKind::Message(message)) =
                (set.get(&(channel, entry.seq)), &mut entry.kind)
            {
                message.body.clone_from(body);
                message.erased = body.is_none();
            }
        }
        Ok(page)
    }
}

/// Keeps each edit's body in its entry.
#[derive(Default)]
pub struct EditsKeepTheirBodies {
    edits: Bodies,
}

#[async_trait]
impl MessagesTwist for EditsKeepTheirBodies {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        for appended in &append.records {
            if let EntryKind::Edit(edit) = &appended.record.entry.kind {
                let place = (append.channel, appended.record.entry.seq);
                lock(&self.edits).insert(place, edit.body.clone());
            }
        }
        inner.append(append).await
    }

    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.entries(query).await?;
        let edits = lock(&self.edits);
        for entry in &mut page.entries {
            if let (Some(body), EntryKind::Edit(edit)) =
                (edits.get(&(channel, entry.seq)), &mut entry.kind)
            {
                edit.body.clone_from(body);
            }
        }
        Ok(page)
    }
}

/// Keeps the body of every message as it was sent, in a copy that edits and deletions forget: pages of messages come from
/// there, and the newest messages of inboxes.
#[derive(Clone, Default)]
pub struct CopiesAsSent {
    sent: Arc<Bodies>,
}

impl CopiesAsSent {
    fn note(&self, append: &Append) {
        for appended in &append.records {
            if let Some(message) = appended.record.entry.as_message() {
                let place = (append.channel, appended.record.entry.seq);
                lock(&self.sent).insert(place, message.body.clone());
            }
        }
    }

    fn exchange(&self, channel: ChannelId, entry: &mut Entry) {
        if let (Some(body), EntryKind::Message(message)) =
            (lock(&self.sent).get(&(channel, entry.seq)), &mut entry.kind)
        {
            message.body.clone_from(body);
        }
    }
}

#[async_trait]
impl MessagesTwist for CopiesAsSent {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        self.note(&append);
        inner.append(append).await
    }

    async fn messages(
        &self,
        inner: &dyn MessageStore,
        query: MessagesQuery,
    ) -> Result<MessagesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.messages(query).await?;
        for message in &mut page.messages {
            self.exchange(channel, &mut message.entry);
        }
        Ok(page)
    }
}

/// Only notes what was sent, for [`CopiesAsSent`] in inboxes.
pub struct NotesWhatWasSent(pub CopiesAsSent);

#[async_trait]
impl MessagesTwist for NotesWhatWasSent {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        self.0.note(&append);
        inner.append(append).await
    }
}

#[async_trait]
impl InboxTwist for CopiesAsSent {
    async fn row(&self, _user: &UserId, mut row: InboxRow) -> InboxRow {
        if let Some(last) = &mut row.last {
            self.exchange(row.channel, last);
        }
        row
    }
}

/// Shows the last edited message as it was before, until the next append: bodies are set off the append's path.
#[derive(Default)]
pub struct BodiesSetLater {
    before: Mutex<BTreeMap<ChannelId, Entry>>,
}

#[async_trait]
impl MessagesTwist for BodiesSetLater {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        lock(&self.before).remove(&append.channel);
        let mut sets = append.records.iter().map(|of| &of.record.entry);
        if let Some(set) = sets.find_map(Entry::sets_body) {
            let query = EntriesQuery {
                channel: append.channel,
                after: set.target.previous(),
                limit: PageLimit {
                    entries: 1,
                    bytes: 1,
                },
            };
            let page = inner.entries(query).await?;
            let before = page.entries.into_iter().next();
            lock(&self.before).extend(before.map(|entry| (append.channel, entry)));
        }
        inner.append(append).await
    }

    async fn entries(
        &self,
        inner: &dyn MessageStore,
        query: EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.entries(query).await?;
        if let Some(before) = lock(&self.before).get(&channel) {
            let mut entries = page.entries.iter_mut();
            if let Some(entry) = entries.find(|entry| entry.seq == before.seq) {
                *entry = before.clone();
            }
        }
        Ok(page)
    }
}

/// Reads the messages, then the head: says that a page is as of an entry that it does not show.
#[derive(Default)]
pub struct HeadAfterAnnotations;

#[async_trait]
impl MessagesTwist for HeadAfterAnnotations {
    async fn messages(
        &self,
        inner: &dyn MessageStore,
        query: MessagesQuery,
    ) -> Result<MessagesPage, PortError> {
        let channel = query.channel;
        let mut page = inner.messages(query).await?;
        tokio::task::yield_now().await;
        let heads = inner.heads(&[channel]).await?;
        page.as_of = heads.first().copied().unwrap_or_default().seq.next();
        Ok(page)
    }
}

/// Counts what anybody did to a message, whoever may know of it.
#[derive(Default)]
pub struct CountsWhatIsWithheld {
    hidden: Mutex<BTreeMap<ChannelId, UserId>>,
}

#[async_trait]
impl MessagesTwist for CountsWhatIsWithheld {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        let entries = append.records.iter().map(|of| &of.record.entry);
        for entry in entries.filter(|entry| entry.withheld) {
            lock(&self.hidden).insert(append.channel, entry.from.clone());
        }
        inner.append(append).await
    }

    async fn messages(
        &self,
        inner: &dyn MessageStore,
        mut query: MessagesQuery,
    ) -> Result<MessagesPage, PortError> {
        if let Some(sender) = lock(&self.hidden).get(&query.channel) {
            query.viewer = sender.clone();
        }
        inner.messages(query).await
    }
}

/// Keeps no flag beside an entry.
#[derive(Default)]
pub struct ForgetsThatItIsWithheld;

#[async_trait]
impl MessagesTwist for ForgetsThatItIsWithheld {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        mut append: Append,
    ) -> Result<AppendOutcome, PortError> {
        for appended in &mut append.records {
            appended.record.entry.withheld = false;
        }
        inner.append(append).await
    }
}

/// Keeps notes in memory.
#[derive(Default)]
pub struct NotesInMemory {
    notes: Mutex<Vec<BodyNote>>,
}

#[async_trait]
impl MessagesTwist for NotesInMemory {
    async fn keep_body_note(
        &self,
        _inner: &dyn MessageStore,
        note: BodyNote,
    ) -> Result<(), PortError> {
        let mut notes = lock(&self.notes);
        let same = |kept: &&mut BodyNote| (kept.channel, kept.after) == (note.channel, note.after);
        match notes.iter_mut().find(same) {
            Some(kept) => kept.targets.extend(note.targets),
            None => notes.push(note),
        }
        Ok(())
    }

    async fn drop_body_note(
        &self,
        _inner: &dyn MessageStore,
        channel: ChannelId,
        after: Seq,
    ) -> Result<(), PortError> {
        lock(&self.notes).retain(|kept| (kept.channel, kept.after) != (channel, after));
        Ok(())
    }

    async fn body_notes(
        &self,
        _inner: &dyn MessageStore,
        limit: usize,
    ) -> Result<Vec<BodyNote>, PortError> {
        Ok(lock(&self.notes).iter().take(limit).cloned().collect())
    }
}

/// Inboxes that look at the log by themselves and make nothing of erasures and of what is withheld.
pub struct RowsByTheLetter {
    messages: Arc<dyn MessageStore>,
    what: ByTheLetter,
}

/// What of a row is taken from the log by the letter.
#[derive(Clone, Copy)]
pub enum ByTheLetter {
    /// Erased messages mention as before.
    Mentions,
    /// Whatever comes last is activity.
    Activity,
}

impl RowsByTheLetter {
    /// A twist of the inboxes over these logs.
    pub fn new(messages: Arc<dyn MessageStore>, what: ByTheLetter) -> Self {
        Self { messages, what }
    }
}

#[async_trait]
impl InboxTwist for RowsByTheLetter {
    async fn row(&self, user: &UserId, mut row: InboxRow) -> InboxRow {
        let query = EntriesQuery {
            channel: row.channel,
            after: Seq(0),
            limit: PageLimit {
                entries: 100_000,
                bytes: usize::MAX,
            },
        };
        let Ok(page) = self.messages.entries(query).await else {
            return row;
        };
        match self.what {
            ByTheLetter::Mentions => {
                let unread = page.entries.iter().filter(|entry| entry.seq > row.read.seq);
                let named = unread
                    .filter_map(Entry::as_message)
                    .filter(|message| message.mentions.contains(user));
                row.mentions = named.count() as u64;
            }
            ByTheLetter::Activity => {
                let last = page.entries.last().map(|entry| entry.at);
                row.activity = row.activity.max(last.unwrap_or_default());
            }
        }
        row
    }
}

/// Lists every channel that its user is in.
#[derive(Clone, Default)]
pub struct ListsWhatIsWithheld {
    channels: Arc<Mutex<Vec<ChannelId>>>,
}

#[async_trait]
impl MessagesTwist for ListsWhatIsWithheld {
    async fn append(
        &self,
        inner: &dyn MessageStore,
        append: Append,
    ) -> Result<AppendOutcome, PortError> {
        lock(&self.channels).push(append.channel);
        inner.append(append).await
    }
}

#[async_trait]
impl InboxTwist for ListsWhatIsWithheld {
    async fn listed(
        &self,
        inner: &dyn InboxStore,
        user: &UserId,
        mut rows: Vec<InboxRow>,
    ) -> Vec<InboxRow> {
        let mut channels = lock(&self.channels).clone();
        channels.sort_unstable();
        channels.dedup();
        channels.retain(|channel| rows.iter().all(|row| row.channel != *channel));
        rows.extend(inner.rows(user, &channels).await.unwrap_or_default());
        rows
    }
}
