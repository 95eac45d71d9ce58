//! Laws over arbitrary commands of several users.

use std::collections::BTreeMap;

use chat_proto::channel::{Action, Member, NewMessage, Snapshot, evolve, needs, unread};
use chat_proto::entry::{MemberRole, MembersChange, MetaChange};
use chat_proto::{
    Body, ChannelState, Code, EntryKind, History, Posting, Record, Role, Seq, UserId,
};
use proptest::prelude::*;

use crate::world::{World, add, delete, edit, group, pin, react, remove, say, set_role, user};

const USERS: usize = 130;

#[derive(Clone, Debug)]
struct Step {
    from: usize,
    system: bool,
    action: Action,
    /// Whether the members of a channel that became small are read after this step.
    adopt: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let from = prop_oneof![4 => 0..3usize, 2 => 0..12usize, 1 => 0..USERS];
    let step =
        (from, prop::bool::weighted(0.1), any::<bool>()).prop_flat_map(|(from, system, adopt)| {
            action(from).prop_map(move |action| Step {
                from,
                system,
                action,
                adopt,
            })
        });
    prop::collection::vec(step, 1..40)
}

fn action(from: usize) -> impl Strategy<Value = Action> {
    let range = (0..USERS, 1..60usize);
    prop_oneof![
        6 => message(),
        3 => on_message(),
        2 => Just(remove([from])),
        2 => (range.clone(), role()).prop_map(|((first, length), role)| {
            add((first..(first + length).min(USERS)).map(|number| crate::world::role(number, role)))
        }),
        2 => range.prop_map(|(first, length)| remove(first..(first + length).min(USERS))),
        2 => (0..12usize, role()).prop_map(|(number, role)| set_role(number, role)),
        2 => members().prop_map(Action::Members),
        2 => meta().prop_map(Action::Meta),
        1 => Just(Action::Create(group(3, History::All))),
    ]
}

fn on_message() -> impl Strategy<Value = Action> {
    let target = || 0..30u64;
    prop_oneof![
        target().prop_map(|target| edit(target, "y")),
        target().prop_map(delete),
        (target(), "[ab]", any::<bool>())
            .prop_map(|(target, emoji, remove)| react(target, &emoji, remove)),
        (target(), any::<bool>()).prop_map(|(target, remove)| pin(target, remove)),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Guest, Role::Member, Role::Admin, Role::Owner])
}

fn message() -> impl Strategy<Value = Action> {
    let target = || prop::option::weighted(0.3, (0..30u64).prop_map(Seq));
    let mentions = prop::collection::vec((0..USERS).prop_map(user), 0..4);
    (target(), target(), mentions).prop_map(|(reply_to, thread, mentions)| {
        Action::Send(NewMessage {
            reply_to,
            thread,
            mentions,
            ..NewMessage::new(Body::text("x"))
        })
    })
}

fn members() -> impl Strategy<Value = MembersChange> {
    let roles = || {
        let member = (0..12usize, role()).prop_map(|(number, role)| MemberRole {
            user: user(number),
            role,
        });
        prop::collection::vec(member, 0..3)
    };
    let remove = prop::collection::vec((0..12usize).prop_map(user), 0..3);
    (roles(), remove, roles()).prop_map(|(add, remove, role)| MembersChange { add, remove, role })
}

fn meta() -> impl Strategy<Value = MetaChange> {
    let text = || prop::option::of(prop::sample::select(vec!["", "one", "two"]));
    let history = prop::option::of(prop::sample::select(vec![History::All, History::Joined]));
    let post = prop::option::of(prop::sample::select(vec![Posting::All, Posting::Admins]));
    (text(), text(), history, post).prop_map(|(title, topic, history, post)| MetaChange {
        title: title.map(Into::into),
        topic: topic.map(Into::into),
        history,
        post,
        ..MetaChange::default()
    })
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 1..6usize, 1 => 85..95usize, 2 => 96..106usize]
}

/// Takes the step and holds it to what every step keeps.
fn take(world: &mut World, step: &Step) -> Result<(), TestCaseError> {
    let (before, rows_before) = (world.state.clone(), world.rows.clone());
    let outcome = if step.system {
        world.act_as_system(step.action.clone())
    } else {
        world.act(step.from, step.action.clone())
    };
    let was_member = step.system || rows_before.contains_key(&user(step.from));
    match &outcome {
        Ok(entries) => {
            prop_assert!(was_member, "only members act");
            prop_assert!(*entries <= 1);
            if *entries == 1 {
                prop_assert!(means_something(world, &before, &rows_before));
            }
        }
        Err(rejection) => {
            let reason = match step.action {
                Action::Create(_) => Code::Conflict,
                _ if !was_member => Code::NotFound,
                _ => rejection.code,
            };
            prop_assert_eq!(rejection.code, reason);
            prop_assert!(rejection.code != Code::Unavailable, "needs asks for all");
        }
    }
    hold(world, before.is_large())?;
    if step.adopt && world.state.roster().is_none() {
        world.state.adopt_roster(world.rows.clone());
        hold(world, world.state.is_large())?;
    }
    Ok(())
}

/// Nothing that is recorded is without effect.
fn means_something(
    world: &World,
    before: &ChannelState,
    rows_before: &BTreeMap<UserId, Member>,
) -> bool {
    match world.last() {
        EntryKind::Message(_) => world.state.head().n.0 == before.head().n.0 + 1,
        EntryKind::Members(change) => {
            let named = change.add.len() + change.remove.len() + change.role.len();
            let rows = &world.rows;
            let changed = |user: &UserId| rows.get(user) != rows_before.get(user);
            let people = rows
                .keys()
                .chain(rows_before.keys().filter(|user| !rows.contains_key(*user)));
            named > 0 && people.filter(|user| changed(user)).count() == named
        }
        EntryKind::Meta(_) => world.state.meta() != before.meta(),
        // Of bodies and of what hangs on messages the fold keeps nothing.
        EntryKind::Edit(_) | EntryKind::Delete(_) | EntryKind::React(_) | EntryKind::Pin(_) => {
            world.state.head().n == before.head().n
        }
        kind => panic!("no step records {kind:?}"),
    }
}

/// What is true of every state of a group.
fn hold(world: &World, was_large: bool) -> Result<(), TestCaseError> {
    let (state, rows) = (&world.state, &world.rows);
    let count = rows.len() as u64;
    prop_assert_eq!(state.member_count(), count);
    let is_large = if was_large { count > 90 } else { count > 100 };
    prop_assert_eq!(state.is_large(), is_large);
    if let Some(roster) = state.roster() {
        prop_assert!(!is_large);
        prop_assert_eq!(roster, rows);
    }
    let of_rank = |rank: Role| {
        rows.values()
            .filter(move |member| member.role >= rank)
            .count()
    };
    prop_assert_eq!(state.privileged().len(), of_rank(Role::Admin));
    for (user, role) in state.privileged() {
        prop_assert_eq!(rows.get(user).map(|member| member.role), Some(*role));
    }
    prop_assert!(
        of_rank(Role::Owner) >= 1 || of_rank(Role::Member) == 0,
        "a group keeps an owner"
    );
    Ok(())
}

fn fold(mut state: ChannelState, records: &[Record]) -> ChannelState {
    for record in records {
        evolve(&mut state, &record.entry, record.key.as_ref());
    }
    state
}

fn stored(state: &ChannelState) -> ChannelState {
    let json = serde_json::to_string(&state.to_snapshot()).expect("a snapshot is JSON");
    let snapshot: Snapshot = serde_json::from_str(&json).expect("as written");
    let packed = rmp_serde::to_vec_named(&snapshot).expect("a snapshot is MessagePack");
    let snapshot: Snapshot = rmp_serde::from_slice(&packed).expect("as written");
    ChannelState::from_snapshot(state.id(), snapshot)
}

/// The members by the letter of the entries, without any of the rules.
fn members_by_the_letter(log: &[Record]) -> BTreeMap<UserId, Role> {
    let mut members = BTreeMap::new();
    for record in log {
        match &record.entry.kind {
            EntryKind::Created(created) => {
                members.extend(created.members.iter().map(|m| (m.user.clone(), m.role)));
            }
            EntryKind::Members(change) => {
                members.retain(|user, _| !change.remove.contains(user));
                let named = change.add.iter().chain(&change.role);
                members.extend(named.map(|m| (m.user.clone(), m.role)));
            }
            _ => {}
        }
    }
    members
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_step_keeps_what_states_and_rows_promise(size in sizes(), steps in steps()) {
        let mut world = World::group(size, History::Joined);
        for step in &steps {
            take(&mut world, step)?;
        }
        let roles = world.rows.iter().map(|(user, member)| (user.clone(), member.role));
        prop_assert_eq!(roles.collect::<BTreeMap<_, _>>(), members_by_the_letter(&world.log));
    }

    #[test]
    fn the_fold_of_any_split_is_the_fold_of_the_whole(
        size in sizes(),
        steps in steps(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut world = World::group(size, History::All);
        for step in &steps {
            take(&mut world, step)?;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(world.log.len() + 1)).collect();
        cuts.sort_unstable();
        let empty = ChannelState::empty(world.state.id());
        let (mut split, mut done) = (empty.clone(), 0);
        for cut in cuts {
            split = stored(&fold(split, &world.log[done..cut]));
            prop_assert_eq!(split.keys_after(), split.head().seq);
            done = cut;
        }
        let mut split = fold(split, &world.log[done..]);
        let mut whole = fold(empty, &world.log);
        prop_assert_eq!(split.to_snapshot(), whole.to_snapshot());
        // The engine that lived through it may have read members in between; then all know the same.
        for state in [&mut split, &mut whole, &mut world.state] {
            state.adopt_roster(world.rows.clone());
        }
        prop_assert_eq!(split.to_snapshot(), whole.to_snapshot());
        prop_assert_eq!(split.to_snapshot(), world.state.to_snapshot());
    }

    #[test]
    fn logs_are_contiguous_rising_and_count_their_messages(size in sizes(), steps in steps()) {
        let mut world = World::group(size, History::All);
        for step in &steps {
            take(&mut world, step)?;
        }
        for (place, record) in world.log.iter().enumerate() {
            let before = place.checked_sub(1).map(|last| &world.log[last].entry);
            prop_assert_eq!(record.entry.seq, Seq(place as u64 + 1));
            prop_assert!(before.is_none_or(|before| before.message < record.entry.message));
            prop_assert!(before.is_none_or(|before| before.at <= record.entry.at));
        }
        for read in 0..=world.log.len() {
            let counted = world.log[read..].iter().filter(|r| r.entry.kind.is_message()).count();
            prop_assert_eq!(unread(world.state.head(), world.head_after(read)), counted as u64);
        }
    }

    #[test]
    fn who_was_removed_is_not_heard_again(size in sizes(), steps in steps()) {
        let mut world = World::group(size, History::All);
        for step in &steps {
            take(&mut world, step)?;
            for number in 0..USERS {
                let gone = !world.rows.contains_key(&user(number));
                if gone {
                    let command = world.command(number, say("still here?"));
                    let code = world.decide(&command).err().map(|rejection| rejection.code);
                    prop_assert_eq!(code, Some(Code::NotFound));
                }
            }
        }
    }

    #[test]
    fn a_plain_message_to_known_members_needs_nothing(size in 1..101usize) {
        let mut world = World::group(size, History::All);
        let command = world.command(0, say("hello"));
        prop_assert!(needs(&world.state, &command).is_empty());
    }
}
