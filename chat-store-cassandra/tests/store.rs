//! What the store promises beyond the port: several processes over one keyspace, views that heal, bodies that are gone from
//! every table, and clusters that are refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{
    AppendOutcome, EntriesQuery, MessageStore, MessagesQuery, PageLimit, SetBody, TargetsQuery,
};
use chat_proto::channel::{Action, Annotations, NewBody, NewMessage};
use chat_proto::{Body, ChannelId, Entry, Role, Seq, UserId};
use chat_store_cassandra::{CassandraStore, Config, OpenError, apply_schema, draw_new_epoch};
use chat_testkit::names::{fresh_user, fresh_users};
use chat_testkit::{LogWriter, Settled};
use scylla::value::Row;

mod cluster;

/// Entries in a partition, where a test crosses from one to the next.
const FEW: u32 = 7;
const WHOLE: PageLimit = PageLimit {
    entries: 500,
    bytes: usize::MAX,
};

/// Skips the test loudly where there is no cluster.
macro_rules! fresh_or_skip {
    () => {
        match cluster::fresh().await {
            Ok(config) => config,
            Err(skip) => {
                skip.announce();
                return;
            }
        }
    };
}

fn logs(store: &CassandraStore) -> Arc<dyn MessageStore> {
    Arc::new(store.clone())
}

async fn log_of(store: &CassandraStore, channel: ChannelId) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    loop {
        let query = EntriesQuery {
            channel,
            after: Seq(log.len() as u64),
            limit: WHOLE,
        };
        let page = store.entries(query).await.expect("the store answers");
        if page.entries.is_empty() {
            return log;
        }
        log.extend(page.entries);
    }
}

/// Every page of messages shows the fold of the log, whichever store reads it.
async fn assert_annotated(store: &CassandraStore, channel: ChannelId, log: &[Entry]) {
    let viewer = fresh_user("viewer");
    let query = MessagesQuery {
        channel,
        viewer: viewer.clone(),
        after: Seq(0),
        before: Seq(u64::MAX >> 1),
        newest: true,
        limit: WHOLE,
    };
    let page = store.messages(query).await.expect("the store answers");
    assert_eq!(page.as_of, Seq(log.len() as u64));
    for of in page.messages {
        let expected = Annotations::fold(of.entry.seq, log, &viewer);
        assert_eq!(of.annotations, expected, "at {}", of.entry.seq);
    }
}

/// Eight writers in two processes, over many partitions: what was acknowledged is in the log once, at its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_write_one_log() {
    let mut config = fresh_or_skip!();
    config.bucket_entries = FEW;
    let stores = [
        cluster::store(&config).await,
        cluster::open(&config).await.expect("a second store opens"),
    ];
    let people = fresh_users("people", 8);
    let start = LogWriter::group(&logs(&stores[0]), &people[0], &people[1..]).await;
    let mut first = start.clone();
    let thread = first.say(&people[0], "a thread").await.seq;
    let tasks: Vec<_> = people
        .iter()
        .cloned()
        .enumerate()
        .map(|(number, user)| {
            let mut writer = first.clone().in_store(&logs(&stores[number % 2]));
            tokio::spawn(async move {
                let mut settled = Vec::new();
                for turn in 0..12 {
                    let mut message = NewMessage::new(Body::text(format!("{number}/{turn}")));
                    message.thread = (turn % 3 == 0).then_some(thread);
                    let command = writer.command(&user, Action::Send(message));
                    settled.push(writer.race(&command).await.expect("the store answers"));
                }
                settled
            })
        })
        .collect();
    let mut acknowledged = BTreeSet::new();
    for task in tasks {
        for settled in task.await.expect("a writer ends") {
            let Settled::Written(entry) = settled else {
                panic!("the store takes every message in the end: {settled:?}");
            };
            assert!(acknowledged.insert(entry.seq), "two have one place");
        }
    }
    let log = log_of(&stores[0], first.channel()).await;
    assert_eq!(log, log_of(&stores[1], first.channel()).await);
    let keys: BTreeSet<_> = log
        .iter()
        .filter_map(|entry| entry.as_message().map(|message| message.client_id))
        .collect();
    assert_eq!(keys.len(), 8 * 12 + 1, "each message is in the log once");
    assert_eq!(log.len(), 8 * 12 + 2, "and nothing else");
    for store in &stores {
        assert_annotated(store, first.channel(), &log).await;
    }
}

/// An append that was carried out and is sent again, at the border of a partition and elsewhere: it hears where the head is,
/// and the log holds it once.
#[tokio::test]
async fn an_append_sent_again_is_in_the_log_once() {
    let mut config = fresh_or_skip!();
    config.bucket_entries = FEW;
    let store = cluster::store(&config).await;
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(&logs(&store), &alice, &[]).await;
    for number in 0..3 * FEW {
        let command = writer.text(&alice, format!("{number}"));
        let append = writer.prepare(std::slice::from_ref(&command));
        writer.commit(append.clone()).await;
        // As another process would, which remembers nothing of the channel.
        let other = cluster::open(&config).await.expect("the store opens");
        for store in [&store, &other] {
            let again = store.append(append.clone()).await;
            let head = writer.head().seq;
            assert_eq!(
                again.expect("the store answers"),
                AppendOutcome::HeadMoved { head }
            );
        }
    }
    assert_eq!(log_of(&store, writer.channel()).await, writer.entries());
}

/// An append that begins a partition while the former is not full: it would leave a hole.
#[tokio::test]
async fn a_partition_begins_when_the_former_is_full() {
    let mut config = fresh_or_skip!();
    config.bucket_entries = FEW;
    let store = cluster::store(&config).await;
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(&logs(&store), &alice, &[]).await;
    writer.say(&alice, "said").await;
    let mut ahead = writer.clone();
    while ahead.head().seq < Seq(u64::from(3 * FEW)) {
        let skipped = ahead.prepare(&[ahead.text(&alice, "skipped")]);
        ahead.accept(&skipped);
        let beyond = ahead.prepare(&[ahead.text(&alice, "beyond")]);
        let outcome = store.append(beyond).await.expect("the store answers");
        let head = writer.head().seq;
        assert_eq!(outcome, AppendOutcome::HeadMoved { head });
    }
    writer.say_many(&alice, 20).await;
    assert_eq!(log_of(&store, writer.channel()).await, writer.entries());
}

/// The engine searches before; where it did not, a key in the same partition is refused all the same.
#[tokio::test]
async fn a_key_is_written_once_a_partition() {
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(&logs(&store), &alice, &[]).await;
    let command = writer.text(&alice, "once");
    let first = writer.run_command(command.clone()).await;
    writer.say(&alice, "between").await;
    let commands = [writer.text(&alice, "new"), command];
    let append = writer.prepare(&commands);
    let outcome = store.append(append).await.expect("the store answers");
    let AppendOutcome::KeyExists { index: 1, found } = outcome else {
        panic!("the second record's key is known: {outcome:?}");
    };
    assert_eq!((found.seq, found.message), (first.seq, first.message));
    assert_eq!(log_of(&store, writer.channel()).await, writer.entries());
}

/// All that follows from the logs is lost, as if every write of it had failed: readers merge the log, and the next append
/// writes it again.
#[tokio::test]
async fn views_heal_from_the_log() {
    let mut config = fresh_or_skip!();
    config.bucket_entries = FEW;
    let store = cluster::store(&config).await;
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let crowd = fresh_users("crowd", 150);
    let mut writer = LogWriter::group(&logs(&store), &alice, std::slice::from_ref(&bob)).await;
    let said = writer.say(&alice, "said").await.seq;
    writer.add(&alice, &crowd, Role::Member).await;
    writer.react(&bob, said, "+", false).await;
    writer.pin(&alice, said, false).await;
    writer.remove(&alice, &crowd[..40]).await;
    writer.promote(&alice, &crowd[70], Role::Admin).await;
    writer.say_many(&bob, 300).await;
    let session = cluster::session(&config).await;
    for table in ["members", "naming", "channel_views", "snapshots"] {
        let cql = format!("TRUNCATE {}.{table}", config.keyspace);
        cluster::run(&session, cql).await;
    }
    let store = cluster::open(&config).await.expect("the store opens");
    assert_views(&store, &writer, &alice, said).await;
    assert_eq!(count(&session, &config, "members").await, 0);
    let mut writer = writer.in_store(&logs(&store));
    writer.say(&alice, "the next").await;
    assert_views(&store, &writer, &alice, said).await;
    let members = writer.members().len();
    assert_eq!(count(&session, &config, "members").await, members);
    assert_eq!(count(&session, &config, "naming").await, 2);
    let other = cluster::open(&config).await.expect("the store opens");
    assert_views(&other, &writer, &alice, said).await;
    let loaded = other.load(writer.channel(), Seq(0)).await;
    let loaded = loaded.expect("the store answers");
    let snapshot = loaded.snapshot.expect("the log is too long to fold");
    let head = snapshot.head.seq.0 + loaded.since.len() as u64;
    assert_eq!(head, writer.head().seq.0);
}

/// Views that lag so far that merging them would be long: whoever reads them writes them.
#[tokio::test]
async fn views_that_are_far_behind_are_written_by_readers() {
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(&logs(&store), &alice, std::slice::from_ref(&bob)).await;
    let said = writer.say(&alice, "said").await.seq;
    writer.promote(&alice, &bob, Role::Admin).await;
    writer.react(&bob, said, "+", false).await;
    writer.pin(&alice, said, false).await;
    writer.say_many(&bob, 600).await;
    let session = cluster::session(&config).await;
    for table in ["members", "naming", "channel_views", "snapshots"] {
        let cql = format!("TRUNCATE {}.{table}", config.keyspace);
        cluster::run(&session, cql).await;
    }
    let store = cluster::open(&config).await.expect("the store opens");
    assert_views(&store, &writer, &alice, said).await;
    assert_eq!(count(&session, &config, "members").await, 2);
    assert_eq!(count(&session, &config, "naming").await, 2);
    assert_eq!(count(&session, &config, "channel_views").await, 1);
}

async fn assert_views(store: &CassandraStore, writer: &LogWriter, alice: &UserId, said: Seq) {
    let channel = writer.channel();
    let users: Vec<UserId> = writer.members().keys().cloned().collect();
    let rows = store.memberships(channel, &users).await;
    let rows = rows.expect("the store answers");
    assert_eq!(rows.through, writer.head().seq);
    assert_eq!(&rows.found, writer.members());
    let leaving = BTreeSet::from([alice.clone()]);
    let successor = store.successor(channel, &leaving).await;
    let admin = writer
        .members()
        .iter()
        .find(|(_, member)| member.role == Role::Admin);
    assert_eq!(
        successor.expect("the store answers").as_ref(),
        admin.map(|(user, _)| user)
    );
    let query = TargetsQuery {
        channel,
        caller: alice.clone(),
        seqs: BTreeSet::from([said]),
    };
    let targets = store.targets(query).await.expect("the store answers");
    assert_eq!(targets.through, writer.head().seq);
    assert!(targets.found[&said].pinned);
    assert_eq!(targets.found[&said].signs["+"], 1);
    assert_annotated(store, channel, &writer.entries()).await;
}

async fn count(session: &scylla::client::session::Session, config: &Config, table: &str) -> usize {
    let rows = everything_in(session, config, table).await;
    rows.len()
}

async fn everything_in(
    session: &scylla::client::session::Session,
    config: &Config,
    table: &str,
) -> Vec<String> {
    let cql = format!("SELECT * FROM {}.{table}", config.keyspace);
    let result = session.query_unpaged(cql, ()).await;
    let rows = result.expect("the cluster answers").into_rows_result();
    let rows = rows.expect("a selection has rows");
    let rows = rows.rows::<Row>().expect("any row");
    // Bytes as text, so that a search for a text finds it in a blob.
    let text = |row: Row| {
        let columns = row.columns.into_iter().flatten();
        let texts = columns.map(|value| match value {
            scylla::value::CqlValue::Blob(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            value => format!("{value:?}"),
        });
        texts.collect::<Vec<_>>().join(" ")
    };
    rows.map(|row| text(row.expect("any row"))).collect()
}

/// Short and long bodies that were edited, edited again and deleted: in no row of any table.
#[tokio::test]
async fn nothing_is_left_of_a_replaced_body() {
    let mut config = fresh_or_skip!();
    config.bucket_entries = FEW;
    let store = cluster::store(&config).await;
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(&logs(&store), &alice, &[]).await;
    let long = |name: &str| format!("{name}/").repeat(10_000);
    for first in ["gone1".to_owned(), long("gone2")] {
        for second in ["gone3".to_owned(), long("gone4")] {
            for third in [Some("kept5".to_owned()), Some(long("kept6")), None] {
                let target = writer.say(&alice, first.clone()).await.seq;
                writer.edit(&alice, target, second.clone()).await;
                match third {
                    Some(third) => drop(writer.edit(&alice, target, third).await),
                    None => drop(writer.delete(&alice, target).await),
                }
            }
        }
    }
    assert_eq!(log_of(&store, writer.channel()).await, writer.entries());
    let session = cluster::session(&config).await;
    let mut kept = 0;
    for table in ["log", "bodies", "overlays", "naming"] {
        for row in everything_in(&session, &config, table).await {
            assert!(!row.contains("gone"), "a replaced body is in {table}");
            kept += usize::from(row.contains("kept"));
        }
    }
    assert_eq!(kept, 8, "each current body is in one place");
}

/// A server dies between the append of an edit and setting its body: the entry still tells it, short or long, to whoever
/// finds the note. It dies once more while it cleans up, and a later edit comes first.
#[tokio::test]
async fn an_edit_that_was_not_set_is_set_by_the_next() {
    let mut config = fresh_or_skip!();
    config.bucket_entries = FEW;
    let store = cluster::store(&config).await;
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(&logs(&store), &alice, &[]).await;
    let session = cluster::session(&config).await;
    for text in ["gone".to_owned(), "gone/".repeat(10_000)] {
        let target = writer.say(&alice, "first, gone").await.seq;
        let body = Body::text(text);
        let edit = writer.command(
            &alice,
            Action::Edit(NewBody {
                target,
                body: body.clone(),
            }),
        );
        let append = writer.prepare(&[edit]);
        let outcome = store.append(append.clone()).await;
        assert!(matches!(
            outcome,
            Ok(AppendOutcome::Appended { durable: 1 })
        ));
        let store = cluster::open(&config).await.expect("the store opens");
        let last = log_of(&store, writer.channel()).await.pop();
        let last = last.expect("the edit");
        let found = last.sets_body().expect("an edit that is to be set");
        assert_eq!((found.target, found.body), (target, Some(&body)));
        let set = SetBody {
            channel: writer.channel(),
            target,
            rev: last.seq,
            body: Some(body),
        };
        writer.accept(&append);
        // The later one is set first, then the former twice, as by two who found its note.
        writer.edit(&alice, target, "kept").await;
        for _ in 0..2 {
            store.set_body(set.clone()).await.expect("the store sets");
        }
    }
    assert_eq!(log_of(&store, writer.channel()).await, writer.entries());
    for table in ["log", "bodies", "overlays"] {
        for row in everything_in(&session, &config, table).await {
            assert!(!row.contains("gone"), "a replaced body is in {table}");
        }
    }
}

/// Two appends with long bodies at one head: the body of the one that lost is gone.
#[tokio::test]
async fn a_lost_race_leaves_no_body() {
    let config = fresh_or_skip!();
    let store = cluster::store(&config).await;
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(&logs(&store), &alice, &[]).await;
    let long = |name: &str| format!("{name}/").repeat(10_000);
    let mut other = writer.clone();
    let won = writer.prepare(&[writer.text(&alice, long("won"))]);
    let lost = other.prepare(&[other.text(&alice, long("lost"))]);
    writer.commit(won.clone()).await;
    // The loser, and the winner sent again.
    for append in [lost, won] {
        let outcome = store.append(append).await.expect("the store answers");
        let head = writer.head().seq;
        assert_eq!(outcome, AppendOutcome::HeadMoved { head });
    }
    let session = cluster::session(&config).await;
    let bodies = everything_in(&session, &config, "bodies").await;
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].contains("won"));
    assert_eq!(log_of(&store, writer.channel()).await, writer.entries());
}

#[tokio::test]
async fn several_may_apply_the_schema_and_the_first_gives_the_epoch() {
    let config = fresh_or_skip!();
    let (one, other) = tokio::join!(apply_schema(&config), apply_schema(&config));
    let (one, other) = (one.expect("applied"), other.expect("applied"));
    assert_eq!(one, other);
    let store = cluster::open(&config).await.expect("the store opens");
    assert_eq!(store.epoch().await.ok(), Some(one));
    let drawn = draw_new_epoch(&config).await.expect("drawn");
    assert_ne!(drawn, one);
    assert_eq!(apply_schema(&config).await.ok(), Some(drawn));
    let store = cluster::open(&config).await.expect("the store opens");
    assert_eq!(store.epoch().await.ok(), Some(drawn));
}

/// Each refusal says what to change.
#[tokio::test]
async fn what_would_lose_messages_is_refused() {
    let mut config = fresh_or_skip!();
    config.allow_single_node = true;
    let refusal = async |config: &Config| -> OpenError {
        match cluster::open(config).await {
            Ok(_) => panic!("the store opens"),
            Err(error) => error,
        }
    };
    let missing = refusal(&config).await;
    assert!(matches!(missing, OpenError::NoSchema { .. }), "{missing}");
    let told = missing.to_string();
    assert!(told.contains("chat-server admin schema apply"), "{told}");
    let session = cluster::session(&config).await;
    let keyspace = &config.keyspace;
    let cql = format!(
        "CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}}"
    );
    cluster::run(&session, cql).await;
    let empty = refusal(&config).await;
    assert!(matches!(empty, OpenError::NoSchema { .. }), "{empty}");
    drop(cluster::store(&config).await);

    let mut strict = config.clone();
    strict.allow_single_node = false;
    let few = refusal(&strict).await;
    assert!(matches!(few, OpenError::Replication { .. }), "{few}");
    assert!(few.to_string().contains("at least 3 copies"), "{few}");

    let mut other = config.clone();
    other.bucket_entries = FEW;
    let buckets = refusal(&other).await;
    assert!(
        matches!(
            buckets,
            OpenError::OtherBuckets {
                found: 4096,
                wanted: FEW,
                ..
            }
        ),
        "{buckets}"
    );
    let applied = apply_schema(&other).await.expect_err("another layout");
    assert!(
        matches!(applied, OpenError::OtherBuckets { .. }),
        "{applied}"
    );

    let mut elsewhere = config.clone();
    elsewhere.datacenter = Some("nowhere".into());
    let datacenter = refusal(&elsewhere).await;
    assert!(
        matches!(datacenter, OpenError::NoSuchDatacenter { .. }),
        "{datacenter}"
    );

    cluster::run(
        &session,
        format!("UPDATE {keyspace}.meta SET schema_version = 2 WHERE id = 0 IF EXISTS"),
    )
    .await;
    let schema = refusal(&config).await;
    assert!(
        matches!(
            schema,
            OpenError::OtherSchema {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{schema}"
    );

    cluster::run(
        &session,
        format!("ALTER KEYSPACE {keyspace} WITH durable_writes = false"),
    )
    .await;
    let lossy = refusal(&config).await;
    assert!(matches!(lossy, OpenError::NotDurable { .. }), "{lossy}");

    let mut nobody = config.clone();
    nobody.contact_points = vec!["127.0.0.1:1".into()];
    let silent = refusal(&nobody).await;
    assert!(matches!(silent, OpenError::Connect { .. }), "{silent}");
}
