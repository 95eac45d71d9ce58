//! What is done to messages: their bodies, and what a page shows beside them.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{
    AnnotatedMessage, BodyNote, MessageStore, MessagesPage, MessagesQuery, SetBody, TargetsQuery,
};
use chat_core::proto::channel::{Annotations, Target};
use chat_core::proto::{Body, Entry, EntryKind, Role, Seq, UserId};

use super::append::assert_log;
use super::pages::{every_message, whole_log};
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::{LogWriter, WHOLE_PAGE};
use crate::names::{fresh_channel, fresh_user, fresh_users};

/// Reactions of each writer beside readers.
const REACTIONS: usize = 24;

/// Entries of every kind, messages to which everything was done, and one that was deleted: what a decision needs of each.
pub async fn targets_follow_the_log(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let members = std::slice::from_ref(&bob);
    let mut writer = LogWriter::group(opened.messages(), &alice, members).await;
    let first = writer.say(&alice, "first").await.seq;
    let second = writer.say(&bob, "second").await.seq;
    assert_targets(&opened, &writer, &alice).await;
    for emoji in ["+", "-", "\u{1f44d}"] {
        writer.react(&alice, first, emoji, false).await;
        writer.react(&bob, first, emoji, false).await;
        writer.react(&bob, second, emoji, false).await;
    }
    writer.react(&bob, first, "-", true).await;
    writer.pin(&alice, first, false).await;
    writer.pin(&alice, second, false).await;
    assert_targets(&opened, &writer, &bob).await;
    writer.pin(&alice, second, true).await;
    writer.edit(&bob, second, "second, again").await;
    writer.delete(&alice, second).await;
    for caller in [&alice, &bob, &fresh_user("carol")] {
        assert_targets(&opened, &writer, caller).await;
    }
    let opened = opened.reopen().await;
    assert_targets(&opened, &writer.in_store(opened.messages()), &alice).await;
}

/// The same edits and one deletion of a message each, set in every order and twice.
pub async fn bodies_converge_in_any_order(opened: Opened) {
    let alice = fresh_user("alice");
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        for erases in [false, true] {
            let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
            let target = writer.say(&alice, "first").await.seq;
            let mut sets = Vec::new();
            for number in 0..2 {
                let text = format!("edit {number}");
                let entry = writer.edit(&alice, target, text.clone()).await;
                sets.push((entry.seq, Some(Body::text(text))));
            }
            let last = if erases {
                writer.delete(&alice, target).await
            } else {
                writer.edit(&alice, target, "last").await
            };
            sets.push((last.seq, (!erases).then(|| Body::text("last"))));
            for place in order.into_iter().chain(order) {
                let (rev, body) = sets[place].clone();
                let set = SetBody {
                    channel: writer.channel(),
                    target,
                    rev,
                    body,
                };
                let done = opened.messages().set_body(set).await;
                done.expect("the store sets a body");
            }
            let log = whole_log(opened.messages(), writer.channel()).await;
            assert_eq!(
                log,
                writer.entries(),
                "bodies set in the order {order:?} end with the highest revision, erased for ever"
            );
        }
    }
}

/// Two messages edited by turns: each edit has its body until the next one of its message.
pub async fn an_edit_carries_its_body_while_it_is_current(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let messages = [
        writer.say(&alice, "one").await.seq,
        writer.say(&alice, "two").await.seq,
    ];
    for round in 0..3 {
        for target in messages {
            writer.edit(&alice, target, format!("round {round}")).await;
            assert_edits(&opened, &writer).await;
        }
    }
    writer.delete(&alice, messages[0]).await;
    assert_edits(&opened, &writer).await;
    let opened = opened.reopen().await;
    assert_edits(&opened, &writer.in_store(opened.messages())).await;
}

/// Short and long bodies, superseded and erased: in no read, also after opening again.
pub async fn a_superseded_body_is_in_no_read(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let long = |name: &str| format!("{name}:").repeat(9_000);
    let mut gone = Vec::new();
    for (number, text) in ["kept short".to_owned(), long("kept long")]
        .into_iter()
        .enumerate()
    {
        for erases in [false, true] {
            let former = [
                format!("gone{number}{erases}"),
                long(&format!("GONE{number}{erases}")),
            ];
            let target = writer.say(&alice, &former[0]).await.seq;
            writer.edit(&alice, target, &former[1]).await;
            gone.extend([
                format!("gone{number}{erases}"),
                format!("GONE{number}{erases}"),
            ]);
            writer.edit(&alice, target, text.clone()).await;
            if erases {
                writer.delete(&alice, target).await;
            }
        }
    }
    assert_gone(&opened, &writer, &gone).await;
    let opened = opened.reopen().await;
    assert_gone(&opened, &writer.in_store(opened.messages()), &gone).await;
}

/// A reader after each acknowledged edit and deletion, where the append says that it sets bodies.
pub async fn an_append_sets_bodies_at_once(opened: Opened) {
    if !opened.messages().capabilities().append_sets_bodies {
        return;
    }
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let target = writer.say(&alice, "first").await.seq;
    for number in 0..20 {
        writer.edit(&alice, target, format!("edit {number}")).await;
        let log = whole_log(opened.messages(), writer.channel()).await;
        assert!(
            log == writer.entries(),
            "an edit is set as soon as its append is acknowledged"
        );
    }
    writer.delete(&alice, target).await;
    assert_log(opened.messages(), &writer).await;
}

/// Readers beside writers who react, pin and answer: whatever head a page names, it shows the fold of exactly the entries
/// up to there, and no less than was acknowledged.
pub async fn annotations_are_exact(opened: Opened) {
    let people = fresh_users("people", 4);
    let mut writer = LogWriter::group(opened.messages(), &people[0], &people[1..]).await;
    let first = writer.say(&people[0], "first").await.seq;
    let second = writer.say(&people[1], "second").await.seq;
    let writers = people.clone().into_iter().map(|user| {
        let mut writer = writer.clone();
        tokio::spawn(async move {
            for turn in 0..REACTIONS {
                let action = action_of(&writer, &user, [first, second][turn % 2], turn);
                let command = writer.command(&user, action);
                let settled = writer.race(&command).await;
                settled.expect("the store answers");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut pages = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        pages.push(page(opened.messages(), &writer, &people[2]).await);
        tokio::task::yield_now().await;
    }
    join_all(writers).await;
    writer.catch_up().await.expect("the store answers");
    let last = page(opened.messages(), &writer, &people[2]).await;
    assert_eq!(
        last.as_of,
        writer.head().seq,
        "a page is as of no head before what was acknowledged"
    );
    pages.push(last);
    for page in pages {
        assert_annotated(&page, &writer.entries(), &people[2]);
    }
}

/// A blocked sender's reactions, pins and answers, seen from both sides.
pub async fn annotations_leave_out_what_is_withheld(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::direct(opened.messages(), &alice, &bob).await;
    let open = writer.say(&alice, "open").await.seq;
    writer.set_blocked(true);
    let hidden = writer.say(&alice, "hidden").await.seq;
    writer.react(&alice, hidden, "+", false).await;
    writer.pin(&alice, hidden, false).await;
    let mut answer = chat_core::proto::channel::NewMessage::new(Body::text("hidden answer"));
    answer.thread = Some(open);
    writer.send(&alice, answer).await;
    writer.set_blocked(false);
    writer.react(&alice, open, "+", false).await;
    for viewer in [&alice, &bob] {
        let page = page(opened.messages(), &writer, viewer).await;
        assert_annotated(&page, &writer.entries(), viewer);
    }
}

/// Withheld entries of every kind that can be, read in every way.
pub async fn withheld_is_kept(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::new(
        opened.messages(),
        chat_core::proto::ChannelId::direct(&alice, &bob),
    );
    writer.set_blocked(true);
    writer.begin_direct(&alice, &bob).await;
    let hidden = writer.say(&alice, "hidden").await.seq;
    writer.set_blocked(false);
    writer.say(&alice, "open").await;
    writer.react(&alice, hidden, "+", false).await;
    writer.edit(&alice, hidden, "still hidden").await;
    writer.pin(&alice, hidden, false).await;
    writer.say(&bob, "hello?").await;
    let withheld = |log: &[Entry]| -> Vec<(Seq, bool)> {
        log.iter()
            .map(|entry| (entry.seq, entry.withheld))
            .collect()
    };
    let expected = withheld(&writer.entries());
    let law = "whether an entry is withheld is kept";
    let log = whole_log(opened.messages(), writer.channel()).await;
    assert_eq!(withheld(&log), expected, "{law}");
    let messages = every_message(opened.messages(), writer.channel()).await;
    let mut only_messages = writer.entries();
    only_messages.retain(|entry| entry.kind.is_message());
    assert_eq!(
        withheld(&messages),
        withheld(&only_messages),
        "{law} in pages of messages"
    );
    assert_targets(&opened, &writer, &alice).await;
    let opened = opened.reopen().await;
    let log = whole_log(opened.messages(), writer.channel()).await;
    assert_eq!(withheld(&log), expected, "{law}");
}

/// Notes kept, joined, dropped, and opened again.
pub async fn body_notes_last_until_dropped(opened: Opened) {
    let note = |after: u64, targets: &[u64]| BodyNote {
        channel: fresh_channel(),
        after: Seq(after),
        targets: targets.iter().copied().map(Seq).collect(),
    };
    let (kept, dropped) = (note(7, &[2, 3]), note(9, &[4]));
    let messages = opened.messages();
    let more = BodyNote {
        targets: BTreeSet::from([Seq(5)]),
        ..kept.clone()
    };
    for note in [&kept, &dropped, &more, &kept] {
        let done = messages.keep_body_note(note.clone()).await;
        done.expect("the store keeps a note");
    }
    let joined = BodyNote {
        targets: [2, 3, 5].map(Seq).into(),
        ..kept.clone()
    };
    assert_notes(messages, &[&joined, &dropped], &[]).await;
    let done = messages
        .drop_body_note(dropped.channel, dropped.after)
        .await;
    done.expect("the store drops a note");
    // Of another head.
    let done = messages.drop_body_note(kept.channel, Seq(8)).await;
    done.expect("the store drops a note");
    assert_notes(messages, &[&joined], &[&dropped]).await;
    let opened = opened.reopen().await;
    assert_notes(opened.messages(), &[&joined], &[&dropped]).await;
    let done = opened
        .messages()
        .drop_body_note(kept.channel, kept.after)
        .await;
    done.expect("the store drops a note");
    assert_notes(opened.messages(), &[], &[&joined, &dropped]).await;
}

fn action_of(
    writer: &LogWriter,
    user: &UserId,
    target: Seq,
    turn: usize,
) -> chat_core::proto::channel::Action {
    use chat_core::proto::channel::{Action, NewMessage};
    use chat_core::proto::entry::React;
    let is_owner = writer
        .members()
        .get(user)
        .is_some_and(|member| member.role == Role::Owner);
    if is_owner {
        let mut answer = NewMessage::new(Body::text("answer"));
        answer.thread = Some(target);
        return Action::Send(answer);
    }
    // Each sign set and taken back by turns, by each user for themselves: never what is so already.
    Action::React(React {
        target,
        emoji: (turn / 4 % 3).to_string(),
        remove: turn % 4 >= 2,
    })
}

/// What is done to each message is what the fold says.
pub(crate) async fn assert_targets(opened: &Opened, writer: &LogWriter, caller: &UserId) {
    let log = writer.entries();
    let query = TargetsQuery {
        channel: writer.channel(),
        caller: caller.clone(),
        seqs: (0..log.len() as u64 + 3).map(Seq).collect(),
    };
    let targets = opened.messages().targets(query).await;
    let targets = targets.expect("the store answers");
    assert_eq!(
        targets.through,
        writer.head().seq,
        "targets are as of what was acknowledged"
    );
    for (place, entry) in log.iter().enumerate() {
        let mut expected = Target::of(entry);
        for later in &log[place + 1..] {
            if let Some(target) = &mut expected {
                target.apply(entry.seq, later, caller);
            }
        }
        let mut found = targets.found.get(&entry.seq).cloned();
        for target in expected.iter_mut().chain(&mut found) {
            if target.erased {
                // Nothing more is decided about it.
                (target.pinned, target.signs, target.own_signs) = Default::default();
            }
        }
        assert_eq!(
            found, expected,
            "a target is what was done to it, at {}",
            entry.seq
        );
    }
    let last = writer.head().seq;
    assert!(
        targets
            .found
            .keys()
            .all(|seq| (Seq(1)..=last).contains(seq)),
        "nothing is found where nothing is"
    );
}

async fn assert_edits(opened: &Opened, writer: &LogWriter) {
    let bodies = |log: Vec<Entry>| -> Vec<(Seq, Option<Body>)> {
        let edits = log.into_iter().filter_map(|entry| match entry.kind {
            EntryKind::Edit(edit) => Some((entry.seq, edit.body)),
            _ => None,
        });
        edits.collect()
    };
    let read = whole_log(opened.messages(), writer.channel()).await;
    assert_eq!(
        bodies(read),
        bodies(writer.entries()),
        "an edit has its body while it is the current one"
    );
}

async fn assert_gone(opened: &Opened, writer: &LogWriter, gone: &[String]) {
    let messages = opened.messages();
    let log = whole_log(messages, writer.channel()).await;
    let pages = every_message(messages, writer.channel()).await;
    let loaded = messages.load(writer.channel(), Seq(0)).await;
    let everything = format!("{log:?} {pages:?} {:?}", loaded.expect("the store answers"));
    for text in gone {
        assert!(
            !everything.contains(text),
            "a superseded body is in no read: {text}"
        );
    }
    assert!(everything.contains("kept short"));
}

/// All messages, as somebody sees them.
pub(crate) async fn page(
    messages: &Arc<dyn MessageStore>,
    writer: &LogWriter,
    viewer: &UserId,
) -> MessagesPage {
    let query = MessagesQuery {
        channel: writer.channel(),
        viewer: viewer.clone(),
        after: Seq(0),
        before: Seq(u64::MAX >> 1),
        newest: false,
        limit: WHOLE_PAGE,
    };
    messages.messages(query).await.expect("the store answers")
}

/// The messages show what was done to them as of the page's head.
pub(crate) fn assert_annotated(page: &MessagesPage, log: &[Entry], viewer: &UserId) {
    for AnnotatedMessage { entry, annotations } in &page.messages {
        let until = log.iter().filter(|later| later.seq <= page.as_of);
        let expected = Annotations::fold(entry.seq, until, viewer);
        assert_eq!(
            *annotations, expected,
            "a message at {} shows the reactions, pin and replies as of {}",
            entry.seq, page.as_of
        );
    }
}

/// These notes are listed, and those are not.
pub(crate) async fn assert_notes(
    messages: &Arc<dyn MessageStore>,
    kept: &[&BodyNote],
    gone: &[&BodyNote],
) {
    // Other cases may share the store.
    let notes = messages.body_notes(100_000).await;
    let notes = notes.expect("the store answers");
    for note in kept {
        assert!(
            notes.contains(note),
            "a note is listed until it is dropped: {note:?} in {notes:?}"
        );
    }
    for note in gone {
        assert!(
            notes
                .iter()
                .all(|listed| (listed.channel, listed.after) != (note.channel, note.after)),
            "a dropped note is gone: {note:?}"
        );
    }
    let one = messages.body_notes(1).await.expect("the store answers");
    assert!(one.len() <= 1, "no more notes than asked for");
}
