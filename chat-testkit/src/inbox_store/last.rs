//! The newest message of a row, and channels that were left.

use chat_core::ports::LeftChannel;
use chat_core::proto::{Entry, History, Role, Timestamp, UserId};

use super::listing::one_row;
use crate::factory::Opened;
use crate::log_writer::{LogWriter, START, TICK_MS};
use crate::names::fresh_user;

/// Members who see all and who see from their own joining on, before and after the next message, gone and returned.
pub async fn last_respects_the_visible_range(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    for history in [History::Joined, History::All] {
        let messages = opened.messages();
        let mut writer = LogWriter::group_with(messages, &alice, &[], history).await;
        assert_last(&opened, &writer, &alice, None).await;
        for _ in 0..2 {
            writer.say(&alice, "older").await;
            let before = writer.say(&alice, "before").await;
            writer
                .retitle(&alice, &format!("title {}", before.seq))
                .await;
            writer
                .add(&alice, std::slice::from_ref(&bob), Role::Member)
                .await;
            let visible = match history {
                History::Joined => None,
                History::All => Some(&before),
            };
            assert_last(&opened, &writer, &bob, visible).await;
            assert_last(&opened, &writer, &alice, Some(&before)).await;
            let after = writer.say(&alice, "after").await;
            writer
                .retitle(&alice, &format!("title {}", after.seq))
                .await;
            assert_last(&opened, &writer, &bob, Some(&after)).await;
            writer.remove(&alice, std::slice::from_ref(&bob)).await;
        }
    }
}

/// Channels left at different times, returned to, and never left, asked for since before, at and after each.
pub async fn left_names_what_was_left(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let members = std::slice::from_ref(&bob);
    let mut expected = Vec::new();
    for number in 0..5 {
        let mut writer = LogWriter::group(opened.messages(), &alice, members).await;
        let at = Timestamp(START.0 + (number + 1) * 10 * TICK_MS);
        writer.set_now(at);
        let by = if number % 2 == 0 { &alice } else { &bob };
        writer.remove(by, members).await;
        writer.say(&alice, "gone").await;
        expected.push(LeftChannel {
            channel: writer.channel(),
            at,
        });
        if number == 2 {
            writer.add(&alice, members, Role::Member).await;
            expected.pop();
        }
        if number == 3 {
            // Left again: the last time counts.
            writer.add(&alice, members, Role::Member).await;
            let at = Timestamp(START.0 + 1_000 * TICK_MS);
            writer.set_now(at);
            writer.remove(&alice, members).await;
            expected.pop();
            expected.push(LeftChannel {
                channel: writer.channel(),
                at,
            });
        }
    }
    expected.sort_by_key(|left| std::cmp::Reverse(left.at));
    let mut times: Vec<Timestamp> = expected.iter().map(|left| left.at).collect();
    times.extend([
        Timestamp(0),
        Timestamp(START.0 + 10 * TICK_MS + 1),
        Timestamp(u64::MAX >> 1),
    ]);
    for since in times {
        for limit in [1, 2, 100] {
            let left = opened.inbox().left(&bob, since, limit).await;
            let mut newer = expected.clone();
            newer.retain(|left| left.at >= since);
            newer.truncate(limit);
            assert_eq!(
                left.expect("the store answers"),
                newer,
                "the channels left since {since} and not returned to, newest first"
            );
        }
    }
    let stayed = opened.inbox().left(&alice, Timestamp(0), 100).await;
    assert_eq!(
        stayed.expect("the store answers"),
        [],
        "who stayed has left nothing"
    );
}

async fn assert_last(opened: &Opened, writer: &LogWriter, user: &UserId, expected: Option<&Entry>) {
    let row = one_row(opened.inbox(), user, writer.channel()).await;
    // A store may shorten the copy, not exchange it.
    let name = |entry: &Entry| (entry.seq, entry.n, entry.message, entry.from.clone());
    assert_eq!(
        row.last.as_ref().map(name),
        expected.map(name),
        "a row's last is the newest message that its user may see"
    );
}
