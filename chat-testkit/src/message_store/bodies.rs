//! What goes in comes out, byte for byte.

use chat_core::proto::channel::{Action, NewMessage};
use chat_core::proto::{
    Attachment, Body, CipherScheme, Entry, EntryKind, Limits, MediaId, Ordinal, Record,
};
use serde_json::{Map, json};
use uuid::Uuid;

use super::append::assert_log;
use super::pages::{every_message, folded_records};
use crate::factory::Opened;
use crate::log_writer::LogWriter;
use crate::names::{fresh_user, next_message_id};
use crate::strategies::hostile_texts;

/// The longest texts, of one, two, three and four bytes a character, and one of U+0000 only.
pub async fn long_bodies_return_exactly(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let chars_max = Limits::default().text_chars_max;
    for character in ["a", "ß", "語", "\u{1F600}", "\u{0}"] {
        let text = character.repeat(chars_max);
        writer.say(&alice, text).await;
    }
    let cipher = Body::Cipher {
        scheme: CipherScheme::Mls,
        data: "AAEC".repeat(100_000),
    };
    writer.send(&alice, NewMessage::new(cipher)).await;
    assert_returns(&opened, &writer, "a body of 100,000 characters").await;
}

/// Texts that break careless code, in messages, titles, topics, `data` and attachments.
pub async fn hostile_bodies_return_exactly(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let texts = hostile_texts();
    for chunk in texts.chunks(Limits::APPEND_ENTRIES_MAX) {
        let mut commands = Vec::new();
        for text in chunk {
            let mut data = Map::new();
            data.insert(text.clone(), json!({ "": [text, null, 1.5, u64::MAX, {}] }));
            let body = Body::Text {
                text: text.clone(),
                attachments: Vec::new(),
                data: Some(data).filter(|_| text.len() < 1_000),
            };
            commands.push(writer.command(&alice, Action::Send(NewMessage::new(body))));
        }
        let append = writer.prepare(&commands);
        writer.commit(append).await;
    }
    let attached = Body::Text {
        text: String::new(),
        attachments: vec![Attachment {
            media: MediaId::from_uuid(Uuid::new_v4()),
            name: "\u{0}'; DROP TABLE entries; --\u{202E}gpj.exe".into(),
            size: u64::MAX >> 1,
            media_type: "image/\u{FFFD}".into(),
        }],
        data: None,
    };
    writer.send(&alice, NewMessage::new(attached)).await;
    let titles = texts.iter().filter(|text| text.chars().count() <= 200);
    for (number, text) in titles.enumerate() {
        writer
            .retitle(&alice, &format!("{text}\u{0}{number}"))
            .await;
    }
    assert_returns(&opened, &writer, "a hostile text").await;
}

/// An entry of a later version, between others.
pub async fn unknown_kinds_are_kept(opened: Opened) {
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(opened.messages(), &alice, &[]).await;
    let said = writer.say(&alice, "before").await;
    let mut fields = Map::new();
    fields.insert("target".into(), json!(said.seq.0));
    fields.insert(
        "deep".into(),
        json!({ "list": [1, "two", null], "text": "\u{0}" }),
    );
    fields.insert("client_id".into(), json!(Uuid::new_v4().to_string()));
    let later = Entry {
        seq: said.seq.next(),
        n: Ordinal(said.n.0),
        message: next_message_id(),
        at: writer.now(),
        kind: EntryKind::Unknown {
            kind: "react_v9".into(),
            fields,
        },
        ..said
    };
    let record = Record {
        channel: writer.channel(),
        entry: later,
        key: None,
    };
    let append = writer.prepare_records(vec![record]);
    writer.commit(append).await;
    assert_returns(&opened, &writer, "an entry of an unknown kind").await;
    let opened = opened.reopen().await;
    let writer = writer.in_store(opened.messages());
    assert_returns(&opened, &writer, "an entry of an unknown kind").await;
}

/// Every way to read gives the log as it was written.
async fn assert_returns(opened: &Opened, writer: &LogWriter, what: &str) {
    let messages: Vec<Entry> = writer
        .entries()
        .into_iter()
        .filter(|entry| entry.kind.is_message())
        .collect();
    let read = every_message(opened.messages(), writer.channel()).await;
    assert_same(
        &read,
        &messages,
        &format!("{what} returns exactly from `messages`"),
    );
    let loaded = folded_records(opened.messages(), writer.channel(), writer.head().seq).await;
    let behind = writer.entries().len() - loaded.len();
    let entries: Vec<Entry> = loaded.into_iter().map(|record| record.entry).collect();
    let expected = &writer.entries()[behind..];
    assert_same(
        &entries,
        expected,
        &format!("{what} returns exactly from `load`"),
    );
    assert_log(opened.messages(), writer).await;
}

/// As `assert_eq!`, without printing megabytes.
fn assert_same(left: &[Entry], right: &[Entry], law: &str) {
    assert_eq!(left.len(), right.len(), "{law}");
    let different = left.iter().zip(right).find(|(left, right)| left != right);
    if let Some((left, right)) = different {
        let short = |entry: &Entry| format!("{entry:?}").chars().take(400).collect::<String>();
        panic!("{law}: read {}, written {}", short(left), short(right));
    }
}
