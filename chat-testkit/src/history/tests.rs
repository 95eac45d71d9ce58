//! Each law has a history that breaks exactly it.

use chat_core::proto::{Body, ChannelId, Entry, EntryKind, Head, MessageId, Ordinal, Seq, UserId};

use super::*;
use crate::log_writer::LogWriter;
use crate::memory_stores::MemoryStores;
use crate::names::{fresh_channel, fresh_client_id, fresh_device, fresh_user, next_message_id};

/// Alice and Bob in a group: eight messages with a title between them, each on two devices, and all recorded.
async fn clean() -> History {
    let stores = MemoryStores::with_key_search().empty();
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let members = std::slice::from_ref(&bob);
    let mut writer = LogWriter::group(stores.messages(), &alice, members).await;
    writer.say_many(&alice, 4).await;
    writer.retitle(&alice, "another").await;
    writer.say_many(&bob, 4).await;
    let entries = writer.entries();
    let channel = writer.channel();
    let device_of = [(alice, fresh_device()), (bob, fresh_device())];
    let sent = entries[1..].iter().map(|entry| {
        let message = entry.as_message();
        let device = device_of.iter().find(|(user, _)| *user == entry.from);
        Sent {
            user: entry.from.clone(),
            device: device.expect("one of the two").1,
            channel,
            client_id: message.map_or_else(fresh_client_id, |message| message.client_id),
            body: message.and_then(|message| message.body.as_ref().map(Digest::of_body)),
            outcome: Outcome::Acknowledged {
                head: entry.head(),
                message: entry.message,
            },
        }
    });
    let devices = device_of.iter().map(|(user, device)| DeviceLog {
        user: user.clone(),
        device: *device,
        channel,
        visible_from: Seq(1),
        through: None,
        entries: entries.iter().map(Seen::of).collect(),
    });
    History {
        sent: sent.collect(),
        devices: devices.collect(),
        server: vec![ChannelLog::new(channel, &entries)],
        every_message_is_recorded: true,
    }
}

/// Makes the devices agree with the server again, so that only the server's fault is seen.
fn follow_the_server(history: &mut History) {
    for device in &mut history.devices {
        device.entries = history.server[0]
            .entries
            .iter()
            .map(|stored| stored.seen)
            .collect();
    }
}

/// A history that breaks exactly this law.
async fn broken(law: Law) -> History {
    let mut history = clean().await;
    let log = &mut history.server[0].entries;
    match law {
        Law::SeqIsContiguous => {
            log.last_mut().expect("it has entries").seen.head.seq = Seq(99);
            history.sent.pop();
            history.every_message_is_recorded = false;
            history.devices.clear();
        }
        Law::OrdinalsCountMessages => {
            // The title's entry: the message after it is right again only if the count goes on from there.
            let last = log.last_mut().expect("it has entries");
            last.seen.head.n = Ordinal(99);
            let (head, message) = (last.seen.head, last.seen.message);
            let sent = history.sent.last_mut().expect("it was sent");
            sent.outcome = Outcome::Acknowledged { head, message };
            follow_the_server(&mut history);
        }
        Law::IdsRise => {
            log[0].seen.message = MessageId(u64::MAX >> 1);
            log.truncate(2);
            history.sent.truncate(1);
            follow_the_server(&mut history);
        }
        Law::KeysAreOnce => {
            let mut again = log[9].clone();
            again.seen.head = Head::new(11, 9);
            again.seen.message = next_message_id();
            log.push(again);
            follow_the_server(&mut history);
        }
        Law::AcknowledgedIsPresent => {
            log.pop();
            follow_the_server(&mut history);
        }
        Law::AcknowledgedKeepsItsPlace => {
            history.sent[3].outcome = Outcome::Acknowledged {
                head: Head::new(3, 2),
                message: log[4].seen.message,
            };
        }
        Law::BodiesAreAsSent => history.sent[0].body = Some(Digest::of_text("another")),
        Law::RejectedIsAbsent => history.sent[0].outcome = Outcome::Rejected,
        Law::NothingIsInvented => drop(history.sent.pop()),
        Law::SendersKeepTheirOrder => history.sent.swap(0, 1),
        Law::DevicesMissNothing => drop(history.devices[1].entries.remove(4)),
        Law::DevicesRepeatNothing => {
            let again = history.devices[1].entries[4];
            history.devices[1].entries.insert(5, again);
        }
        Law::DevicesKeepTheOrder => history.devices[1].entries.swap(4, 5),
        Law::DevicesHaveTheSame => {
            history.devices[1].entries[4].digest = Digest::of_text("another");
        }
        Law::DevicesHaveNothingElse => history.devices[1].visible_from = Seq(2),
    }
    history
}

#[tokio::test]
async fn a_history_without_faults_is_clean() {
    let mut history = clean().await;
    let report = history.check();
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (report.entries, report.messages, report.commands),
        (10, 8, 9)
    );
    assert_eq!((report.device_logs, report.device_entries), (2, 20));
    // Unknown may be either.
    history.sent[1].outcome = Outcome::Unknown;
    let lost = Sent {
        client_id: fresh_client_id(),
        ..history.sent[1].clone()
    };
    history.sent.push(lost.clone());
    history.sent.push(Sent {
        client_id: fresh_client_id(),
        outcome: Outcome::Rejected,
        ..lost
    });
    let report = history.check();
    assert!(report.is_clean(), "{report}");
    let counts = (
        report.acknowledged,
        report.rejected,
        report.unknown,
        report.unknown_written,
    );
    assert_eq!(counts, (8, 1, 2, 1));
}

#[tokio::test]
async fn each_law_is_broken_by_a_history_of_its_own() {
    for law in Law::ALL {
        let report = broken(law).await.check();
        let laws: Vec<Law> = report.violations.iter().map(|found| found.law).collect();
        assert_eq!(laws, [law], "{report}");
        assert!(report.to_string().contains(law.sentence()));
    }
}

#[tokio::test]
async fn the_first_violation_is_named_precisely() {
    let report = broken(Law::DevicesMissNothing).await.check();
    let first = report.first().expect("a violation");
    assert_eq!(first.seq, Some(Seq(5)));
    assert!(first.device.is_some());
    assert!(first.detail.contains("first of 1 "), "{first}");
}

#[tokio::test]
async fn a_device_sees_its_users_range() {
    let mut history = clean().await;
    let device = &mut history.devices[1];
    (device.visible_from, device.through) = (Seq(3), Some(Seq(7)));
    assert!(!history.check().is_clean(), "it has more");
    history.devices[1].entries = history.devices[1].entries[2..7].to_vec();
    assert!(history.check().is_clean());
    history.devices[1].entries.pop();
    let report = history.check();
    let first = report.first().map(|first| (first.law, first.seq));
    assert_eq!(first, Some((Law::DevicesMissNothing, Some(Seq(7)))));
    history.devices[1].entries.clear();
    let report = history.check();
    let first = report.first().expect("a violation");
    assert!(first.detail.contains("first of 5 "), "{first}");
}

#[test]
fn a_channel_that_the_server_does_not_have_is_lost() {
    let alice = fresh_user("alice");
    let history = History {
        sent: vec![sent(&alice, fresh_channel(), Head::new(2, 1))],
        ..History::default()
    };
    let first = history.check().first().map(|first| first.law);
    assert_eq!(first, Some(Law::AcknowledgedIsPresent));
}

#[test]
fn violations_are_kept_up_to_a_bound() {
    let (alice, channel) = (fresh_user("alice"), fresh_channel());
    let lost = (0..500).map(|n| sent(&alice, channel, Head::new(n + 1, n)));
    let history = History {
        sent: lost.collect(),
        ..History::default()
    };
    let report = history.check();
    assert_eq!(report.violations_total, 500);
    assert_eq!(report.violations.len(), VIOLATIONS_KEPT_MAX);
}

#[tokio::test]
async fn digests_tell_everything_apart_but_the_name() {
    let stores = MemoryStores::with_key_search().empty();
    let alice = fresh_user("alice");
    let mut writer = LogWriter::group(stores.messages(), &alice, &[]).await;
    let entry = writer.say(&alice, "text").await;
    let change = |change: fn(&mut Entry)| {
        let mut other = entry.clone();
        change(&mut other);
        let (mut seen, known) = (Seen::of(&other), Seen::of(&entry));
        seen.message = known.message;
        seen.agrees_with(&known)
    };
    assert!(change(|entry| entry.message = MessageId(1)));
    assert!(!change(|entry| entry.device = None));
    assert!(!change(|entry| entry.at.0 += 1));
    assert!(!change(|entry| edit(entry, |message| message.body = None)));
    assert!(!change(
        |entry| edit(entry, |message| message.body = Some(Body::text("texT")))
    ));
    assert!(!change(
        |entry| edit(entry, |message| message.reply_to = Some(Seq(1)))
    ));
    assert!(change(|entry| edit(entry, |message| {
        (message.body, message.rev) = (Some(Body::text("edited")), Some(Seq(9)));
    })));
    assert!(!change(|entry| edit(entry, |message| {
        (message.mentions, message.rev) = (vec![fresh_user("bob")], Some(Seq(9)));
    })));
    let cipher = Body::Cipher {
        scheme: chat_core::proto::CipherScheme::Mls,
        data: "AAEC".into(),
    };
    assert_ne!(Digest::of_body(&cipher), Digest::of_text("AAEC"));
}

fn edit(entry: &mut Entry, edit: fn(&mut chat_core::proto::entry::Message)) {
    if let EntryKind::Message(message) = &mut entry.kind {
        edit(message);
    }
}

fn sent(user: &UserId, channel: ChannelId, head: Head) -> Sent {
    Sent {
        user: user.clone(),
        device: fresh_device(),
        channel,
        client_id: fresh_client_id(),
        body: Some(Digest::of_text("text")),
        outcome: Outcome::Acknowledged {
            head,
            message: MessageId(head.seq.0),
        },
    }
}
