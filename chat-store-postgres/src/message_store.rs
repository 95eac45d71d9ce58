//! The logs: reads by the readers, appends by the writers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chat_core::ports::{
    AnnotatedMessage, Append, AppendOutcome, BodyNote, EntriesPage, EntriesQuery, FoundKey,
    KeyQuery, Loaded, MembersPage, MembersQuery, Memberships, MessageStore, MessagesPage,
    MessagesQuery, PageLimit, PortError, SetBody, StoreCapabilities, Targets, TargetsQuery,
};
use chat_core::rows::{Page, PreparedAppend, PreparedSet, bound, role_of};
use chat_proto::channel::{Annotations, Member, Snapshot, Target};
use chat_proto::entry::BodySet;
use chat_proto::wire::Reaction;
use chat_proto::{ChannelId, Epoch, Head, Limits, MessageId, Record, Seq, Timestamp, UserId};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::decode::Fields;
use crate::sql::rows::Binds;
use crate::sql::{bodies, messages as sql};
use crate::store::PostgresStore;
use crate::writer::BodyWrite;

/// Bytes of entries that are loaded to fold on from an earlier state; beyond, a snapshot is loaded instead.
const SINCE_BYTES_MAX: usize = 1024 * 1024;

#[async_trait]
impl MessageStore for PostgresStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities {
            append_searches_keys: true,
            append_sets_bodies: true,
        }
    }

    async fn epoch(&self) -> Result<Epoch, PortError> {
        Ok(self.epoch.current())
    }

    async fn load(&self, channel: ChannelId, folded: Seq) -> Result<Loaded, PortError> {
        const OP: &str = "messages.load";
        if folded > Seq(0)
            && let Some(since) = self.since(OP, channel, folded).await?
        {
            return Ok(Loaded {
                snapshot: None,
                since,
            });
        }
        let mut binds = Binds::default();
        binds.add(channel.as_uuid());
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
        let prepared = PreparedAppend::of(append)?;
        // Its channel's row would begin, and nothing come after it.
        if prepared.expected_head == Seq(0) && !prepared.continues(Head::EMPTY) {
            let why = "the first record's ordinal does not follow the head's";
            return Err(PortError::misuse("messages.append").with_source(why));
        }
        self.writers.append(prepared).await
    }

    async fn heads(&self, channels: &[ChannelId]) -> Result<Vec<Head>, PortError> {
        const OP: &str = "messages.heads";
        let mut binds = Binds::default();
        binds.add(uuids(channels));
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
        let binds = of_page(query.channel, query.after, query.limit);
        let (mut page, mut head) = (Page::new(query.limit), Head::EMPTY);
        for row in self.readers.all(OP, sql::ENTRIES, binds).await? {
            let fields = Fields::new(&row, OP);
            head = fields.head("head_seq", "head_n")?;
            if fields.has("seq")? {
                let entry = fields.entry()?;
                let bytes = entry.size_bytes();
                if !page.take(entry, bytes) {
                    break;
                }
            }
        }
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
            .add(query.channel.as_uuid())
            .add(bound(query.after.0))
            .add(bound(query.before.0))
            .add(bound(one_more))
            .add(bound(query.limit.bytes as u64))
            .add(query.viewer.as_str());
        let statement = if query.newest {
            sql::NEWEST_MESSAGES
        } else {
            sql::OLDEST_MESSAGES
        };
        let mut page = Page::new(query.limit);
        let mut as_of = Seq(0);
        for row in self.readers.all(OP, statement, binds).await? {
            let fields = Fields::new(&row, OP);
            as_of = Seq(fields.number("head_seq")?);
            if fields.has("seq")? {
                let message = annotated(&fields)?;
                let bytes = message.entry.size_bytes();
                if !page.take(message, bytes) {
                    break;
                }
            }
        }
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
        let seqs: Vec<i64> = query.seqs.iter().map(|seq| bound(seq.0)).collect();
        let mut binds = Binds::default();
        binds
            .add(query.channel.as_uuid())
            .add(seqs)
            .add(query.caller.as_str());
        let mut targets = Targets::default();
        for row in self.readers.all(OP, sql::TARGETS, binds).await? {
            let fields = Fields::new(&row, OP);
            targets.through = Seq(fields.number("head_seq")?);
            if fields.has("seq")? {
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
        self.writers.body("messages.set_body", write).await
    }

    async fn keep_body_note(&self, note: BodyNote) -> Result<(), PortError> {
        let write = BodyWrite::KeepNote(note);
        self.writers.body("messages.keep_body_note", write).await
    }

    async fn drop_body_note(&self, channel: ChannelId, after: Seq) -> Result<(), PortError> {
        let write = BodyWrite::DropNote(channel, after);
        self.writers.body("messages.drop_body_note", write).await
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
                    targets: seqs(&fields)?,
                })
            })
            .collect()
    }

    async fn find_key(&self, query: KeyQuery) -> Result<Option<FoundKey>, PortError> {
        const OP: &str = "messages.find_key";
        let mut binds = Binds::default();
        binds
            .add(query.channel.as_uuid())
            .add(query.sender.as_str())
            .add(query.client_id.as_uuid())
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
            .add(query.channel.as_uuid())
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
        binds.add(channel.as_uuid()).add(names(users));
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
        binds.add(channel.as_uuid()).add(names(leaving));
        let row = self.readers.first(OP, sql::SUCCESSOR, binds).await?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields::new(&row, OP);
        if fields.has("user_id")? {
            return fields.user("user_id").map(Some);
        }
        Ok(None)
    }
}

impl PostgresStore {
    /// The records behind this place up to the head, unless they are so many that a snapshot is cheaper.
    async fn since(
        &self,
        op: &'static str,
        channel: ChannelId,
        after: Seq,
    ) -> Result<Option<Vec<Record>>, PortError> {
        let limit = PageLimit {
            entries: Limits::SNAPSHOT_AGE_ENTRIES_MAX + 1,
            bytes: SINCE_BYTES_MAX,
        };
        let (mut records, mut bytes) = (Vec::new(), 0);
        let binds = of_page(channel, after, limit);
        for row in self.readers.all(op, sql::ENTRIES, binds).await? {
            let fields = Fields::new(&row, op);
            if !fields.has("seq")? {
                break;
            }
            let record = Record {
                channel,
                entry: fields.entry()?,
                key: fields.key()?,
            };
            bytes += record.entry.size_bytes();
            records.push(record);
            if records.len() == limit.entries || bytes > limit.bytes {
                return Ok(None);
            }
        }
        Ok(Some(records))
    }
}

/// A contiguous part of a log, no longer than a page.
fn of_page(channel: ChannelId, after: Seq, limit: PageLimit) -> Binds {
    let mut binds = Binds::default();
    binds
        .add(channel.as_uuid())
        .add(bound(after.0))
        .add(bound(limit.entries.max(1) as u64))
        .add(bound(limit.bytes as u64));
    binds
}

fn seqs(fields: &Fields<'_>) -> Result<BTreeSet<Seq>, PortError> {
    let seqs = fields.value::<Vec<i64>>("targets")?.into_iter();
    Ok(seqs.map(|seq| Seq(seq.cast_unsigned())).collect())
}

/// A message with what a viewer sees of what was done to it.
fn annotated(fields: &Fields<'_>) -> Result<AnnotatedMessage, PortError> {
    let reactions = fields.signs()?.into_iter();
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
    let signs = fields.signs()?;
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

/// The state at the head: what the last entry that was no message left, with the head and the members as they are.
fn snapshot(fields: &Fields<'_>) -> Result<Snapshot, PortError> {
    let mut snapshot = match fields.has("snapshot")? {
        true => fields.snapshot()?,
        // A log of nothing but messages, which no engine writes: its fold knows no more than where it ends.
        false => Snapshot {
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
    if fields.has("users")? {
        snapshot.members = Some(roster(fields)?);
    }
    Ok(snapshot)
}

fn roster(fields: &Fields<'_>) -> Result<BTreeMap<UserId, Member>, PortError> {
    let users = fields.value::<Vec<String>>("users")?;
    let roles = fields.value::<Vec<i16>>("roles")?;
    let joined = fields.value::<Vec<i64>>("joined")?;
    let visible_from = fields.value::<Vec<i64>>("visible_from")?;
    let places = joined.into_iter().zip(visible_from);
    let rows = users.into_iter().zip(roles).zip(places);
    rows.map(|((user, role), (joined, visible_from))| {
        let user = user.parse();
        let member = Member {
            role: i8::try_from(role)
                .ok()
                .and_then(role_of)
                .ok_or_else(|| fields.corrupt("no such role"))?,
            joined: Seq(joined.cast_unsigned()),
            visible_from: Seq(visible_from.cast_unsigned()),
        };
        user.map(|user| (user, member))
            .map_err(|rejection: chat_proto::Rejection| fields.corrupt(rejection.message))
    })
    .collect()
}

fn members_of(rows: &[PgRow], op: &'static str) -> Result<(Seq, Vec<(UserId, Member)>), PortError> {
    let (mut through, mut members) = (Seq(0), Vec::with_capacity(rows.len()));
    for row in rows {
        let fields = Fields::new(row, op);
        through = Seq(fields.number("head_seq")?);
        if fields.has("user_id")? {
            members.push((fields.user("user_id")?, fields.member()?));
        }
    }
    Ok((through, members))
}

/// Channels as statements take them.
pub(crate) fn uuids(channels: &[ChannelId]) -> Vec<Uuid> {
    channels.iter().map(ChannelId::as_uuid).collect()
}

/// Users as statements take them.
pub(crate) fn names<'a>(users: impl IntoIterator<Item = &'a UserId>) -> Vec<&'a str> {
    users.into_iter().map(UserId::as_str).collect()
}
