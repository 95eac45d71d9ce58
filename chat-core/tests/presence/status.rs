//! How users want to be seen.

use chat_core::proto::ChannelId;
use chat_core::proto::people::{Shown, Status};
use chat_core::proto::wire::{ClientOp, SetStatus};
use chat_core::proto::{Code, UserId};
use chat_core::{Caller, Draft, Engine};

use crate::world::{Client, World, offline, pass, presence, seconds, settle, two, user};

/// Alice watches Bob, on one node.
async fn alice_watches_bob() -> (World, Engine, Client, Client) {
    let (world, engine, mut alice, bob) = two().await;
    alice.watch(&["bob"]).await;
    (world, engine, alice, bob)
}

#[tokio::test(start_paused = true)]
async fn a_status_is_seen_with_its_text() {
    let (_world, _engine, mut alice, mut bob) = alice_watches_bob().await;
    for (status, text, expected) in [
        (Status::Away, Some("lunch"), Shown::Away),
        (Status::Busy, None, Shown::Busy),
        (Status::Online, Some("back"), Shown::Online),
    ] {
        bob.say(status, text).await;
        pass(seconds(3), &mut [&mut alice, &mut bob]).await;
        let told: Vec<_> = alice.told().into_iter().map(|(_, told)| told).collect();
        assert_eq!(told, [presence("bob", expected, text)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_refused_and_changes_nothing() {
    let (_world, engine, mut alice, mut bob) = alice_watches_bob().await;
    let text = Some("x".repeat(engine.limits().status_chars_max + 1));
    let status = SetStatus {
        state: Status::Busy,
        text,
    };
    let refused = bob.ask(ClientOp::Status(status)).await;
    assert_eq!(refused, Err(Code::TooLarge));
    pass(seconds(3), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), []);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_kept_over_connections_and_devices() {
    let (_world, engine, mut alice, mut bob) = alice_watches_bob().await;
    bob.say(Status::Busy, Some("writing")).await;
    drop(bob);
    pass(seconds(40), &mut [&mut alice]).await;
    assert_eq!(alice.states(), [Shown::Busy, Shown::Offline]);
    let mut phone = Client::connect(&engine, "bob", 3).await;
    pass(seconds(3), &mut [&mut alice, &mut phone]).await;
    let told: Vec<_> = alice.told().into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, [presence("bob", Shown::Busy, Some("writing"))]);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_set_without_a_connection_concerns_those_there_are() {
    let (world, _engine, mut alice, mut bob) = alice_watches_bob().await;
    let far = world.node("b");
    let away = SetStatus {
        state: Status::Away,
        text: None,
    };
    far.run(&Caller::user(user("bob")), ClientOp::Status(away))
        .await
        .expect("the status is kept");
    pass(seconds(3), &mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.states(), [Shown::Away]);
}

#[tokio::test(start_paused = true)]
async fn the_invisible_go_and_are_last_seen_when_they_went() {
    let (world, engine, mut alice, mut bob) = alice_watches_bob().await;
    pass(seconds(7), &mut [&mut alice, &mut bob]).await;
    let hidden_ms = world.now_ms();
    bob.say(Status::Invisible, Some("psst")).await;
    settle(&mut [&mut alice, &mut bob]).await;
    assert_eq!(
        alice.newest()[&user("bob")],
        offline("bob", Some(hidden_ms))
    );
    // Whatever they do: stay, go, come back on another device.
    pass(seconds(60), &mut [&mut alice, &mut bob]).await;
    drop(bob);
    pass(seconds(60), &mut [&mut alice]).await;
    let mut phone = Client::connect(&engine, "bob", 3).await;
    pass(seconds(10), &mut [&mut alice, &mut phone]).await;
    assert_eq!(alice.states(), []);
    assert_eq!(
        alice.watch(&["bob"]).await.presence,
        [offline("bob", Some(hidden_ms))]
    );
    phone.say(Status::Online, None).await;
    settle(&mut [&mut alice, &mut phone]).await;
    assert_eq!(alice.states(), [Shown::Online]);
}

/// How often Alice hears that Bob types in their channel.
async fn typing_heard(alice: &mut Client, bob: &mut Client, channel: ChannelId) -> usize {
    bob.session.typing(channel);
    pass(seconds(4), &mut [alice, bob]).await;
    alice.typing()
}

#[tokio::test(start_paused = true)]
async fn the_invisible_are_not_seen_typing_on_any_node() {
    let (world, near, mut alice, mut bob) = alice_watches_bob().await;
    let far = world.node("b");
    let mut phone = Client::connect(&far, "bob", 3).await;
    let (alice_id, bob_id): (UserId, UserId) = (user("alice"), user("bob"));
    near.send(&bob_id, Draft::direct(&alice_id, "hello"))
        .await
        .expect("the message is kept");
    let channel = ChannelId::direct(&alice_id, &bob_id);
    settle(&mut [&mut alice, &mut bob, &mut phone]).await;
    assert_eq!(typing_heard(&mut alice, &mut bob, channel).await, 1);
    assert_eq!(typing_heard(&mut alice, &mut phone, channel).await, 1);
    bob.say(Status::Invisible, None).await;
    settle(&mut [&mut alice, &mut bob, &mut phone]).await;
    assert_eq!(typing_heard(&mut alice, &mut bob, channel).await, 0);
    assert_eq!(
        typing_heard(&mut alice, &mut phone, channel).await,
        0,
        "the other node knows it too"
    );
    phone.say(Status::Away, None).await;
    settle(&mut [&mut alice, &mut bob, &mut phone]).await;
    assert_eq!(typing_heard(&mut alice, &mut bob, channel).await, 1);
}
