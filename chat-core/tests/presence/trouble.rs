//! What goes wrong between two steps.

use chat_core::ports::{PresenceBus, PresenceChange, PresenceEvent, PresenceStep};
use chat_core::proto::people::{RelationChange, Shown, Status};
use chat_core::proto::wire::{ClientOp, Watch};
use chat_core::proto::{Code, NodeId};

use crate::world::{Client, device, offline, pass, presence, seconds, settle, two, user};

fn watch(name: &str) -> ClientOp {
    ClientOp::Watch(Watch::Users(vec![user(name)]))
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_refuses_is_told_again_as_it_then_is() {
    let (world, _engine, mut alice, mut bob) = two().await;
    alice.watch(&["bob"]).await;
    world.bus.announced();
    world.bus.refuse("announce", 3);
    bob.say(Status::Away, None).await;
    pass(seconds(1), &mut [&mut alice, &mut bob]).await;
    bob.say(Status::Busy, None).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(
        alice.states(),
        [Shown::Busy],
        "what is told late is what is so then"
    );
    let steps = world.bus.announced();
    assert_eq!(steps.len(), 1, "once: {steps:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_while_the_bus_refuses_leaves_no_trace_of_coming() {
    let (world, engine, mut alice, mut bob) = two().await;
    world.befriend("alice", &["carol"]).await;
    alice.watch(&["carol"]).await;
    world.bus.refuse("announce", 40);
    let carol = Client::silent(&engine, "carol", 3).await;
    drop(carol);
    pass(seconds(60), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), []);
    assert_eq!(
        world
            .bus
            .inner
            .states(&[user("carol")])
            .await
            .expect("memory answers")[0]
            .shown,
        offline("carol", None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_the_bus_refuses_is_taken_back() {
    for op in ["watch", "states"] {
        let (world, _engine, mut alice, mut bob) = two().await;
        world.bus.refuse(op, 1);
        assert_eq!(alice.ask(watch("bob")).await, Err(Code::Unavailable));
        bob.say(Status::Away, None).await;
        pass(seconds(5), &mut [&mut alice, &mut bob]).await;
        assert_eq!(alice.states(), [], "nobody watches after {op} failed");
        let answer = alice.watch(&["bob"]).await;
        assert_eq!(answer.presence, [presence("bob", Shown::Away, None)]);
        bob.say(Status::Busy, None).await;
        settle(&mut [&mut alice, &mut bob]).await;
        assert_eq!(alice.states(), [Shown::Busy]);
    }
}

async fn no_frame_for_a_second(client: &mut Client, other: &mut Client) {
    let mut others = [other];
    tokio::select! {
        biased;
        next = client.session.next() => panic!("the answer waits, and no push comes before it: {next:?}"),
        () = pass(seconds(1), &mut others) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_transition_on_the_way_is_in_the_answer() {
    let (world, _engine, mut alice, mut bob) = two().await;
    world.bus.hold("states");
    alice.session.submit(900, watch("bob"), 100);
    // The states are read, and then Bob is busy before the answer is made.
    no_frame_for_a_second(&mut alice, &mut bob).await;
    bob.say(Status::Busy, None).await;
    no_frame_for_a_second(&mut alice, &mut bob).await;
    world.bus.let_on();
    let next = alice.session.next().await;
    let told = format!("{next:?}");
    assert!(
        told.contains("Busy") && told.contains("900"),
        "the answer tells the newest state: {told}"
    );
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(
        alice.states(),
        [],
        "and the older one that was read is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn who_ceases_to_be_a_contact_while_asked_for_is_refused_or_seen_by_the_look_up() {
    let (world, _engine, mut alice, mut bob) = two().await;
    world
        .relate("bob", "alice", RelationChange::RemoveContact)
        .await;
    let answer = alice.watch(&["bob"]).await;
    assert_eq!(answer.refused, [user("bob")]);
    bob.say(Status::Busy, None).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), []);
    assert_eq!(world.bus.watches().0, [], "nor was the bus asked");
}

#[tokio::test(start_paused = true)]
async fn what_a_feed_missed_is_read_again() {
    let (world, _engine, mut alice, mut bob) = two().await;
    alice.watch(&["bob"]).await;
    world.bus.lose_events();
    bob.say(Status::Away, None).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), []);
    // Reading fails at first, and is tried again.
    world.bus.refuse("states", 2);
    world.bus.say(PresenceEvent::Missed).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), [Shown::Away]);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_ended_is_begun_anew() {
    let (world, _engine, mut alice, mut bob) = two().await;
    alice.watch(&["bob"]).await;
    world.bus.watches();
    world.bus.lose_events();
    bob.say(Status::Away, None).await;
    settle(&mut [&mut alice, &mut bob]).await;
    world.bus.refuse("join", 2);
    world.bus.end_feeds();
    pass(seconds(6), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), [Shown::Away]);
    assert_eq!(
        world.bus.watches().0,
        [user("bob")],
        "the bus knows it again"
    );
    bob.say(Status::Online, None).await;
    pass(seconds(3), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), [Shown::Online]);
}

#[tokio::test(start_paused = true)]
async fn who_begins_to_watch_while_there_is_no_feed_waits_for_it() {
    let (world, _engine, mut alice, mut bob) = two().await;
    world.bus.refuse("join", 2);
    world.bus.end_feeds();
    settle(&mut [&mut bob]).await;
    let answer = alice.watch(&["bob"]).await;
    assert_eq!(answer.presence, [presence("bob", Shown::Online, None)]);
    world.bus.refuse("join", 20);
    world.bus.end_feeds();
    settle(&mut [&mut bob]).await;
    assert_eq!(
        alice.ask(watch("bob")).await,
        Err(Code::Unavailable),
        "and not for ever"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restarted_bus_is_told_again_who_is_here() {
    let (world, _engine, mut alice, mut bob) = two().await;
    let far = world.node("b");
    world.befriend("alice", &["carol", "ghost"]).await;
    let mut carol = Client::connect(&far, "carol", 3).await;
    // A node that died: nobody will announce its users again.
    let ghost = PresenceChange {
        user: user("ghost"),
        node: NodeId::new("dead"),
        node_epoch: 1,
        step: PresenceStep::Here(Default::default()),
        at: chat_core::ports::Clock::now(&world.clock),
    };
    let told = world.bus.announce(&[ghost]).await;
    told.expect("the bus answers");
    settle(&mut [&mut alice, &mut bob, &mut carol]).await;
    let answer = alice.watch(&["bob", "carol", "ghost"]).await;
    let online = |name| presence(name, Shown::Online, None);
    assert_eq!(answer.presence, ["bob", "carol", "ghost"].map(online));
    world.bus.inner.restart();
    pass(seconds(15), &mut [&mut alice, &mut bob, &mut carol]).await;
    let told: Vec<_> = alice.told().into_iter().map(|(_, told)| told).collect();
    assert_eq!(
        told,
        [offline("ghost", None)],
        "who is here was never gone, and who is not is told as gone"
    );
    carol.say(Status::Busy, None).await;
    settle(&mut [&mut alice, &mut bob, &mut carol]).await;
    assert_eq!(alice.states(), [Shown::Busy]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_the_bus_does_not_take_back_is_asked_again() {
    let (world, _engine, mut alice, mut bob) = two().await;
    world.befriend("bob", &["carol"]).await;
    alice.watch(&["bob"]).await;
    world.bus.refuse("unwatch", 1);
    alice.unwatch(&["bob"]).await;
    settle(&mut [&mut alice, &mut bob]).await;
    bob.say(Status::Busy, None).await;
    pass(seconds(3), &mut [&mut alice, &mut bob]).await;
    assert_eq!(
        alice.states(),
        [],
        "what is fed all the same concerns nobody"
    );
    assert_eq!(world.bus.watches().1, []);
    bob.watch(&["carol"]).await;
    settle(&mut [&mut alice, &mut bob]).await;
    assert_eq!(world.bus.watches().1, [user("bob")]);
}

#[tokio::test(start_paused = true)]
async fn who_becomes_invisible_and_goes_while_the_bus_refuses_was_last_seen_before() {
    let (world, engine, mut alice, mut bob) = two().await;
    alice.watch(&["bob"]).await;
    pass(seconds(5), &mut [&mut alice, &mut bob]).await;
    world.bus.refuse("announce", 20);
    let hidden_ms = world.now_ms();
    bob.say(Status::Invisible, None).await;
    pass(seconds(10), &mut [&mut alice, &mut bob]).await;
    engine.revoke(&user("bob"), device(1)).await;
    pass(seconds(20), &mut [&mut alice]).await;
    let told: Vec<_> = alice.told().into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, [offline("bob", Some(hidden_ms))]);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_told_when_the_engine_stops_is_told_to_its_end() {
    for refused in [0, 1] {
        let (world, engine, alice, bob) = two().await;
        world.bus.hold("announce");
        engine.revoke(&user("bob"), device(1)).await;
        tokio::task::yield_now().await;
        let stopping = tokio::spawn(async move { engine.shutdown().await });
        tokio::time::sleep(seconds(1)).await;
        assert!(!stopping.is_finished(), "it waits for the bus");
        world.bus.refuse("announce", refused);
        world.bus.let_on();
        stopping.await.expect("the engine ends");
        let states = world.bus.inner.states(&[user("alice"), user("bob")]).await;
        let states = states.expect("memory answers").into_iter();
        assert!(
            states.clone().count() == 2
                && states
                    .into_iter()
                    .all(|known| known.shown.state == Shown::Offline),
            "nobody stays behind"
        );
        drop((alice, bob));
    }
}
