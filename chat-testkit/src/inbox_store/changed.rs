//! What edits, deletions and withheld messages make of a row.

use chat_core::ports::{InboxRow, MarkKind, MarkRise, MessageStore};
use chat_core::proto::{Body, ChannelId, Entry, UserId};
use std::sync::Arc;

use super::listing::{all_rows, one_row};
use crate::factory::Opened;
use crate::log_writer::LogWriter;
use crate::names::fresh_user;

/// Messages that name somebody, edited and deleted, before and behind the read mark.
pub async fn an_erased_message_mentions_nobody(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let bobs = std::slice::from_ref(&bob);
    let mut writer = LogWriter::group(opened.messages(), &alice, bobs).await;
    let mut named = Vec::new();
    for _ in 0..3 {
        named.push(writer.mention(&alice, bobs).await.seq);
    }
    writer.edit(&alice, named[0], "you there?").await;
    assert_mentions(&opened, &writer, &bob, 3).await;
    for (left, target) in [(2, named[1]), (1, named[0])] {
        writer.delete(&alice, target).await;
        assert_mentions(&opened, &writer, &bob, left).await;
    }
}

/// The newest message edited, and deleted.
pub async fn last_follows_edits_and_deletions(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let target = writer.say(&alice, "first").await.seq;
    assert_last(&opened, &writer, Some(Body::text("first"))).await;
    for text in ["second", "third"] {
        writer.edit(&alice, target, text).await;
        assert_last(&opened, &writer, Some(Body::text(text))).await;
    }
    writer.delete(&alice, target).await;
    assert_last(&opened, &writer, None).await;
}

/// A blocked sender's messages, mentions and reactions: for the blocker nothing but the head moves.
pub async fn what_is_withheld_raises_nothing(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::direct(opened.messages(), &alice, &bob).await;
    writer.say(&bob, "open").await;
    let before = one_row(opened.inbox(), &bob, writer.channel()).await;
    writer.set_blocked(true);
    let hidden = writer.mention(&alice, std::slice::from_ref(&bob)).await;
    writer.react(&alice, hidden.seq, "+", false).await;
    let row = one_row(opened.inbox(), &bob, writer.channel()).await;
    let expected = InboxRow {
        head: writer.head(),
        ..before
    };
    assert_eq!(row, expected, "what is withheld raises the head alone");
    let own = one_row(opened.inbox(), &alice, writer.channel()).await;
    assert_eq!(
        (own.last.map(|last| last.seq), own.activity),
        (Some(hidden.seq), writer.entries().last().expect("a log").at),
        "for its sender it is like any other"
    );
    writer.set_blocked(false);
    let open = writer.say(&alice, "open again").await;
    for user in [&alice, &bob] {
        let row = one_row(opened.inbox(), user, writer.channel()).await;
        assert_eq!(
            (row.last.map(|last| last.seq), row.activity),
            (Some(open.seq), open.at),
            "what is not withheld counts again"
        );
    }
}

/// A direct channel that begins with a withheld message, until something else comes.
pub async fn a_channel_of_withheld_entries_is_not_listed(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let messages: &Arc<dyn MessageStore> = opened.messages();
    let mut writer = LogWriter::new(messages, ChannelId::direct(&alice, &bob));
    writer.set_blocked(true);
    writer.begin_direct(&alice, &bob).await;
    writer.say(&alice, "hidden").await;
    let law = "a channel is listed once it holds something for its member";
    assert_eq!(all_rows(opened.inbox(), &bob).await, [], "{law}");
    assert_eq!(all_rows(opened.inbox(), &alice).await.len(), 1, "{law}");
    let rise = MarkRise {
        channel: writer.channel(),
        user: bob.clone(),
        kind: MarkKind::Read,
        to: writer.head(),
        at: writer.now(),
        private: false,
    };
    let raised = opened.inbox().raise(vec![rise]).await;
    raised.expect("the store answers");
    assert_eq!(
        all_rows(opened.inbox(), &bob).await,
        [],
        "{law}, also after a mark"
    );
    writer.say(&bob, "open").await;
    assert_eq!(all_rows(opened.inbox(), &bob).await.len(), 1, "{law}");
}

async fn assert_mentions(opened: &Opened, writer: &LogWriter, user: &UserId, expected: u64) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    assert_eq!(row.mentions, expected, "an erased message mentions nobody");
}

async fn assert_last(opened: &Opened, writer: &LogWriter, expected: Option<Body>) {
    let user = writer.members().keys().next().expect("a member");
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    let body = |last: &Entry| last.as_message().and_then(|message| message.body.clone());
    assert_eq!(
        row.last.as_ref().and_then(body),
        expected,
        "a row's last has the body that the message now has"
    );
}
