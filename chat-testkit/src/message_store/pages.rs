//! Pages of entries and of messages.

use std::sync::Arc;

use chat_core::ports::{EntriesQuery, MessageStore, MessagesPage, MessagesQuery, PageLimit};
use chat_core::proto::{ChannelId, Entry, Record, Seq, UserId};

use crate::factory::Opened;
use crate::log_writer::{LogWriter, WHOLE_PAGE};
use crate::names::{fresh_user, next_message_id};

/// Pages of every size from every place of a log whose message ids do not rise: a cursor is a place, never a name.
pub async fn pages_are_contiguous(opened: Opened) {
    let writer = log_with_unordered_names(&opened).await;
    let log = writer.entries();
    for size in [1, 2, 7, 500] {
        for after in 0..=log.len() {
            let query = EntriesQuery {
                channel: writer.channel(),
                after: Seq(after as u64),
                limit: PageLimit {
                    entries: size,
                    ..WHOLE_PAGE
                },
            };
            let page = opened.messages().entries(query).await;
            let page = page.expect("the store answers");
            let rest = &log[after..];
            let length = page.entries.len();
            assert!(
                length <= size,
                "a page of {size} entries at the most has {length}"
            );
            assert!(
                length > 0 || rest.is_empty(),
                "a page holds at least one entry if there is one behind {after}"
            );
            assert_eq!(
                page.entries,
                rest[..length.min(rest.len())],
                "a page is contiguous from the entry behind {after}"
            );
            assert_eq!(
                page.head,
                writer.head(),
                "a page tells the log's head, at or behind its last entry"
            );
        }
    }
}

/// Pages bounded in bytes: within the bound, or one entry.
pub async fn pages_respect_bytes_and_hold_one(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    for number in 0_usize..40 {
        let length = if number % 10 == 9 {
            100_000
        } else {
            number * 37 + 1
        };
        writer.say(&alice, "x".repeat(length)).await;
    }
    let log = writer.entries();
    for bytes in [0, 1, 1_000, 5_000, 100_500, 1024 * 1024] {
        let limit = PageLimit {
            entries: 500,
            bytes,
        };
        let (mut after, mut read) = (Seq(0), Vec::new());
        while after < writer.head().seq {
            let query = EntriesQuery {
                channel: writer.channel(),
                after,
                limit,
            };
            let page = opened.messages().entries(query).await;
            let page = page.expect("the store answers");
            assert_within(&page.entries, bytes);
            after = page.entries.last().expect("checked").seq;
            read.extend(page.entries);
        }
        assert!(read == log, "pages of {bytes} bytes make up the log");
        for newest in [true, false] {
            let query = MessagesQuery {
                channel: writer.channel(),
                viewer: nobody(),
                after: Seq(0),
                before: Seq(u64::MAX >> 1),
                newest,
                limit,
            };
            let page = opened.messages().messages(query).await;
            let page = page.expect("the store answers");
            assert_within(&entries_of(page), bytes);
        }
    }
}

/// Pages of messages from either end of ranges of every kind, against the log itself.
pub async fn message_pages_are_exact(opened: Opened) {
    let writer = log_with_unordered_names(&opened).await;
    let log = writer.entries();
    let end = log.len() as u64 + 1;
    let places = [
        0,
        1,
        2,
        5,
        6,
        9,
        10,
        11,
        end - 2,
        end - 1,
        end,
        u64::MAX >> 1,
    ];
    for (after, before) in pairs(&places) {
        let inside: Vec<&Entry> = log
            .iter()
            .filter(|entry| entry.kind.is_message())
            .filter(|entry| entry.seq.0 > after && entry.seq.0 < before)
            .collect();
        for (size, newest) in pairs(&[1, 2, 3, 500])
            .into_iter()
            .flat_map(|(size, _)| [(size, true), (size, false)])
        {
            let query = MessagesQuery {
                channel: writer.channel(),
                viewer: nobody(),
                after: Seq(after),
                before: Seq(before),
                newest,
                limit: PageLimit {
                    entries: size,
                    ..WHOLE_PAGE
                },
            };
            let page = opened.messages().messages(query).await;
            let page = page.expect("the store answers");
            let length = page.messages.len();
            assert!(
                length <= size && length <= inside.len() && (length > 0 || inside.is_empty()),
                "a page of at most {size} of {} messages holds {length}",
                inside.len()
            );
            let expected = if newest {
                &inside[inside.len() - length..]
            } else {
                &inside[..length]
            };
            let read: Vec<&Entry> = page.messages.iter().map(|of| &of.entry).collect();
            assert_eq!(
                read, expected,
                "a page holds the messages of ({after}, {before}) that its end asks for, ascending"
            );
            assert_eq!(
                page.more,
                length < inside.len(),
                "a page tells whether ({after}, {before}) holds more than its {length} messages"
            );
        }
    }
}

/// The whole log, read page by page.
pub(super) async fn whole_log(messages: &Arc<dyn MessageStore>, channel: ChannelId) -> Vec<Entry> {
    let mut log = Vec::new();
    loop {
        let query = EntriesQuery {
            channel,
            after: Seq(log.len() as u64),
            limit: WHOLE_PAGE,
        };
        let page = messages.entries(query).await.expect("the store answers");
        if page.entries.is_empty() {
            return log;
        }
        log.extend(page.entries);
    }
}

/// All messages, read page by page from the newest on.
pub(crate) async fn every_message(
    messages: &Arc<dyn MessageStore>,
    channel: ChannelId,
) -> Vec<Entry> {
    let (mut before, mut read) = (Seq(u64::MAX >> 1), Vec::new());
    loop {
        let query = MessagesQuery {
            channel,
            viewer: nobody(),
            after: Seq(0),
            before,
            newest: true,
            limit: WHOLE_PAGE,
        };
        let page = messages.messages(query).await.expect("the store answers");
        let Some(oldest) = page.messages.first() else {
            return read;
        };
        before = oldest.entry.seq;
        read.splice(0..0, entries_of(page));
    }
}

fn entries_of(page: MessagesPage) -> Vec<Entry> {
    page.messages.into_iter().map(|of| of.entry).collect()
}

/// Somebody to whom every reaction is another's.
pub(super) fn nobody() -> UserId {
    "nobody".parse().expect("a good name")
}

/// The records that `load` gives a caller who has folded nothing; at least the `last` one if the store can.
pub(super) async fn folded_records(
    messages: &Arc<dyn MessageStore>,
    channel: ChannelId,
    last: Seq,
) -> Vec<Record> {
    let folded = Seq(last
        .0
        .saturating_sub(chat_core::proto::Limits::SNAPSHOT_AGE_ENTRIES_MAX as u64));
    let loaded = messages.load(channel, folded).await;
    loaded.expect("the store answers").since
}

/// A log of messages and other entries, twice as long as a small page, in which every second name is below the one
/// before.
async fn log_with_unordered_names(opened: &Opened) -> LogWriter {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    for number in 0..9 {
        let commands = [
            writer.text(&alice, format!("{number} a")),
            writer.text(&alice, format!("{number} b")),
        ];
        let mut append = writer.prepare(&commands);
        let (higher, lower) = (
            append.records[1].record.entry.message,
            append.records[0].record.entry.message,
        );
        append.records[0].record.entry.message = higher;
        append.records[1].record.entry.message = lower;
        writer.commit(append).await;
        match number {
            3 => drop(
                writer
                    .add(
                        &alice,
                        std::slice::from_ref(&bob),
                        chat_core::proto::Role::Member,
                    )
                    .await,
            ),
            5 => drop(writer.retitle(&alice, "another").await),
            6 => drop(writer.remove(&alice, std::slice::from_ref(&bob)).await),
            _ => drop(next_message_id()),
        }
    }
    writer
}

/// A page keeps to its bytes, and is not empty.
pub(crate) fn assert_within(page: &[Entry], bytes: usize) {
    let size: usize = page.iter().map(Entry::size_bytes).sum();
    assert!(
        !page.is_empty(),
        "a page of {bytes} bytes holds at least one entry"
    );
    assert!(
        page.len() == 1 || size <= bytes,
        "a page of {bytes} bytes at the most holds {} entries of {size}",
        page.len()
    );
}

fn pairs<T: Copy>(values: &[T]) -> Vec<(T, T)> {
    let pairs = values
        .iter()
        .flat_map(|left| values.iter().map(move |right| (*left, *right)));
    pairs.collect()
}
