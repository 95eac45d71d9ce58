//! The cases.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_core::ports::{
    Account, Accounts, NewAccount, NewPassword, NewToken, PageLimit, Profile, TokenHash,
    TokenOwner, UserEntriesQuery, WrittenEntries,
};
use chat_core::proto::people::UserEntry;
use chat_core::proto::{DeviceId, Seq, Timestamp, UserId};

use crate::case::join_all;
use crate::factory::Opened;
use crate::log_writer::START;
use crate::names::{fresh_device, fresh_user};

/// Many sign-ups of one name at once: one hears yes, and its password is the one kept.
pub async fn one_sign_up_wins(opened: Opened) {
    let alice = fresh_user("alice");
    let tasks = (0..8).map(|number| {
        let accounts = Arc::clone(opened.accounts());
        let account = new_account(&alice, &format!("password {number}"));
        tokio::spawn(async move { accounts.sign_up(account).await.expect("the store answers") })
    });
    let outcomes = join_all(tasks).await;
    let winners: Vec<usize> = (0..8).filter(|number| outcomes[*number]).collect();
    let [winner] = winners.as_slice() else {
        panic!("exactly one of several sign-ups with one name succeeds: {outcomes:?}");
    };
    let kept = opened.accounts().account(&alice).await;
    assert_eq!(
        kept.expect("the store answers"),
        Some(Account::new(alice, format!("password {winner}"))),
        "the sign-up that succeeded is the one kept"
    );
}

/// A name is taken still after its devices are gone and the store was opened again.
pub async fn names_are_never_reused(opened: Opened) {
    let (alice, device) = (fresh_user("alice"), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    store(opened.accounts(), tokens.of(&alice, device, 1)).await;
    let revoked = opened.accounts().revoke(&alice, device).await;
    assert!(revoked.expect("the store answers"));
    let forgotten = opened.users().forget_device(&alice, device, START).await;
    forgotten.expect("the store answers");
    assert_taken(&opened, &alice).await;
    let opened = opened.reopen().await;
    assert_taken(&opened, &alice).await;
}

/// A sign-up with a taken name, another password and another display name.
pub async fn a_refused_sign_up_changes_nothing(opened: Opened) {
    let alice = fresh_user("alice");
    sign_up(opened.accounts(), &alice).await;
    let before = everything(&opened, &alice).await;
    assert_eq!(
        before
            .1
            .as_ref()
            .and_then(|profile| profile.name.as_deref()),
        Some("Alice"),
        "a sign-up makes a profile"
    );
    let refused = NewAccount {
        name: Some("Mallory".into()),
        at: Timestamp(START.0 + 1),
        ..new_account(&alice, "another password")
    };
    let outcome = opened.accounts().sign_up(refused).await;
    assert!(!outcome.expect("the store answers"), "the name is taken");
    assert_eq!(
        everything(&opened, &alice).await,
        before,
        "a refused sign-up changes nothing"
    );
}

/// The device of a token is listed with its name and platform.
pub async fn a_token_makes_a_device(opened: Opened) {
    let (alice, device) = (fresh_user("alice"), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    let told = store(opened.accounts(), tokens.of(&alice, device, 1)).await;
    assert_eq!(
        told.get(&alice),
        Some(&log(&opened, &alice).await),
        "a token answers with what it told the user's log"
    );
    assert_eq!(told.get(&alice).map(Vec::len), Some(1), "a device is told");
    let again = store(opened.accounts(), tokens.of(&alice, device, 1)).await;
    assert!(again.is_empty(), "a known device is not told again");
    let devices = opened.users().devices(&alice).await;
    let devices = devices.expect("the store answers");
    let listed: Vec<_> = devices
        .iter()
        .map(|device| {
            (
                device.device,
                device.name.as_str(),
                device.platform.as_str(),
            )
        })
        .collect();
    assert_eq!(
        listed,
        [(device, "Alice's phone", "ios")],
        "a token makes its device known"
    );
    assert_eq!(
        tokens.owner(&opened, 1).await,
        Some(TokenOwner {
            user: alice,
            device,
            expires_at: Timestamp(START.0 + 1_000),
            name: Some("Alice".into()),
        }),
        "a token stands for its user and device"
    );
}

/// A second token of a device.
pub async fn one_token_a_device(opened: Opened) {
    let (alice, phone, laptop) = (fresh_user("alice"), fresh_device(), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    store(opened.accounts(), tokens.of(&alice, phone, 1)).await;
    store(opened.accounts(), tokens.of(&alice, laptop, 2)).await;
    store(opened.accounts(), tokens.of(&alice, phone, 3)).await;
    assert_eq!(
        tokens.owner(&opened, 1).await,
        None,
        "a newer token of a device replaces the older"
    );
    for (number, device) in [(2, laptop), (3, phone)] {
        let owner = tokens.owner(&opened, number).await;
        assert_eq!(
            owner.map(|owner| owner.device),
            Some(device),
            "each device has its own token"
        );
    }
    let devices = opened.users().devices(&alice).await;
    assert_eq!(
        devices.expect("the store answers").len(),
        2,
        "a newer token makes no second device"
    );
}

/// A revoked token, twice, and of a device that has none.
pub async fn revoked_is_gone(opened: Opened) {
    let (alice, device) = (fresh_user("alice"), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    store(opened.accounts(), tokens.of(&alice, device, 1)).await;
    for (device, expected) in [(device, true), (device, false), (fresh_device(), false)] {
        let revoked = opened.accounts().revoke(&alice, device).await;
        assert_eq!(
            revoked.expect("the store answers"),
            expected,
            "revoking tells whether there was a token"
        );
        assert_eq!(
            tokens.owner(&opened, 1).await,
            None,
            "a revoked token stands for nobody"
        );
    }
    store(opened.accounts(), tokens.of(&alice, device, 2)).await;
    assert!(
        tokens.owner(&opened, 2).await.is_some(),
        "a device may log in again"
    );
    assert_eq!(
        tokens.owner(&opened, 1).await,
        None,
        "a revoked token stays revoked"
    );
}

/// Tokens of the user's other device, and of another user on a device of the same id.
pub async fn revoking_one_spares_the_others(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let (phone, laptop) = (fresh_device(), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    sign_up(opened.accounts(), &bob).await;
    store(opened.accounts(), tokens.of(&alice, phone, 1)).await;
    store(opened.accounts(), tokens.of(&alice, laptop, 2)).await;
    store(opened.accounts(), tokens.of(&bob, phone, 3)).await;
    let revoked = opened.accounts().revoke(&alice, phone).await;
    assert!(revoked.expect("the store answers"));
    assert_eq!(tokens.owner(&opened, 1).await, None);
    for (number, user) in [(2, &alice), (3, &bob)] {
        let owner = tokens.owner(&opened, number).await;
        assert_eq!(
            owner.as_ref().map(|owner| &owner.user),
            Some(user),
            "revoking one token spares the others"
        );
    }
}

/// A new password, by one of three devices; and what somebody else's does.
pub async fn a_new_password_revokes_the_others(opened: Opened) {
    let (alice, bob) = (fresh_user("alice"), fresh_user("bob"));
    let [phone, laptop, tablet, other] = [(); 4].map(|()| fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    sign_up(opened.accounts(), &bob).await;
    for (user, device, number) in [
        (&alice, phone, 1),
        (&alice, laptop, 2),
        (&alice, tablet, 3),
        (&bob, other, 4),
    ] {
        store(opened.accounts(), tokens.of(user, device, number)).await;
    }
    let revoked = set_password(&opened, &alice, "a password", "new", laptop).await;
    assert_eq!(
        revoked,
        Some([phone, tablet].into()),
        "a new password names the devices that it logs out"
    );
    let opened = opened.reopen().await;
    for (number, stays) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(
            tokens.owner(&opened, number).await.is_some(),
            stays,
            "a new password revokes the tokens of its user's other devices"
        );
    }
    let account = opened.accounts().account(&alice).await;
    assert_eq!(
        account.expect("the store answers"),
        Some(Account::new(alice, "new".into())),
        "the new password is the one kept"
    );
}

/// A password that was changed meanwhile, and an account that is not there.
pub async fn a_password_changes_only_from_the_one_compared(opened: Opened) {
    let (alice, phone, laptop) = (fresh_user("alice"), fresh_device(), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    store(opened.accounts(), tokens.of(&alice, phone, 1)).await;
    assert_eq!(
        set_password(&opened, &alice, "another", "new", laptop).await,
        None,
        "a password changes only from the one compared"
    );
    assert_eq!(
        set_password(&opened, &fresh_user("carol"), "a password", "new", laptop).await,
        None
    );
    let account = opened.accounts().account(&alice).await;
    assert_eq!(
        account.expect("the store answers"),
        Some(Account::new(alice, "a password".into())),
        "a refused change leaves the password"
    );
    assert!(
        tokens.owner(&opened, 1).await.is_some(),
        "a refused change revokes nothing"
    );
}

/// Accounts, tokens and what was revoked, after closing and opening.
pub async fn accounts_survive_reopen(opened: Opened) {
    let (alice, phone, laptop) = (fresh_user("alice"), fresh_device(), fresh_device());
    let tokens = Tokens::fresh();
    sign_up(opened.accounts(), &alice).await;
    store(opened.accounts(), tokens.of(&alice, phone, 1)).await;
    store(opened.accounts(), tokens.of(&alice, laptop, 2)).await;
    let revoked = opened.accounts().revoke(&alice, phone).await;
    assert!(revoked.expect("the store answers"));
    let before = (
        everything(&opened, &alice).await,
        tokens.owner(&opened, 2).await,
    );
    assert!(before.1.is_some());
    let opened = opened.reopen().await;
    let after = (
        everything(&opened, &alice).await,
        tokens.owner(&opened, 2).await,
    );
    assert_eq!(
        after, before,
        "what was acknowledged of an account is there after reopening"
    );
    assert_eq!(
        tokens.owner(&opened, 1).await,
        None,
        "a token stays revoked after reopening"
    );
}

async fn everything(opened: &Opened, user: &UserId) -> (Option<Account>, Option<Profile>) {
    let account = opened.accounts().account(user).await;
    let profile = opened.users().profile(user).await;
    (
        account.expect("the store answers"),
        profile.expect("the store answers"),
    )
}

async fn assert_taken(opened: &Opened, user: &UserId) {
    let outcome = opened
        .accounts()
        .sign_up(new_account(user, "another"))
        .await;
    assert!(
        !outcome.expect("the store answers"),
        "a name that was taken stays taken"
    );
}

async fn sign_up(accounts: &Arc<dyn Accounts>, user: &UserId) {
    let outcome = accounts.sign_up(new_account(user, "a password")).await;
    assert!(outcome.expect("the store answers"), "the name is free");
}

async fn store(accounts: &Arc<dyn Accounts>, token: NewToken) -> WrittenEntries {
    let stored = accounts.store_token(token).await;
    stored.expect("the store answers")
}

async fn log(opened: &Opened, user: &UserId) -> Vec<UserEntry> {
    let query = UserEntriesQuery {
        user: user.clone(),
        after: Seq(0),
        limit: PageLimit {
            entries: 100,
            bytes: usize::MAX,
        },
    };
    let page = opened.users().entries(query).await;
    page.expect("the store answers").entries
}

async fn set_password(
    opened: &Opened,
    user: &UserId,
    former: &str,
    new: &str,
    keep: DeviceId,
) -> Option<BTreeSet<DeviceId>> {
    let password = NewPassword {
        user: user.clone(),
        former_hash: former.into(),
        password_hash: new.into(),
        keep,
    };
    let set = opened.accounts().set_password(password).await;
    set.expect("the store answers")
}

fn new_account(user: &UserId, password: &str) -> NewAccount {
    NewAccount {
        user: user.clone(),
        password_hash: password.into(),
        name: Some("Alice".into()),
        at: START,
    }
}

/// The tokens of one case, by number.
struct Tokens([u8; 31]);

impl Tokens {
    fn fresh() -> Self {
        Self(rand::random())
    }

    fn hash(&self, number: u8) -> TokenHash {
        let mut hash = [number; 32];
        hash[1..].copy_from_slice(&self.0);
        TokenHash(hash)
    }

    fn of(&self, user: &UserId, device: DeviceId, number: u8) -> NewToken {
        NewToken {
            hash: self.hash(number),
            user: user.clone(),
            device,
            device_name: "Alice's phone".into(),
            platform: "ios".into(),
            at: START,
            expires_at: Timestamp(START.0 + 1_000),
        }
    }

    /// Whom the token of this number stands for.
    async fn owner(&self, opened: &Opened, number: u8) -> Option<TokenOwner> {
        let owner = opened.accounts().token_owner(&self.hash(number)).await;
        owner.expect("the store answers")
    }
}
