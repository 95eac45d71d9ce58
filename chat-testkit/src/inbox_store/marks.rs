//! Marks: they rise, and last.

use std::sync::Arc;

use chat_core::ports::{InboxStore, Mark, MarkKind, MarkRise};
use chat_core::proto::{ChannelId, Head, Timestamp, UserId};

use super::listing::{all_rows, one_row};
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::{LogWriter, TICK_MS};
use crate::names::{fresh_channel, fresh_user};

/// Rises in every order, in one call, in many, and at once: the highest stands, for each kind and user on its own.
pub async fn marks_never_fall(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let writer = log_of_ten(&opened, &alice, &bob).await;
    let (inbox, channel) = (opened.inbox(), writer.channel());
    let places = [5, 3, 8, 1, 8, 2, 7].map(|n| Head::new(n + 1, n));
    let mut highest = Head::EMPTY;
    for (step, to) in places.into_iter().enumerate() {
        let at = Timestamp(writer.now().0 + step as u64);
        let rise = rise(&writer, &bob, MarkKind::Read, to, at);
        inbox.raise(vec![rise]).await.expect("the store answers");
        highest = highest.max(to);
        let mark = mark(inbox, channel, &bob).await;
        assert_eq!(mark.read, highest, "a read mark never falls");
        assert_eq!(
            one_row(inbox, &bob, channel).await.read,
            highest,
            "a row's read mark never falls"
        );
    }
    let rises = [3, 9, 6].map(|n| {
        rise(
            &writer,
            &bob,
            MarkKind::Delivered,
            Head::new(n + 1, n),
            writer.now(),
        )
    });
    inbox
        .raise(rises.to_vec())
        .await
        .expect("the store answers");
    let expected = Mark {
        read: highest,
        delivered: Head::new(10, 9),
    };
    assert_eq!(
        mark(inbox, channel, &bob).await,
        expected,
        "the highest of several rises stands, for each kind of mark"
    );
    let tasks = (1..=9).rev().map(|n| {
        let rise = rise(
            &writer,
            &alice,
            MarkKind::Delivered,
            Head::new(n + 1, n),
            writer.now(),
        );
        let inbox = Arc::clone(inbox);
        tokio::spawn(async move { inbox.raise(vec![rise]).await.expect("the store answers") })
    });
    join_all(tasks).await;
    assert_eq!(
        mark(inbox, channel, &alice).await.delivered,
        Head::new(10, 9),
        "of rises at once the highest stands"
    );
    let strangers = [fresh_user("stranger")];
    let marks = inbox.marks(channel, &strangers).await;
    assert_eq!(
        marks.expect("the store answers"),
        [],
        "who is no member has no mark"
    );
    let absent = inbox
        .marks(fresh_channel(), std::slice::from_ref(&bob))
        .await;
    assert_eq!(absent.expect("the store answers"), []);
}

/// The same rise again changes nothing.
pub async fn raising_twice_is_once(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let writer = log_of_ten(&opened, &alice, &bob).await;
    let (inbox, channel) = (opened.inbox(), writer.channel());
    for kind in [MarkKind::Read, MarkKind::Delivered] {
        let rise = rise(&writer, &bob, kind, Head::new(6, 5), writer.now());
        inbox
            .raise(vec![rise.clone()])
            .await
            .expect("the store answers");
        let once = (
            mark(inbox, channel, &bob).await,
            all_rows(inbox, &bob).await,
        );
        let again = vec![rise.clone(), rise];
        inbox.raise(again).await.expect("the store answers");
        let twice = (
            mark(inbox, channel, &bob).await,
            all_rows(inbox, &bob).await,
        );
        assert_eq!(twice, once, "raising a mark twice is raising it once");
    }
    inbox
        .raise(Vec::new())
        .await
        .expect("nothing to raise is nothing to do");
}

/// Marks that were raised, and those that came with own messages, after closing and opening.
pub async fn marks_survive_reopen(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let writer = log_of_ten(&opened, &alice, &bob).await;
    let channel = writer.channel();
    let rises = vec![
        rise(&writer, &bob, MarkKind::Read, Head::new(6, 5), writer.now()),
        rise(
            &writer,
            &bob,
            MarkKind::Delivered,
            Head::new(8, 7),
            writer.now(),
        ),
    ];
    drop(writer);
    opened
        .inbox()
        .raise(rises)
        .await
        .expect("the store answers");
    let opened = opened.reopen().await;
    let expected = Mark {
        read: Head::new(6, 5),
        delivered: Head::new(8, 7),
    };
    assert_eq!(
        mark(opened.inbox(), channel, &bob).await,
        expected,
        "an acknowledged mark is there after reopening"
    );
    assert_eq!(
        mark(opened.inbox(), channel, &alice).await.read,
        Head::new(11, 10),
        "the mark of one's own message is there after reopening"
    );
}

/// A read mark lifts its owner's row, and no other's.
pub async fn a_mark_is_activity_of_its_owner(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let writer = log_of_ten(&opened, &alice, &bob).await;
    let newer = log_of_ten(&opened, &alice, &bob).await;
    let (inbox, last_at) = (opened.inbox(), writer.state().last_at());
    let at = Timestamp(newer.now().0 + 100 * TICK_MS);
    let rise = rise(&writer, &bob, MarkKind::Read, Head::new(6, 5), at);
    inbox.raise(vec![rise]).await.expect("the store answers");
    let row = one_row(inbox, &bob, writer.channel()).await;
    assert_eq!(
        row.activity, at,
        "a raised mark is activity of its owner's row"
    );
    let first = all_rows(inbox, &bob).await.into_iter().next();
    assert_eq!(
        first.map(|row| row.channel),
        Some(writer.channel()),
        "a raised mark lifts its owner's row"
    );
    let row = one_row(inbox, &alice, writer.channel()).await;
    assert_eq!(
        row.activity, last_at,
        "a raised mark is no activity of another's row"
    );
    // An earlier clock does not lower what is there.
    let earlier = rise_again(&writer, &bob, last_at);
    inbox.raise(vec![earlier]).await.expect("the store answers");
    let row = one_row(inbox, &bob, writer.channel()).await;
    assert!(row.activity >= at, "activity never falls");
}

/// A group of two with ten messages of the first.
pub(super) async fn log_of_ten(opened: &Opened, alice: &UserId, bob: &UserId) -> LogWriter {
    let members = std::slice::from_ref(bob);
    let mut writer = LogWriter::group(opened.messages(), alice, members).await;
    writer.say_many(alice, 10).await;
    writer
}

/// Where one member stands.
pub(super) async fn mark(inbox: &Arc<dyn InboxStore>, channel: ChannelId, user: &UserId) -> Mark {
    let marks = inbox.marks(channel, std::slice::from_ref(user)).await;
    let marks = marks.expect("the store answers");
    let [(whose, mark)] = marks.as_slice() else {
        panic!("a member has one mark, not {}", marks.len());
    };
    assert_eq!(whose, user, "a mark is told of the user asked for");
    mark.clone()
}

pub(super) fn rise(
    writer: &LogWriter,
    user: &UserId,
    kind: MarkKind,
    to: Head,
    at: Timestamp,
) -> MarkRise {
    MarkRise {
        channel: writer.channel(),
        user: user.clone(),
        kind,
        to,
        at,
        private: false,
    }
}

fn rise_again(writer: &LogWriter, user: &UserId, at: Timestamp) -> MarkRise {
    rise(writer, user, MarkKind::Read, Head::new(9, 8), at)
}
