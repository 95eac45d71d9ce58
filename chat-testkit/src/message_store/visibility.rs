//! What readers see while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_core::ports::{EntriesQuery, MessageStore, MessagesQuery, PageLimit};
use chat_core::proto::{ChannelId, Command, Head, Seq};

use super::append::assert_contiguous;
use super::keys::{assert_found, found};
use super::pages::nobody;
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::{LogWriter, WHOLE_PAGE};
use crate::names::fresh_user;

/// Readers of each kind beside the writer.
const READERS: usize = 2;
/// Appends of several entries that the readers watch.
const APPENDS: usize = 40;

/// Readers page, list and ask for heads without a pause while entries are appended several at a time: none ever sees
/// an entry whose predecessor it cannot see, nor a head that falls or lies beyond what can be read.
pub async fn visible_only_in_order(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let channel = writer.channel();
    let written = Arc::new(AtomicBool::new(false));
    let readers = (0..READERS).flat_map(|_| {
        let entries = read_entries(Arc::clone(opened.messages()), channel, Arc::clone(&written));
        let messages = read_messages(Arc::clone(opened.messages()), channel, Arc::clone(&written));
        [tokio::spawn(entries), tokio::spawn(messages)]
    });
    let readers: Vec<_> = readers.collect();
    for number in 0..APPENDS {
        let commands: Vec<Command> = (0..5)
            .map(|part| writer.text(&alice, format!("{number}/{part}")))
            .collect();
        let append = writer.prepare(&commands);
        writer.commit(append).await;
        if readers.iter().any(tokio::task::JoinHandle::is_finished) {
            // It has seen what it must not.
            break;
        }
    }
    written.store(true, Ordering::Release);
    join_all(readers).await;
}

/// After each acknowledgement every kind of read, by another task, sees the entry.
pub async fn reads_see_what_was_acknowledged(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    for number in 0..50 {
        writer.say(&alice, format!("{number}")).await;
        let (messages, writer) = (Arc::clone(opened.messages()), writer.clone());
        join_all([tokio::spawn(async move {
            assert_sees(&messages, &writer).await
        })])
        .await;
    }
}

async fn assert_sees(messages: &Arc<dyn MessageStore>, writer: &LogWriter) {
    let record = writer.records().last().expect("it wrote");
    let channel = writer.channel();
    let heads = messages.heads(&[channel]).await;
    assert_eq!(
        heads.expect("the store answers"),
        [writer.head()],
        "heads show what was acknowledged"
    );
    let query = EntriesQuery {
        channel,
        after: record.entry.seq.previous(),
        limit: WHOLE_PAGE,
    };
    let page = messages.entries(query).await.expect("the store answers");
    assert_eq!(
        (page.entries.as_slice(), page.head),
        (std::slice::from_ref(&record.entry), writer.head()),
        "entries show what was acknowledged"
    );
    let query = MessagesQuery {
        channel,
        viewer: nobody(),
        after: Seq(0),
        before: Seq(u64::MAX >> 1),
        newest: true,
        limit: PageLimit {
            entries: 1,
            ..WHOLE_PAGE
        },
    };
    let page = messages.messages(query).await.expect("the store answers");
    let newest: Vec<_> = page.messages.into_iter().map(|of| of.entry).collect();
    assert_eq!(
        newest,
        std::slice::from_ref(&record.entry),
        "the newest message is the one acknowledged"
    );
    let loaded = messages.load(channel, record.entry.seq.previous()).await;
    let loaded = loaded.expect("the store answers");
    let head = loaded
        .since
        .last()
        .map(|record| record.entry.head())
        .or(loaded.snapshot.map(|snapshot| snapshot.head));
    assert_eq!(
        head,
        Some(writer.head()),
        "what is loaded reaches what was acknowledged ({:?})",
        found(record)
    );
    assert_found(messages, record).await;
}

async fn read_entries(
    messages: Arc<dyn MessageStore>,
    channel: ChannelId,
    written: Arc<AtomicBool>,
) {
    let mut seen = Head::EMPTY;
    loop {
        let last_round = written.load(Ordering::Acquire);
        let heads = messages.heads(&[channel]).await.expect("the store answers");
        let query = EntriesQuery {
            channel,
            after: Seq(0),
            limit: WHOLE_PAGE,
        };
        let page = messages.entries(query).await.expect("the store answers");
        assert_contiguous(&page.entries);
        let last = page
            .entries
            .last()
            .map_or(Head::EMPTY, |entry| entry.head());
        assert!(
            page.head >= last,
            "a page's head {:?} is at or behind its last entry {last:?}",
            page.head
        );
        let told = heads.first().copied().unwrap_or_default();
        assert!(
            last >= told && told >= seen,
            "heads never fall and what they tell of can be read: {seen:?}, then {told:?}, read {last:?}"
        );
        seen = last;
        if last_round {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn read_messages(
    messages: Arc<dyn MessageStore>,
    channel: ChannelId,
    written: Arc<AtomicBool>,
) {
    loop {
        let last_round = written.load(Ordering::Acquire);
        let query = MessagesQuery {
            channel,
            viewer: nobody(),
            after: Seq(0),
            before: Seq(u64::MAX >> 1),
            newest: true,
            limit: PageLimit {
                entries: 20,
                ..WHOLE_PAGE
            },
        };
        let page = messages.messages(query).await.expect("the store answers");
        let gap = page
            .messages
            .windows(2)
            .find(|pair| pair[1].entry.n.0 != pair[0].entry.n.0 + 1);
        assert!(
            gap.is_none(),
            "a message is visible before one that precedes it: {gap:?}"
        );
        if last_round {
            return;
        }
        tokio::task::yield_now().await;
    }
}
