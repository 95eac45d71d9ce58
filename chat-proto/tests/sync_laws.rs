//! A client that loses, repeats and reorders pushes, whose connections break anywhere and whose commands fail for
//! now in any way, ends equal to the server's logs, has told each entry once and in order, and has each of its
//! commands in a log once.

#[path = "sync_laws/client.rs"]
mod client;
#[path = "sync_laws/server.rs"]
mod server;
#[path = "sync_laws/world.rs"]
mod world;

use proptest::prelude::*;

use world::{Step, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_network_does_the_client_ends_equal_to_the_server(
        entries_per_channel in prop_oneof![Just(0_u32), Just(2_u32)],
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut world = World::new(entries_per_channel);
        for step in steps {
            world.take(step);
        }
        world.settle();
        world.check();
    }
}

fn step() -> impl Strategy<Value = Step> {
    let channel = 0..server::CHANNELS;
    prop_oneof![
        6 => channel.clone().prop_map(Step::Post),
        6 => channel.clone().prop_map(Step::Send),
        2 => (channel.clone(), any::<u8>()).prop_map(|(channel, back)| Step::Read(channel, back)),
        2 => channel.clone().prop_map(Step::Remove),
        3 => (channel, any::<bool>()).prop_map(|(channel, all)| Step::Add(channel, all)),
        3 => Just(Step::Note),
        12 => (1..6_usize).prop_map(Step::ServerWork),
        12 => (1..6_usize).prop_map(Step::Answers),
        8 => any::<u8>().prop_map(Step::Push),
        3 => any::<u8>().prop_map(Step::LosePush),
        3 => any::<u8>().prop_map(Step::RepeatPush),
        2 => any::<u16>().prop_map(Step::Cut),
        6 => Just(Step::Connect),
        5 => (1..1_500_u64).prop_map(Step::Wait),
        2 => Just(Step::Heads),
        3 => any::<u8>().prop_map(Step::Refuse),
        1 => any::<u8>().prop_map(Step::RestoreBackup),
        1 => Just(Step::RestartClient),
        1 => any::<u16>().prop_map(Step::GoAway),
    ]
}
