//! The cases.

use std::fmt::Debug;
use std::sync::Arc;

use chat_core::ports::{Device, DeviceSeen, Profile, UserStatus, UserStore};
use chat_core::proto::people::{DirectFrom, RelationChange};
use chat_core::proto::{ChannelId, DeviceId, Seq, Timestamp, UserId};

use super::person::{Person, draft};
use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::{START, TICK_MS};
use crate::names::{fresh_channel, fresh_device, fresh_user};

/// A user and a device that nobody knew, then known; also when seen by several nodes at once.
pub async fn first_sight_makes_a_user(opened: Opened) {
    let (store, alice, device) = (opened.users(), fresh_user("alice"), fresh_device());
    let unknown = store.profile(&alice).await;
    assert_eq!(unknown.expect("the store answers"), None);
    assert_eq!(devices(store, &alice).await, []);
    let tasks = (0..4).map(|_| {
        let (store, seen) = (Arc::clone(store), sight(&alice, device, 0));
        tokio::spawn(async move { store.seen(seen).await.expect("the store answers") })
    });
    join_all(tasks).await;
    let expected = Profile {
        user: alice.clone(),
        name: Some("Alice".into()),
        direct: DirectFrom::All,
        created_at: START,
    };
    let profile = store.profile(&alice).await;
    assert_eq!(
        profile.expect("the store answers"),
        Some(expected),
        "the first sight makes the user known"
    );
    let known = devices(store, &alice).await;
    let known: Vec<_> = known
        .into_iter()
        .map(|device| (device.device, device.created_at, device.seen_at))
        .collect();
    assert_eq!(
        known,
        [(device, START, START)],
        "the first sight makes the device known, once"
    );
}

/// Another sight, later, then the same again, then an older one that was late.
pub async fn seeing_again_changes_only_the_time(opened: Opened) {
    let (store, alice, device) = (opened.users(), fresh_user("alice"), fresh_device());
    see(store, sight(&alice, device, 0)).await;
    let first = devices(store, &alice).await;
    let profile = store.profile(&alice).await.expect("the store answers");
    for tick in [5, 5, 2] {
        see(store, sight(&alice, device, tick)).await;
        let mut again = devices(store, &alice).await;
        for device in &mut again {
            assert_eq!(
                device.seen_at,
                Timestamp(START.0 + 5 * TICK_MS),
                "the latest sight is the time of the device"
            );
            device.seen_at = START;
        }
        assert_eq!(again, first, "seeing a device again changes only its time");
        assert_eq!(
            store.profile(&alice).await.expect("the store answers"),
            profile,
            "seeing a user again does not change the profile"
        );
    }
}

/// Devices of two users, one of them with the same id.
pub async fn devices_are_the_users_own(opened: Opened) {
    let (store, alice, bob) = (opened.users(), fresh_user("alice"), fresh_user("bob"));
    // The order of ids is not the order of time.
    let mut ids = [fresh_device(), fresh_device(), fresh_device()];
    ids.sort();
    ids.reverse();
    for (tick, device) in ids.into_iter().enumerate() {
        see(store, sight(&alice, device, tick as u64)).await;
    }
    see(store, sight(&bob, ids[1], 9)).await;
    see(store, sight(&alice, ids[0], 10)).await;
    let own: Vec<DeviceId> = devices(store, &alice)
        .await
        .iter()
        .map(|device| device.device)
        .collect();
    assert_eq!(own, ids, "a user's own devices are listed, oldest first");
    let own: Vec<DeviceId> = devices(store, &bob)
        .await
        .iter()
        .map(|device| device.device)
        .collect();
    assert_eq!(own, [ids[1]], "only a user's own devices are listed");
}

/// A device that is forgotten, twice, and another user's.
pub async fn a_forgotten_device_is_gone(opened: Opened) {
    let (store, alice, bob) = (opened.users(), fresh_user("alice"), fresh_user("bob"));
    let (phone, laptop) = (fresh_device(), fresh_device());
    see(store, sight(&alice, phone, 0)).await;
    see(store, sight(&alice, laptop, 1)).await;
    see(store, sight(&bob, phone, 2)).await;
    for (user, expected) in [
        (&alice, true),
        (&alice, false),
        (&fresh_user("carol"), false),
    ] {
        let forgotten = store.forget_device(user, phone, START).await;
        assert_eq!(
            !forgotten.expect("the store answers").is_empty(),
            expected,
            "forgetting tells whether there was such a device"
        );
    }
    let left: Vec<DeviceId> = devices(store, &alice)
        .await
        .iter()
        .map(|device| device.device)
        .collect();
    assert_eq!(
        left,
        [laptop],
        "a forgotten device is gone, the others stay"
    );
    assert_eq!(
        devices(store, &bob).await.len(),
        1,
        "another user's device stays"
    );
    let profile = store.profile(&alice).await.expect("the store answers");
    assert!(profile.is_some(), "a user stays known without the device");
}

/// Of a known and of an unknown user.
pub async fn an_empty_log_is_at_zero(opened: Opened) {
    let (store, alice) = (opened.users(), fresh_user("alice"));
    for _ in 0..2 {
        let seq = store.user_seq(&alice).await;
        assert_eq!(
            seq.expect("the store answers"),
            Seq(0),
            "the user's log is empty"
        );
        let status = store.set_status(&alice, UserStatus::default()).await;
        status.expect("the store answers");
    }
}

/// Users, devices, what was forgotten, relations, preferences and logs, after closing and opening.
pub async fn users_survive_reopen(opened: Opened) {
    let (phone, laptop, channel) = (fresh_device(), fresh_device(), fresh_channel());
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let person = |opened: &Opened, user: &UserId| Person {
        store: Arc::clone(opened.users()),
        user: user.clone(),
    };
    see(opened.users(), sight(&alice, phone, 0)).await;
    see(opened.users(), sight(&alice, laptop, 1)).await;
    see(opened.users(), sight(&alice, laptop, 7)).await;
    let forgotten = opened.users().forget_device(&alice, phone, START).await;
    assert!(!forgotten.expect("the store answers").is_empty());
    let owner = person(&opened, &alice);
    owner.relate(RelationChange::PutContact, &bob).await;
    owner.relate(RelationChange::Block, &bob).await;
    owner.set_prefs(channel, draft("x")).await;
    drop(owner);
    let before = everything(&person(&opened, &alice), &bob, channel).await;
    let opened = opened.reopen().await;
    let after = everything(&person(&opened, &alice), &bob, channel).await;
    assert_eq!(
        after, before,
        "what was acknowledged of a user is there after reopening"
    );
}

/// The epoch stays what it is: asked again, after writes, and opened again.
pub async fn the_epoch_of_users_outlives_reopen(opened: Opened) {
    let epoch = opened.users().epoch().await.expect("the store answers");
    see(
        opened.users(),
        sight(&fresh_user("alice"), fresh_device(), 0),
    )
    .await;
    let after = opened.users().epoch().await.expect("the store answers");
    assert_eq!(after, epoch, "a write does not change the epoch");
    let mut opened = opened;
    for _ in 0..2 {
        opened = opened.reopen().await;
        let again = opened.users().epoch().await.expect("the store answers");
        assert_eq!(again, epoch, "the epoch outlives the process");
    }
}

/// All that a store knows of somebody.
async fn everything(
    person: &Person,
    other: &UserId,
    channel: ChannelId,
) -> impl PartialEq + Debug + use<> {
    let profile = person.store.profile(&person.user).await;
    (
        profile.expect("the store answers"),
        devices(&person.store, &person.user).await,
        person.relation(other).await,
        person.prefs(&[channel]).await,
        person.log().await,
    )
}

async fn see(store: &Arc<dyn UserStore>, seen: DeviceSeen) {
    store.seen(seen).await.expect("the store answers");
}

async fn devices(store: &Arc<dyn UserStore>, user: &UserId) -> Vec<Device> {
    store.devices(user).await.expect("the store answers")
}

fn sight(user: &UserId, device: DeviceId, tick: u64) -> DeviceSeen {
    DeviceSeen {
        user: user.clone(),
        device,
        user_name: Some("Alice".into()),
        client: "case/1.0".into(),
        at: Timestamp(START.0 + tick * TICK_MS),
    }
}
