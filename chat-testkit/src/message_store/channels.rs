//! Channels beside each other, states, the life of the store.

use std::sync::Arc;

use chat_core::ports::{EntriesQuery, KeyQuery, MembersQuery, MessageStore, MessagesQuery};
use chat_core::proto::channel::{ChannelState, Snapshot, evolve};
use chat_core::proto::{Head, Limits, Role, Seq};

use super::append::assert_log;
use super::keys::{assert_found, found};
use super::members::assert_members;
use super::pages::{every_message, folded_records, nobody};
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::{LogWriter, WHOLE_PAGE};
use crate::names::{fresh_channel, fresh_client_id, fresh_user, fresh_users};

/// Three channels of the same people, written side by side: each one reads as if it were alone.
pub async fn channels_are_isolated(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let tasks = (0..3).map(|number: usize| {
        let messages = Arc::clone(opened.messages());
        let (alice, bob) = (alice.clone(), bob.clone());
        tokio::spawn(async move {
            let mut writer = LogWriter::group(&messages, &alice, std::slice::from_ref(&bob)).await;
            for round in 0..=number {
                writer.say_many(&bob, 10 + round).await;
                writer.retitle(&alice, &format!("{number}/{round}")).await;
            }
            if number == 1 {
                writer.remove(&alice, &[bob]).await;
            }
            writer
        })
    });
    let writers = join_all(tasks).await;
    let channels: Vec<_> = writers.iter().map(LogWriter::channel).collect();
    let heads = opened.messages().heads(&channels).await;
    let expected: Vec<Head> = writers.iter().map(LogWriter::head).collect();
    assert_eq!(
        heads.expect("the store answers"),
        expected,
        "each channel has its own head"
    );
    for writer in &writers {
        assert_log(opened.messages(), writer).await;
        assert_members(opened.messages(), writer).await;
        let mut own = writer.entries();
        own.retain(|entry| entry.kind.is_message());
        let read = every_message(opened.messages(), writer.channel()).await;
        assert_eq!(read, own, "each channel has its own messages");
        assert_state(opened.messages(), writer, Seq(0)).await;
    }
    for (here, there) in [(0, 1), (1, 2), (2, 0)] {
        let record = writers[here].records().last().expect("it wrote");
        let query = KeyQuery {
            channel: writers[there].channel(),
            sender: record.entry.from.clone(),
            client_id: record.key.expect("it was written with a key").client_id,
            after: Seq(0),
            through: writers[there].head().seq,
        };
        let answer = opened.messages().find_key(query).await;
        assert_eq!(
            answer.expect("the store answers"),
            None,
            "each channel has its own keys"
        );
        assert_found(opened.messages(), record).await;
    }
}

/// Every read of a channel that nobody began, in a store that holds others.
pub async fn an_absent_channel_is_empty(opened: Opened) {
    let (alice, store) = (fresh_user("alice"), opened.messages());
    let mut writer = LogWriter::group(store, &alice, &[]).await;
    writer.say(&alice, "hello").await;
    let channel = fresh_channel();
    let heads = store.heads(&[channel, writer.channel(), channel]).await;
    assert_eq!(
        heads.expect("the store answers"),
        [Head::EMPTY, writer.head(), Head::EMPTY],
        "heads come in the order asked, an absent channel's at 0"
    );
    let heads = store.heads(&[]).await;
    assert_eq!(heads.expect("the store answers"), []);
    let query = EntriesQuery {
        channel,
        after: Seq(0),
        limit: WHOLE_PAGE,
    };
    let page = store.entries(query).await.expect("the store answers");
    assert_eq!((page.entries, page.head), (vec![], Head::EMPTY));
    let query = MessagesQuery {
        channel,
        viewer: nobody(),
        after: Seq(0),
        before: Seq(u64::MAX >> 1),
        newest: true,
        limit: WHOLE_PAGE,
    };
    let page = store.messages(query).await.expect("the store answers");
    assert_eq!((page.messages, page.more), (vec![], false));
    let loaded = store
        .load(channel, Seq(0))
        .await
        .expect("the store answers");
    assert_eq!(loaded.since, []);
    assert!(
        loaded
            .snapshot
            .is_none_or(|snapshot| snapshot.head == Head::EMPTY),
        "an absent channel has no state"
    );
    let query = KeyQuery {
        channel,
        sender: alice.clone(),
        client_id: fresh_client_id(),
        after: Seq(0),
        through: Seq(0),
    };
    let answer = store.find_key(query).await;
    assert_eq!(answer.expect("the store answers"), None);
    let query = MembersQuery {
        channel,
        after: None,
        limit: 10,
    };
    let page = store.members(query).await.expect("the store answers");
    assert_eq!((page.members, page.more), (vec![], false));
    let users = std::slice::from_ref(&alice);
    let answer = store.memberships(channel, users).await;
    assert!(answer.expect("the store answers").found.is_empty());
    let answer = store
        .successor(channel, &std::collections::BTreeSet::from([alice]))
        .await;
    assert_eq!(answer.expect("the store answers"), None);
}

/// Logs of many lengths and kinds, loaded from nothing and from earlier states: the fold is the log's.
pub async fn load_folds_to_the_log(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let crowd = fresh_users("crowd", 120);
    let store = opened.messages();
    let mut writer = LogWriter::group(store, &alice, std::slice::from_ref(&bob)).await;
    assert_state(store, &writer, Seq(0)).await;
    writer.retitle(&alice, "another").await;
    writer.promote(&alice, &bob, Role::Admin).await;
    writer.say_many(&bob, 300).await;
    for folded in [0, 1, 2, 3, 40, 47, 48, 302, 303] {
        assert_state(store, &writer, Seq(folded)).await;
    }
    writer.add(&bob, &crowd, Role::Member).await;
    assert_state(store, &writer, Seq(0)).await;
    writer.say_many(&alice, 400).await;
    for folded in [0, 1, 303, 304, 305, 500, 703, 704] {
        assert_state(store, &writer, Seq(folded)).await;
    }
    writer.remove(&alice, &crowd[..60]).await;
    writer.say(&crowd[99], "still here").await;
    for folded in [0, 304, 704, 705, 706] {
        assert_state(store, &writer, Seq(folded)).await;
    }
}

/// Records of commands of every kind come back from `load` with the keys that they were appended with.
pub async fn loaded_records_carry_their_keys(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(opened.messages(), &alice, std::slice::from_ref(&bob)).await;
    writer.say_many(&bob, 70).await;
    writer.retitle(&alice, "another").await;
    writer.remove(&bob, std::slice::from_ref(&bob)).await;
    writer.say_many(&alice, 70).await;
    let last = writer.head().seq;
    for folded in [0, 1, 50, 71, last.0 - 1] {
        let loaded = opened.messages().load(writer.channel(), Seq(folded)).await;
        let since = loaded.expect("the store answers").since;
        let behind = writer.records().len() - since.len();
        assert_eq!(
            since,
            writer.records()[behind..],
            "records are loaded with the keys that they were appended with"
        );
    }
    let newest = folded_records(opened.messages(), writer.channel(), last).await;
    if let Some(record) = newest.last() {
        assert_eq!(
            found(record),
            found(writer.records().last().expect("it wrote"))
        );
    }
}

/// The store's epoch stays what it is: asked again, after writes, and opened again.
pub async fn epoch_outlives_reopen(opened: Opened) {
    let alice = fresh_user("alice");
    let epoch = opened.messages().epoch().await.expect("the store answers");
    let writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    drop(writer);
    let after = opened.messages().epoch().await.expect("the store answers");
    assert_eq!(after, epoch, "a write does not change the epoch");
    let mut opened = opened;
    for _ in 0..2 {
        opened = opened.reopen().await;
        let again = opened.messages().epoch().await.expect("the store answers");
        assert_eq!(again, epoch, "the epoch outlives the process");
    }
}

/// What the store loads for a caller who has folded up to `folded` leads to the writer's state.
pub(crate) async fn assert_state(
    messages: &Arc<dyn MessageStore>,
    writer: &LogWriter,
    folded: Seq,
) {
    let channel = writer.channel();
    let loaded = messages.load(channel, folded).await;
    let loaded = loaded.expect("the store answers");
    assert!(
        loaded.since.len() <= Limits::SNAPSHOT_AGE_ENTRIES_MAX,
        "{} entries are loaded beside a state",
        loaded.since.len()
    );
    let mut state = match loaded.snapshot {
        Some(snapshot) => ChannelState::from_snapshot(channel, snapshot),
        None => {
            let mut state = ChannelState::empty(channel);
            let known = writer.records().iter();
            for record in known.take_while(|record| record.entry.seq <= folded) {
                evolve(&mut state, &record.entry, record.key.as_ref());
            }
            state
        }
    };
    for record in &loaded.since {
        assert_eq!(
            record.entry.seq,
            state.head().seq.next(),
            "the entries loaded follow the state loaded"
        );
        evolve(&mut state, &record.entry, record.key.as_ref());
    }
    let (mut read, mut written) = (state.to_snapshot(), writer.state().to_snapshot());
    // A state may come without its members; then they are read on their own.
    if read.members.is_none() && !read.large {
        (read, written) = (without_members(read), without_members(written));
    }
    assert_eq!(
        read, written,
        "what is loaded behind {folded} folds to the log's state"
    );
}

fn without_members(snapshot: Snapshot) -> Snapshot {
    Snapshot {
        members: None,
        ..snapshot
    }
}
