//! Bodies as they now are.
//!
//! The row of the log is read first, the overlay after it: a body leaves the log only when the overlay has taken its place
//! at a quorum, so that whoever finds none in the row finds the overlay.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::ports::{EntriesPage, EntriesQuery, PortError, Retry};
use chat_core::rows::Page;
use chat_proto::{Body, ChannelId, Entry, EntryKind, Seq};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;

use crate::config::{CHUNK_ROWS, READS_IN_FLIGHT_MAX};
use crate::log::Part;
use crate::rows::{Kept, LogRow, body};
use crate::store::{Db, bucket_column, column};

/// Looks at a body that is replaced each time just when it is read.
const LOOKS_MAX: usize = 5;

/// What edits and deletions made of a message.
#[derive(Clone, Debug, DeserializeRow)]
pub(crate) struct OverlayRow {
    target: i64,
    rev: Option<i64>,
    form: Option<i8>,
    body: Option<Vec<u8>>,
    message: Option<i64>,
    erased: Option<i64>,
    clean: Option<i64>,
}

impl OverlayRow {
    /// The entry that last set the body; none: only a former body was looked for so far.
    pub(crate) fn rev(&self) -> Option<Seq> {
        let rev = self.rev.max(self.erased)?;
        Some(Seq(rev.cast_unsigned()))
    }

    pub(crate) fn is_erased(&self) -> bool {
        self.erased.is_some()
    }

    /// No row of the log holds a body that this entry or one before it replaced.
    pub(crate) fn clean(&self) -> Seq {
        Seq(self.clean.unwrap_or(0).cast_unsigned())
    }

    fn kept(&self, op: &'static str) -> Result<Kept, PortError> {
        if self.is_erased() {
            return Ok(Kept::Nowhere);
        }
        let (rev, message) = (self.rev.unwrap_or(0), self.message.unwrap_or(0));
        Kept::read(op, self.form, self.body.as_deref(), rev, message)
    }
}

/// An entry that has everything but perhaps a long body.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) entry: Entry,
    kept: Kept,
}

impl Db {
    /// A page of entries.
    pub(crate) async fn entries(
        &self,
        op: &'static str,
        query: &EntriesQuery,
    ) -> Result<EntriesPage, PortError> {
        let head = self.head(op, query.channel).await?;
        let mut page = Page::new(query.limit);
        let wanted = query.limit.entries.max(1) as u64;
        let through = Seq(query.after.0.saturating_add(wanted)).min(head.seq);
        let mut after = query.after;
        while after < through && !page.full {
            let range = (after, through);
            let rows = self
                .oldest(op, query.channel, range, CHUNK_ROWS, Part::Whole)
                .await?;
            after = rows.last().map_or(through, LogRow::seq);
            for drawn in self.draw(op, query.channel, rows).await? {
                let entry = self.finish(op, query.channel, drawn).await?;
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

    /// The entries of these rows, which lie in one bucket, as they now are.
    pub(crate) async fn draw(
        &self,
        op: &'static str,
        channel: ChannelId,
        rows: Vec<LogRow>,
    ) -> Result<Vec<Drawn>, PortError> {
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            entries.push(row.entry(op)?);
        }
        let overlays = self.overlays_of(op, channel, &entries).await?;
        let drawn = entries.into_iter().zip(rows).map(|(entry, row)| {
            let message = match &entry.kind {
                EntryKind::Edit(edit) => edit.target,
                _ => entry.seq,
            };
            draw(op, entry, &row, overlays.get(&message))
        });
        drawn.collect()
    }

    /// What became of the messages that are among these entries, or that they edit.
    async fn overlays_of(
        &self,
        op: &'static str,
        channel: ChannelId,
        entries: &[Entry],
    ) -> Result<BTreeMap<Seq, OverlayRow>, PortError> {
        let mut messages = entries
            .iter()
            .filter(|entry| entry.kind.is_message())
            .map(|entry| entry.seq);
        let first = messages.clone().min();
        let range = first.zip(messages.by_ref().max());
        let mut overlays = match range {
            Some((first, last)) => self.overlays(op, channel, first, last).await?,
            None => BTreeMap::new(),
        };
        let elsewhere: BTreeSet<Seq> = entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                EntryKind::Edit(edit) => Some(edit.target),
                _ => None,
            })
            .filter(|target| !range.is_some_and(|(first, last)| (first..=last).contains(target)))
            .collect();
        let reads: Vec<_> = elsewhere
            .into_iter()
            .map(|target| self.overlays(op, channel, target, target))
            .collect();
        let found: Vec<_> = stream::iter(reads)
            .buffered(READS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        overlays.extend(found.into_iter().flatten());
        Ok(overlays)
    }

    /// The overlay of one bucket from `first` to `last`, both in the bucket of `first`.
    pub(crate) async fn overlays(
        &self,
        op: &'static str,
        channel: ChannelId,
        first: Seq,
        last: Seq,
    ) -> Result<BTreeMap<Seq, OverlayRow>, PortError> {
        let bucket = bucket_column(self.buckets.of(first));
        let values = (channel.as_uuid(), bucket, column(first.0), column(last.0));
        let rows: Vec<OverlayRow> = self.read(op, &self.statements.overlays, values).await?;
        let rows = rows
            .into_iter()
            .map(|row| (Seq(row.target.cast_unsigned()), row));
        Ok(rows.collect())
    }

    /// The entry with its body, read from where it is. One that was replaced since is looked for again.
    pub(crate) async fn finish(
        &self,
        op: &'static str,
        channel: ChannelId,
        mut drawn: Drawn,
    ) -> Result<Entry, PortError> {
        for _ in 0..LOOKS_MAX {
            let found = match drawn.kept {
                Kept::Nowhere => None,
                Kept::Here(body) => Some(body),
                Kept::Long { seq, message, form } => {
                    let values = (channel.as_uuid(), seq, message);
                    let rows: Vec<(Option<Vec<u8>>,)> =
                        self.read(op, &self.statements.long_body, values).await?;
                    let bytes = rows.into_iter().next().and_then(|(bytes,)| bytes);
                    let Some(bytes) = bytes else {
                        drawn = self.draw_again(op, channel, drawn.entry.seq).await?;
                        continue;
                    };
                    Some(body(op, form, &bytes)?)
                }
            };
            let mut entry = drawn.entry;
            give(&mut entry, found);
            return Ok(entry);
        }
        let why = "a long body is not where the log says";
        Err(PortError::unavailable(op, Retry::Safe).with_source(why))
    }

    async fn draw_again(
        &self,
        op: &'static str,
        channel: ChannelId,
        seq: Seq,
    ) -> Result<Drawn, PortError> {
        let range = (seq.previous(), seq);
        let rows = self.oldest(op, channel, range, 1, Part::Whole).await?;
        let drawn = self.draw(op, channel, rows).await?;
        let missing = || PortError::unavailable(op, Retry::Safe);
        drawn.into_iter().next().ok_or_else(missing)
    }
}

fn draw(
    op: &'static str,
    mut entry: Entry,
    row: &LogRow,
    overlay: Option<&OverlayRow>,
) -> Result<Drawn, PortError> {
    let rev = overlay.and_then(OverlayRow::rev);
    let (Some(overlay), Some(rev)) = (overlay, rev) else {
        let kept = row.kept(op)?;
        return Ok(Drawn { entry, kept });
    };
    let kept = match &mut entry.kind {
        EntryKind::Message(message) => {
            message.rev = message.rev.max(Some(rev));
            message.erased |= overlay.is_erased();
            overlay.kept(op)?
        }
        EntryKind::Edit(_) if rev == entry.seq => overlay.kept(op)?,
        // Not set yet: whoever finds the note of it needs the body.
        EntryKind::Edit(_) if rev < entry.seq && !overlay.is_erased() => row.kept(op)?,
        _ => Kept::Nowhere,
    };
    Ok(Drawn { entry, kept })
}

fn give(entry: &mut Entry, found: Option<Body>) {
    match &mut entry.kind {
        EntryKind::Message(message) => message.body = found,
        EntryKind::Edit(edit) => edit.body = found,
        _ => {}
    }
}
