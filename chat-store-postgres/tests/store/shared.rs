//! Any number of stores on one database: they race for logs, keys and beginnings, and no one's refusal is another's.

use std::collections::BTreeSet;

use chat_core::ports::{
    AppendOutcome, InboxStore, MarkKind, MarkRise, MessageStore, PortErrorKind,
};
use chat_proto::{Head, History, Seq, Timestamp};
use chat_testkit::names::{fresh_channel, fresh_user, fresh_users};
use chat_testkit::{LogWriter, Settled};
use futures_util::future::join_all;

use crate::{logs, schema, text_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_two_stores_share_a_log() {
    const WRITERS: usize = 8;
    const TEXTS: usize = 15;
    let Some(schema) = schema() else { return };
    let stores = [schema.open().await, schema.open().await];
    let ann = fresh_user("ann");
    let first = LogWriter::group(&logs(&stores[0]), &ann, &[]).await;
    let racing = (0..WRITERS).map(|number| {
        let mut writer = first.clone().in_store(&logs(&stores[number % 2]));
        let ann = ann.clone();
        tokio::spawn(async move {
            let mut written = Vec::new();
            for text in 0..TEXTS {
                let command = writer.text(&ann, format!("{number} {text}"));
                match writer.race(&command).await.expect("the store serves") {
                    Settled::Written(entry) => written.push(entry.seq),
                    Settled::NotWritten(id) => panic!("a healthy store wrote {id} nowhere"),
                }
            }
            written
        })
    });
    let mut written = Vec::new();
    for seqs in join_all(racing).await {
        written.extend(seqs.expect("a writer ends"));
    }
    written.sort_unstable();
    let all: Vec<Seq> = (2..2 + (WRITERS * TEXTS) as u64).map(Seq).collect();
    assert_eq!(written, all, "each place once, and none missing");
    let mut reader = first.clone();
    reader.catch_up().await.expect("the log is contiguous");
    let texts: BTreeSet<String> = reader.entries().iter().skip(1).map(text_of).collect();
    assert_eq!(texts.len(), WRITERS * TEXTS);
    let head = Head::new(1 + (WRITERS * TEXTS) as u64, (WRITERS * TEXTS) as u64);
    for store in &stores {
        assert_eq!(
            store.heads(&[reader.channel()]).await.ok(),
            Some(vec![head])
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_from_two_stores_is_written_once() {
    let Some(schema) = schema() else { return };
    let stores = [schema.open().await, schema.open().await];
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(&stores[0]), &ann, &[]).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(LogWriter::group(&logs(&stores[0]), &ann, &[]).await);
    }
    let command = writer.text(&ann, "once");
    let append = writer.prepare(&[command]);
    let twins = join_all((0..8).map(|twin| stores[twin % 2].append(append.clone())));
    let strangers = join_all(others.iter_mut().map(|other| other.say(&ann, "beside")));
    let (outcomes, _) = tokio::join!(twins, strangers);
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.expect("an answer"))
        .collect();
    let written = AppendOutcome::Appended { durable: 1 };
    let count = outcomes
        .iter()
        .filter(|outcome| **outcome == written)
        .count();
    assert_eq!(count, 1, "{outcomes:?}");
    let found = |outcome: &&AppendOutcome| matches!(outcome, AppendOutcome::KeyExists { index: 0, found } if found.seq == Seq(2));
    assert_eq!(outcomes.iter().filter(found).count(), 7, "{outcomes:?}");
    assert_eq!(
        stores[1].heads(&[writer.channel()]).await.ok(),
        Some(vec![Head::new(2, 1)])
    );
}

#[tokio::test]
async fn what_one_channel_refuses_the_others_do_not_feel() {
    let Some(schema) = schema() else { return };
    let store = schema.open().await;
    let ann = fresh_user("ann");
    let mut good = Vec::new();
    for _ in 0..10 {
        good.push(LogWriter::group(&logs(&store), &ann, &[]).await);
    }
    let mut moved = LogWriter::group(&logs(&store), &ann, &[]).await;
    let mut known = LogWriter::group(&logs(&store), &ann, &[]).await;
    let mut wrong = LogWriter::group(&logs(&store), &ann, &[]).await;
    let command = moved.text(&ann, "late");
    let late = moved.prepare(&[command]);
    moved.say(&ann, "first").await;
    let command = known.text(&ann, "again");
    let again = known.prepare(&[command]);
    known.commit(again.clone()).await;
    let command = wrong.text(&ann, "miscounted");
    let mut miscounted = wrong.prepare(&[command]);
    for record in &mut miscounted.records {
        record.record.entry.n.0 += 5;
    }
    // All of them are queued before a writer takes any.
    let texts = join_all(good.iter_mut().map(|good| good.say(&ann, "good")));
    let refused = join_all([late, again, miscounted].map(|append| store.append(append)));
    let (texts, refused) = tokio::join!(texts, refused);
    assert_eq!(texts.len(), 10);
    let [late, again, miscounted] = refused.try_into().expect("three outcomes");
    assert_eq!(late.ok(), Some(AppendOutcome::HeadMoved { head: Seq(2) }));
    assert!(matches!(
        again,
        Ok(AppendOutcome::KeyExists { index: 0, .. })
    ));
    let miscounted = miscounted.expect_err("ordinals count the messages");
    assert_eq!(miscounted.kind(), PortErrorKind::Misuse);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_in_many_channels_and_sends_to_them_from_two_stores_all_happen() {
    const CHANNELS: usize = 6;
    const ROUNDS: u64 = 12;
    let Some(schema) = schema() else { return };
    let stores = [schema.open().await, schema.open().await];
    let users = fresh_users("user", 3);
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        channels.push(LogWriter::group(&logs(&stores[0]), &users[0], &users[1..]).await);
    }
    let ids: Vec<_> = channels.iter().map(LogWriter::channel).collect();
    let marking = (0..4).map(|task: usize| {
        let (store, users, mut ids) = (stores[task % 2].clone(), users.clone(), ids.clone());
        if task >= 2 {
            ids.reverse();
        }
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let rises = ids.iter().flat_map(|channel| {
                    users.iter().map(|user| MarkRise {
                        channel: *channel,
                        user: user.clone(),
                        kind: MarkKind::Delivered,
                        to: Head::new(1 + round, round),
                        at: Timestamp(round),
                        private: false,
                    })
                });
                store.raise(rises.collect()).await.expect("marks rise");
            }
        })
    });
    let marking = join_all(marking.collect::<Vec<_>>());
    let sending = join_all(channels.iter_mut().map(|channel| async {
        for round in 0..ROUNDS {
            channel.say(&users[0], format!("{round}")).await;
        }
    }));
    let (marked, _) = tokio::join!(marking, sending);
    marked
        .into_iter()
        .for_each(|task| task.expect("a task ends"));
    for channel in ids {
        let marks = stores[0].marks(channel, &users).await.expect("marks");
        assert_eq!(marks.len(), users.len());
        let rows = stores[1].rows(&users[0], &[channel]).await.expect("a row");
        assert_eq!(rows[0].head, Head::new(1 + ROUNDS, ROUNDS));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_two_stores_begin_begins_once() {
    let Some(schema) = schema() else { return };
    let stores = [schema.open().await, schema.open().await];
    for _ in 0..20 {
        let ann = fresh_user("ann");
        let channel = fresh_channel();
        let appends = stores.iter().map(|store| {
            let mut writer = LogWriter::new(&logs(store), channel);
            let creation = writer.creation(&ann, &[], History::All);
            let append = writer.prepare(&[creation]);
            async move { store.append(append).await.expect("an answer") }
        });
        let mut outcomes = join_all(appends).await;
        outcomes.sort_by_key(|outcome| matches!(outcome, AppendOutcome::HeadMoved { .. }));
        assert_eq!(
            outcomes,
            [
                AppendOutcome::Appended { durable: 1 },
                AppendOutcome::HeadMoved { head: Seq(1) }
            ]
        );
    }
}
