//! Marks that rise in private: the user's own row follows them, others are shown what they were shown.

use chat_core::ports::{MarkKind, MarkRise};
use chat_core::proto::{Head, UserId};

use super::listing::one_row;
use super::marks::{log_of_ten, mark, rise};
use crate::factory::Opened;
use crate::log_writer::LogWriter;
use crate::names::fresh_user;

/// Private rises, alone, again, after others and among them, and over closing and opening.
pub async fn a_private_rise_is_not_shown(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = log_of_ten(&opened, &alice, &bob).await;
    raise(&opened, vec![shown(&writer, &bob, 3)]).await;
    for n in [5, 4, 5, 7] {
        raise(&opened, vec![private(&writer, &bob, n)]).await;
    }
    assert_marks(&opened, &writer, &bob, 7, 3).await;
    let other = opened
        .inbox()
        .marks(writer.channel(), std::slice::from_ref(&alice))
        .await;
    assert_eq!(
        other.expect("the store answers")[0].1.read,
        writer.head(),
        "a private rise is nothing of another's"
    );
    // In one call with one that is shown.
    let rises = vec![
        private(&writer, &bob, 9),
        shown(&writer, &bob, 4),
        private(&writer, &bob, 10),
    ];
    raise(&opened, rises).await;
    assert_marks(&opened, &writer, &bob, 10, 4).await;
    // One's own message is read, and tells nobody what was read before it.
    writer.say(&bob, "from where nobody sees me").await;
    assert_marks(&opened, &writer, &bob, 11, 4).await;
    let channel = writer.channel();
    drop(writer);
    let opened = opened.reopen().await;
    assert_eq!(
        mark(opened.inbox(), channel, &bob).await.read,
        Head::new(5, 4),
        "what is not shown is not shown after reopening"
    );
}

/// A rise that is shown goes as far as it says, up to the own mark and beyond; from there on all is shown again.
pub async fn a_public_rise_shows_again(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = log_of_ten(&opened, &alice, &bob).await;
    raise(&opened, vec![private(&writer, &bob, 8)]).await;
    assert_marks(&opened, &writer, &bob, 8, 0).await;
    for (n, own) in [(2, 8), (5, 8), (3, 8), (8, 8), (9, 9)] {
        raise(&opened, vec![shown(&writer, &bob, n)]).await;
        let expected = if n == 3 { 5 } else { n };
        assert_marks(&opened, &writer, &bob, own, expected).await;
    }
    raise(&opened, vec![shown(&writer, &bob, 10)]).await;
    writer.say(&bob, "all is shown again").await;
    assert_marks(&opened, &writer, &bob, 11, 11).await;
    // Hidden, and shown at once beyond what was hidden.
    writer.say_many(&alice, 3).await;
    raise(&opened, vec![private(&writer, &bob, 12)]).await;
    assert_marks(&opened, &writer, &bob, 12, 11).await;
    raise(&opened, vec![shown(&writer, &bob, 14)]).await;
    assert_marks(&opened, &writer, &bob, 14, 14).await;
    // Who leaves and returns has nothing hidden.
    raise(&opened, vec![private(&writer, &alice, 14)]).await;
    writer.say_many(&alice, 1).await;
    raise(&opened, vec![private(&writer, &bob, 15)]).await;
    writer.remove(&alice, std::slice::from_ref(&bob)).await;
    let added = writer
        .add(
            &alice,
            std::slice::from_ref(&bob),
            chat_core::proto::Role::Member,
        )
        .await;
    assert_eq!(
        mark(opened.inbox(), writer.channel(), &bob).await.read,
        added.head(),
        "a new member's mark is shown"
    );
}

async fn raise(opened: &Opened, rises: Vec<MarkRise>) {
    let answer = opened.inbox().raise(rises).await;
    answer.expect("the store answers");
}

/// To the message with this ordinal, which follows the entry that created the group.
fn shown(writer: &LogWriter, user: &UserId, n: u64) -> MarkRise {
    let to = Head::new(n + 1, n);
    rise(writer, user, MarkKind::Read, to, writer.now())
}

fn private(writer: &LogWriter, user: &UserId, n: u64) -> MarkRise {
    MarkRise {
        private: true,
        ..shown(writer, user, n)
    }
}

async fn assert_marks(opened: &Opened, writer: &LogWriter, user: &UserId, own: u64, shown: u64) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    assert_eq!(
        row.read.n.0, own,
        "a rise, private or not, raises its user's row"
    );
    let mark = mark(opened.inbox(), writer.channel(), user).await;
    assert!(
        mark.read.n.0 <= shown,
        "after a private rise others are shown the former mark, {shown}, not {}",
        mark.read.n
    );
    assert_eq!(
        mark.read.n.0, shown,
        "a rise that is not private is shown as far as it goes"
    );
}
