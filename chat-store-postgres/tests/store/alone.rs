//! One store: settings that are refused, writes that outlive their callers, every text, and bodies that leave their rows.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chat_core::ports::{
    Accounts, AppendOutcome, DeviceSeen, InboxStore, MarkKind, MarkRise, MessageStore,
    MessagesQuery, NewToken, PageLimit, PortErrorKind, PrefsWrite, ProfileWrite, Retry, TokenHash,
    UserStatus, UserStore,
};
use chat_proto::channel::{Action, NewBody};
use chat_proto::entry::React;
use chat_proto::people::{Prefs, ProfileChange, Status};
use chat_proto::{Body, EntryKind, Head, Seq, Timestamp, UserId};
use chat_store_postgres::{Config, Health, OpenError, PostgresStore};
use chat_testkit::LogWriter;
use chat_testkit::names::{fresh_channel, fresh_device, fresh_user, fresh_users};
use futures_util::FutureExt;
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use crate::{logs, schema, text_of};

/// A connection to write by hand, in this schema where one is named.
async fn connect(url: &str, schema: Option<&str>) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    let options = match schema {
        Some(schema) => options.options([("search_path", schema)]),
        None => options,
    };
    options.connect().await.expect("the server answers")
}

fn with_option(url: &str, option: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{option}")
}

#[tokio::test]
async fn commits_that_do_not_wait_for_the_disk_are_refused() {
    let Some(schema) = schema() else { return };
    let asked = with_option(&schema.url, "options=-c%20synchronous_commit%3Doff");
    let refused = PostgresStore::open_with(Config::new(asked)).await.map(drop);
    assert!(
        matches!(
            &refused,
            Err(OpenError::NotDurable {
                setting: "synchronous_commit",
                ..
            })
        ),
        "{refused:?}"
    );

    let mut db = connect(&schema.url, None).await;
    let role = &schema.name;
    for sql in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("ALTER ROLE {role} SET synchronous_commit = off"),
    ] {
        db.execute(AssertSqlSafe(sql)).await.expect("a role");
    }
    let as_role = schema
        .url
        .replacen("://postgres@", &format!("://{role}@"), 1);
    let refused = PostgresStore::open(&as_role).await.map(drop);
    let sql = format!("DROP ROLE {role}");
    db.execute(AssertSqlSafe(sql)).await.expect("no role");
    let Err(refused) = refused else {
        panic!("a role without durable commits is refused");
    };
    assert!(refused.to_string().contains("ALTER ROLE"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_with_what_to_do() {
    let refused = PostgresStore::open("postgres://nobody@127.0.0.1:1/chat").await;
    assert!(matches!(refused, Err(OpenError::Connect { .. })));
    let refused = PostgresStore::open("chat.db").await;
    assert!(matches!(refused, Err(OpenError::Url { .. })));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    store.close().await.expect("the store closes");
    let mut db = connect(&schema.url, Some(&schema.name)).await;
    let written = db.execute("UPDATE schema_version SET version = 1000").await;
    assert_eq!(written.expect("a version").rows_affected(), 1);
    let refused = PostgresStore::open_with(schema.config()).await.map(drop);
    assert!(
        matches!(
            refused,
            Err(OpenError::NewerSchema {
                found: 1000,
                known: 1
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn stores_that_open_at_once_migrate_once() {
    let Some(schema) = schema() else { return };
    let stores = join_all((0..10).map(|_| schema.open())).await;
    let mut epochs = Vec::new();
    for store in &stores {
        epochs.push(MessageStore::epoch(store).await.expect("an epoch"));
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 1, "{epochs:?}");
    let mut db = connect(&schema.url, Some(&schema.name)).await;
    let row = db.fetch_one("SELECT count(*), max(version) FROM schema_version");
    let row = row.await.expect("versions");
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (1, 1));
    join_all(stores.iter().map(PostgresStore::close)).await;
}

#[tokio::test]
async fn a_new_epoch_is_the_stores_from_then_on() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let former = MessageStore::epoch(&store).await.expect("an epoch");
    let drawn = store.draw_new_epoch().await.expect("another epoch");
    assert_ne!(drawn, former);
    assert_eq!(MessageStore::epoch(&store).await.ok(), Some(drawn));
    let again = schema.open().await;
    assert_eq!(MessageStore::epoch(&again).await.ok(), Some(drawn));
    let mut db = connect(&schema.url, Some(&schema.name)).await;
    let row = db.fetch_one("SELECT generation FROM meta").await;
    assert_eq!(row.expect("a generation").get::<i64, _>(0), 2);
}

#[tokio::test]
async fn a_closed_store_refuses_and_closing_again_does_nothing() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    store.close().await.expect("the store closes");
    store.close().await.expect("and is closed");
    let command = writer.text(&ann, "too late");
    let append = writer.prepare(&[command]);
    let refused = store.append(append).await;
    let refused = refused.expect_err("nobody writes any more");
    assert_eq!(
        (refused.kind(), refused.retry()),
        (PortErrorKind::Unavailable, Retry::Safe)
    );
    let refused = store.heads(&[fresh_channel()]).await;
    let refused = refused.expect_err("nobody reads any more");
    assert_eq!(refused.kind(), PortErrorKind::Unavailable);
}

#[tokio::test]
async fn a_dropped_caller_cancels_nothing() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    let command = writer.text(&ann, "on its way");
    let append = writer.prepare(&[command]);
    // Polled once: the append is in the queue, and nobody waits for it.
    assert!(store.append(append.clone()).now_or_never().is_none());
    let closed = store.close().await;
    closed.expect("what is queued is written first");
    let store = schema.open().await;
    let outcome = store.append(append).await.expect("an answer");
    assert!(matches!(outcome, AppendOutcome::KeyExists { index: 0, found } if found.seq == Seq(2)));
    assert_eq!(store.health(), Health::Writable);
}

#[tokio::test]
async fn dropped_readers_leave_good_connections() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    writer.say_many(&ann, 50).await;
    for polls in 0..30 {
        let asked = [writer.channel()];
        let read = store.heads(&asked);
        let some_polls = tokio::time::timeout(Duration::from_micros(polls * 40), read);
        drop(some_polls.await);
    }
    assert_eq!(
        store.heads(&[writer.channel()]).await.ok(),
        Some(vec![writer.head()])
    );
}

#[tokio::test]
async fn a_text_may_hold_any_character() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let nul = "a\u{0}b".to_owned();
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    writer.say(&ann, nul.clone()).await;
    writer.edit(&ann, Seq(2), format!("{nul}!")).await;
    let react = writer.command(
        &ann,
        Action::React(React {
            target: Seq(2),
            emoji: "x".into(),
            remove: false,
        }),
    );
    let mut append = writer.prepare(&[react]);
    for record in &mut append.records {
        if let EntryKind::React(react) = &mut record.record.entry.kind {
            react.emoji.clone_from(&nul);
        }
    }
    if let Some(meta) = append.state.as_mut().and_then(|state| state.meta.as_mut()) {
        meta.title = Some(nul.clone());
    }
    store.append(append).await.expect("it is appended");
    let page = store.messages(newest(&writer, &ann)).await.expect("a page");
    assert_eq!(text_of(&page.messages[0].entry), format!("{nul}!"));
    assert_eq!(page.messages[0].annotations.reactions[0].emoji, nul);
    let rows = store.rows(&ann, &[writer.channel()]).await.expect("a row");
    assert_eq!(rows[0].meta.title.as_ref(), Some(&nul));

    let device = fresh_device();
    let at = Timestamp(1);
    let seen = DeviceSeen {
        user: ann.clone(),
        device,
        user_name: Some(nul.clone()),
        client: nul.clone(),
        at,
    };
    store.seen(seen).await.expect("seen");
    let token = NewToken {
        hash: TokenHash([7; 32]),
        user: ann.clone(),
        device,
        device_name: nul.clone(),
        platform: nul.clone(),
        at,
        expires_at: at,
    };
    store.store_token(token).await.expect("a token");
    let change = ProfileChange {
        name: Some(format!("{nul}{nul}")),
        ..ProfileChange::default()
    };
    let profile = ProfileWrite {
        user: ann.clone(),
        change,
        at,
    };
    store.set_profile(profile).await.expect("a profile");
    let change = Prefs {
        draft: Some(nul.clone()),
        ..Prefs::default()
    };
    let prefs = PrefsWrite {
        user: ann.clone(),
        channel: writer.channel(),
        change,
        at,
    };
    store.set_prefs(prefs).await.expect("a draft");
    let status = UserStatus {
        state: Status::default(),
        text: Some(nul.clone()),
    };
    store.set_status(&ann, status).await.expect("a status");

    let profile = store.profile(&ann).await.expect("an answer");
    assert_eq!(
        profile.and_then(|profile| profile.name),
        Some(format!("{nul}{nul}"))
    );
    let devices = store.devices(&ann).await.expect("devices");
    assert_eq!((&devices[0].name, &devices[0].platform), (&nul, &nul));
    let prefs = store.prefs(&ann, &[writer.channel()]).await.expect("prefs");
    assert_eq!(prefs[&writer.channel()].draft.as_ref(), Some(&nul));
    let statuses = store.statuses(&BTreeSet::from([ann.clone()])).await;
    assert_eq!(statuses.expect("a status")[&ann].text.as_ref(), Some(&nul));
    let owner = store
        .token_owner(&TokenHash([7; 32]))
        .await
        .expect("an answer");
    assert_eq!(
        owner.and_then(|owner| owner.name),
        Some(format!("{nul}{nul}"))
    );
}

fn newest(writer: &LogWriter, viewer: &UserId) -> MessagesQuery {
    MessagesQuery {
        channel: writer.channel(),
        viewer: viewer.clone(),
        after: Seq(0),
        before: Seq(u64::MAX),
        newest: true,
        limit: PageLimit {
            entries: 10,
            bytes: usize::MAX,
        },
    }
}

#[tokio::test]
async fn what_was_edited_away_or_deleted_is_in_no_row() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let users = fresh_users("user", 2);
    let mut writer = LogWriter::group(&logs(&store), &users[0], &users[1..]).await;
    writer.say(&users[0], "secret-one").await;
    writer.edit(&users[0], Seq(2), "secret-two").await;
    writer.edit(&users[0], Seq(2), "public").await;
    writer.say(&users[0], "secret-three").await;
    let action = Action::Edit(NewBody {
        target: Seq(5),
        body: Body::text("secret-four"),
    });
    writer.run(&users[0], action).await;
    writer.delete(&users[0], Seq(5)).await;
    let mut db = connect(&schema.url, Some(&schema.name)).await;
    let tables = db
        .fetch_all("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
        .await;
    let mut found_public = false;
    for table in tables.expect("tables") {
        let table: String = table.get(0);
        // A row as text writes bytes in hexadecimal.
        let sql = format!("SELECT {table}::text FROM {table}");
        for row in db.fetch_all(AssertSqlSafe(sql)).await.expect("rows") {
            let row: String = row.get(0);
            assert!(!row.contains(&hex("secret")), "{table}: {row}");
            found_public |= row.contains(&hex("public"));
        }
    }
    assert!(found_public, "the rows were looked at as they are stored");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_connection_that_was_ended_is_replaced() {
    let Some(schema) = schema() else { return };
    let url = with_option(&schema.url, &format!("application_name={}", schema.name));
    let config = Config::new(url).readers(2).writers(1);
    let config = config.schema(&schema.name).expect("a good name");
    let store = PostgresStore::open_with(config).await.expect("a store");
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    // Now the writer has a connection, and a reader.
    let heads = store.heads(&[writer.channel()]).await;
    assert_eq!(heads.ok(), Some(vec![writer.head()]));
    let mut db = connect(&schema.url, None).await;
    for round in 0..3 {
        let ended = sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        );
        let ended = ended.bind(&schema.name).fetch_all(&mut db).await;
        assert!(ended.expect("connections").len() > 1, "writer and readers");
        writer.say(&ann, format!("{round}")).await;
        assert_eq!(
            store.heads(&[writer.channel()]).await.ok(),
            Some(vec![writer.head()])
        );
    }
    assert_eq!(store.health(), Health::Writable);
}

#[tokio::test]
async fn a_lock_that_somebody_else_holds_is_waited_for_within_a_bound() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&store), &ann, &[]).await;
    let mut db = connect(&schema.url, Some(&schema.name)).await;
    db.execute("BEGIN").await.expect("a transaction");
    db.execute("SELECT * FROM channels FOR UPDATE")
        .await
        .expect("a lock");
    let command = writer.text(&ann, "patient");
    let append = writer.prepare(&[command]);
    let started = Instant::now();
    let refused = store
        .append(append.clone())
        .await
        .expect_err("it is locked");
    assert_eq!(refused.retry(), Retry::Safe);
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    db.execute("ROLLBACK").await.expect("no lock");
    writer.commit(append).await;
}

#[tokio::test]
async fn a_transaction_that_lost_a_deadlock_begins_anew() {
    let Some(schema) = schema() else { return };
    let url = with_option(&schema.url, &format!("application_name={}", schema.name));
    let config = Config::new(url).schema(&schema.name).expect("a good name");
    let store = PostgresStore::open_with(config).await.expect("a store");
    let ann = fresh_user("ann");
    let mut channels = Vec::new();
    for _ in 0..2 {
        let writer = LogWriter::group(&logs(&store), &ann, &[]).await;
        channels.push(writer.channel());
    }
    channels.sort_unstable();
    let rises = channels.iter().map(|channel| MarkRise {
        channel: *channel,
        user: ann.clone(),
        kind: MarkKind::Delivered,
        to: Head::new(1, 0),
        at: Timestamp(1),
        private: false,
    });
    let rises: Vec<MarkRise> = rises.collect();

    // Somebody who locks in the other order, and never gives in.
    let mut db = connect(&schema.url, Some(&schema.name)).await;
    db.execute("SET deadlock_timeout = '10min'; BEGIN")
        .await
        .expect("a transaction");
    let lock = "SELECT id FROM channels WHERE uuid = $1 FOR UPDATE";
    let second = sqlx::query(lock).bind(channels[1].as_uuid());
    second.execute(&mut db).await.expect("a lock");
    let raising = tokio::spawn({
        let store = store.clone();
        async move { store.raise(rises).await }
    });
    let mut looking = connect(&schema.url, None).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    let started = Instant::now();
    loop {
        let row = sqlx::query(waiting).bind(&schema.name);
        let row = row.fetch_one(&mut looking).await.expect("a count");
        if row.get::<i64, _>(0) > 0 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the store waits"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first = sqlx::query(lock).bind(channels[0].as_uuid());
    first.execute(&mut db).await.expect("the store gives in");
    db.execute("COMMIT").await.expect("the locks are free");
    let raised = raising.await.expect("a task ends");
    raised.expect("the marks rise all the same");
    for channel in channels {
        let marks = store.marks(channel, std::slice::from_ref(&ann)).await;
        assert_eq!(marks.expect("a mark")[0].1.delivered, Head::new(1, 0));
    }
}
