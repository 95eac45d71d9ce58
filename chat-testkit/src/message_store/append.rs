//! Appending: places, races, prefixes, durability.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{Append, AppendOutcome, MessageStore};
use chat_core::proto::channel::{Action, NewMessage};
use chat_core::proto::entry::{MemberRole, MembersChange};
use chat_core::proto::{
    Body, ChannelId, ClientId, Command, Entry, Head, History, Limits, Role, Seq,
};

use super::pages::whole_log;
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::{LogWriter, Settled};
use crate::names::{fresh_channel, fresh_user};

/// Writers in the race for one log.
const WRITERS: usize = 8;
/// Messages of each.
const MESSAGES_A_WRITER: usize = 20;
/// Heads that two writers race for.
const ROUNDS: usize = 25;

/// Eight writers race for one log: it is contiguous, `n` counts messages, everything acknowledged is in it once, and
/// nothing of which the store said that it surely is not.
pub async fn seq_is_contiguous_under_concurrent_writers(opened: Opened) {
    let alice = fresh_user("alice");
    let start = LogWriter::group(opened.messages(), &alice, &[]).await;
    let tasks = (0..WRITERS).map(|writer| {
        let (mut log, alice) = (start.clone(), alice.clone());
        tokio::spawn(async move {
            let mut settled = Vec::new();
            for number in 0..MESSAGES_A_WRITER {
                let command = log.text(&alice, format!("{writer}/{number}"));
                let outcome = log.race(&command).await;
                settled.push(outcome.expect("the store serves several writers"));
            }
            settled
        })
    });
    let settled: Vec<Settled> = join_all(tasks).await.concat();
    let log = whole_log(opened.messages(), start.channel()).await;
    assert_contiguous(&log);
    let keys: Vec<ClientId> = log.iter().filter_map(client_id).collect();
    let distinct: BTreeSet<ClientId> = keys.iter().copied().collect();
    assert_eq!(keys.len(), distinct.len(), "no message is in the log twice");
    let mut written = 0;
    for outcome in settled {
        match outcome {
            Settled::Written(entry) => {
                let at_its_place = log.get(position(entry.seq));
                assert_eq!(
                    at_its_place,
                    Some(&*entry),
                    "an acknowledged entry is in the log at its place"
                );
                written += 1;
            }
            Settled::NotWritten(key) => assert!(
                !distinct.contains(&key),
                "an append that failed as surely not applied is in the log"
            ),
        }
    }
    assert_eq!(
        keys.len(),
        written,
        "the log holds nothing that was not acknowledged"
    );
}

/// An append below and above the head appends nothing and tells the head; the head is free for the next.
pub async fn append_refuses_a_moved_head(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let stale = writer.clone().prepare(&[writer.text(&alice, "stale")]);
    writer.say(&alice, "first").await;
    let mut ahead = writer.clone();
    let skipped = ahead.prepare(&[ahead.text(&alice, "skipped")]);
    ahead.accept(&skipped);
    let beyond = ahead.prepare(&[ahead.text(&alice, "beyond")]);
    for (append, place) in [(stale, "below"), (beyond, "above")] {
        let outcome = opened.messages().append(append).await;
        let expected = AppendOutcome::HeadMoved {
            head: writer.head().seq,
        };
        assert_eq!(
            outcome.expect("the store answers"),
            expected,
            "an append {place} the head is told where the head is"
        );
        let heads = opened.messages().heads(&[writer.channel()]).await;
        assert_eq!(
            heads.expect("the store answers"),
            [writer.head()],
            "a refused append leaves the head where it was"
        );
        assert_log(opened.messages(), &writer).await;
    }
    let empty = fresh_channel();
    let mut elsewhere = LogWriter::new(opened.messages(), empty);
    let mut beginning = elsewhere.prepare(&[elsewhere.creation(&alice, &[], History::All)]);
    beginning.expected_head = Seq(3);
    for (place, record) in beginning.records.iter_mut().enumerate() {
        record.record.entry.seq = Seq(4 + place as u64);
    }
    let outcome = opened.messages().append(beginning).await;
    assert_eq!(
        outcome.expect("the store answers"),
        AppendOutcome::HeadMoved { head: Seq(0) },
        "an empty log has its head at 0"
    );
    writer.say(&alice, "second").await;
    assert_log(opened.messages(), &writer).await;
}

/// Two appends at one head, many times: one succeeds, the other hears of the head, and the log holds the one.
pub async fn one_of_two_racing_appends_wins(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    for round in 0..ROUNDS {
        let appends = ["left", "right"].map(|side| {
            let command = writer.text(&alice, format!("{side} {round}"));
            writer.prepare(&[command])
        });
        let tasks = appends.clone().map(|append| {
            let messages = Arc::clone(opened.messages());
            tokio::spawn(async move { messages.append(append).await.expect("the store answers") })
        });
        let outcomes = join_all(tasks).await;
        let wins = outcomes
            .iter()
            .zip(&appends)
            .filter(|(outcome, _)| **outcome == AppendOutcome::Appended { durable: 1 });
        let wins: Vec<&Append> = wins.map(|(_, append)| append).collect();
        let [won] = wins.as_slice() else {
            panic!("exactly one of two appends at one head succeeds: {outcomes:?}");
        };
        writer.accept(won);
        let lost = AppendOutcome::HeadMoved {
            head: writer.head().seq,
        };
        assert!(
            outcomes.contains(&lost),
            "the other append hears of the head: {outcomes:?}"
        );
        assert_log(opened.messages(), &writer).await;
    }
}

/// A full append of messages and other entries: exactly as many records are in the log as it says are durable.
pub async fn append_is_prefix_atomic(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(opened.messages(), &alice, &[bob]).await;
    for round in 0..4 {
        let mut commands: Vec<Command> = (1..Limits::APPEND_ENTRIES_MAX)
            .map(|number| writer.text(&alice, format!("{round}/{number}")))
            .collect();
        if round % 2 == 1 {
            let added = fresh_user("added");
            let change = MembersChange {
                add: vec![MemberRole {
                    user: added,
                    role: Role::Member,
                }],
                ..MembersChange::default()
            };
            commands.insert(30, writer.command(&alice, Action::Members(change)));
        }
        let mut append = writer.prepare(&commands);
        let outcome = opened.messages().append(append.clone()).await;
        let outcome = outcome.expect("the store takes a full append");
        let AppendOutcome::Appended { durable } = outcome else {
            panic!("an append at the head with new keys succeeds: {outcome:?}");
        };
        assert!(
            (1..=append.records.len()).contains(&durable),
            "at least one record is durable, and no more than were given: {durable}"
        );
        append.records.truncate(durable);
        writer.accept(&append);
        assert_log(opened.messages(), &writer).await;
    }
}

/// A direct channel and its first message: both durable, with nothing and with much behind them.
pub async fn creation_and_first_message_are_one_unit(opened: Opened) {
    for more in [0, Limits::APPEND_ENTRIES_MAX - 2] {
        let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
        let channel = ChannelId::direct(&alice, &bob);
        let mut writer = LogWriter::new(opened.messages(), channel);
        let mut first = NewMessage::new(Body::text("hello"));
        first.direct_to = Some(bob);
        let mut commands = vec![writer.command(&alice, Action::Send(first))];
        commands.extend((0..more).map(|number| writer.text(&alice, format!("{number}"))));
        let append = writer.prepare(&commands);
        assert_eq!(append.records.len(), more + 2);
        let outcome = opened.messages().append(append).await;
        let outcome = outcome.expect("the store takes a first message");
        let AppendOutcome::Appended { durable } = outcome else {
            panic!("a first append succeeds: {outcome:?}");
        };
        assert!(
            durable >= 2,
            "a channel's first two records are durable together, not {durable}"
        );
        let log = whole_log(opened.messages(), channel).await;
        assert_eq!(log.len(), durable, "the log holds exactly what is durable");
    }
}

/// What was acknowledged is there after the stores were closed and opened, and the log goes on behind it.
pub async fn acknowledged_survives_reopen(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(opened.messages(), &alice, std::slice::from_ref(&bob)).await;
    writer.say_many(&alice, 100).await;
    writer.remove(&alice, std::slice::from_ref(&bob)).await;
    writer.retitle(&alice, "another title").await;
    let last = writer.say(&alice, "the last").await;
    let entries = writer.entries();
    let (state, records, members) = (
        writer.state().to_snapshot(),
        writer.records().to_vec(),
        writer.members().clone(),
    );
    let channel = writer.channel();
    drop(writer);
    let opened = opened.reopen().await;
    let log = whole_log(opened.messages(), channel).await;
    assert_eq!(
        log, entries,
        "the log after reopening is the log that was acknowledged"
    );
    let mut again = LogWriter::new(opened.messages(), channel);
    again.catch_up().await.expect("the store answers");
    assert_eq!(again.state().to_snapshot(), state);
    super::keys::assert_found(opened.messages(), records.last().expect("it has records")).await;
    super::members::assert_members(opened.messages(), &again).await;
    assert_eq!(again.members(), &members);
    again.set_now(last.at);
    again.say(&alice, "after reopening").await;
    assert_log(opened.messages(), &again).await;
}

/// The store holds the writer's log, entry by entry.
pub(crate) async fn assert_log(messages: &Arc<dyn MessageStore>, writer: &LogWriter) {
    let log = whole_log(messages, writer.channel()).await;
    assert_eq!(
        log,
        writer.entries(),
        "the log holds exactly what was acknowledged"
    );
}

/// `seq` runs from 1 without a gap, and `n` counts the messages.
pub(super) fn assert_contiguous(log: &[Entry]) {
    let mut head = Head::EMPTY;
    for entry in log {
        let n = head.n.0 + u64::from(entry.kind.is_message());
        let expected = Head::new(head.seq.0 + 1, n);
        assert_eq!(
            entry.head(),
            expected,
            "seq is contiguous and n counts messages"
        );
        head = expected;
    }
}

fn client_id(entry: &Entry) -> Option<ClientId> {
    entry.as_message().map(|message| message.client_id)
}

fn position(seq: Seq) -> usize {
    usize::try_from(seq.previous().0).expect("a case's log is short")
}
