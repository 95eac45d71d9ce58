//! Members as views of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chat_core::ports::{MembersQuery, MessageStore};
use chat_core::proto::channel::{ChannelState, Member, evolve, member_changes, successor};
use chat_core::proto::{ChannelId, Entry, History, Role, Seq, UserId};

use crate::factory::Opened;
use crate::log_writer::LogWriter;
use crate::names::{fresh_user, fresh_users};

/// More members than a channel whose members the fold knows.
const MANY: usize = 130;

/// Members come, go, return and change their role, in a small channel, across the bound and in a large one; the rows
/// with the log after `through` are the fold's, after every step.
pub async fn members_follow_the_log(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let crowd = fresh_users("crowd", MANY);
    for history in [History::All, History::Joined] {
        let mut writer = LogWriter::group_with(
            opened.messages(),
            &alice,
            std::slice::from_ref(&bob),
            history,
        )
        .await;
        assert_members(opened.messages(), &writer).await;
        writer.say(&alice, "hello").await;
        writer.remove(&alice, std::slice::from_ref(&bob)).await;
        assert_members(opened.messages(), &writer).await;
        writer.say(&alice, "unheard").await;
        writer
            .add(&alice, std::slice::from_ref(&bob), Role::Guest)
            .await;
        assert_members(opened.messages(), &writer).await;
        writer.promote(&alice, &bob, Role::Admin).await;
        assert_members(opened.messages(), &writer).await;
        writer.add(&bob, &crowd[..90], Role::Member).await;
        assert_members(opened.messages(), &writer).await;
        writer.add(&bob, &crowd[90..], Role::Member).await;
        assert_members(opened.messages(), &writer).await;
        assert!(writer.state().is_large());
        writer.promote(&alice, &crowd[5], Role::Admin).await;
        writer
            .remove(&bob, &[crowd[6].clone(), crowd[7].clone()])
            .await;
        assert_members(opened.messages(), &writer).await;
        // The last owner goes: the hand-over is part of the entry.
        writer.remove(&alice, std::slice::from_ref(&alice)).await;
        assert_members(opened.messages(), &writer).await;
        writer.remove(&bob, &crowd[10..60]).await;
        assert_members(opened.messages(), &writer).await;
        assert!(!writer.state().is_large());
        // Several changes in one append.
        let mut ahead = writer.clone();
        let commands = [
            removal(&ahead, &bob, &crowd[60]),
            ahead.text(&bob, "between"),
            removal(&ahead, &bob, &crowd[61]),
        ];
        let append = ahead.prepare(&commands);
        writer.commit(append).await;
        assert_members(opened.messages(), &writer).await;
    }
}

/// Pages of every size, from members, from strangers between them and from beyond the last.
pub async fn member_pages_are_exact(opened: Opened) {
    let alice = fresh_user("alice");
    let crowd = fresh_users("crowd", MANY);
    // Ids that sort otherwise as text of another case or language than as bytes.
    let odd = ["Zoë", "zoe", "ZOE", "名前", "\u{10FFFF}", "\u{FFFD}"].map(fresh_user);
    let mut writer = LogWriter::group(opened.messages(), &alice, &odd).await;
    writer.add(&alice, &crowd, Role::Member).await;
    writer
        .remove(&alice, &[crowd[3].clone(), crowd[100].clone()])
        .await;
    let all: Vec<(UserId, Member)> = writer
        .members()
        .iter()
        .map(|(user, member)| (user.clone(), *member))
        .collect();
    let mut places: Vec<Option<UserId>> = vec![None, Some(crowd[3].clone())];
    places.extend(odd.iter().cloned().map(Some));
    places.extend([all.first(), all.last(), all.get(50)].map(|row| row.map(|row| row.0.clone())));
    places.push(Some(
        "\u{10FFFF}\u{10FFFF}".parse().expect("a good user id"),
    ));
    for after in places {
        let rest: Vec<(UserId, Member)> = all
            .iter()
            .filter(|(user, _)| after.as_ref().is_none_or(|after| user > after))
            .cloned()
            .collect();
        for limit in [1, 2, 50, 500] {
            let query = MembersQuery {
                channel: writer.channel(),
                after: after.clone(),
                limit,
            };
            let page = opened.messages().members(query).await;
            let page = page.expect("the store answers");
            let length = page.members.len();
            assert!(
                length <= limit && length <= rest.len() && (length > 0 || rest.is_empty()),
                "a page of at most {limit} of {} members holds {length}",
                rest.len()
            );
            assert_eq!(
                page.members,
                rest[..length],
                "a page holds the members behind {after:?} in the bytewise order of their ids"
            );
            assert_eq!(
                page.more,
                length < rest.len(),
                "a page tells whether more members follow its {length}"
            );
        }
    }
}

/// The last owner goes, alone and with others, among admins, members and guests of different and of equal standing, few and many.
pub async fn successor_is_longest_standing(opened: Opened) {
    let owner = fresh_user("owner");
    // Sorted: the order of ids is not the order of joining.
    let users = fresh_users("user", 6);
    let mut writer = LogWriter::group(opened.messages(), &owner, &[]).await;
    assert_successor(&opened, &writer, &[&owner], None).await;
    writer.add(&owner, &users[..1], Role::Guest).await;
    assert_successor(&opened, &writer, &[&owner], None).await;
    writer.add(&owner, &users[4..6], Role::Member).await;
    writer.add(&owner, &users[1..2], Role::Member).await;
    assert_successor(&opened, &writer, &[&owner], Some(&users[4])).await;
    writer.add(&owner, &users[3..4], Role::Admin).await;
    writer.add(&owner, &users[2..3], Role::Admin).await;
    assert_successor(&opened, &writer, &[&owner], Some(&users[3])).await;
    // Several go at once.
    let both = [&owner, &users[3]];
    assert_successor(&opened, &writer, &both, Some(&users[2])).await;
    let admins = [&owner, &users[2], &users[3]];
    assert_successor(&opened, &writer, &admins, Some(&users[4])).await;
    let all: Vec<&UserId> = users[1..].iter().chain([&owner]).collect();
    assert_successor(&opened, &writer, &all, None).await;
    // A promotion keeps the place in time.
    writer.promote(&owner, &users[5], Role::Admin).await;
    assert_successor(&opened, &writer, &[&owner], Some(&users[5])).await;
    // Who returns begins anew.
    writer.remove(&owner, &users[5..6]).await;
    writer.add(&owner, &users[5..6], Role::Admin).await;
    assert_successor(&opened, &writer, &[&owner], Some(&users[3])).await;
    writer
        .add(&owner, &fresh_users("crowd", MANY), Role::Member)
        .await;
    assert_successor(&opened, &writer, &[&owner], Some(&users[3])).await;
    writer.remove(&owner, &users[2..6]).await;
    assert_successor(&opened, &writer, &[&owner], Some(&users[1])).await;
}

/// The rows that the store answers, brought up to the head by the log, are the writer's members.
pub(crate) async fn assert_members(messages: &Arc<dyn MessageStore>, writer: &LogWriter) {
    let (channel, head) = (writer.channel(), writer.head().seq);
    let (mut after, mut listed) = (None, BTreeMap::new());
    loop {
        let query = MembersQuery {
            channel,
            after: after.clone(),
            limit: 40,
        };
        let page = messages.members(query).await.expect("the store answers");
        assert!(page.through <= head, "rows cannot be ahead of the log");
        let mut rows: BTreeMap<UserId, Member> = page.members.iter().cloned().collect();
        let last = page.members.last().map(|(user, _)| user.clone());
        catch_up(&mut rows, channel, &writer.entries(), page.through);
        // Rows outside of the page come from the log: they belong to other pages.
        rows.retain(|user, _| {
            after.as_ref().is_none_or(|after| user > after)
                && (!page.more || last.as_ref().is_none_or(|last| user <= last))
        });
        listed.extend(rows);
        after = last;
        if !page.more {
            break;
        }
    }
    assert_eq!(
        &listed,
        writer.members(),
        "the members listed are those of the log"
    );
    let mut asked: Vec<UserId> = writer.members().keys().cloned().collect();
    asked.extend(gone(&writer.entries()));
    asked.push(fresh_user("stranger"));
    let answer = messages.memberships(channel, &asked).await;
    let mut answer = answer.expect("the store answers");
    catch_up(
        &mut answer.found,
        channel,
        &writer.entries(),
        answer.through,
    );
    assert_eq!(
        &answer.found,
        writer.members(),
        "of the users asked for, those of the log are found"
    );
    let one = messages.memberships(channel, &asked[..1]).await;
    let found = one.expect("the store answers").found;
    assert!(
        found.keys().all(|user| *user == asked[0]),
        "only the users asked for are answered"
    );
}

/// Applies the changes of the entries after `through`, as whoever reads rows does.
fn catch_up(rows: &mut BTreeMap<UserId, Member>, channel: ChannelId, log: &[Entry], through: Seq) {
    let mut state = ChannelState::empty(channel);
    for entry in log {
        let changes = member_changes(&state, entry);
        evolve(&mut state, entry, None);
        if entry.seq > through {
            changes.iter().for_each(|change| change.apply_to(rows));
        }
    }
}

/// Everybody whom the log names in a change of members.
fn gone(log: &[Entry]) -> Vec<UserId> {
    let mut gone = Vec::new();
    for entry in log {
        if let chat_core::proto::EntryKind::Members(change) = &entry.kind {
            gone.extend(change.remove.iter().cloned());
        }
    }
    gone.sort();
    gone.dedup();
    gone
}

fn removal(writer: &LogWriter, by: &UserId, user: &UserId) -> chat_core::proto::Command {
    let change = chat_core::proto::entry::MembersChange {
        remove: vec![user.clone()],
        ..Default::default()
    };
    writer.command(by, chat_core::proto::channel::Action::Members(change))
}

/// The store names `expected` when these leave, and so do the rules.
async fn assert_successor(
    opened: &Opened,
    writer: &LogWriter,
    leaving: &[&UserId],
    expected: Option<&UserId>,
) {
    let leaving: BTreeSet<UserId> = leaving.iter().copied().cloned().collect();
    let staying = writer.members().iter();
    let staying = staying.filter(|(user, _)| !leaving.contains(*user));
    let by_rule = successor(staying.map(|(user, member)| (user, *member)));
    assert_eq!(by_rule.as_ref(), expected, "the case agrees with the rules");
    let answer = opened
        .messages()
        .successor(writer.channel(), &leaving)
        .await;
    let answer = answer.expect("the store answers");
    assert_eq!(
        answer, by_rule,
        "the successor is the longest-standing admin, else member, of those who stay"
    );
}
