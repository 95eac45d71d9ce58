//! One of everything that nodes tell each other.

use std::sync::Arc;

use chat_core::ports::{KeptStatus, Payload};
use chat_core::proto::people::{PrefsChange, Status, UserEntry, UserEntryKind};
use chat_core::proto::{ChannelId, Entry, EntryKind, Head, Seq, entry};

use crate::log_writer::START;
use crate::names::{fresh_device, fresh_user, next_message_id};
use crate::user_store::draft;

/// One of each, about this channel.
pub(super) fn payloads(channel: ChannelId) -> Vec<Payload> {
    let (user, device) = (fresh_user("alice"), fresh_device());
    let recipients = vec![user.clone(), fresh_user("bob")];
    let head = Head::new(7, 5);
    let meta = entry::MetaChange {
        title: Some("Tea \u{1F375}".into()),
        ..entry::MetaChange::default()
    };
    let entry = Entry {
        seq: head.seq,
        n: head.n,
        message: next_message_id(),
        at: START,
        from: user.clone(),
        device: Some(device),
        withheld: true,
        kind: EntryKind::Meta(meta),
    };
    let own = UserEntry {
        seq: Seq(3),
        at: START,
        kind: UserEntryKind::Prefs(PrefsChange {
            channel,
            prefs: draft("as far as I can tell"),
        }),
    };
    vec![
        Payload::Entries {
            channel,
            entries: vec![Arc::new(entry)],
            recipients: recipients.clone(),
        },
        Payload::Head {
            channel,
            head,
            recipients: recipients.clone(),
        },
        Payload::Mark {
            channel,
            user: user.clone(),
            read: true,
            to: head,
            recipients: recipients.clone(),
        },
        Payload::Typing {
            channel,
            user: user.clone(),
            recipients,
        },
        Payload::Status {
            user: user.clone(),
            status: KeptStatus {
                state: Status::Busy,
                text: Some("until five".into()),
                rev: 2,
            },
        },
        Payload::UserEntries {
            user: user.clone(),
            entries: vec![own],
            head: Seq(3),
        },
        Payload::UserEntries {
            user: user.clone(),
            entries: Vec::new(),
            head: Seq(4),
        },
        Payload::WatchEnds {
            watcher: user.clone(),
            watched: fresh_user("bob"),
        },
        Payload::Relations {
            users: vec![user.clone(), fresh_user("carol")],
        },
        Payload::Revoked {
            user: user.clone(),
            device,
        },
        Payload::Replaced { user, device },
    ]
}
