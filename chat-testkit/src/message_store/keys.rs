//! Keys: refused twice, found in exactly the range asked for.

use std::sync::Arc;

use chat_core::ports::{AppendOutcome, FoundKey, KeyQuery, MessageStore};
use chat_core::proto::channel::{Action, NewMessage};
use chat_core::proto::{Body, Command, Record, Seq};

use super::append::assert_log;
use crate::factory::Opened;
use crate::log_writer::LogWriter;
use crate::names::{fresh_channel, fresh_device, fresh_user};

/// A store that searches keys refuses one that the log holds, at the head and behind it, whatever its age and its place
/// in the append. A store that does not is asked nothing here.
pub async fn append_refuses_a_known_key(opened: Opened) {
    if !opened.messages().capabilities().append_searches_keys {
        return;
    }
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let stale = writer.clone();
    let command = writer.text(&alice, "once");
    writer.run_command(command.clone()).await;
    let first = found(writer.records().last().expect("it was appended"));
    writer.say_many(&alice, 300).await;
    // The same key with another content: the store tells what it holds, the engine what that means.
    let other = Command {
        action: Action::Send(NewMessage::new(Body::text("other"))),
        ..command.clone()
    };
    for command in [command, other] {
        for (writer, place) in [(&stale, "with a moved head"), (&writer, "at the head")] {
            for before in [0, 3] {
                let mut writer = writer.clone();
                let mut commands: Vec<Command> =
                    (0..before).map(|_| writer.text(&alice, "new")).collect();
                commands.push(command.clone());
                commands.push(writer.text(&alice, "behind"));
                let append = writer.prepare(&commands);
                let outcome = opened.messages().append(append).await;
                assert_eq!(
                    outcome.expect("the store answers"),
                    AppendOutcome::KeyExists {
                        index: before,
                        found: first
                    },
                    "an append {place} of a known key is refused and told the first result"
                );
            }
        }
    }
    assert_log(opened.messages(), &writer).await;
    writer.say(&alice, "and on").await;
    assert_log(opened.messages(), &writer).await;
}

/// One `client_id` of two senders in two channels: four commands, each appended and each found as itself.
pub async fn keys_are_apart_by_sender_and_channel(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let client_id = crate::names::fresh_client_id();
    let device = fresh_device();
    let mut records = Vec::new();
    for text in ["here", "there"] {
        let mut writer =
            LogWriter::group(opened.messages(), &alice, std::slice::from_ref(&bob)).await;
        for from in [&alice, &bob] {
            let action = Action::Send(NewMessage::new(Body::text(text)));
            let command = Command::of_device((*from).clone(), device, Some(client_id), action);
            let append = writer.prepare(&[command]);
            let outcome = opened.messages().append(append.clone()).await;
            assert_eq!(
                outcome.expect("the store answers"),
                AppendOutcome::Appended { durable: 1 },
                "a client_id of another sender or channel is another key"
            );
            writer.accept(&append);
        }
        assert_log(opened.messages(), &writer).await;
        records.extend(writer.records()[1..].iter().cloned());
    }
    for record in &records {
        assert_found(opened.messages(), record).await;
    }
    let stranger = fresh_user("carol");
    let query = KeyQuery {
        sender: stranger,
        ..query(&records[0], Seq(0), Seq(u64::MAX >> 1))
    };
    let answer = opened.messages().find_key(query).await;
    assert_eq!(
        answer.expect("the store answers"),
        None,
        "a key is its sender's only"
    );
}

/// Every key of a long log, of messages and of other commands: found where the range holds its entry, else not.
pub async fn find_key_searches_exactly_the_range(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let mut writer = LogWriter::group(opened.messages(), &alice, std::slice::from_ref(&bob)).await;
    writer.say_many(&alice, 150).await;
    writer.retitle(&alice, "another").await;
    writer.say_many(&bob, 149).await;
    writer.remove(&bob, std::slice::from_ref(&bob)).await;
    let head = writer.head().seq;
    for record in writer
        .records()
        .iter()
        .step_by(7)
        .chain(writer.records().last())
    {
        let seq = record.entry.seq;
        for (after, through, inside) in [
            (Seq(0), head, true),
            (seq.previous(), seq, true),
            (seq.previous(), head, true),
            (Seq(0), seq, true),
            (seq, head, false),
            (seq, seq, false),
            (Seq(0), seq.previous(), false),
        ] {
            let answer = opened
                .messages()
                .find_key(query(record, after, through))
                .await;
            let expected = inside.then(|| found(record));
            assert_eq!(
                answer.expect("the store answers"),
                expected,
                "a key is found in ({after}, {through}] if its entry {seq} is there"
            );
        }
    }
    let unused = KeyQuery {
        client_id: crate::names::fresh_client_id(),
        ..query(&writer.records()[1], Seq(0), head)
    };
    let answer = opened.messages().find_key(unused).await;
    assert_eq!(answer.expect("the store answers"), None);
    let elsewhere = KeyQuery {
        channel: fresh_channel(),
        ..query(&writer.records()[1], Seq(0), head)
    };
    let answer = opened.messages().find_key(elsewhere).await;
    assert_eq!(answer.expect("the store answers"), None);
}

/// The record is found under its key.
pub(super) async fn assert_found(messages: &Arc<dyn MessageStore>, record: &Record) {
    let seq = record.entry.seq;
    let answer = messages.find_key(query(record, seq.previous(), seq)).await;
    assert_eq!(
        answer.expect("the store answers"),
        Some(found(record)),
        "a key leads to its own entry"
    );
}

/// What a search for the record's key finds.
pub(crate) fn found(record: &Record) -> FoundKey {
    FoundKey {
        seq: record.entry.seq,
        n: record.entry.n,
        message: record.entry.message,
        at: record.entry.at,
        content: record
            .key
            .expect("a case looks for keys that it wrote")
            .content,
    }
}

/// A search for the record's key.
pub(crate) fn query(record: &Record, after: Seq, through: Seq) -> KeyQuery {
    let key = record.key.expect("a case looks for keys that it wrote");
    KeyQuery {
        channel: record.channel,
        sender: record.entry.from.clone(),
        client_id: key.client_id,
        after,
        through,
    }
}
