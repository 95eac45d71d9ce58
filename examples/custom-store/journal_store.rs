//! A store of one's own in a page: a journal file that is synced before every acknowledgement, over the in-memory
//! adapter that answers every read.
//!
//! What to take from it for an adapter of your own:
//! - One writer: checks, journal and memory change under one lock, so nothing comes between.
//! - Checked before written: nothing reaches the journal that the log would refuse.
//! - Written before visible: memory changes only after the sync, so that nobody reads what a crash would take back.
//! - A dropped future stops nothing half-way: the whole write is a task of its own.
//! - A failed sync poisons the store: nobody can say what the disk holds, so nothing more is promised.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::memory::MemoryStore;
use chat_core::ports::{
    Append, AppendOutcome, AppendRecord, EntriesPage, EntriesQuery, FoundKey, InboxPage,
    InboxQuery, InboxRow, InboxStore, KeyQuery, LeftChannel, Loaded, Mark, MarkKind, MarkRise,
    MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage, MessagesQuery, PortError,
    PortErrorKind, Retry, StoreCapabilities,
};
use chat_core::proto::channel::{CommandKey, ContentHash, evolve, member_changes};
use chat_core::proto::{
    ChannelId, ChannelState, ClientId, Entry, Epoch, Head, Record, Seq, Timestamp, UserId,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// Logs and inboxes in one journal file. All clones are one store.
#[derive(Clone)]
pub struct JournalStore {
    memory: MemoryStore,
    epoch: Epoch,
    journal: Arc<Mutex<Journal>>,
}

/// The file, as long as it can be trusted.
struct Journal(Option<File>);

impl JournalStore {
    /// Opens the journal, or begins one, and reads it into memory.
    ///
    /// # Errors
    /// When the file cannot be read or is not a journal. A last line that a crash cut off was never acknowledged and
    /// is removed.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let memory = MemoryStore::new();
        let mut epoch = None;
        let mut whole = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let value: Value = serde_json::from_slice(&line)?;
            match value.get("epoch") {
                Some(known) => epoch = Some(serde_json::from_value(known.clone())?),
                None => replay(&memory, value).await?,
            }
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        file.seek(io::SeekFrom::End(0))?;
        let epoch = match epoch {
            Some(epoch) => epoch,
            None => {
                let epoch = memory.epoch().await.map_err(io::Error::other)?;
                write_line(&mut file, &json!({ "epoch": epoch }))?;
                epoch
            }
        };
        Ok(Self {
            memory,
            epoch,
            journal: Arc::new(Mutex::new(Journal(Some(file)))),
        })
    }
}

impl Journal {
    /// Writes and syncs a line. After a failure nothing is written any more.
    fn write(&mut self, op: &'static str, line: &Value) -> Result<(), PortError> {
        let refused = |retry| PortError::new(PortErrorKind::Storage, retry, op);
        let file = self.0.as_mut().ok_or_else(|| refused(Retry::Safe))?;
        write_line(file, line).map_err(|error| {
            self.0 = None;
            // The bytes may be on the disk all the same.
            refused(Retry::Unknown).with_source(error)
        })
    }
}

fn write_line(file: &mut File, line: &Value) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}

fn line_of_append(append: &Append) -> Value {
    let records: Vec<Value> = append
        .records
        .iter()
        .map(|AppendRecord { record, .. }| {
            let key = record
                .key
                .map(|key| json!([key.client_id, key.content.as_bytes()]));
            json!({ "entry": record.entry, "key": key })
        })
        .collect();
    json!({ "channel": append.channel, "records": records })
}

fn line_of_marks(rises: &[MarkRise]) -> Value {
    let marks: Vec<Value> = rises
        .iter()
        .map(|rise| {
            json!([
                rise.channel,
                rise.user,
                rise.kind == MarkKind::Read,
                rise.to,
                rise.at,
                rise.private
            ])
        })
        .collect();
    json!({ "marks": marks })
}

/// Does again what a line of the journal did.
async fn replay(memory: &MemoryStore, line: Value) -> io::Result<()> {
    if let Some(marks) = line.get("marks") {
        let marks: Vec<(ChannelId, UserId, bool, Head, Timestamp, bool)> =
            serde_json::from_value(marks.clone())?;
        let rises = marks
            .into_iter()
            .map(|(channel, user, read, to, at, private)| {
                let kind = if read {
                    MarkKind::Read
                } else {
                    MarkKind::Delivered
                };
                MarkRise {
                    channel,
                    user,
                    kind,
                    to,
                    at,
                    private,
                }
            });
        return memory
            .raise(rises.collect())
            .await
            .map_err(io::Error::other);
    }
    let append = append_of_line(memory, line).await?;
    match memory.append(append).await.map_err(io::Error::other)? {
        AppendOutcome::Appended { .. } => Ok(()),
        refused => Err(io::Error::other(format!(
            "the journal holds an append that does not fit: {refused:?}"
        ))),
    }
}

/// Folds the log so far, because what an entry means for the members follows from it.
async fn append_of_line(memory: &MemoryStore, mut line: Value) -> io::Result<Append> {
    let channel: ChannelId = serde_json::from_value(line["channel"].take())?;
    let lines: Vec<Value> = serde_json::from_value(line["records"].take())?;
    let loaded = memory
        .load(channel, Seq(0))
        .await
        .map_err(io::Error::other)?;
    let mut state = match loaded.snapshot {
        Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
        None => ChannelState::empty(channel),
    };
    for record in &loaded.since {
        evolve(&mut state, &record.entry, record.key.as_ref());
    }
    let expected_head = state.head().seq;
    let mut records = Vec::with_capacity(lines.len());
    for mut line in lines {
        let entry: Entry = serde_json::from_value(line["entry"].take())?;
        let key: Option<(ClientId, [u8; 16])> = serde_json::from_value(line["key"].take())?;
        let key = key.map(|(client_id, content)| CommandKey {
            client_id,
            content: ContentHash::from_bytes(content),
        });
        let changes = member_changes(&state, &entry);
        evolve(&mut state, &entry, key.as_ref());
        records.push(AppendRecord {
            record: Record {
                channel,
                entry,
                key,
            },
            changes,
        });
    }
    Ok(Append {
        channel,
        expected_head,
        records,
        state: Some(state.to_snapshot()),
    })
}

/// Everything that would make the log refuse the append.
async fn refusal(
    memory: &MemoryStore,
    append: &Append,
) -> Result<Option<AppendOutcome>, PortError> {
    let head = memory
        .heads(&[append.channel])
        .await?
        .first()
        .copied()
        .unwrap_or(Head::EMPTY)
        .seq;
    for (index, AppendRecord { record, .. }) in append.records.iter().enumerate() {
        let Some(key) = record.key else { continue };
        let query = KeyQuery {
            channel: append.channel,
            sender: record.entry.from.clone(),
            client_id: key.client_id,
            after: Seq(0),
            through: head,
        };
        if let Some(found) = memory.find_key(query).await? {
            return Ok(Some(AppendOutcome::KeyExists { index, found }));
        }
    }
    Ok((head != append.expected_head).then_some(AppendOutcome::HeadMoved { head }))
}

#[async_trait]
impl MessageStore for JournalStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities {
            append_searches_keys: true,
        }
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        const OP: &str = "messages.append";
        let (memory, journal) = (self.memory.clone(), Arc::clone(&self.journal));
        let write = tokio::spawn(async move {
            let mut journal = journal.lock().await;
            if let Some(refused) = refusal(&memory, &append).await? {
                return Ok(refused);
            }
            tokio::task::block_in_place(|| journal.write(OP, &line_of_append(&append)))?;
            memory.append(append).await
        });
        write
            .await
            .map_err(|error| PortError::unavailable(OP, Retry::Unknown).with_source(error))?
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        self.memory.load(channel, folded).await
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        self.memory.heads(channels).await
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        self.memory.entries(query).await
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        self.memory.messages(query).await
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        self.memory.find_key(query).await
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        self.memory.members(query).await
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        self.memory.memberships(channel, users).await
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        self.memory.successor(channel, leaving).await
    }
}

#[async_trait]
impl InboxStore for JournalStore {
    async fn list(&self, query: InboxQuery) -> Result<InboxPage, PortError> {
        self.memory.list(query).await
    }

    async fn rows(
        &self,
        user: &UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<InboxRow>, PortError> {
        self.memory.rows(user, channels).await
    }

    async fn left(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LeftChannel>, PortError> {
        self.memory.left(user, since, limit).await
    }

    async fn large_channels(&self, user: &UserId) -> Result<Vec<ChannelId>, PortError> {
        self.memory.large_channels(user).await
    }

    async fn raise(&self, rises: Vec<MarkRise>) -> Result<(), PortError> {
        const OP: &str = "inbox.raise";
        let (memory, journal) = (self.memory.clone(), Arc::clone(&self.journal));
        let write = tokio::spawn(async move {
            let mut journal = journal.lock().await;
            tokio::task::block_in_place(|| journal.write(OP, &line_of_marks(&rises)))?;
            memory.raise(rises).await
        });
        write
            .await
            .map_err(|error| PortError::unavailable(OP, Retry::Unknown).with_source(error))?
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        self.memory.marks(channel, users).await
    }
}
