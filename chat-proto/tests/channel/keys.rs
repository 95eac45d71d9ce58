//! Keys that a state remembers, and marks that a sender's own message raises.

use chat_proto::channel::{CommandKey, ContentHash, mark_after_own_message, unread};
use chat_proto::{ChannelState, Head, History, Limits, Seq};
use proptest::prelude::*;

use crate::world::{World, client_id, say, user};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Every key of an entry after `keys_after` is found with its entry, and no other; the newest 128 always are.
    #[test]
    fn every_key_of_the_window_is_remembered(
        sends in prop::collection::vec(any::<bool>(), 0..300),
        loaded_at in 0..300usize,
    ) {
        let mut world = World::group(2, History::All);
        for (place, keyed) in sends.iter().enumerate() {
            if place == loaded_at {
                world.state = ChannelState::from_snapshot(world.state.id(), world.state.to_snapshot());
            }
            let mut command = world.command(place % 2, say(if *keyed { "a" } else { "b" }));
            if !keyed {
                command = world.command(0, title(place));
                command.key = None;
            }
            prop_assert_eq!(world.carry_out(&command), Ok(1));
        }
        let (head, after) = (world.state.head().seq, world.state.keys_after());
        let loaded = if loaded_at < sends.len() { loaded_at as u64 + 1 } else { 0 };
        prop_assert_eq!(after, Seq(loaded.max(head.0.saturating_sub(Limits::RECENT_KEYS_MAX as u64))));
        for record in &world.log {
            let Some(CommandKey { client_id, content }) = record.key else { continue };
            let found = world.state.recent_key(&record.entry.from, client_id);
            let expected = (record.entry.seq > after).then_some((record.entry.head(), record.entry.message, content));
            let found = found.map(|key| (Head { seq: key.seq, n: key.n }, key.message, key.content));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn ones_own_mark_rises_only_over_what_one_has_read(read_to in 0..12usize) {
        let mut world = World::group(2, History::All);
        for place in 0..8 {
            let (from, action) = if place % 3 == 0 { (0, title(place)) } else { (place % 2, say("x")) };
            prop_assert_eq!(world.act(from, action), Ok(1));
        }
        let read = world.head_after(read_to.min(world.log.len()));
        let unread_before = unread(world.state.head(), read);
        prop_assert_eq!(world.act(0, say("mine")), Ok(1));
        let entry = &world.log.last().expect("a message").entry;
        let risen = mark_after_own_message(read, entry);
        prop_assert_eq!(risen, (unread_before == 0).then(|| entry.head()));
        // Either way nothing counts as read that was not, and a risen mark leaves nothing unread.
        let unread_after = unread(world.state.head(), risen.unwrap_or(read));
        prop_assert_eq!(unread_after, if unread_before == 0 { 0 } else { unread_before + 1 });
    }
}

#[test]
fn a_key_belongs_to_its_sender() {
    let mut world = World::group(2, History::All);
    let command = world.command(0, say("x"));
    world.carry_out(&command).expect("a member sends");
    let id = command.key.expect("a key").client_id;
    assert!(world.state.recent_key(&user(0), id).is_some());
    assert_eq!(world.state.recent_key(&user(1), id), None);
    assert_eq!(world.state.recent_key(&user(0), client_id(999)), None);
}

#[test]
fn what_is_no_message_raises_no_mark() {
    let mut world = World::group(2, History::All);
    world.act(0, title(1)).expect("an owner changes the title");
    let entry = &world.log[1].entry;
    assert_eq!(mark_after_own_message(world.head_after(1), entry), None);
}

#[test]
fn a_named_channel_is_begun_under_its_name() {
    let action = |external: Option<&str>| {
        let mut channel = crate::world::group(2, History::All);
        channel.external_id = external.map(Into::into);
        chat_proto::channel::Action::Create(channel)
    };
    let named = action(Some("ticket:17"));
    let first = CommandKey::of(Some(client_id(1)), &named).expect("a key");
    assert_eq!(CommandKey::of(Some(client_id(2)), &named), Some(first));
    assert_eq!(CommandKey::of(None, &named), Some(first));
    assert_eq!(first.content, ContentHash::of(&named));
    let nameless = CommandKey::of(Some(client_id(2)), &action(None)).expect("a key");
    assert_eq!(nameless.client_id, client_id(2));
    assert_eq!(CommandKey::of(None, &action(None)), None);
}

fn title(place: usize) -> chat_proto::channel::Action {
    chat_proto::channel::Action::Meta(chat_proto::entry::MetaChange {
        title: Some(format!("title {place}")),
        ..Default::default()
    })
}
