//! Each rule by an example.

use chat_proto::channel::{Action, Context, Decision, NewChannel, NewMessage, decide, needs};
use chat_proto::entry::{MembersChange, MetaChange};
use chat_proto::{
    Body, ChannelId, ChannelType, Code, Command, EntryKind, History, Limits, Posting, Rejection,
    Role, Seq,
};

use crate::world::{World, add, client_id, device, group, remove, role, say, set_role, user};

fn code<T>(outcome: Result<T, Rejection>) -> Option<Code> {
    outcome.err().map(|rejection| rejection.code)
}

fn direct(from: usize, to: usize) -> (World, Action) {
    let message = NewMessage {
        direct_to: Some(user(to)),
        ..NewMessage::new(Body::text("hello"))
    };
    let world = World::new(ChannelId::direct(&user(from), &user(to)));
    (world, Action::Send(message))
}

fn meta(change: MetaChange) -> Action {
    Action::Meta(change)
}

fn title(text: impl Into<String>) -> Action {
    meta(MetaChange {
        title: Some(text.into()),
        ..MetaChange::default()
    })
}

fn roles(world: &World) -> Vec<(usize, Role)> {
    let number = |name: &str| name[1..].parse().expect("u and a number");
    let rows = world.rows.iter();
    rows.map(|(user, member)| (number(user.as_str()), member.role))
        .collect()
}

#[test]
fn a_direct_channel_begins_with_its_first_message() {
    let (mut world, hello) = direct(1, 2);
    assert_eq!(world.act(1, hello.clone()), Ok(2));
    assert!(world.log[0].key.is_none());
    assert!(world.log[1].key.is_some());
    assert_eq!(roles(&world), [(1, Role::Member), (2, Role::Member)]);
    assert_eq!(world.act(2, hello), Ok(1), "later ones just send");
    assert_eq!(code(world.act(3, say("me too"))), Some(Code::NotFound));
}

#[test]
fn notes_to_oneself_have_one_member() {
    let (mut world, hello) = direct(1, 1);
    assert_eq!(world.act(1, hello), Ok(2));
    assert_eq!(roles(&world), [(1, Role::Member)]);
}

#[test]
fn a_channel_that_is_not_there_takes_no_message() {
    let mut world = World::new(ChannelId::external("nothing"));
    assert_eq!(code(world.act(1, say("hello"))), Some(Code::NotFound));
    assert_eq!(code(world.act(1, title("x"))), Some(Code::NotFound));
    assert_eq!(code(world.act(1, remove([1]))), Some(Code::NotFound));
    // A direct message aimed at another channel's id begins nothing there.
    let (_, hello) = direct(1, 2);
    assert_eq!(code(world.act(1, hello)), Some(Code::NotFound));
}

#[test]
fn who_does_not_exist_is_neither_written_to_nor_added() {
    let limits = Limits::default();
    let mut context = Context::new(&limits);
    context.strangers.insert(user(2));
    let (mut world, hello) = direct(1, 2);
    let command = world.command(1, hello);
    assert!(needs(&world.state, &command).people.contains(&user(2)));
    assert_eq!(
        code(decide(&world.state, &command, &context)),
        Some(Code::NotFound)
    );
    let command = world.command(1, Action::Create(group(3, History::All)));
    assert!(needs(&world.state, &command).people.contains(&user(2)));
    assert_eq!(
        code(decide(&world.state, &command, &context)),
        Some(Code::NotFound)
    );
    let mut world = World::group(1, History::All);
    let command = world.command(0, add([role(2, Role::Member)]));
    assert!(needs(&world.state, &command).people.contains(&user(2)));
    assert_eq!(
        code(decide(&world.state, &command, &context)),
        Some(Code::NotFound)
    );
}

#[test]
fn the_members_and_settings_of_a_direct_channel_never_change() {
    let (mut world, hello) = direct(1, 2);
    world.act(1, hello).expect("begins");
    for action in [
        remove([1]),
        add([role(3, Role::Member)]),
        set_role(1, Role::Owner),
    ] {
        assert_eq!(code(world.act(1, action.clone())), Some(Code::Forbidden));
        assert_eq!(code(world.act_as_system(action)), Some(Code::Forbidden));
    }
    assert_eq!(code(world.act(1, title("x"))), Some(Code::Forbidden));
    assert_eq!(code(world.act_as_system(title("x"))), Some(Code::Forbidden));
    let data = MetaChange {
        data: Some(serde_json::Map::from_iter([("k".into(), 1.into())])),
        ..MetaChange::default()
    };
    assert_eq!(world.act_as_system(meta(data)), Ok(1));
}

#[test]
fn a_group_begins_with_its_creator_as_owner() {
    let mut world = World::new(ChannelId::external("g"));
    let channel = NewChannel {
        members: [1, 0, 2, 1].map(user).into(),
        ..group(1, History::All)
    };
    assert_eq!(world.act(0, Action::Create(channel.clone())), Ok(1));
    assert_eq!(
        roles(&world),
        [(0, Role::Owner), (1, Role::Member), (2, Role::Member)]
    );
    assert!(world.log[0].key.is_some());
    assert_eq!(
        code(world.act(1, Action::Create(channel))),
        Some(Code::Conflict)
    );
}

#[test]
fn a_creation_keeps_to_its_bounds() {
    let fresh = |channel: NewChannel| {
        let mut world = World::new(ChannelId::direct(&user(0), &user(1)));
        code(world.act(0, Action::Create(channel)))
    };
    let titled = |title: Option<String>| NewChannel {
        title,
        ..group(1, History::All)
    };
    assert_eq!(fresh(titled(None)), Some(Code::BadRequest));
    assert_eq!(fresh(titled(Some(String::new()))), Some(Code::BadRequest));
    assert_eq!(fresh(titled(Some("\u{1F600}".repeat(500)))), None);
    assert_eq!(fresh(titled(Some("a".repeat(501)))), Some(Code::TooLarge));
    assert_eq!(
        fresh(group(1_001, History::All)),
        None,
        "1,000 and the creator"
    );
    assert_eq!(fresh(group(1_002, History::All)), Some(Code::TooLarge));
    let named = |id: String| NewChannel {
        external_id: Some(id),
        ..group(1, History::All)
    };
    assert_eq!(fresh(named("x".repeat(200))), None);
    assert_eq!(fresh(named("x".repeat(201))), Some(Code::TooLarge));
    assert_eq!(fresh(named(String::new())), Some(Code::BadRequest));
    let direct = |title: Option<&str>, members: &[usize]| NewChannel {
        channel_type: ChannelType::Direct,
        title: title.map(Into::into),
        members: members.iter().copied().map(user).collect(),
        ..group(1, History::All)
    };
    assert_eq!(fresh(direct(None, &[1])), None);
    assert_eq!(fresh(direct(None, &[1, 2])), Some(Code::BadRequest));
    assert_eq!(
        fresh(direct(None, &[2])),
        Some(Code::NotFound),
        "not their channel"
    );
    assert_eq!(fresh(direct(Some("x"), &[1])), Some(Code::BadRequest));
}

#[test]
fn post_admins_silences_members() {
    let mut world = World::group(2, History::All);
    let admins = MetaChange {
        post: Some(Posting::Admins),
        ..MetaChange::default()
    };
    assert_eq!(
        code(world.act(1, meta(admins.clone()))),
        Some(Code::Forbidden)
    );
    assert_eq!(world.act(0, meta(admins.clone())), Ok(1));
    assert_eq!(world.act(0, meta(admins)), Ok(0), "it is so already");
    assert_eq!(code(world.act(1, say("x"))), Some(Code::Forbidden));
    assert_eq!(world.act(0, say("x")), Ok(1));
    assert_eq!(world.act_as_system(say("x")), Ok(1));
}

#[test]
fn settings_record_only_what_changes_and_an_empty_topic_clears() {
    let mut world = World::group(1, History::All);
    let change = |title: &str, topic: &str| {
        meta(MetaChange {
            title: Some(title.into()),
            topic: Some(topic.into()),
            ..MetaChange::default()
        })
    };
    assert_eq!(world.act(0, change("a group", "tea")), Ok(1));
    let EntryKind::Meta(recorded) = world.last() else {
        panic!("a change of settings")
    };
    assert_eq!(
        (recorded.title.as_deref(), recorded.topic.as_deref()),
        (None, Some("tea"))
    );
    assert_eq!(world.act(0, change("a group", "")), Ok(1));
    assert_eq!(world.state.meta().and_then(|meta| meta.topic.clone()), None);
    assert_eq!(world.act(0, change("a group", "")), Ok(0));
    assert_eq!(code(world.act(0, title(""))), Some(Code::BadRequest));
    assert_eq!(
        code(world.act(0, title("a".repeat(501)))),
        Some(Code::TooLarge)
    );
    assert_eq!(
        code(world.act(0, meta(MetaChange::default()))),
        Some(Code::BadRequest)
    );
}

#[test]
fn an_admin_adds_and_removes_below_admin_only() {
    let mut world = World::group(4, History::All);
    world
        .act(0, set_role(1, Role::Admin))
        .expect("the owner may");
    assert_eq!(
        world.act(1, add([role(5, Role::Guest), role(6, Role::Member)])),
        Ok(1)
    );
    for high in [Role::Admin, Role::Owner] {
        assert_eq!(
            code(world.act(1, add([role(7, high)]))),
            Some(Code::Forbidden)
        );
    }
    assert_eq!(world.act(1, remove([5, 6])), Ok(1));
    assert_eq!(world.act(1, remove([5])), Ok(0), "gone already");
    assert_eq!(code(world.act(1, remove([0]))), Some(Code::Forbidden));
    assert_eq!(
        code(world.act(1, set_role(2, Role::Guest))),
        Some(Code::Forbidden)
    );
    assert_eq!(code(world.act(2, remove([3]))), Some(Code::Forbidden));
    assert_eq!(
        code(world.act(2, add([role(8, Role::Guest)]))),
        Some(Code::Forbidden)
    );
    assert_eq!(world.act(2, remove([2])), Ok(1), "everybody may leave");
    assert_eq!(code(world.act(2, remove([2]))), Some(Code::NotFound));
}

#[test]
fn who_is_in_already_is_not_added_again() {
    let mut world = World::group(2, History::All);
    assert_eq!(world.act(0, add([role(1, Role::Guest)])), Ok(0));
    let twice = add([
        role(1, Role::Guest),
        role(2, Role::Guest),
        role(2, Role::Guest),
    ]);
    assert_eq!(world.act(0, twice), Ok(1));
    let EntryKind::Members(change) = world.last() else {
        panic!("a change of members")
    };
    assert_eq!(change.add, [role(2, Role::Guest)]);
    assert_eq!(code(world.act(0, add([]))), Some(Code::BadRequest));
    let both = MembersChange {
        add: vec![role(3, Role::Guest)],
        remove: vec![user(3)],
        ..MembersChange::default()
    };
    assert_eq!(
        code(world.act(0, Action::Members(both))),
        Some(Code::BadRequest)
    );
    let many = (0..1_001).map(|number| role(number, Role::Guest));
    assert_eq!(code(world.act_as_system(add(many))), Some(Code::TooLarge));
}

#[test]
fn the_last_owner_hands_over_and_the_entry_says_so() {
    let mut world = World::group(3, History::All);
    world.act(0, add([role(4, Role::Admin)])).expect("may");
    world.act(0, set_role(2, Role::Admin)).expect("may");
    assert_eq!(world.act(0, remove([0])), Ok(1));
    let EntryKind::Members(change) = world.last() else {
        panic!("a change of members")
    };
    // 2 joined before 4, and an admin comes before a member who is there as long.
    assert_eq!(change.role, [role(2, Role::Owner)]);
    assert_eq!(world.act(2, remove([2, 4])), Ok(1));
    assert_eq!(roles(&world), [(1, Role::Owner)]);
    assert_eq!(world.act(1, remove([1])), Ok(1), "the last one out");
    assert_eq!(roles(&world), []);
}

#[test]
fn a_guest_never_inherits() {
    let mut world = World::group(1, History::All);
    world.act(0, add([role(1, Role::Guest)])).expect("may");
    assert_eq!(world.act(0, remove([0])), Ok(1));
    assert_eq!(roles(&world), [(1, Role::Guest)]);
    let ownerless = world.act_as_system(add([role(2, Role::Member)]));
    assert_eq!(code(ownerless), Some(Code::Conflict));
    assert_eq!(world.act_as_system(add([role(2, Role::Owner)])), Ok(1));
}

#[test]
fn the_last_owner_is_not_demoted() {
    let mut world = World::group(2, History::All);
    assert_eq!(
        code(world.act(0, set_role(0, Role::Member))),
        Some(Code::Conflict)
    );
    assert_eq!(
        code(world.act_as_system(set_role(0, Role::Guest))),
        Some(Code::Conflict)
    );
    assert_eq!(
        code(world.act(0, set_role(9, Role::Admin))),
        Some(Code::NotFound)
    );
    let hand_over = MembersChange {
        role: vec![role(0, Role::Member), role(1, Role::Owner)],
        ..MembersChange::default()
    };
    assert_eq!(world.act(0, Action::Members(hand_over)), Ok(1));
    assert_eq!(roles(&world), [(0, Role::Member), (1, Role::Owner)]);
}

#[test]
fn the_successor_in_a_large_channel_is_looked_up() {
    let mut world = World::group(120, History::All);
    assert!(world.state.is_large());
    let command = world.command(0, remove([0, 1]));
    assert!(needs(&world.state, &command).successor);
    assert_eq!(world.carry_out(&command), Ok(1));
    assert_eq!(world.rows[&user(2)].role, Role::Owner);
    assert_eq!(world.state.privileged().get(&user(2)), Some(&Role::Owner));
}

#[test]
fn what_was_not_looked_up_is_not_guessed() {
    let mut world = World::group(120, History::All);
    let command = world.command(5, say("x"));
    let limits = Limits::default();
    let outcome = decide(&world.state, &command, &Context::new(&limits));
    assert_eq!(code(outcome), Some(Code::Unavailable));
    assert_eq!(world.carry_out(&command), Ok(1));
}

#[test]
fn history_decides_from_where_a_new_member_sees() {
    for (history, visible_from) in [(History::Joined, Seq(3)), (History::All, Seq(1))] {
        for members in [2, 120] {
            let mut world = World::group(members, history);
            world.act(0, say("before")).expect("sent");
            world.act(0, add([role(200, Role::Member)])).expect("added");
            let row = world.rows[&user(200)];
            assert_eq!((row.joined, row.visible_from), (Seq(3), visible_from));
            assert_eq!(world.rows[&user(1)].visible_from, Seq(1));
            let reply = |seq| {
                Action::Send(NewMessage {
                    reply_to: Some(Seq(seq)),
                    ..NewMessage::new(Body::text("re"))
                })
            };
            let unseen = (history == History::Joined).then_some(Code::NotFound);
            assert_eq!(code(world.act(200, reply(2))), unseen);
            assert_eq!(code(world.act(1, reply(2))), None);
            for no_message in [0, 1, 3, 99, u64::MAX] {
                assert_eq!(code(world.act(1, reply(no_message))), Some(Code::NotFound));
            }
        }
    }
}

#[test]
fn mentions_keep_members_only_once_each() {
    for members in [4, 120] {
        let mut world = World::group(members, History::All);
        let message = |mentions: Vec<usize>| {
            Action::Send(NewMessage {
                mentions: mentions.into_iter().map(user).collect(),
                ..NewMessage::new(Body::text("hey"))
            })
        };
        assert_eq!(world.act(0, message(vec![3, 500, 1, 3])), Ok(1));
        let EntryKind::Message(recorded) = world.last() else {
            panic!("a message")
        };
        assert_eq!(recorded.mentions, [user(3), user(1)]);
        assert_eq!(
            code(world.act(0, message((0..51).collect()))),
            Some(Code::TooLarge)
        );
    }
}

#[test]
fn bodies_keep_to_the_limits_also_from_the_system() {
    let mut world = World::group(1, History::All);
    let long = || say(&"a".repeat(100_001));
    assert_eq!(code(world.act(0, long())), Some(Code::TooLarge));
    assert_eq!(code(world.act_as_system(long())), Some(Code::TooLarge));
    assert_eq!(code(world.act(0, say(""))), Some(Code::BadRequest));
    let keyless = Command::of_device(user(0), device(), None, say("x"));
    assert_eq!(code(world.carry_out(&keyless)), Some(Code::BadRequest));
}

#[test]
fn the_key_is_recorded_with_what_it_made() {
    let mut world = World::group(1, History::All);
    let command = Command::of_device(user(0), device(), Some(client_id(77)), say("x"));
    let Ok(Decision::Record(drafts)) = world.decide(&command) else {
        panic!("an owner may send")
    };
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0].key, command.key);
    assert_eq!(world.carry_out(&command), Ok(1));
}
