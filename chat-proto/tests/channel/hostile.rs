//! Logs that no rule would have let happen: whoever wrote them, they are read like any other.

use chat_proto::channel::{Context, Reception, decide, evolve, member_changes, needs};
use chat_proto::entry::{
    Created, Delete, Edit, MemberRole, MembersChange, Message, MetaChange, Pin, React,
};
use chat_proto::{
    ChannelId, ChannelState, ChannelType, Code, Command, Entry, EntryKind, History, Limits,
    MessageId, Ordinal, Posting, Role, Seq, Timestamp,
};
use proptest::prelude::*;
use serde_json::Map;

use crate::world::{add, client_id, delete, device, edit, pin, react, remove, say, set_role, user};

fn members(max: usize) -> impl Strategy<Value = Vec<MemberRole>> {
    let role = prop::sample::select(vec![Role::Guest, Role::Member, Role::Admin, Role::Owner]);
    let member = (0..150usize, role).prop_map(|(number, role)| MemberRole {
        user: user(number),
        role,
    });
    prop::collection::vec(member, 0..max)
}

fn kind() -> impl Strategy<Value = EntryKind> {
    let channel_type = prop::sample::select(vec![ChannelType::Direct, ChannelType::Group]);
    let history = prop::sample::select(vec![History::All, History::Joined]);
    let removed = prop::collection::vec((0..150usize).prop_map(user), 0..120);
    prop_oneof![
        3 => (channel_type, members(140), history).prop_map(|(channel_type, members, history)| {
            EntryKind::Created(Created {
                channel_type,
                title: None,
                members,
                history,
                data: None,
                external_id: None,
            })
        }),
        6 => (members(140), removed, members(20))
            .prop_map(|(add, remove, role)| EntryKind::Members(MembersChange { add, remove, role })),
        2 => Just(EntryKind::Meta(MetaChange {
            title: Some(String::new()),
            post: Some(Posting::Admins),
            ..MetaChange::default()
        })),
        2 => any::<Option<u64>>().prop_map(|target| EntryKind::Message(Message {
            client_id: client_id(9),
            body: None,
            erased: false,
            rev: target.map(Seq),
            reply_to: target.map(Seq),
            thread: None,
            mentions: vec![user(1), user(1)],
        })),
        1 => any::<u64>().prop_map(|target| EntryKind::Edit(Edit { target: Seq(target), body: None })),
        1 => any::<u64>().prop_map(|target| EntryKind::Delete(Delete { target: Seq(target) })),
        1 => any::<u64>().prop_map(|target| EntryKind::React(React {
            target: Seq(target),
            emoji: String::new(),
            remove: true,
        })),
        1 => any::<u64>().prop_map(|target| EntryKind::Pin(Pin { target: Seq(target), remove: true })),
        1 => Just(EntryKind::Withheld),
        1 => Just(EntryKind::Unknown { kind: "later".into(), fields: Map::new() }),
    ]
}

fn log() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (
        kind(),
        any::<u64>(),
        any::<u64>(),
        any::<u64>(),
        0..150usize,
    );
    prop::collection::vec(entry, 1..24).prop_map(|entries| {
        let places = (1..).map(Seq);
        let entries = places
            .zip(entries)
            .map(|(seq, (kind, n, message, at, from))| Entry {
                seq,
                n: Ordinal(n),
                message: MessageId(message),
                at: Timestamp(at),
                from: user(from),
                device: None,
                withheld: seq.0 % 5 == 0,
                kind,
            });
        entries.collect()
    })
}

fn fold(mut state: ChannelState, log: &[Entry]) -> ChannelState {
    for entry in log {
        evolve(&mut state, entry, None);
    }
    state
}

fn empty() -> ChannelState {
    ChannelState::empty(ChannelId::external("hostile"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_log_folds_and_every_split_alike(log in log(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(log.len() + 1);
        let whole = fold(empty(), &log).to_snapshot();
        let first = fold(empty(), &log[..cut]);
        let split = fold(ChannelState::from_snapshot(first.id(), first.to_snapshot()), &log[cut..]);
        prop_assert_eq!(split.to_snapshot(), whole);
    }

    #[test]
    fn known_members_are_always_counted_right(log in log()) {
        let mut state = empty();
        for entry in &log {
            let named = member_changes(&state, entry);
            let mut users: Vec<_> = named.iter().map(|change| change.user()).collect();
            users.sort_unstable();
            users.dedup();
            prop_assert_eq!(users.len(), named.len(), "each user at most once an entry");
            evolve(&mut state, entry, None);
            if let Some(roster) = state.roster() {
                prop_assert_eq!(roster.len() as u64, state.member_count());
            }
        }
    }

    #[test]
    fn any_state_decides_without_panic(log in log(), from in 0..150usize, system: bool) {
        let state = fold(empty(), &log);
        let limits = Limits::default();
        let actions = [say("x"), remove([from, 1]), add([crate::world::role(3, Role::Owner)]),
            set_role(4, Role::Guest), edit(3, "x"), delete(3), react(3, "+", false), pin(3, true)];
        for action in actions {
            let mut command = Command::of_device(user(from), device(), Some(client_id(1)), action);
            command.system = system;
            let asked = needs(&state, &command);
            let context = Context {
                memberships: asked.members.into_iter().map(|user| (user, None)).collect(),
                targets: asked.targets.into_iter().map(|seq| (seq, None)).collect(),
                reception: asked.reception.map(|_| Reception::default()),
                ..Context::new(&limits)
            };
            let outcome = decide(&state, &command, &context);
            let met_unknown = log.iter().any(|entry| matches!(entry.kind, EntryKind::Unknown { .. }));
            let unavailable = outcome.is_err_and(|rejection| rejection.code == Code::Unavailable);
            prop_assert_eq!(unavailable, met_unknown);
        }
    }
}

#[test]
fn only_the_first_entry_begins_a_channel() {
    let created = |seq: u64| Entry {
        seq: Seq(seq),
        n: Ordinal(0),
        message: MessageId(seq),
        at: Timestamp(seq),
        from: user(0),
        device: None,
        withheld: false,
        kind: EntryKind::Created(Created {
            channel_type: ChannelType::Group,
            title: Some(format!("begun at {seq}")),
            members: vec![crate::world::role(0, Role::Owner)],
            history: History::All,
            data: None,
            external_id: None,
        }),
    };
    let title = |state: &ChannelState| state.meta().and_then(|meta| meta.title.clone());
    let twice = fold(empty(), &[created(1), created(2)]);
    assert_eq!(title(&twice).as_deref(), Some("begun at 1"));
    assert_eq!(twice.member_count(), 1);
    let change = Entry {
        kind: EntryKind::Meta(MetaChange::default()),
        ..created(1)
    };
    let late = fold(empty(), &[change, created(2)]);
    assert_eq!((title(&late), late.member_count()), (None, 0));
}
