//! What was edited away or deleted is in no file of the folder, wherever it was kept.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::ports::MessageStore;
use chat_proto::channel::{Action, NewBody};
use chat_proto::entry::Delete;
use chat_proto::{Body, Seq, UserId};
use chat_store_sqlite::SqliteStore;
use chat_store_sqlite::config::ERASURE_WAIT_MAX;
use chat_testkit::LogWriter;
use chat_testkit::names::{fresh_user, fresh_users};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

/// Long enough for pages that hold nothing but one text.
const LONG_CHARS: usize = 100_000;
/// How long a test waits for what the store does by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Draws lengths and orders.
const SEED: u64 = 11;

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder.join("chat.db"))
        .await
        .expect("the store opens")
}

fn logs(store: &SqliteStore) -> Arc<dyn MessageStore> {
    Arc::new(store.clone())
}

/// A text of this length that is nowhere else; its marks are found in every part of it.
fn unique(mark: &str, chars: usize) -> String {
    mark.chars().cycle().take(chars.max(mark.len())).collect()
}

fn mark(number: usize) -> String {
    format!("<{number:07}>")
}

/// Which of the marks are in a file of the folder.
fn found(folder: &Path, marks: &[String]) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let files: Vec<Vec<u8>> = files
        .map(|file| std::fs::read(file.expect("a name").path()).expect("a file"))
        .collect();
    let mut sought: Vec<String> = marks.to_vec();
    sought.retain(|mark| {
        files.iter().any(|bytes| {
            bytes
                .windows(mark.len())
                .any(|window| window == mark.as_bytes())
        })
    });
    sought
}

/// All marks of the form `<0000000>` that are in a file of the folder: one pass, however many are sought.
fn every_mark(folder: &Path) -> std::collections::BTreeSet<String> {
    let mut marks = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let bytes = std::fs::read(file.expect("a name").path()).expect("a file");
        for window in bytes
            .windows(9)
            .filter(|window| window[0] == b'<' && window[8] == b'>')
        {
            if window[1..8].iter().all(u8::is_ascii_digit) {
                marks.insert(String::from_utf8_lossy(window).into_owned());
            }
        }
    }
    marks
}

async fn edit(writer: &mut LogWriter, user: &UserId, target: Seq, text: String) {
    let body = Body::text(text);
    writer
        .run(user, Action::Edit(NewBody { target, body }))
        .await;
}

async fn delete(writer: &mut LogWriter, user: &UserId, target: Seq) {
    writer.run(user, Action::Delete(Delete { target })).await;
}

/// A short text, a long one and an edited one: deleted, edited away, both.
async fn write_and_erase(store: &SqliteStore) -> (Vec<String>, Vec<String>) {
    let ann = fresh_user("ann");
    let mut writer = LogWriter::group(&logs(store), &ann, &[]).await;
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    let mut number = 0;
    for chars in [9, 400, 3_000, LONG_CHARS] {
        let mut next = || {
            number += 1;
            mark(number)
        };
        let [deleted, former, current, edited, last, stays] = std::array::from_fn(|_| next());
        let first = writer.say(&ann, unique(&deleted, chars)).await.seq;
        let second = writer.say(&ann, unique(&former, chars)).await.seq;
        let third = writer.say(&ann, unique(&edited, chars)).await.seq;
        writer.say(&ann, unique(&stays, chars)).await;
        delete(&mut writer, &ann, first).await;
        edit(
            &mut writer,
            &ann,
            second,
            unique(&current, LONG_CHARS.min(2 * chars)),
        )
        .await;
        edit(&mut writer, &ann, third, unique(&last, chars)).await;
        delete(&mut writer, &ann, third).await;
        gone.extend([deleted, former, edited, last]);
        kept.extend([current, stays]);
    }
    (gone, kept)
}

#[tokio::test]
async fn what_is_erased_is_in_no_file_after_the_next_checkpoint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path()).await;
    let (gone, kept) = write_and_erase(&store).await;
    let deadline = Instant::now() + ERASURE_WAIT_MAX + PATIENCE;
    // Nothing more is written: the checkpoint comes by itself.
    loop {
        let left = found(folder.path(), &gone);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "still in the files: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found(folder.path(), &kept), kept, "what stays is there");
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn what_is_erased_is_in_no_file_after_a_crash_and_reopening() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path()).await;
    let (gone, kept) = write_and_erase(&store).await;
    // What a process leaves that is killed here: its files as they are, the log with all that was acknowledged.
    let after = copy(&folder);
    store.close().await.expect("the store closes");
    let sought = gone.iter().chain(&kept).cloned().collect::<Vec<_>>();
    assert_eq!(found(after.path(), &sought), sought, "the log holds it all");
    let store = open(after.path()).await;
    assert_eq!(found(after.path(), &gone), Vec::<String>::new());
    assert_eq!(found(after.path(), &kept), kept);
    store.close().await.expect("the store closes");
}

/// Rows that move between pages as trees grow leave copies behind; none of what was ever erased is in one of them.
#[tokio::test]
async fn nothing_of_many_messages_stays_behind() {
    const CHANNELS: usize = 30;
    const MESSAGES: usize = 2_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path()).await;
    let mut random = StdRng::seed_from_u64(SEED);
    let mut writers = Vec::new();
    for owner in fresh_users("owner", CHANNELS) {
        writers.push((LogWriter::group(&logs(&store), &owner, &[]).await, owner));
    }
    let (mut alive, mut gone) = (Vec::new(), Vec::new());
    for number in 0..MESSAGES {
        let channel = random.random_range(0..CHANNELS);
        let (writer, owner) = &mut writers[channel];
        let chars = [10, 40, 200, 700, 5_000][random.random_range(0..5)];
        let said = writer.say(owner, unique(&mark(number), chars)).await;
        alive.push((channel, said.seq, mark(number)));
    }
    alive.shuffle(&mut random);
    for (number, (channel, seq, former)) in alive.iter_mut().enumerate().take(MESSAGES / 2) {
        let (writer, owner) = &mut writers[*channel];
        if number % 2 == 0 {
            delete(writer, owner, *seq).await;
            gone.push(std::mem::take(former));
        } else {
            let text = mark(MESSAGES + number);
            edit(writer, owner, *seq, unique(&text, 300)).await;
            gone.push(std::mem::replace(former, text));
        }
    }
    store.close().await.expect("the store closes");
    let there = every_mark(folder.path());
    let left: Vec<&String> = gone.iter().filter(|mark| there.contains(*mark)).collect();
    assert_eq!(left, Vec::<&String>::new(), "seed {SEED}");
    let kept = alive.iter().filter(|(_, _, mark)| there.contains(mark));
    assert_eq!(kept.count(), MESSAGES - MESSAGES / 4, "what stays is there");
}

fn copy(folder: &TempDir) -> TempDir {
    let after = tempfile::tempdir().expect("a temporary folder");
    for file in std::fs::read_dir(folder.path()).expect("the folder is there") {
        let file = file.expect("a name");
        // The index of the log is memory that processes share; a new one makes its own.
        if !file.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(file.path(), after.path().join(file.file_name())).expect("a copy");
        }
    }
    after
}
