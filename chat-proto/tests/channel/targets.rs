//! What is done to messages: rights, ends, and the laws of bodies.

use chat_proto::channel::{Action, Annotations, Reception, Target};
use chat_proto::entry::{BodySet, Message};
use chat_proto::{Body, ChannelId, Code, EntryKind, History, Role, Seq, UserId};
use proptest::prelude::*;

use crate::world::{
    World, add, client_id, delete, edit, pin, react, remove, role, say, set_role, user,
};

/// A group of an owner, an admin, a member who wrote entry 4, and a guest.
fn room() -> World {
    let mut world = World::group(3, History::All);
    world
        .act(0, set_role(1, Role::Admin))
        .expect("an owner may");
    world
        .act(0, add([role(3, Role::Guest)]))
        .expect("an owner may");
    world.act(2, say("four")).expect("a member may");
    world
}

fn refusal(result: Result<usize, chat_proto::Rejection>) -> Option<Code> {
    result.err().map(|rejection| rejection.code)
}

#[test]
fn each_role_may_what_the_table_says() {
    type Row = (fn() -> Action, [bool; 4]);
    let table: [Row; 4] = [
        (|| edit(4, "other"), [false, false, true, false]),
        (|| delete(4), [true, true, true, false]),
        (|| pin(4, false), [true, true, false, false]),
        (|| react(4, "+", false), [true, true, true, true]),
    ];
    for (action, expected) in table {
        for (from, may) in expected.into_iter().enumerate() {
            let refused = refusal(room().act(from, action()));
            assert_eq!(
                refused,
                (!may).then_some(Code::Forbidden),
                "{from} {:?}",
                action()
            );
        }
        let mut world = room();
        world.act(2, remove([2])).expect("anybody may leave");
        assert_eq!(
            refusal(world.act(2, action())),
            Some(Code::NotFound),
            "who left may nothing"
        );
        assert_eq!(refusal(world.act(9, action())), Some(Code::NotFound));
        assert_eq!(refusal(room().act_as_system(action())), None);
    }
}

#[test]
fn what_is_no_message_in_sight_is_not_there() {
    let mut world = World::group(2, History::Joined);
    world.act(0, say("two")).expect("an owner may");
    world
        .act(0, add([role(5, Role::Admin)]))
        .expect("an owner may");
    world.act(0, say("four")).expect("an owner may");
    for target in [0, 1, 3, 5, u64::MAX] {
        for action in [
            edit(target, "x"),
            delete(target),
            react(target, "+", false),
            pin(target, false),
        ] {
            assert_eq!(
                refusal(world.act(0, action)),
                Some(Code::NotFound),
                "{target}"
            );
        }
    }
    // Before the admin's visible range.
    assert_eq!(refusal(world.act(5, delete(2))), Some(Code::NotFound));
    assert_eq!(refusal(world.act(5, delete(4))), None);
}

#[test]
fn nothing_follows_a_deletion() {
    let mut world = room();
    world.act(1, react(4, "+", false)).expect("an admin may");
    world.act(2, delete(4)).expect("the author may");
    for action in [
        edit(4, "back"),
        react(4, "+", true),
        react(4, "-", false),
        pin(4, false),
    ] {
        assert_eq!(
            refusal(world.act(0, action.clone())),
            Some(Code::NotFound),
            "{action:?}"
        );
    }
    assert_eq!(
        world.act(2, delete(4)),
        Ok(0),
        "deleting again has succeeded already"
    );
    assert_eq!(refusal(world.act(3, delete(4))), Some(Code::Forbidden));
}

#[test]
fn what_is_so_already_makes_no_entry() {
    let mut world = room();
    for (action, entries) in [
        (pin(4, true), 0),
        (pin(4, false), 1),
        (pin(4, false), 0),
        (pin(4, true), 1),
        (react(4, "+", true), 0),
        (react(4, "+", false), 1),
        (react(4, "+", false), 0),
        (react(4, "+", true), 1),
    ] {
        assert_eq!(world.act(1, action.clone()), Ok(entries), "{action:?}");
    }
}

#[test]
fn reactions_are_bounded() {
    let mut world = room();
    for emoji in ["", " ", "a b", "\u{7}"] {
        assert_eq!(
            refusal(world.act(1, react(4, emoji, false))),
            Some(Code::BadRequest),
            "{emoji:?}"
        );
    }
    assert_eq!(
        refusal(world.act(1, react(4, &"x".repeat(65), false))),
        Some(Code::TooLarge)
    );
    for number in 0..8 {
        assert_eq!(world.act(1, react(4, &number.to_string(), false)), Ok(1));
    }
    assert_eq!(
        refusal(world.act(1, react(4, "ninth", false))),
        Some(Code::TooLarge)
    );
    assert_eq!(world.act(1, react(4, "0", true)), Ok(1));
    assert_eq!(world.act(1, react(4, "ninth", false)), Ok(1));
}

#[test]
fn what_a_blocked_sender_says_and_does_to_it_is_withheld() {
    let (ann, bob) = (user(0), user(1));
    let mut world = World::new(ChannelId::direct(&ann, &bob));
    let first = |text: &str| match say(text) {
        Action::Send(message) => Action::Send(chat_proto::channel::NewMessage {
            direct_to: Some(user(1)),
            ..message
        }),
        other => other,
    };
    world
        .act(0, first("open"))
        .expect("anybody may write to anybody");
    world.reception = Reception {
        blocks: true,
        refuses: false,
    };
    world.act(0, say("hidden")).expect("the sender cannot tell");
    world
        .act(0, react(3, "+", false))
        .expect("the sender cannot tell");
    world.reception = Reception::default();
    world
        .act(0, edit(3, "still hidden"))
        .expect("the sender cannot tell");
    world
        .act(0, react(2, "+", false))
        .expect("of an open message");
    let withheld: Vec<bool> = world
        .log
        .iter()
        .map(|record| record.entry.withheld)
        .collect();
    assert_eq!(withheld, [false, false, true, true, true, false]);
    for action in [edit(3, "x"), delete(3), react(3, "+", false), pin(3, false)] {
        assert_eq!(
            refusal(world.act(1, action)),
            Some(Code::NotFound),
            "not there for the blocker"
        );
    }
    for record in &world.log {
        let entry = &record.entry;
        assert_eq!(
            entry.seen_by(&ann, Seq(1)).as_ref(),
            entry,
            "like any other for the sender"
        );
        let seen = entry.seen_by(&bob, Seq(1));
        assert_eq!(seen.kind == EntryKind::Withheld, entry.withheld);
        assert_eq!((seen.seq, seen.n), (entry.seq, entry.n));
        assert!(!entry.withheld || !format!("{seen:?}").contains("hidden"));
    }
}

#[test]
fn a_direct_channel_that_begins_withheld_is_one_of_two_members_all_the_same() {
    let (ann, bob) = (user(0), user(1));
    let mut world = World::new(ChannelId::direct(&ann, &bob));
    world.reception = Reception {
        blocks: true,
        refuses: false,
    };
    let message = chat_proto::channel::NewMessage {
        direct_to: Some(bob.clone()),
        ..chat_proto::channel::NewMessage::new(Body::text("hidden"))
    };
    assert_eq!(world.act(0, Action::Send(message)), Ok(2));
    assert_eq!(world.state.member_count(), 2);
    let seen: Vec<bool> = world
        .log
        .iter()
        .map(|record| record.entry.seen_by(&bob, Seq(1)).kind == EntryKind::Withheld)
        .collect();
    assert_eq!(seen, [false, true]);
}

#[test]
fn who_takes_messages_of_contacts_only_refuses_others() {
    let mut world = World::new(ChannelId::direct(&user(0), &user(1)));
    world.reception = Reception {
        blocks: false,
        refuses: true,
    };
    let message = chat_proto::channel::NewMessage {
        direct_to: Some(user(1)),
        ..chat_proto::channel::NewMessage::new(Body::text("x"))
    };
    assert_eq!(
        refusal(world.act(0, Action::Send(message.clone()))),
        Some(Code::Forbidden)
    );
    assert_eq!(
        world.act_as_system(Action::Send(message)),
        Err(chat_proto::Rejection::not_found(
            "there is no such channel, or you are not in it"
        ))
    );
}

#[test]
fn edits_of_what_is_out_of_sight_come_without_body() {
    let mut world = room();
    world.act(2, edit(4, "five")).expect("the author may");
    let entry = &world.log[4].entry;
    assert_eq!(entry.seen_by(&user(0), Seq(4)).as_ref(), entry);
    match &entry.seen_by(&user(0), Seq(5)).kind {
        EntryKind::Edit(edit) => assert_eq!((edit.target, edit.body.as_ref()), (Seq(4), None)),
        other => panic!("an edit stays an edit: {other:?}"),
    }
}

fn plain() -> Message {
    Message {
        client_id: client_id(1),
        body: Some(Body::text("0")),
        erased: false,
        rev: None,
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
    }
}

#[derive(Clone, Debug)]
struct Set {
    rev: u64,
    erases: bool,
}

fn apply(sets: &[Set]) -> Message {
    let mut message = plain();
    for set in sets {
        let body = Body::text(set.rev.to_string());
        message.set_body(BodySet {
            target: Seq(1),
            rev: Seq(set.rev),
            body: (!set.erases).then_some(&body),
            erases: set.erases,
        });
    }
    message
}

proptest! {
    #[test]
    fn any_order_of_setting_bodies_converges(
        order in prop::collection::btree_map(2..40u64, prop::bool::weighted(0.2), 0..8)
            .prop_map(|sets| sets.into_iter().map(|(rev, erases)| Set { rev, erases }).collect::<Vec<_>>())
            .prop_shuffle(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut sorted = order.clone();
        sorted.sort_by_key(|set| set.rev);
        let mut repeated = order.clone();
        if !order.is_empty() {
            repeated.extend(again.iter().map(|index| order[index.index(order.len())].clone()));
        }
        let message = apply(&repeated);
        prop_assert_eq!(&message, &apply(&sorted));
        prop_assert_eq!(message.erased, order.iter().any(|set| set.erases), "a deletion is terminal");
        prop_assert_eq!(message.body.is_none(), message.erased);
        prop_assert_eq!(message.rev.map(|rev| rev.0), order.iter().map(|set| set.rev).max());
    }

    /// What a decision goes by and what a reader sees are folds of the same entries.
    #[test]
    fn targets_and_annotations_agree(
        steps in prop::collection::vec((0..4usize, 0..4u8, any::<bool>(), "[abc]"), 0..30),
    ) {
        let mut world = room();
        for (from, what, remove, emoji) in steps {
            // Refusals are as good as anything.
            let _decided = match what {
                0 => world.act(from, pin(4, remove)),
                1 if remove && emoji == "a" => world.act(from, delete(4)),
                _ => world.act(from, react(4, &emoji, remove)),
            };
        }
        for viewer in (0..4).map(user) {
            check_agreement(&world, &viewer)?;
        }
    }
}

fn check_agreement(world: &World, viewer: &UserId) -> Result<(), TestCaseError> {
    let later = || world.log[4..].iter().map(|record| &record.entry);
    let mut target = Target::of(&world.log[3].entry).expect("a message");
    for entry in later() {
        target.apply(Seq(4), entry, viewer);
    }
    let seen = Annotations::fold(Seq(4), later(), viewer);
    if target.erased {
        prop_assert_eq!(seen, Annotations::default());
        return Ok(());
    }
    prop_assert_eq!(seen.pinned, target.pinned);
    let mut counts: Vec<_> = seen
        .reactions
        .iter()
        .map(|of| (of.emoji.clone(), of.count))
        .collect();
    counts.sort();
    prop_assert_eq!(counts, target.signs.into_iter().collect::<Vec<_>>());
    let mut mine: Vec<_> = seen
        .reactions
        .into_iter()
        .filter(|of| of.mine)
        .map(|of| of.emoji)
        .collect();
    mine.sort();
    prop_assert_eq!(mine, target.own_signs.into_iter().collect::<Vec<_>>());
    Ok(())
}
