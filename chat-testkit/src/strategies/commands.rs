//! Bodies and commands.

use chat_core::proto::channel::{Action, NewChannel, NewMessage};
use chat_core::proto::entry::{MemberRole, MembersChange, MetaChange};
use chat_core::proto::{
    Attachment, Body, ChannelType, CipherScheme, ClientId, Command, DeviceId, History, MediaId,
    Posting, Role, Seq,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::texts::texts;
use super::users::user_ids;

/// Bodies that a server accepts.
pub fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        6 => (texts(), option::weighted(0.2, data(4)))
            .prop_map(|(text, data)| Body::Text { text, attachments: Vec::new(), data }),
        1 => vec(attachments(), 1..3)
            .prop_map(|attachments| Body::Text { text: String::new(), attachments, data: None }),
        1 => (1_usize..500).prop_map(|count| Body::Cipher {
            scheme: CipherScheme::Mls,
            data: "AAEC".repeat(count),
        }),
    ]
}

/// Bodies of every kind, also such as a server refuses: empty, too long by one character, with too much or too deep
/// `data`, with too many attachments, and ciphers that are not base64.
pub fn hostile_bodies() -> impl Strategy<Value = Body> {
    let text = |text: String| Body::Text {
        text,
        attachments: Vec::new(),
        data: None,
    };
    prop_oneof![
        8 => bodies(),
        1 => Just(text(String::new())),
        1 => Just(text("x".repeat(100_001))),
        1 => Just(text("\u{1F600}".repeat(100_001))),
        1 => Just(with_data("k", Value::String("v".repeat(20_000)))),
        1 => (1_usize..100).prop_map(|depth| with_data("deep", nested(depth))),
        1 => vec(attachments(), 11..14)
            .prop_map(|attachments| Body::Text { text: "x".into(), attachments, data: None }),
        1 => ".{0,20}".prop_map(|data| Body::Cipher { scheme: CipherScheme::Mls, data }),
    ]
}

/// Messages to channels that may exist, with targets and mentions that may not.
pub fn new_messages() -> impl Strategy<Value = NewMessage> {
    let target = || option::weighted(0.2, (0_u64..40).prop_map(Seq));
    let parts = (
        bodies(),
        target(),
        target(),
        vec(user_ids(), 0..4),
        option::weighted(0.3, user_ids()),
    );
    parts.prop_map(|(body, reply_to, thread, mentions, direct_to)| NewMessage {
        direct_to,
        body,
        reply_to,
        thread,
        mentions,
    })
}

/// Everything that can be wished of a channel, sensible or not.
pub fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        1 => new_channels().prop_map(Action::Create),
        6 => new_messages().prop_map(Action::Send),
        3 => members_changes().prop_map(Action::Members),
        1 => meta_changes().prop_map(Action::Meta),
    ]
}

/// Commands of a few users who often meet, some of the embedding program itself, some without a key.
pub fn commands() -> impl Strategy<Value = Command> {
    let parts = (
        user_ids(),
        uuids(),
        option::weighted(0.9, uuids()),
        any::<u8>(),
        actions(),
    );
    parts.prop_map(|(from, device, client_id, system, action)| {
        let client_id = client_id.map(ClientId::from_uuid);
        if system < 16 {
            Command::of_system(from, client_id, action)
        } else {
            Command::of_device(from, DeviceId::from_uuid(device), client_id, action)
        }
    })
}

fn new_channels() -> impl Strategy<Value = NewChannel> {
    let parts = (
        select(vec![
            ChannelType::Group,
            ChannelType::Group,
            ChannelType::Direct,
        ]),
        option::weighted(0.8, texts()),
        vec(user_ids(), 0..4),
        histories(),
        option::weighted(0.1, data(3)),
        option::weighted(0.1, "[a-z:0-9]{0,12}"),
    );
    parts.prop_map(
        |(channel_type, title, members, history, data, external_id)| NewChannel {
            channel_type,
            title,
            members,
            history,
            data,
            external_id,
        },
    )
}

fn members_changes() -> impl Strategy<Value = MembersChange> {
    let parts = (
        vec(member_roles(), 0..3),
        vec(user_ids(), 0..3),
        vec(member_roles(), 0..3),
    );
    parts.prop_map(|(add, remove, role)| MembersChange { add, remove, role })
}

fn meta_changes() -> impl Strategy<Value = MetaChange> {
    let parts = (
        option::of(texts()),
        option::of(texts()),
        option::of(texts()),
        option::of(histories()),
        option::of(select(vec![Posting::All, Posting::Admins])),
        option::of(data(3)),
    );
    parts.prop_map(|(title, topic, avatar, history, post, data)| MetaChange {
        title,
        topic,
        avatar,
        history,
        post,
        data,
    })
}

fn member_roles() -> impl Strategy<Value = MemberRole> {
    let roles = select(vec![Role::Guest, Role::Member, Role::Admin, Role::Owner]);
    (user_ids(), roles).prop_map(|(user, role)| MemberRole { user, role })
}

fn histories() -> impl Strategy<Value = History> {
    select(vec![History::All, History::Joined])
}

fn attachments() -> impl Strategy<Value = Attachment> {
    (uuids(), "[^/]{0,30}", any::<u32>()).prop_map(|(media, name, size)| Attachment {
        media: MediaId::from_uuid(media),
        name,
        size: size.into(),
        media_type: "image/png".into(),
    })
}

fn data(entries: usize) -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        vec(any::<u32>(), 0..3).prop_map(Value::from),
    ];
    vec((".{0,8}", value), 0..entries).prop_map(Map::from_iter)
}

fn uuids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn with_data(key: &str, value: Value) -> Body {
    Body::Text {
        text: "x".into(),
        attachments: Vec::new(),
        data: Some(Map::from_iter([(key.to_owned(), value)])),
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

#[cfg(test)]
mod tests {
    use chat_core::proto::Limits;
    use chat_core::proto::channel::CommandKey;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bodies_are_accepted(body in bodies()) {
            prop_assert_eq!(body.check(&Limits::default()), Ok(()));
        }

        #[test]
        fn commands_keep_what_was_sent(command in commands()) {
            prop_assert_eq!(command.system, command.device.is_none());
            let key = command.key;
            let same = CommandKey::of(key.map(|key| key.client_id), &command.action);
            prop_assert_eq!(same, key);
        }
    }
}
