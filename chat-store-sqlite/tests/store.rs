//! What the store promises beyond the ports: one owner, settings that are refused, writes that outlive their callers,
//! channels of any size.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{
    AppendOutcome, InboxStore, MembersQuery, MessageStore, MessagesQuery, PageLimit, PortErrorKind,
    Profile, Retry, UserStore,
};
use chat_proto::people::DirectFrom;
use chat_proto::{ChannelId, Head, Limits, Role, Seq, Timestamp, UserId};
use chat_store_sqlite::{Health, OpenError, SqliteStore, draw_new_epoch};
use chat_testkit::LogWriter;
use chat_testkit::names::{fresh_channel, fresh_user, fresh_users};
use futures_util::FutureExt;
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;

async fn open() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SqliteStore::open(folder.path().join("chat.db"))
        .await
        .expect("a new store opens");
    (folder, store)
}

fn logs(store: &SqliteStore) -> Arc<dyn MessageStore> {
    Arc::new(store.clone())
}

#[tokio::test]
async fn a_file_has_one_owner() {
    let (folder, store) = open().await;
    let path = folder.path().join("chat.db");
    assert!(matches!(
        SqliteStore::open(&path).await,
        Err(OpenError::InUse { .. })
    ));
    store.close().await.expect("the store closes");
    let again = SqliteStore::open(&path).await.expect("the file is free");
    let lives = [
        MessageStore::epoch(&again).await.ok(),
        MessageStore::epoch(&store).await.ok(),
    ];
    assert_eq!(lives[0], lives[1]);
}

#[tokio::test]
async fn a_new_epoch_is_another_life_of_the_same_logs() {
    let (folder, store) = open().await;
    let path = folder.path().join("chat.db");
    let config = chat_store_sqlite::Config::new(&path);
    let refused = draw_new_epoch(&config).await;
    assert!(
        matches!(refused, Err(OpenError::InUse { .. })),
        "a server uses the file"
    );
    let log = LogWriter::group(&logs(&store), &fresh_user("a"), &[]).await;
    let before = MessageStore::epoch(&store).await.expect("an epoch");
    store.close().await.expect("the store closes");
    let mut drawn = vec![before];
    for _ in 0..2 {
        drawn.push(draw_new_epoch(&config).await.expect("the file is free"));
    }
    let again = SqliteStore::open(&path).await.expect("the file is free");
    let now = MessageStore::epoch(&again).await.expect("an epoch");
    assert_eq!(now, drawn[2]);
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    let heads = again.heads(&[log.channel()]).await.expect("a head");
    assert_eq!(heads, [log.head()], "the logs are what they were");
    again.close().await.expect("the store closes");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut db = options.connect().await.expect("the file opens");
    let generation: Vec<u8> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'generation'")
            .fetch_one(&mut db)
            .await
            .expect("a generation");
    assert_eq!(generation, 3_u64.to_be_bytes());
}

#[tokio::test]
async fn an_epoch_is_not_drawn_where_there_is_no_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chat.db");
    let refused = draw_new_epoch(&chat_store_sqlite::Config::new(&path)).await;
    assert!(matches!(refused, Err(OpenError::Io { .. })));
    assert!(!path.exists(), "a wrong name makes no file");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, store) = open().await;
    let path = folder.path().join("chat.db");
    store.close().await.expect("the store closes");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut db = options.connect().await.expect("the file opens");
    db.execute("PRAGMA user_version = 1000")
        .await
        .expect("a version");
    drop(db);
    let refused = SqliteStore::open(&path).await.map(drop);
    assert!(matches!(
        refused,
        Err(OpenError::NewerSchema {
            found: 1000,
            known: 4,
            ..
        })
    ));
}

#[tokio::test]
async fn a_file_of_the_first_schema_keeps_its_users() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chat.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut db = options
        .create_if_missing(true)
        .connect()
        .await
        .expect("a new file opens");
    let first = include_str!("../migrations/0001_initial.sql");
    for sql in [
        first,
        "PRAGMA user_version = 1",
        "INSERT INTO users (user, name, created_at, user_seq) VALUES ('alice', 'Alice', 7, 0)",
    ] {
        sqlx::raw_sql(sql)
            .execute(&mut db)
            .await
            .expect("a statement of the first schema");
    }
    drop(db);
    let store = SqliteStore::open(&path).await.expect("the file opens");
    let alice: UserId = "alice".parse().expect("a good name");
    let profile = store.profile(&alice).await.expect("the store answers");
    assert_eq!(
        profile,
        Some(Profile {
            user: alice.clone(),
            name: Some("Alice".into()),
            direct: DirectFrom::All,
            created_at: Timestamp(7),
        })
    );
    assert_eq!(store.user_seq(&alice).await.ok(), Some(Seq(0)));
}

#[tokio::test]
async fn a_file_of_the_former_schema_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chat.db");
    let channel = fresh_channel();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut db = options
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .connect()
        .await
        .expect("a file");
    for step in [
        include_str!("../migrations/0001_initial.sql"),
        include_str!("../migrations/0002_people.sql"),
        "PRAGMA user_version = 2;
         INSERT INTO messages VALUES
             (1, 1, 1, 7, 5, 'ann', NULL, zeroblob(16), NULL, NULL, 0, CAST('hello' AS BLOB)),
             (1, 2, 2, 8, 6, 'bob', NULL, zeroblob(16), NULL, CAST('{\"thread\":1}' AS BLOB), 1,
              CAST('{\"type\":\"text\",\"text\":\"hi\",\"data\":{\"a\":1}}' AS BLOB));",
    ] {
        sqlx::raw_sql(step).execute(&mut db).await.expect("rows");
    }
    let inserted = sqlx::query("INSERT INTO channels VALUES (1, ?1, 2, 2, 8, 6, 2)")
        .bind(channel.as_bytes().as_slice())
        .execute(&mut db)
        .await;
    inserted.expect("a channel");
    db.close().await.expect("the file closes");

    let store = SqliteStore::open(&path).await.expect("the file opens");
    let query = MessagesQuery {
        channel,
        viewer: fresh_user("ann"),
        after: Seq(0),
        before: Seq(u64::MAX >> 1),
        newest: true,
        limit: PageLimit {
            entries: 10,
            bytes: usize::MAX,
        },
    };
    let page = store.messages(query).await.expect("a page");
    assert_eq!(page.as_of, Seq(2));
    let read: Vec<_> = page
        .messages
        .iter()
        .map(|message| {
            let body = message.entry.as_message().and_then(|it| it.body.clone());
            (
                serde_json::to_value(body).expect("JSON"),
                message.annotations.replies,
            )
        })
        .collect();
    let with_data = serde_json::json!({ "type": "text", "text": "hi", "data": { "a": 1 } });
    let plain = serde_json::json!({ "type": "text", "text": "hello" });
    assert_eq!(read, [(plain, 1), (with_data, 0)]);
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chat.db");
    std::fs::write(
        &path,
        "a letter to my mother, long enough to be no empty file",
    )
    .expect("a file");
    assert!(matches!(
        SqliteStore::open(&path).await,
        Err(OpenError::Database { .. })
    ));
    let missing = folder.path().join("no such folder").join("chat.db");
    assert!(matches!(
        SqliteStore::open(&missing).await,
        Err(OpenError::Io { .. })
    ));
}

#[tokio::test]
async fn a_closed_store_refuses_and_closing_again_does_nothing() {
    let (_folder, store) = open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    store.close().await.expect("the store closes");
    store.close().await.expect("and is closed");
    let command = writer.text(&ann, "too late");
    let append = writer.prepare(&[command]);
    let refused = store
        .append(append)
        .await
        .expect_err("nobody writes any more");
    assert_eq!(
        (refused.kind(), refused.retry()),
        (PortErrorKind::Unavailable, Retry::Safe)
    );
    assert!(store.heads(&[fresh_channel()]).await.is_err());
}

#[tokio::test]
async fn a_dropped_caller_cancels_nothing() {
    let (folder, store) = open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    let command = writer.text(&ann, "on its way");
    let append = writer.prepare(&[command]);
    // Polled once: the append is in the queue, and nobody waits for it.
    assert!(store.append(append.clone()).now_or_never().is_none());
    store
        .close()
        .await
        .expect("what is queued is written first");
    drop(store);
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(path)
        .await
        .expect("the store opens again");
    let outcome = store.append(append).await.expect("an answer");
    assert!(matches!(outcome, AppendOutcome::KeyExists { index: 0, found } if found.seq == Seq(2)));
    assert_eq!(store.health(), Health::Writable);
}

#[tokio::test]
async fn the_same_key_twice_at_once_is_written_once() {
    let (_folder, store) = open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(LogWriter::group(&logs(&store), &ann, &[]).await);
    }
    let command = writer.text(&ann, "once");
    let append = writer.prepare(&[command]);
    // All of them are in one queue, so that the collision is inside a transaction with strangers.
    let twins = futures_util::future::join_all((0..8).map(|_| store.append(append.clone())));
    let strangers = others.iter_mut().map(|other| other.say(&ann, "beside"));
    let (outcomes, _) = tokio::join!(twins, futures_util::future::join_all(strangers));
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.expect("an answer"))
        .collect();
    let written = AppendOutcome::Appended { durable: 1 };
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == written)
            .count(),
        1,
        "{outcomes:?}"
    );
    let found = |outcome: &&AppendOutcome| matches!(outcome, AppendOutcome::KeyExists { index: 0, found } if found.seq == Seq(2));
    assert_eq!(outcomes.iter().filter(found).count(), 7, "{outcomes:?}");
    assert_eq!(
        store.heads(&[writer.channel()]).await.ok(),
        Some(vec![Head::new(2, 1)])
    );
}

#[tokio::test]
async fn a_channel_of_a_hundred_thousand() {
    const MEMBERS: usize = 100_000;
    let (_folder, store) = open().await;
    let owner = fresh_user("owner");
    let users = fresh_users("member", MEMBERS - 1);
    let mut writer = LogWriter::group(&logs(&store), &owner, &[]).await;
    for some in users.chunks(Limits::default().members_per_entry_max) {
        writer.add(&owner, some, Role::Member).await;
    }
    writer.mention(&owner, &users[..1]).await;
    let channel = writer.channel();
    let rows = store.rows(&users[0], &[channel]).await.expect("the inbox");
    let [row] = rows.as_slice() else {
        panic!("one row: {rows:?}")
    };
    assert_eq!((row.member_count, row.mentions), (MEMBERS as u64, 1));
    assert_eq!(row.head.n.0 - row.read.n.0, 1);
    assert_eq!(
        store.large_channels(&users[0]).await.ok(),
        Some(vec![channel])
    );
    let after = users[MEMBERS / 2].clone();
    let query = MembersQuery {
        channel,
        after: Some(after),
        limit: 3,
    };
    let page = store.members(query).await.expect("a page");
    let found: Vec<&UserId> = page.members.iter().map(|(user, _)| user).collect();
    assert_eq!(
        found,
        users[MEMBERS / 2 + 1..].iter().take(3).collect::<Vec<_>>()
    );
    let loaded = store
        .load(channel, Seq(0))
        .await
        .expect("the channel")
        .snapshot;
    let snapshot = loaded.expect("a state");
    assert!(snapshot.large && snapshot.members.is_none());
    assert_eq!(snapshot.member_count, MEMBERS as u64);
    let successor = store
        .successor(channel, &BTreeSet::from([owner]))
        .await
        .expect("an answer");
    assert_eq!(successor.as_ref(), users.first());
    assert_eq!(
        store
            .heads(&[ChannelId::external("absent"), channel])
            .await
            .ok(),
        Some(vec![Head::EMPTY, writer.head()])
    );
}
