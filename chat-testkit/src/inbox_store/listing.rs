//! Which channels an inbox holds, and in which order.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{InboxPosition, InboxQuery, InboxRow, InboxStore, MarkKind, MarkRise};
use chat_core::proto::channel::{Action, NewMessage};
use chat_core::proto::{Body, ChannelId, ChannelType, Head, Limits, Role, Timestamp, UserId};

use crate::factory::Opened;
use crate::log_writer::{LogWriter, START, TICK_MS};
use crate::names::{fresh_channel, fresh_user, fresh_users};

/// More rows than any inbox of a case.
const ALL_ROWS: usize = 1_000;

/// Channels of one's own, of others, left and returned to, direct, large and with oneself: listed where one is a member,
/// nowhere else, whatever marks say.
pub async fn inbox_lists_own_channels_only(opened: Opened) {
    let (alice, bob, carol) = (fresh_user("alice"), fresh_user("bob"), fresh_user("carol"));
    let (messages, inbox) = (opened.messages(), opened.inbox());
    let both = LogWriter::group(messages, &alice, std::slice::from_ref(&bob)).await;
    let others = LogWriter::group(messages, &bob, std::slice::from_ref(&carol)).await;
    let mut left = LogWriter::group(messages, &bob, std::slice::from_ref(&alice)).await;
    left.remove(&alice, std::slice::from_ref(&alice)).await;
    let mut back = LogWriter::group(messages, &bob, std::slice::from_ref(&alice)).await;
    back.remove(&bob, std::slice::from_ref(&alice)).await;
    back.add(&bob, std::slice::from_ref(&alice), Role::Guest)
        .await;
    let mut crowd = fresh_users("crowd", Limits::INBOX_COPY_MEMBERS_MAX as usize + 10);
    crowd.push(alice.clone());
    let large = LogWriter::group(messages, &bob, &crowd).await;
    let direct = direct(&opened, &alice, &bob).await;
    let notes = self::direct(&opened, &alice, &alice).await;
    // A mark does not make a member.
    let rise = MarkRise {
        channel: others.channel(),
        user: alice.clone(),
        kind: MarkKind::Read,
        to: others.head(),
        at: others.now(),
        private: false,
    };
    inbox.raise(vec![rise]).await.expect("the store answers");

    let own = [&both, &back, &large, &direct, &notes].map(LogWriter::channel);
    let rows = all_rows(inbox, &alice).await;
    let listed: BTreeSet<ChannelId> = rows.iter().map(|row| row.channel).collect();
    assert_eq!(
        listed,
        BTreeSet::from(own),
        "an inbox lists the channels that its user is in, and no other"
    );
    let asked = [
        own.as_slice(),
        &[others.channel(), left.channel(), fresh_channel()],
    ]
    .concat();
    let rows = inbox.rows(&alice, &asked).await.expect("the store answers");
    let found: BTreeSet<ChannelId> = rows.iter().map(|row| row.channel).collect();
    assert_eq!(
        (found, rows.len()),
        (BTreeSet::from(own), own.len()),
        "of the channels asked for, those that the user is in have one row each"
    );
    let found = inbox.large_channels(&alice).await;
    assert_eq!(
        found.expect("the store answers"),
        [large.channel()],
        "the large channels of a user are told apart"
    );
    let peers = [(&direct, Some(&bob)), (&notes, Some(&alice)), (&both, None)];
    for (writer, peer) in peers {
        let row = one_row(inbox, &alice, writer.channel()).await;
        assert_eq!(
            row.peer.as_ref(),
            peer,
            "a direct channel's row names the other user"
        );
    }
    let nobody = all_rows(inbox, &fresh_user("dave")).await;
    assert_eq!(nobody, [], "who is in no channel has an empty inbox");
}

/// Many channels, several of the same activity: pages of every size list each once, newest first, and `since` and
/// `behind` cut exactly.
pub async fn inbox_pages_in_order_without_gap(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut expected = Vec::new();
    for number in 0..13 {
        let mut writer = LogWriter::new(opened.messages(), fresh_channel());
        // Three channels each share a time.
        let at = Timestamp(START.0 + (number / 3) * TICK_MS);
        writer.set_now(at);
        let members = std::slice::from_ref(&bob);
        writer
            .create(&alice, members, chat_core::proto::History::All)
            .await;
        expected.push((at, writer.channel()));
    }
    expected.sort_by_key(|position| Reverse(*position));
    for limit in [1, 2, 5, 13, 14] {
        for user in [&alice, &bob] {
            let paged = paged(opened.inbox(), user, None, limit).await;
            assert_eq!(
                positions(&paged),
                expected,
                "pages of {limit} list every channel once, newest activity first"
            );
        }
    }
    for since in [
        START.0,
        START.0 + 1,
        START.0 + TICK_MS,
        START.0 + 4 * TICK_MS,
        START.0 + 9 * TICK_MS,
    ] {
        let rows = paged(opened.inbox(), &alice, Some(Timestamp(since)), 4).await;
        let newer = expected.iter().filter(|(at, _)| at.0 >= since);
        let newer: Vec<_> = newer.copied().collect();
        assert_eq!(
            positions(&rows),
            newer,
            "`since` keeps the rows of that activity and later"
        );
    }
}

/// After every entry the row tells the log's head, members, settings and activity.
pub async fn inbox_follows_the_log(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(opened.messages(), &alice, std::slice::from_ref(&bob)).await;
    assert_follows(&opened, &writer, &bob).await;
    writer.say(&alice, "hello").await;
    assert_follows(&opened, &writer, &bob).await;
    writer.retitle(&alice, "another").await;
    assert_follows(&opened, &writer, &bob).await;
    writer.promote(&alice, &bob, Role::Admin).await;
    assert_follows(&opened, &writer, &bob).await;
    writer
        .add(&alice, &fresh_users("crowd", 120), Role::Member)
        .await;
    assert_follows(&opened, &writer, &bob).await;
    writer.say_many(&bob, 70).await;
    assert_follows(&opened, &writer, &bob).await;
    assert_follows(&opened, &writer, &alice).await;
}

/// All rows of a user's inbox.
pub(super) async fn all_rows(inbox: &Arc<dyn InboxStore>, user: &UserId) -> Vec<InboxRow> {
    paged(inbox, user, None, ALL_ROWS).await
}

/// A user's row of a channel, as `rows` gives it and as `list` does.
pub(super) async fn one_row(
    inbox: &Arc<dyn InboxStore>,
    user: &UserId,
    channel: ChannelId,
) -> InboxRow {
    let rows = inbox.rows(user, &[channel]).await;
    let rows = rows.expect("the store answers");
    let [row] = rows.as_slice() else {
        panic!("a member has one row of a channel, not {}", rows.len());
    };
    let mut listed = all_rows(inbox, user).await;
    listed.retain(|listed| listed.channel == channel);
    assert_eq!(
        listed.as_slice(),
        rows.as_slice(),
        "`list` and `rows` agree on a row"
    );
    row.clone()
}

async fn assert_follows(opened: &Opened, writer: &LogWriter, user: &UserId) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    assert_eq!(row.head, writer.head(), "a row's head is the log's");
    assert_eq!(
        Some(&row.meta),
        writer.state().meta(),
        "a row's settings are the log's"
    );
    assert_eq!(
        Some(&row.member),
        writer.members().get(user),
        "a row's membership is the log's"
    );
    assert_eq!(
        row.member_count,
        writer.state().member_count(),
        "a row's number of members is the log's"
    );
    assert_eq!(
        row.activity,
        writer.state().last_at(),
        "a row's activity is its newest entry"
    );
    let mut messages = writer.entries();
    messages.retain(|entry| entry.kind.is_message());
    assert_eq!(
        row.last.map(|entry| (entry.seq, entry.message)),
        messages.last().map(|entry| (entry.seq, entry.message)),
        "a row's newest message is the log's"
    );
}

/// The rows of an inbox in pages of this size.
pub(crate) async fn paged(
    inbox: &Arc<dyn InboxStore>,
    user: &UserId,
    since: Option<Timestamp>,
    limit: usize,
) -> Vec<InboxRow> {
    let (mut behind, mut rows) = (None, Vec::new());
    loop {
        let query = InboxQuery {
            user: user.clone(),
            since,
            behind,
            limit,
        };
        let page = inbox.list(query).await.expect("the store answers");
        assert!(
            page.rows.len() <= limit,
            "a page of {limit} rows at the most has {}",
            page.rows.len()
        );
        assert!(
            !page.more || !page.rows.is_empty(),
            "a page that more follow holds at least one row"
        );
        behind = page.rows.last().map(|row| InboxPosition {
            activity: row.activity,
            channel: row.channel,
        });
        rows.extend(page.rows);
        if !page.more {
            return rows;
        }
        assert!(rows.len() <= ALL_ROWS, "pages of an inbox never end");
    }
}

fn positions(rows: &[InboxRow]) -> Vec<(Timestamp, ChannelId)> {
    rows.iter().map(|row| (row.activity, row.channel)).collect()
}

async fn direct(opened: &Opened, from: &UserId, to: &UserId) -> LogWriter {
    let mut writer = LogWriter::new(opened.messages(), ChannelId::direct(from, to));
    let mut first = NewMessage::new(Body::text("hello"));
    first.direct_to = Some(to.clone());
    writer.run(from, Action::Send(first)).await;
    let meta = writer.state().meta();
    assert!(meta.is_some_and(|meta| meta.channel_type == ChannelType::Direct));
    assert_eq!(writer.head(), Head::new(2, 1));
    writer
}
