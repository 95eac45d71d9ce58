//! What is unread, and who is mentioned.

use chat_core::ports::{MarkKind, MarkRise};
use chat_core::proto::channel::unread;
use chat_core::proto::{Role, UserId};

use super::listing::one_row;
use super::marks::{mark, rise};
use crate::factory::Opened;
use crate::log_writer::LogWriter;
use crate::names::{fresh_user, fresh_users};

/// Own messages after everything was read, and after something was not, alone, in one append, and in a large channel.
pub async fn own_message_is_read_when_all_before_was(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let crowd = fresh_users("crowd", 120);
    for more in [&[][..], &crowd] {
        let members = [std::slice::from_ref(&bob), more].concat();
        let mut writer = LogWriter::group(opened.messages(), &alice, &members).await;
        writer.say(&alice, "first").await;
        assert_read(&opened, &writer, &alice, 1, "all before was read").await;
        writer.say_many(&alice, 3).await;
        assert_read(&opened, &writer, &alice, 4, "all before was read").await;
        assert_read(&opened, &writer, &bob, 0, "nothing was read or said").await;
        writer.say(&bob, "unread before").await;
        assert_read(&opened, &writer, &bob, 0, "something before was not read").await;
        assert_read(&opened, &writer, &alice, 4, "the message is another's").await;
        writer.say(&alice, "unread before").await;
        assert_read(&opened, &writer, &alice, 4, "something before was not read").await;
        raise(
            &opened,
            rise(&writer, &bob, MarkKind::Read, writer.head(), writer.now()),
        )
        .await;
        writer.retitle(&alice, "between").await;
        let said = writer.say(&bob, "all read but a title").await;
        assert_read(&opened, &writer, &bob, 7, "every message before was read").await;
        assert_eq!(
            mark(opened.inbox(), writer.channel(), &bob).await.read,
            said.head(),
            "the mark of an own message is the message"
        );
        // Two senders in one append: the first one's message is unread for the second.
        let commands = [writer.text(&bob, "bob's"), writer.text(&alice, "alice's")];
        let append = writer.prepare(&commands);
        writer.commit(append).await;
        assert_read(&opened, &writer, &bob, 8, "all before was read").await;
        assert_read(&opened, &writer, &alice, 4, "something before was not read").await;
    }
}

/// Joins, titles and departures between messages do not count.
pub async fn unread_is_arithmetic(opened: Opened) {
    let (alice, bob, carol) = (fresh_user("alice"), fresh_user("bob"), fresh_user("carol"));
    let members = std::slice::from_ref(&bob);
    let mut writer = LogWriter::group(opened.messages(), &alice, members).await;
    let mut unread_now = 0;
    for round in 0..5 {
        writer.say_many(&alice, round).await;
        unread_now += round as u64;
        assert_unread(&opened, &writer, &bob, unread_now).await;
        writer.retitle(&alice, &format!("title {round}")).await;
        writer
            .add(&alice, std::slice::from_ref(&carol), Role::Member)
            .await;
        assert_unread(&opened, &writer, &bob, unread_now).await;
        writer.remove(&alice, std::slice::from_ref(&carol)).await;
        assert_unread(&opened, &writer, &bob, unread_now).await;
    }
    let places: Vec<_> = writer.entries().iter().map(|entry| entry.head()).collect();
    for place in places.into_iter().step_by(3) {
        raise(
            &opened,
            rise(&writer, &bob, MarkKind::Read, place, writer.now()),
        )
        .await;
        let expected = writer.head().n.0 - place.n.0;
        assert_unread(&opened, &writer, &bob, expected).await;
    }
}

/// Who is added, or returns, has read what was there, whatever the history lets them see.
pub async fn a_new_member_has_nothing_unread(opened: Opened) {
    use chat_core::proto::History::{All, Joined};
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    for (history, crowd) in [(All, 0), (Joined, 0), (All, 120)] {
        let crowd = fresh_users("crowd", crowd);
        let messages = opened.messages();
        let mut writer = LogWriter::group_with(messages, &alice, &crowd, history).await;
        for _ in 0..2 {
            writer.say_many(&alice, 4).await;
            let added = writer
                .add(&alice, std::slice::from_ref(&bob), Role::Member)
                .await;
            let row = one_row(opened.inbox(), &bob, writer.channel()).await;
            assert_eq!(
                (row.read, row.mentions),
                (added.head(), 0),
                "a new member's read mark is at the entry that added them"
            );
            assert_unread(&opened, &writer, &bob, 0).await;
            writer.say(&alice, "welcome").await;
            assert_unread(&opened, &writer, &bob, 1).await;
            raise(
                &opened,
                rise(&writer, &bob, MarkKind::Read, writer.head(), writer.now()),
            )
            .await;
            writer.remove(&alice, std::slice::from_ref(&bob)).await;
        }
    }
}

/// Mentions behind the read mark, once a message, of the user only.
pub async fn mentions_count_once(opened: Opened) {
    let (alice, bob, carol) = (fresh_user("alice"), fresh_user("bob"), fresh_user("carol"));
    let crowd = fresh_users("crowd", 120);
    for more in [&[][..], &crowd] {
        let members = [&[bob.clone(), carol.clone()], more].concat();
        let mut writer = LogWriter::group(opened.messages(), &alice, &members).await;
        let first = writer.mention(&alice, &[bob.clone(), bob.clone()]).await;
        writer.say(&alice, format!("@{bob} is no mention")).await;
        writer.mention(&alice, std::slice::from_ref(&carol)).await;
        let second = writer.mention(&carol, &[carol.clone(), bob.clone()]).await;
        assert_mentions(&opened, &writer, &bob, 2).await;
        assert_mentions(&opened, &writer, &alice, 0).await;
        for (place, left) in [(first.head(), 1), (second.head(), 0)] {
            raise(
                &opened,
                rise(&writer, &bob, MarkKind::Read, place, writer.now()),
            )
            .await;
            assert_mentions(&opened, &writer, &bob, left).await;
        }
        writer.mention(&alice, std::slice::from_ref(&bob)).await;
        assert_mentions(&opened, &writer, &bob, 1).await;
        // Who returns begins anew.
        writer.remove(&alice, std::slice::from_ref(&bob)).await;
        writer
            .add(&alice, std::slice::from_ref(&bob), Role::Member)
            .await;
        assert_mentions(&opened, &writer, &bob, 0).await;
    }
}

async fn raise(opened: &Opened, rise: MarkRise) {
    let answer = opened.inbox().raise(vec![rise]).await;
    answer.expect("the store answers");
}

async fn assert_read(opened: &Opened, writer: &LogWriter, user: &UserId, n: u64, why: &str) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    let mark = mark(opened.inbox(), writer.channel(), user).await;
    assert_eq!(row.read, mark.read, "a row shows its user's read mark");
    assert_eq!(
        mark.read.n.0, n,
        "a sender's mark rises with their message when all before was read, and only then: {why}"
    );
}

async fn assert_unread(opened: &Opened, writer: &LogWriter, user: &UserId, expected: u64) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    assert_eq!(
        unread(row.head, row.read),
        expected,
        "unread is the messages between head and read mark ({:?}, {:?})",
        row.head,
        row.read
    );
}

async fn assert_mentions(opened: &Opened, writer: &LogWriter, user: &UserId, expected: u64) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    assert_eq!(
        row.mentions, expected,
        "mentions are the messages after the read mark that name the user, once each"
    );
}
