//! The logs: reads by the readers, appends by the writer.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_core::ports::{
    AnnotatedMessage, Append, AppendOutcome, BodyNote, EntriesPage, EntriesQuery, FoundKey,
    KeyQuery, Loaded, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage,
    MessagesQuery, PortError, SetBody, StoreCapabilities, Targets, TargetsQuery,
};
use chat_core::rows::{Page, PreparedAppend, PreparedSet, bound, role_of};
use chat_proto::channel::{Annotations, Member, Snapshot, Target};
use chat_proto::entry::BodySet;
use chat_proto::wire::Reaction;
use chat_proto::{ChannelId, Epoch, Head, Limits, MessageId, Record, Seq, Timestamp, UserId};
use sqlx::sqlite::SqliteRow;

use crate::decode::Fields;
use crate::sql::rows::Binds;
use crate::sql::{bodies, messages as sql};
use crate::store::SqliteStore;
use crate::writer::BodyWrite;

/// Bytes of entries that are loaded to fold on from an earlier state; beyond, a snapshot is loaded instead.
const SINCE_BYTES_MAX: usize = 1024 * 1024;

#[async_trait]
impl MessageStore for SqliteStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities {
            append_searches_keys: true,
            append_sets_bodies: true,
        }
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch)
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        const OP: &str = "messages.load";
        if folded > Seq(0) {
            let Some((key, head)) = self.head_of(OP, channel).await? else {
                return Ok(Loaded::default());
            };
            let behind = head.seq.0.saturating_sub(folded.0);
            if behind <= Limits::SNAPSHOT_AGE_ENTRIES_MAX as u64
                && let Some(since) = self.records(OP, channel, key, folded, head.seq).await?
            {
                return Ok(Loaded {
                    snapshot: None,
                    since,
                });
            }
        }
        let mut binds = Binds::default();
        binds.add(channel.as_bytes().as_slice());
        let row = self.readers.first(OP, sql::LOAD, binds).await?;
        let snapshot = row
            .map(|row| snapshot(&Fields::new(&row, OP)))
            .transpose()?;
        Ok(Loaded {
            snapshot,
            since: Vec::new(),
        })
    }

    async fn append(&self, append: Append) -> Result<AppendOutcome, PortError> {
        self.writer.append(PreparedAppend::of(append)?).await
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        const OP: &str = "messages.heads";
        let mut binds = Binds::default();
        binds.add(json_of_channels(channels));
        let mut heads = BTreeMap::new();
        for row in self.readers.all(OP, sql::HEADS, binds).await? {
            let fields = Fields::new(&row, OP);
            heads.insert(fields.channel("uuid")?, fields.head("head_seq", "head_n")?);
        }
        Ok(channels
            .iter()
            .map(|id| heads.get(id).copied().unwrap_or_default())
            .collect())
    }

    async fn entries(&self, query: EntriesQuery) -> Result<EntriesPage, PortError> {
        const OP: &str = "messages.entries";
        let Some((key, head)) = self.head_of(OP, query.channel).await? else {
            return Ok(EntriesPage::default());
        };
        // A log only grows, so entries up to a head that was read before are as good as read with it.
        let through = query
            .after
            .0
            .saturating_add(query.limit.entries.max(1) as u64)
            .min(head.seq.0);
        let mut binds = Binds::default();
        binds.add(key).add(bound(query.after.0)).add(bound(through));
        let mut page = Page::new(query.limit);
        self.readers
            .while_wanted(OP, sql::ENTRIES, binds, |row| {
                let entry = Fields::new(&row, OP).entry()?;
                let bytes = entry.size_bytes();
                Ok(page.take(entry, bytes))
            })
            .await?;
        Ok(EntriesPage {
            entries: page.items,
            head,
        })
    }

    async fn messages(&self, query: MessagesQuery) -> Result<MessagesPage, PortError> {
        const OP: &str = "messages.messages";
        let one_more = query.limit.entries.max(1) as u64 + 1;
        let mut binds = Binds::default();
        binds
            .add(query.channel.as_bytes().as_slice())
            .add(bound(query.after.0))
            .add(bound(query.before.0))
            .add(bound(one_more))
            .add(query.viewer.as_str());
        let statement = if query.newest {
            sql::NEWEST_MESSAGES
        } else {
            sql::OLDEST_MESSAGES
        };
        let mut page = Page::new(query.limit);
        let mut as_of = Seq(0);
        self.readers
            .while_wanted(OP, statement, binds, |row| {
                let fields = Fields::new(&row, OP);
                as_of = Seq(fields.number("head_seq")?);
                if fields.value::<Option<i64>>("seq")?.is_none() {
                    return Ok(true);
                }
                let message = annotated(&fields)?;
                let bytes = message.entry.size_bytes();
                Ok(page.take(message, bytes))
            })
            .await?;
        if query.newest {
            page.items.reverse();
        }
        Ok(MessagesPage {
            messages: page.items,
            as_of,
            more: page.full,
        })
    }

    async fn targets(&self, query: TargetsQuery) -> Result<Targets, PortError> {
        const OP: &str = "messages.targets";
        let seqs = serde_json::to_string(&query.seqs).expect("numbers are JSON");
        let mut binds = Binds::default();
        binds
            .add(query.channel.as_bytes().as_slice())
            .add(seqs)
            .add(query.caller.as_str());
        let mut targets = Targets::default();
        for row in self.readers.all(OP, sql::TARGETS, binds).await? {
            let fields = Fields::new(&row, OP);
            targets.through = Seq(fields.number("head_seq")?);
            if fields.value::<Option<i64>>("seq")?.is_some() {
                let seq = Seq(fields.number("seq")?);
                targets.found.insert(seq, target(&fields)?);
            }
        }
        Ok(targets)
    }

    async fn set_body(&self, set: SetBody) -> Result<(), PortError> {
        let prepared = PreparedSet::of(BodySet {
            target: set.target,
            rev: set.rev,
            body: set.body.as_ref(),
            erases: set.body.is_none(),
        })?;
        let write = BodyWrite::Set(set.channel, prepared);
        self.writer.body("messages.set_body", write).await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        let write = BodyWrite::KeepNote(note);
        self.writer.body("messages.keep_body_note", write).await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        let write = BodyWrite::DropNote(channel, after);
        self.writer.body("messages.drop_body_note", write).await
    }

    async fn body_notes(&self, limit: usize) -> Result<Vec<BodyNote>, PortError> {
        const OP: &str = "messages.body_notes";
        let mut binds = Binds::default();
        binds.add(bound(limit as u64));
        let rows = self.readers.all(OP, bodies::NOTES, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                Ok(BodyNote {
                    channel: fields.channel("channel")?,
                    after: Seq(fields.number("after")?),
                    targets: fields.json("targets")?,
                })
            })
            .collect()
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        const OP: &str = "messages.find_key";
        let mut binds = Binds::default();
        binds
            .add(query.channel.as_bytes().as_slice())
            .add(query.sender.as_str())
            .add(query.client_id.as_bytes().as_slice())
            .add(bound(query.after.0))
            .add(bound(query.through.0));
        let row = self.readers.first(OP, sql::FIND_KEY, binds).await?;
        row.map(|row| Fields::new(&row, OP).found_key()).transpose()
    }

    async fn members(&self, query: MembersQuery) -> Result<MembersPage, PortError> {
        const OP: &str = "messages.members";
        let limit = query.limit.max(1);
        let mut binds = Binds::default();
        binds
            .add(query.channel.as_bytes().as_slice())
            .add(query.after.as_ref().map_or("", UserId::as_str))
            .add(bound(limit as u64 + 1));
        let rows = self.readers.all(OP, sql::MEMBERS, binds).await?;
        let (through, mut members) = members_of(&rows, OP)?;
        let more = members.len() > limit;
        members.truncate(limit);
        Ok(MembersPage {
            through,
            members,
            more,
        })
    }

    async fn memberships(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Memberships, PortError> {
        const OP: &str = "messages.memberships";
        let mut binds = Binds::default();
        binds
            .add(channel.as_bytes().as_slice())
            .add(json_of_users(users));
        let rows = self.readers.all(OP, sql::MEMBERSHIPS, binds).await?;
        let (through, members) = members_of(&rows, OP)?;
        Ok(Memberships {
            through,
            found: members.into_iter().collect(),
        })
    }

    async fn successor(
        &self,
        channel: ChannelId,
        leaving: &BTreeSet<UserId>,
    ) -> Result<Option<UserId>, PortError> {
        const OP: &str = "messages.successor";
        let mut binds = Binds::default();
        binds
            .add(channel.as_bytes().as_slice())
            .add(json_of_users(leaving));
        let row = self.readers.first(OP, sql::SUCCESSOR, binds).await?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields::new(&row, OP);
        match fields.value::<Option<&str>>("user")? {
            Some(_) => fields.user("user").map(Some),
            None => Ok(None),
        }
    }
}

impl SqliteStore {
    async fn head_of(
        &self,
        op: &'static str,
        channel: ChannelId,
    ) -> Result<Option<(i64, Head)>, PortError> {
        let mut binds = Binds::default();
        binds.add(channel.as_bytes().as_slice());
        let row = self.readers.first(op, sql::HEAD, binds).await?;
        row.map(|row| {
            let fields = Fields::new(&row, op);
            Ok((fields.value("id")?, fields.head("head_seq", "head_n")?))
        })
        .transpose()
    }

    /// The records in this range, unless they are so many bytes that a snapshot is cheaper.
    async fn records(
        &self,
        op: &'static str,
        channel: ChannelId,
        key: i64,
        after: Seq,
        through: Seq,
    ) -> Result<Option<Vec<Record>>, PortError> {
        let mut binds = Binds::default();
        binds.add(key).add(bound(after.0)).add(bound(through.0));
        let (mut records, mut bytes) = (Vec::new(), 0);
        self.readers
            .while_wanted(op, sql::ENTRIES, binds, |row| {
                let fields = Fields::new(&row, op);
                let record = Record {
                    channel,
                    entry: fields.entry()?,
                    key: fields.key()?,
                };
                bytes += record.entry.size_bytes();
                records.push(record);
                Ok(bytes <= SINCE_BYTES_MAX)
            })
            .await?;
        Ok(Some(records).filter(|_| bytes <= SINCE_BYTES_MAX))
    }
}

/// A message with what a viewer sees of what was done to it.
fn annotated(fields: &Fields<'_>) -> Result<AnnotatedMessage, PortError> {
    let reactions = signs(fields)?.into_iter();
    Ok(AnnotatedMessage {
        entry: fields.entry()?,
        annotations: Annotations {
            reactions: reactions
                .map(|(emoji, count, mine)| Reaction { emoji, count, mine })
                .collect(),
            pinned: fields.value("pinned")?,
            replies: fields.number("replies")?,
        },
    })
}

fn target(fields: &Fields<'_>) -> Result<Target, PortError> {
    let signs = signs(fields)?;
    let own = signs.iter().filter(|(_, _, mine)| *mine);
    Ok(Target {
        from: fields.user("sender")?,
        withheld: fields.value("withheld")?,
        erased: fields.value("erased")?,
        pinned: fields.value("pinned")?,
        own_signs: own.map(|(emoji, _, _)| emoji.clone()).collect(),
        signs: signs
            .into_iter()
            .map(|(emoji, count, _)| (emoji, count))
            .collect(),
    })
}

/// Each sign on a message, by how many it was set, and whether by who asks.
fn signs(fields: &Fields<'_>) -> Result<Vec<(String, u64, bool)>, PortError> {
    let signs: Vec<(String, u64, u8)> = fields.json("reactions")?;
    let signs = signs.into_iter();
    Ok(signs
        .map(|(emoji, count, mine)| (emoji, count, mine > 0))
        .collect())
}

/// The state at the head: what the last entry that was no message left, with the head and the members as they are.
fn snapshot(fields: &Fields<'_>) -> Result<Snapshot, PortError> {
    let mut snapshot = match fields.value::<Option<&[u8]>>("snapshot")? {
        Some(_) => fields.snapshot()?,
        // A log of nothing but messages, which no engine writes: its fold knows no more than where it ends.
        None => Snapshot {
            head: Head::EMPTY,
            message: MessageId(0),
            at: Timestamp(0),
            meta: None,
            member_count: 0,
            large: false,
            members: Some(BTreeMap::new()),
            privileged: BTreeMap::new(),
            understood: true,
        },
    };
    snapshot.head = fields.head("head_seq", "head_n")?;
    snapshot.message = MessageId(fields.number("head_message")?);
    snapshot.at = Timestamp(fields.number("last_at")?);
    if let Some(members) = fields.value::<Option<&str>>("members")? {
        snapshot.members = Some(roster(fields, members)?);
    }
    Ok(snapshot)
}

fn roster(fields: &Fields<'_>, json: &str) -> Result<BTreeMap<UserId, Member>, PortError> {
    let rows: Vec<(UserId, i8, Seq, Seq)> =
        serde_json::from_str(json).map_err(|error| fields.corrupt(error))?;
    rows.into_iter()
        .map(|(user, role, joined, visible_from)| {
            let role = role_of(role).ok_or_else(|| fields.corrupt("no such role"))?;
            Ok((
                user,
                Member {
                    role,
                    joined,
                    visible_from,
                },
            ))
        })
        .collect()
}

fn members_of(
    rows: &[SqliteRow],
    op: &'static str,
) -> Result<(Seq, Vec<(UserId, Member)>), PortError> {
    let (mut through, mut members) = (Seq(0), Vec::with_capacity(rows.len()));
    for row in rows {
        let fields = Fields::new(row, op);
        through = Seq(fields.number("head_seq")?);
        if fields.value::<Option<&str>>("user")?.is_some() {
            members.push((fields.user("user")?, fields.member()?));
        }
    }
    Ok((through, members))
}

/// Channels as the JSON array of hexadecimal texts that statements unpack.
pub(crate) fn json_of_channels(channels: &[ChannelId]) -> String {
    let texts: Vec<String> = channels
        .iter()
        .map(|channel| channel.as_uuid().simple().to_string())
        .collect();
    serde_json::to_string(&texts).expect("texts are JSON")
}

/// Users as the JSON array that statements unpack.
pub(crate) fn json_of_users<'a>(users: impl IntoIterator<Item = &'a UserId>) -> String {
    let users: Vec<&UserId> = users.into_iter().collect();
    serde_json::to_string(&users).expect("texts are JSON")
}
