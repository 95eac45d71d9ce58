//! A store of one's own in a page: a journal file that is synced before every acknowledgement, over the in-memory
//! adapter that answers every read.
//!
//! It follows the ten steps of `docs/adapters.md`, each marked where it is done; the last two are in
//! `examples/tests/custom_store.rs`. What to take from it for an adapter of your own:
//! - One writer: checks, journal and memory change under one lock, so nothing comes between.
//! - Checked before written: nothing reaches the journal that the log would refuse.
//! - Written before visible: memory changes only after the sync, so that nobody reads what a crash would take back.
//! - A dropped future stops nothing half-way: the whole write is a task of its own.
//! - A failed sync poisons the store: nobody can say what the disk holds, so nothing more is promised.
//! - A superseded body leaves the disk before the edit or deletion is acknowledged: the journal is written anew without it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::memory::MemoryStore;
use chat_core::ports::{
    Append, AppendOutcome, AppendRecord, BodyNote, EntriesPage, EntriesQuery, FoundKey,
    InboxCapabilities, InboxPage, InboxQuery, InboxRow, InboxStore, KeyQuery, LeftChannel, Loaded,
    Mark, MarkKind, MarkRise, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage,
    MessagesQuery, PageLimit, PortError, PortErrorKind, Retry, SetBody, StoreCapabilities, Targets,
    TargetsQuery,
};
use chat_core::proto::channel::{CommandKey, ContentHash, evolve, member_changes};
use chat_core::proto::{
    ChannelId, ChannelState, ClientId, Entry, Epoch, Head, Record, Seq, Timestamp, UserId,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

// Step 1: Choose the one step that happens or does not

/// Logs and inboxes in one journal file. All clones are one store.
#[derive(Clone)]
pub struct JournalStore {
    memory: MemoryStore,
    epoch: Epoch,
    journal: Arc<Mutex<Journal>>,
}

struct Journal {
    /// The file, as long as it can be trusted.
    file: Option<File>,
    path: PathBuf,
    /// What is in it, for writing it anew.
    lines: Vec<Value>,
}

// Step 2: Open what is there, under its epoch

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
        let mut lines = Vec::new();
        let mut whole = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let value: Value = serde_json::from_slice(&line)?;
            if value.get("epoch").is_none() {
                replay(&memory, value.clone()).await?;
            }
            lines.push(value);
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        file.seek(io::SeekFrom::End(0))?;
        let mut journal = Journal {
            file: Some(file),
            path: path.to_owned(),
            lines,
        };
        if journal.lines.is_empty() {
            let epoch = memory.epoch().await.map_err(io::Error::other)?;
            let begun = journal.write("messages.epoch", json!({ "epoch": epoch }));
            begun.map_err(io::Error::other)?;
        }
        Ok(Self {
            memory,
            epoch: serde_json::from_value(journal.lines[0]["epoch"].clone())?,
            journal: Arc::new(Mutex::new(journal)),
        })
    }

    /// One change, to its end even if nobody waits: `line` goes to the journal, `change` to memory, and if they set the body
    /// of a message, what was there before leaves the journal.
    async fn change<T, F>(
        &self,
        op: &'static str,
        line: Value,
        bodies_of: Vec<(ChannelId, Seq)>,
        change: impl FnOnce(MemoryStore) -> F + Send + 'static,
    ) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PortError>> + Send,
    {
        let (memory, journal) = (self.memory.clone(), Arc::clone(&self.journal));
        let write = tokio::spawn(async move {
            let mut journal = journal.lock().await;
            tokio::task::block_in_place(|| journal.write(op, line))?;
            let changed = change(memory.clone()).await?;
            journal.forget_bodies(op, &memory, &bodies_of).await?;
            Ok(changed)
        });
        let gone = |error| PortError::unavailable(op, Retry::Unknown).with_source(error);
        write.await.map_err(gone)?
    }
}

// Step 5: Say what an error means

impl Journal {
    /// Writes and syncs a line. After a failure nothing is written any more.
    fn write(&mut self, op: &'static str, line: Value) -> Result<(), PortError> {
        let refused = |retry| PortError::new(PortErrorKind::Storage, retry, op);
        let file = self.file.as_mut().ok_or_else(|| refused(Retry::Safe))?;
        write_line(file, &line).map_err(|error| {
            self.file = None;
            // The bytes may be on the disk all the same.
            refused(Retry::Unknown).with_source(error)
        })?;
        self.lines.push(line);
        Ok(())
    }

    // Step 7: Leave no former body behind

    /// Writes the journal anew without the bodies that these messages no longer have.
    async fn forget_bodies(
        &mut self,
        op: &'static str,
        memory: &MemoryStore,
        messages: &[(ChannelId, Seq)],
    ) -> Result<(), PortError> {
        for (channel, target) in messages {
            let query = EntriesQuery {
                channel: *channel,
                after: target.previous(),
                limit: PageLimit {
                    entries: 1,
                    bytes: 1,
                },
            };
            let page = memory.entries(query).await?;
            let rev = page.entries.first().and_then(Entry::as_message);
            let rev = rev.and_then(|message| message.rev);
            for line in &mut self.lines {
                forget_body(line, *channel, *target, rev);
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        let written = tokio::task::block_in_place(|| write_anew(&self.path, &self.lines));
        match written {
            Ok(file) => {
                self.file = Some(file);
                Ok(())
            }
            Err(error) => {
                self.file = None;
                Err(PortError::new(PortErrorKind::Storage, Retry::Unknown, op).with_source(error))
            }
        }
    }
}

/// Removes a body of the message from a line, unless it is the one of the current revision.
fn forget_body(line: &mut Value, channel: ChannelId, target: Seq, rev: Option<Seq>) {
    let is_current = |seq: &Value| rev.is_some_and(|rev| *seq == json!(rev));
    if line["channel"] != json!(channel) {
        return;
    }
    let set = &line["set"];
    // An erasure has none, and holds whatever came after it.
    if set["target"] == json!(target) && !set["body"].is_null() && !is_current(&set["rev"]) {
        line["set"]["superseded"] = json!(true);
        line["set"]["body"] = Value::Null;
    }
    for record in line["records"].as_array_mut().into_iter().flatten() {
        let entry = &mut record["entry"];
        let is_message = entry["seq"] == json!(target) && rev.is_some();
        let is_edit = entry["kind"] == "edit" && entry["target"] == json!(target);
        if (is_message || (is_edit && !is_current(&entry["seq"])))
            && let Some(fields) = entry.as_object_mut()
        {
            fields.remove("body");
        }
    }
}

/// A file with these lines in the place of the former one, which is there until the new one is whole.
fn write_anew(path: &Path, lines: &[Value]) -> io::Result<File> {
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    for line in lines {
        write_line(&mut file, line)?;
    }
    std::fs::rename(&next, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    OpenOptions::new().append(true).open(path)
}

fn write_line(file: &mut File, line: &Value) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}

// Step 6: Keep entries as they came

fn line_of_append(append: &Append) -> Value {
    let records: Vec<Value> = append
        .records
        .iter()
        .map(|AppendRecord { record, .. }| {
            let key = record
                .key
                .map(|key| json!([key.client_id, key.content.as_bytes()]));
            json!({ "entry": record.entry, "key": key, "withheld": record.entry.withheld })
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

fn line_of_body(set: &SetBody) -> Value {
    let body = json!({ "target": set.target, "rev": set.rev, "body": set.body });
    json!({ "channel": set.channel, "set": body })
}

fn line_of_note(note: &BodyNote) -> Value {
    json!({ "note": [note.channel, note.after, note.targets] })
}

/// Does again what a line of the journal did.
async fn replay(memory: &MemoryStore, mut line: Value) -> io::Result<()> {
    if let Some(note) = line.get_mut("note") {
        let (channel, after, targets) = serde_json::from_value(note.take())?;
        let note = BodyNote {
            channel,
            after,
            targets,
        };
        return memory.keep_body_note(note).await.map_err(io::Error::other);
    }
    if let Some(note) = line.get_mut("dropped") {
        let (channel, after) = serde_json::from_value(note.take())?;
        let dropped = memory.drop_body_note(channel, after).await;
        return dropped.map_err(io::Error::other);
    }
    if line.get("set").is_some() {
        return replay_body(memory, line).await;
    }
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

/// A superseded body is gone from its line, and so is what it would have set.
async fn replay_body(memory: &MemoryStore, mut line: Value) -> io::Result<()> {
    if line["set"]["superseded"] == json!(true) {
        return Ok(());
    }
    let set = SetBody {
        channel: serde_json::from_value(line["channel"].take())?,
        target: serde_json::from_value(line["set"]["target"].take())?,
        rev: serde_json::from_value(line["set"]["rev"].take())?,
        body: serde_json::from_value(line["set"]["body"].take())?,
    };
    memory.set_body(set).await.map_err(io::Error::other)
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
        let mut entry: Entry = serde_json::from_value(line["entry"].take())?;
        entry.withheld = line["withheld"] == json!(true);
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

// Step 3: Refuse before you write

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
            append_sets_bodies: true,
        }
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }

    // Step 4: Write, show, answer, in this order

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        const OP: &str = "messages.append";
        let (memory, journal) = (self.memory.clone(), Arc::clone(&self.journal));
        let write = tokio::spawn(async move {
            let mut journal = journal.lock().await;
            if let Some(refused) = refusal(&memory, &append).await? {
                return Ok(refused);
            }
            let entries = append.records.iter().map(|of| &of.record.entry);
            let sets: Vec<(ChannelId, Seq)> = entries
                .filter_map(Entry::sets_body)
                .map(|set| (append.channel, set.target))
                .collect();
            tokio::task::block_in_place(|| journal.write(OP, line_of_append(&append)))?;
            let appended = memory.append(append).await?;
            journal.forget_bodies(OP, &memory, &sets).await?;
            Ok(appended)
        });
        write
            .await
            .map_err(|error| PortError::unavailable(OP, Retry::Unknown).with_source(error))?
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        self.memory.targets(query).await
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        let (line, message) = (line_of_body(&set), (set.channel, set.target));
        let change = move |memory: MemoryStore| async move { memory.set_body(set).await };
        self.change("messages.set_body", line, vec![message], change)
            .await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        let line = line_of_note(&note);
        let change = move |memory: MemoryStore| async move { memory.keep_body_note(note).await };
        self.change("messages.keep_body_note", line, Vec::new(), change)
            .await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        let line = json!({ "dropped": [channel, after] });
        let change =
            move |memory: MemoryStore| async move { memory.drop_body_note(channel, after).await };
        self.change("messages.drop_body_note", line, Vec::new(), change)
            .await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        self.memory.body_notes(limit).await
    }

    // Step 8: Answer reads as of one moment

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
    fn capabilities(&self) -> InboxCapabilities {
        InboxCapabilities {
            derives_rows: true,
            is_shared: false,
        }
    }

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
        let line = line_of_marks(&rises);
        let change = move |memory: MemoryStore| async move { memory.raise(rises).await };
        self.change("inbox.raise", line, Vec::new(), change).await
    }

    async fn marks(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Mark)>, PortError> {
        self.memory.marks(channel, users).await
    }
}
